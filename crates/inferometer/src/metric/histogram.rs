//! Distributions over buckets.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Metric, describe};
use crate::{
    cell::{self, Bounds, Buckets, Exponential, Reader, Slot},
    descriptor::{Descriptor, Kind},
    family::{Borrowed, Family, Handle},
    label::LabelSet,
    native::NativeBuckets,
    reading::{Reading, Sink, Value},
    registry::Registrar,
    series::{Cell, Place, Unreadable},
    set::FieldSpec,
    snapshot::HistogramPoint,
    sync::{AtomicU64, Relaxed},
};

/// A distribution over buckets with upper bounds, such as a latency.
///
/// Bounds are chosen in the declaration (`buckets = …`), or the buckets are [native](crate::NativeBuckets) (`native`): exponential and as
/// fine everywhere, without a bound to be chosen, for Prometheus servers that take them; or both, for a time of change.
///
/// A value equal to a bound counts below it. NaN is refused and counted in `inferometer_recordings_refused_total`: it never
/// reaches the sum that way. An infinity counts in its bucket and makes the sum infinite; infinities of both signs make it NaN.
///
/// **Unit.** The declaration's; it ends the name. With `unit = "seconds"`, [`buckets::LATENCY`](crate::buckets::LATENCY) are the
/// bounds where none are named.
/// **Labels.** `L`; series of a closed set start at 0, those of an open one appear when they are first asked for.
/// **When it moves.** With each observation, at once.
/// **Consistency.** `_count` is the sum of the buckets, so they agree in every scrape; `_sum` may be ahead or behind by the
/// observations under way. No bucket is lower in a later scrape. The sum is rounded as `f64` is, in an order of its own: its last digits may
/// differ from those of a loop over the same values.
///
/// # Examples
/// ```
/// use inferometer::{Histogram, MetricSet, Registry};
///
/// #[derive(MetricSet)]
/// struct Search {
///     /// Passages found.
///     #[metric(buckets = [1.0, 10.0])]
///     passages: Histogram,
/// }
///
/// let registry = Registry::new();
/// let search: Search = registry.register()?;
/// search.passages.observe(1.0);
/// search.passages.observe_times(4.0, 2);
/// assert!(registry.encode_text().contains(
/// r#"passages_bucket{le="1.0"} 1
/// passages_bucket{le="10.0"} 3
/// passages_bucket{le="+Inf"} 3
/// passages_sum 9.0
/// passages_count 3
/// "#));
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Histogram<L: LabelSet = ()>(pub(crate) Handle<HistogramCell, L>);

/// One series of a [`Histogram`], found for a recording or two.
#[derive(Debug)]
pub struct HistogramRef<'a>(pub(crate) Borrowed<'a, HistogramCell>);

/// Observes the seconds from its start when it is dropped.
#[derive(Debug)]
#[must_use = "dropped at once, it measures nothing"]
pub struct Timer {
    histogram: Histogram,
    start: Instant,
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.histogram.observe_duration(self.start.elapsed());
    }
}

/// What the histograms of a family share.
#[derive(Debug)]
pub(crate) struct HistogramShape {
    bounds: Bounds,
    native: Option<NativeBuckets>,
}

impl HistogramShape {
    pub(crate) fn of(descriptor: &Descriptor) -> Self {
        Self {
            bounds: Bounds::new(&descriptor.buckets),
            native: descriptor.native,
        }
    }
}

/// The memory of one histogram.
#[derive(Clone, Debug)]
pub(crate) struct HistogramCell {
    classic: Buckets,
    native: Option<Arc<Exponential>>,
}

impl HistogramCell {
    /// Whether the value could be counted: NaN can't.
    #[inline(always)]
    fn observe(&self, shape: &HistogramShape, value: f64, times: u64) -> bool {
        let Some(native) = &self.native else {
            return self.classic.add(&shape.bounds, value, times);
        };
        let counted = if shape.bounds.len() == 0 {
            self.classic.add_boundless(&shape.bounds, value, times)
        } else {
            self.classic.add(&shape.bounds, value, times)
        };
        if counted {
            native.add(value, times);
        }
        counted
    }

    /// Native buckets are read first, and written last: what they hold, the classic ones hold too.
    fn get(&self, shape: &HistogramShape, reader: &Reader<'_>, into: &mut HistogramPoint) {
        into.native = self.native.as_ref().map(|native| native.get(reader));
        into.sum = self.classic.get(&shape.bounds, reader, &mut into.counts);
    }
}

finding!(Histogram, HistogramRef);

impl Histogram {
    /// Observes the seconds until the timer is dropped.
    pub fn start_timer(&self) -> Timer {
        Timer {
            histogram: self.clone(),
            start: Instant::now(),
        }
    }
}

macro_rules! record {
    ($type:ty) => {
        impl $type {
            /// Counts `value`.
            #[inline(always)]
            pub fn observe(&self, value: f64) {
                self.observe_times(value, 1);
            }

            /// Counts `duration` in seconds.
            #[inline]
            pub fn observe_duration(&self, duration: Duration) {
                self.observe(duration.as_secs_f64());
            }

            /// Counts `value` as often as `times` says; 0 times is not at all.
            #[inline(always)]
            pub fn observe_times(&self, value: f64, times: u64) {
                let (cell, family) = (self.0.cell(), self.0.family());
                if times > 0 && !cell.observe(&family.shape, value, times) {
                    family.own.refuse();
                }
            }

            /// Counts `value`, and offers `exemplar` to stand for its bucket: see
            /// [`Counter::add_with_exemplar`](crate::Counter::add_with_exemplar).
            pub fn observe_with_exemplar(&self, value: f64, exemplar: &[(&str, &str)]) {
                self.observe(value);
                if let Some(slot) = self.0.cell().exemplar_slot()
                    && !value.is_nan()
                {
                    let bounds = &self.0.family().shape.bounds;
                    let bucket = (bounds.bucket(value), bounds.len() + 1);
                    let exemplars = &self.0.family().own.exemplars;
                    exemplars.offer(slot, bucket, value, exemplar);
                }
            }

            /// How many values were counted, and their sum.
            pub fn get(&self) -> (u64, f64) {
                let mut point = HistogramPoint::default();
                let (cell, shape) = (self.0.cell(), &self.0.family().shape);
                cell.get(shape, &cell::reader(), &mut point);
                let count = point
                    .counts
                    .iter()
                    .fold(0, |total: u64, count| total.saturating_add(*count));
                (count, point.sum)
            }
        }
    };
}
record!(Histogram);
record!(HistogramRef<'_>);

impl<L: LabelSet> Metric for Histogram<L> {
    fn describe(spec: &FieldSpec, namespace: &str) -> Descriptor {
        let default = || match (spec.unit, spec.native) {
            (Some("seconds"), None) => crate::buckets::LATENCY.to_vec(),
            _ => Vec::new(),
        };
        let buckets = spec.buckets.clone().unwrap_or_else(default);
        Descriptor {
            buckets: buckets.into(),
            native: spec.native,
            ..describe::<L>(spec, namespace, Kind::Histogram, "")
        }
    }

    fn create(descriptor: Descriptor, registrar: &mut Registrar<'_>) -> Self {
        let shape = HistogramShape::of(&descriptor);
        let family = Family::new::<L>(descriptor.into(), registrar.enabled(), shape);
        Self(Handle::new(registrar.add(Arc::new(family))))
    }
}

impl Cell for HistogramCell {
    type Shape = HistogramShape;

    fn new(shape: &HistogramShape) -> Self {
        Self {
            classic: Buckets::new(&shape.bounds),
            native: shape
                .native
                .map(|layout| Arc::new(Exponential::new(layout))),
        }
    }

    fn mute(_shape: &HistogramShape) -> Self {
        Self {
            classic: Buckets::mute(),
            native: None,
        }
    }

    fn free(&self, shape: &HistogramShape) {
        self.classic.free(&shape.bounds);
        if let Some(native) = &self.native {
            native.free();
        }
    }

    fn read(
        &self,
        shape: &HistogramShape,
        place: &mut Place<'_>,
        sink: &mut dyn Sink,
    ) -> Result<u64, Unreadable> {
        self.get(shape, place.reader, place.scratch);
        place.scratch.exemplars.clear();
        place.scratch.exemplars.extend_from_slice(place.exemplars);
        sink.series(&Reading {
            labels: place.labels,
            value: Value::Histogram(place.scratch),
            created: Some(place.created),
            exemplar: None,
        });
        Ok(1)
    }

    fn stirred(&self, shape: &HistogramShape, reader: &Reader<'_>, seen: &AtomicU64) -> bool {
        let mut point = HistogramPoint::default();
        self.get(shape, reader, &mut point);
        let now = point
            .counts
            .iter()
            .fold(0, |total: u64, count| total.wrapping_add(*count));
        now != seen.swap(now, Relaxed)
    }

    fn exemplar_slot(&self) -> Option<Slot> {
        self.classic.live_slot()
    }
}
