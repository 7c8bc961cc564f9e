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
