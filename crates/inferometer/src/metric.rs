//! The kinds of metric, one file each, and what they share.

/// How a metric with labels finds its series.
macro_rules! finding {
    ($metric:ident, $reference:ident) => {
        impl<L: LabelSet> $metric<L> {
            /// The series of `labels`, for a recording or two.
            #[inline]
            pub fn with(&self, labels: L::Of<'_>) -> $reference<'_> {
                $reference(self.0.with(&labels))
            }

            /// The series of `labels`, to keep.
            pub fn series(&self, labels: L::Of<'_>) -> $metric {
                $metric(self.0.tie(&labels))
            }
        }
    };
}

mod additive;
mod counter;
mod float_counter;
mod gauge;
mod histogram;
mod info;
mod state_set;

use std::sync::Arc;

pub use additive::{AdditiveGauge, AdditiveGaugeRef, InFlight};
pub use counter::{Counter, CounterRef};
pub use float_counter::{FloatCounter, FloatCounterRef};
pub use gauge::{Gauge, GaugeRef, Tracking};
pub use histogram::{Histogram, HistogramRef, Timer};
pub use info::Info;
pub use state_set::{StateSet, StateSetRef};

use crate::{
    descriptor::{Descriptor, Kind},
    family::{Bookkeeping, Family},
    label::LabelSet,
    registry::Registrar,
    set::FieldSpec,
    snapshot::{Point, SeriesSnapshot},
};

/// A type of metric that a field of a [`MetricSet`](crate::MetricSet) can have.
pub trait Metric: Sized {
    /// The metric's descriptor, without an instance.
    fn describe(spec: &FieldSpec, namespace: &str) -> Descriptor;

    /// The metric, registered.
    fn create(descriptor: Descriptor, registrar: &mut Registrar<'_>) -> Self;
}

/// What the registry keeps of a metric, its labels' type forgotten.
pub(crate) trait Source: Send + Sync {
    fn descriptor(&self) -> &Arc<Descriptor>;
    fn own(&self) -> &Bookkeeping;
    /// The points of a scrape. A series that can't be had is left out and counted.
    fn collect(&self) -> Vec<SeriesSnapshot>;
}

/// A cell that a scrape can read.
pub(crate) trait Read: Send + Sync {
    /// The points of one series.
    ///
    /// # Errors
    /// `Unreadable` when what computes the value failed.
    fn read(&self, family: &Descriptor, labels: &str) -> Result<Vec<SeriesSnapshot>, Unreadable>;
}

/// A series that can't be read now.
pub(crate) struct Unreadable;

impl<C: Read> Source for Family<C> {
    fn descriptor(&self) -> &Arc<Descriptor> {
        &self.descriptor
    }

    fn own(&self) -> &Bookkeeping {
        &self.own
    }

    fn collect(&self) -> Vec<SeriesSnapshot> {
        let mut points = Vec::new();
        for series in self.series() {
            match series.cell.read(&self.descriptor, &series.labels) {
                Ok(read) => points.extend(read),
                Err(Unreadable) => self.own.failed.add(1),
            }
        }
        points
    }
}

/// One point of a series whose labels are as rendered.
fn point(labels: &str, point: Point) -> Vec<SeriesSnapshot> {
    vec![SeriesSnapshot {
        labels: labels.into(),
        point,
    }]
}

/// The descriptor of a field with labels `L`.
fn describe<L: LabelSet>(
    spec: &FieldSpec,
    namespace: &str,
    kind: Kind,
    suffix: &str,
) -> Descriptor {
    Descriptor {
        name: spec.full_name(namespace, suffix),
        kind,
        unit: spec.unit.map(Into::into),
        help: spec.help.into(),
        labels: L::LABELS.iter().map(Into::into).collect(),
        buckets: Arc::new([]),
    }
}
