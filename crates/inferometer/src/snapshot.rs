//! What a scrape has read, before it is written in some format.

use std::{sync::Arc, time::SystemTime};

use crate::{
    descriptor::Descriptor,
    reading::{Reading, Sink, Value},
};

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
    /// When it began to count; `None` for kinds that don't count, and where it isn't known.
    pub created: Option<SystemTime>,
    /// A counter's exemplar. A histogram's are in its [`HistogramPoint`].
    pub exemplar: Option<Exemplar>,
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
    Histogram(Box<HistogramPoint>),
}

impl Snapshot {
    /// The family of this name on the wire.
    pub fn family(&self, name: &str) -> Option<&FamilySnapshot> {
        self.families
            .iter()
            .find(|family| family.descriptor.name == name)
    }

    /// Hands everything to a sink, as the scrape would have.
    pub(crate) fn replay(&self, sink: &mut impl Sink) {
        for family in &self.families {
            sink.family(&family.descriptor);
            for series in &family.series {
                sink.series(&Reading {
                    labels: &series.labels,
                    value: match &series.point {
                        Point::Integer(value) => Value::Integer(*value),
                        Point::Signed(value) => Value::Signed(*value),
                        Point::Float(value) => Value::Float(*value),
                        Point::Histogram(point) => Value::Histogram(point),
                    },
                    created: series.created,
                    exemplar: series.exemplar.as_ref(),
                });
            }
        }
    }
}

/// Keeps what it is given; a reading before the first family has nowhere to go.
impl Sink for Snapshot {
    fn family(&mut self, descriptor: &Descriptor) {
        self.families.push(FamilySnapshot {
            descriptor: Arc::new(descriptor.clone()),
            series: Vec::new(),
        });
    }

    fn series(&mut self, reading: &Reading<'_>) {
        let Some(family) = self.families.last_mut() else {
            return;
        };
        family.series.push(SeriesSnapshot {
            labels: reading.labels.into(),
            point: match reading.value {
                Value::Integer(value) => Point::Integer(value),
                Value::Signed(value) => Point::Signed(value),
                Value::Float(value) => Point::Float(value),
                Value::Histogram(point) => Point::Histogram(Box::new(point.clone())),
            },
            created: reading.created,
            exemplar: reading.exemplar.cloned(),
        });
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
    /// The exemplar of each bucket of `counts`; empty when the family has none. Without `counts`, any number of exemplars.
    pub exemplars: Vec<Option<Exemplar>>,
    /// The native buckets, when the metric has them.
    pub native: Option<NativePoint>,
}

impl HistogramPoint {
    /// How many values were counted.
    pub fn count(&self) -> u64 {
        match &self.native {
            Some(native) if self.counts.is_empty() => native.count(),
            _ => sum(self.counts.iter().copied()),
        }
    }

    /// How many values were at or below each bound; the last counts all. Empty when there are only native buckets.
    pub fn cumulative(&self) -> impl Iterator<Item = u64> + '_ {
        self.counts.iter().scan(0_u64, |total, count| {
            *total = total.saturating_add(*count);
            Some(*total)
        })
    }
}

fn sum(mut counts: impl Iterator<Item = u64>) -> u64 {
    counts.try_fold(0, u64::checked_add).unwrap_or(u64::MAX)
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

impl NativePoint {
    /// How many values were counted.
    pub fn count(&self) -> u64 {
        let buckets = self.positive.iter().chain(&self.negative);
        sum(buckets.map(|(_, count)| *count).chain([self.zero_count]))
    }
}

/// One recording that stands for its series or bucket, told apart by labels such as a trace's id.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Its labels as written between the braces, escaped; at most 128 characters before that.
    pub labels: Box<str>,
    /// The value recorded.
    pub value: f64,
    /// When.
    pub at: SystemTime,
}
