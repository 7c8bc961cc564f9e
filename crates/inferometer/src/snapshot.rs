//! What a scrape has read, before it is written in some format.

use std::sync::Arc;

use crate::descriptor::Descriptor;

/// Every family of a registry, as read by one scrape, in declared order.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The families.
    pub families: Vec<FamilySnapshot>,
}

/// One family.
#[derive(Clone, Debug)]
pub struct FamilySnapshot {
    /// What it is.
    pub descriptor: Arc<Descriptor>,
    /// Its series.
    pub series: Vec<SeriesSnapshot>,
}

/// One series.
#[derive(Clone, Debug)]
pub struct SeriesSnapshot {
    /// Its labels as written between the braces, escaped; empty when it has none.
    pub labels: Box<str>,
    /// Its value.
    pub point: Point,
}

/// The value of a series.
#[derive(Clone, Debug, PartialEq)]
pub enum Point {
    /// A count.
    Integer(u64),
    /// A level.
    Signed(i64),
    /// Any number.
    Float(f64),
    /// A distribution.
    Histogram {
        /// How many values were at or below each bound; the last counts all.
        cumulative: Vec<u64>,
        /// The sum of the values.
        sum: f64,
    },
}

impl Snapshot {
    /// The family of this name on the wire.
    pub fn family(&self, name: &str) -> Option<&FamilySnapshot> {
        self.families
            .iter()
            .find(|family| family.descriptor.name == name)
    }
}

impl FamilySnapshot {
    /// The value of the series whose labels are written so, such as `stage="rag"`.
    pub fn point(&self, labels: &str) -> Option<&Point> {
        self.series
            .iter()
            .find(|series| &*series.labels == labels)
            .map(|series| &series.point)
    }
}

/// A distribution as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramPoint {
    /// How many values fell into each bucket alone; the last is above every bound. Empty when there are only native buckets.
    pub counts: Vec<u64>,
    /// The sum of the values.
    pub sum: f64,
    /// The exemplar of each bucket of `counts`; empty when the family has none.
    pub exemplars: Vec<Option<Exemplar>>,
    /// The native buckets, when the metric has them.
    pub native: Option<NativePoint>,
}

/// The native (exponential) buckets of a distribution, as Prometheus defines them: bucket `i` of schema `s` holds the values in
/// `(2^((i-1)·2^-s), 2^(i·2^-s)]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NativePoint {
    /// The resolution, from −4 to 8.
    pub schema: i32,
    /// Values whose magnitude is at or below it are in the zero bucket.
    pub zero_threshold: f64,
    /// How many are.
    pub zero_count: u64,
    /// Indices and counts of the buckets that hold positive values, rising.
    pub positive: Vec<(i32, u64)>,
    /// Indices and counts of the buckets that hold negative values, by magnitude, rising.
    pub negative: Vec<(i32, u64)>,
}

/// One recording that stands for its series or bucket, told apart by labels such as a trace's id.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Its labels as written between the braces, escaped; at most 128 characters before that.
    pub labels: Box<str>,
    /// The value recorded.
    pub value: f64,
    /// When.
    pub at: std::time::SystemTime,
}
