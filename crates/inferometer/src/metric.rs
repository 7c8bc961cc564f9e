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

            /// Removes the series of `labels`, and tells whether there was one. The same labels make a new one, from the start.
            ///
            /// What is recorded through handles that are left isn't shown any more. The series of a closed set are always there: none is
            /// removed.
            pub fn remove(&self, labels: L::Of<'_>) -> bool {
                self.0.remove(&labels)
            }

            /// Removes the series of an open set that nothing was recorded to for `idle`, and to which there is no handle; returns how many.
            ///
            /// A series goes in the second call that finds it idle, so that no recording is lost that comes between.
            pub fn remove_idle(&self, idle: Duration) -> usize {
                self.0.remove_idle(idle)
            }
        }
    };
}

/// How a metric whose series share nothing but their labels is declared.
macro_rules! metric {
    ($metric:ident, $kind:expr, $suffix:literal) => {
        impl<L: crate::label::LabelSet> crate::metric::Metric for $metric<L> {
            fn describe(
                spec: &crate::set::FieldSpec,
                namespace: &str,
            ) -> crate::descriptor::Descriptor {
                crate::metric::describe::<L>(spec, namespace, $kind, $suffix)
            }

            fn create(
                descriptor: crate::descriptor::Descriptor,
                registrar: &mut crate::registry::Registrar<'_>,
            ) -> Self {
                let family = Family::new::<L>(descriptor.into(), registrar.enabled(), ());
                Self(Handle::new(registrar.add(family.into())))
            }
        }
    };
}

/// The part of a [`Cell`] that is the same for every number of [`crate::cell`].
macro_rules! of_a_number {
    () => {
        type Shape = ();

        fn new((): &()) -> Self {
            Self::new()
        }

        fn many((): &(), count: usize) -> Box<[Self]> {
            Self::many(count)
        }

        #[inline(always)]
        fn nth(&self, index: usize) -> Option<Self> {
            Some(Self::nth(*self, index))
        }

        fn mute((): &()) -> Self {
            Self::mute()
        }

        fn free(&self, (): &()) {
            Self::free(*self);
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

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

pub use additive::{AdditiveGauge, AdditiveGaugeRef, InFlight};
pub use counter::{Counter, CounterRef};
pub use float_counter::{FloatCounter, FloatCounterRef};
pub(crate) use gauge::GaugeCell;
pub use gauge::{Gauge, GaugeRef, IntGauge, IntGaugeRef, IntTracking, Tracking};
pub use histogram::{Histogram, HistogramRef, Timer};
pub(crate) use histogram::{HistogramCell, HistogramShape};
pub use info::Info;
pub use state_set::{StateSet, StateSetRef};

use crate::{
    cell::Reader,
    descriptor::{Descriptor, Kind, LabelBound},
    family::{Bookkeeping, Family, MAX_SERIES},
    label::LabelSet,
    reading::Sink,
    registry::Registrar,
    series::Cell,
    set::FieldSpec,
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
    /// What it is now: only what is declared at run time ever changes.
    fn descriptor(&self) -> Arc<Descriptor>;
    fn own(&self) -> &Bookkeeping;
    /// Hands every series to `sink` and returns how many there were. One that can't be had is left out and counted.
    fn collect(&self, reader: &Reader<'_>, sink: &mut dyn Sink) -> u64;
    /// Hands each label that may drop values, and how often it did, to `take`.
    fn dropped(&self, take: &mut dyn FnMut(&str, u64)) {
        let _ = take;
    }
    /// How often a label was left out; `None` where the labels are declared.
    fn left_out(&self) -> Option<u64> {
        None
    }
    /// Removes what is idle, where the declaration says so.
    fn sweep(&self, now: Instant);
}

impl<C: Cell> Source for Family<C> {
    fn descriptor(&self) -> Arc<Descriptor> {
        Arc::clone(&self.descriptor)
    }

    fn own(&self) -> &Bookkeeping {
        &self.own
    }

    fn collect(&self, reader: &Reader<'_>, sink: &mut dyn Sink) -> u64 {
        Self::collect(self, &self.descriptor, reader, sink)
    }

    fn dropped(&self, take: &mut dyn FnMut(&str, u64)) {
        for (label, count) in self.descriptor.labels.iter().zip(&self.own.dropped) {
            if matches!(label.bound, LabelBound::Open(_)) {
                take(&label.name, count.load(Relaxed));
            }
        }
    }

    fn sweep(&self, now: Instant) {
        if let Some(idle) = self.descriptor.idle {
            self.remove_idle(idle, now);
        }
    }
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
        native: None,
        max_series: spec.max_series.unwrap_or(MAX_SERIES),
        idle: spec.idle,
    }
}
