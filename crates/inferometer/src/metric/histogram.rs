//! Distributions over buckets.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Metric, Read, Unreadable, describe, point};
use crate::{
    cell::Buckets,
    descriptor::{Descriptor, Kind},
    family::{Borrowed, Family, Handle},
    label::LabelSet,
    registry::Registrar,
    set::FieldSpec,
    snapshot::{Point, SeriesSnapshot},
};

/// A distribution over buckets with upper bounds, such as a latency.
///
/// A value equal to a bound counts below it. NaN is refused and counted in `inferometer_recordings_refused_total`: it never
/// reaches the sum that way. An infinity counts in its bucket and makes the sum infinite; infinities of both signs make it NaN.
///
/// **Unit.** The declaration's; it ends the name. With `unit = "seconds"`, [`buckets::LATENCY`](crate::buckets::LATENCY) are the
/// bounds where none are named.
/// **Labels.** `L`; series of a closed set start at 0, those of an open one appear when they are first asked for.
/// **When it moves.** With each observation, at once.
/// **Consistency.** `_count` is the sum of the buckets, so they agree in every scrape; `_sum` may be ahead or behind by the
/// observations under way. No bucket is lower in a later scrape.
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
pub struct Histogram<L: LabelSet = ()>(Handle<HistogramCell, L>);

/// One series of a [`Histogram`], found for a recording or two.
#[derive(Debug)]
pub struct HistogramRef<'a>(Borrowed<'a, HistogramCell>);

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

#[derive(Debug)]
pub(crate) struct HistogramCell {
    bounds: Arc<[f64]>,
    buckets: Buckets,
}

impl HistogramCell {
    #[inline]
    fn observe(&self, value: f64, times: u64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.buckets.add(at, value, times);
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
            #[inline]
            pub fn observe(&self, value: f64) {
                self.observe_times(value, 1);
            }

            /// Counts `duration` in seconds.
            #[inline]
            pub fn observe_duration(&self, duration: Duration) {
                self.observe(duration.as_secs_f64());
            }

            /// Counts `value` as often as `times` says; 0 times is not at all.
            #[inline]
            pub fn observe_times(&self, value: f64, times: u64) {
                if !self.0.family.enabled || times == 0 {
                } else if value.is_nan() {
                    self.0.family.own.refused.add(1);
                } else {
                    self.0.cell().observe(value, times);
                }
            }

            /// How many values were counted, and their sum.
            pub fn get(&self) -> (u64, f64) {
                let (counts, sum) = self.0.cell().buckets.get();
                (
                    counts
                        .iter()
                        .fold(0, |total: u64, count| total.saturating_add(*count)),
                    sum,
                )
            }
        }
    };
}
record!(Histogram);
record!(HistogramRef<'_>);

impl<L: LabelSet> Metric for Histogram<L> {
    fn describe(spec: &FieldSpec, namespace: &str) -> Descriptor {
        let default = || match spec.unit {
            Some("seconds") => crate::buckets::LATENCY.to_vec(),
            _ => Vec::new(),
        };
        let buckets = spec.buckets.clone().unwrap_or_else(default);
        Descriptor {
            buckets: buckets.into(),
            ..describe::<L>(spec, namespace, Kind::Histogram, "")
        }
    }

    fn create(descriptor: Descriptor, registrar: &mut Registrar<'_>) -> Self {
        let bounds = Arc::clone(&descriptor.buckets);
        let make = move || HistogramCell {
            buckets: Buckets::new(bounds.len() + 1),
            bounds: Arc::clone(&bounds),
        };
        let family = Family::new::<L>(descriptor.into(), registrar.enabled(), true, make);
        Self(Handle::new(registrar.add(Arc::new(family))))
    }
}

impl Read for HistogramCell {
    fn read(&self, _family: &Descriptor, labels: &str) -> Result<Vec<SeriesSnapshot>, Unreadable> {
        let (mut counts, sum) = self.buckets.get();
        let mut total = 0_u64;
        for count in &mut counts {
            total = total.saturating_add(*count);
            *count = total;
        }
        Ok(point(
            labels,
            Point::Histogram {
                cumulative: counts,
                sum,
            },
        ))
    }
}
