//! Values that are set.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    cell::{Reader, Setting},
    descriptor::Kind,
    family::{Borrowed, Family, Handle},
    label::LabelSet,
    reading::{Sink, Value},
    series::{Cell, Place, Unreadable},
    sync::AtomicU64,
};

type Callback<N> = Arc<dyn Fn() -> Option<N> + Send + Sync>;

/// A number that fits a gauge's 64 bits.
pub(crate) trait Number: Copy + std::fmt::Debug + Send + Sync + 'static {
    fn to_bits(self) -> u64;
    fn from_bits(bits: u64) -> Self;
    fn plus(self, other: Self) -> Self;
    fn value<'a>(self) -> Value<'a>;
}

impl Number for f64 {
    fn to_bits(self) -> u64 {
        self.to_bits()
    }

    fn from_bits(bits: u64) -> Self {
        Self::from_bits(bits)
    }

    fn plus(self, other: Self) -> Self {
        self + other
    }

    fn value<'a>(self) -> Value<'a> {
        Value::Float(self)
    }
}

impl Number for i64 {
    fn to_bits(self) -> u64 {
        self.cast_unsigned()
    }

    fn from_bits(bits: u64) -> Self {
        bits.cast_signed()
    }

    fn plus(self, other: Self) -> Self {
        self.saturating_add(other)
    }

    fn value<'a>(self) -> Value<'a> {
        Value::Signed(self)
    }
}

/// The memory of one gauge: one atomic for all threads.
pub(crate) struct GaugeCell<N> {
    value: Setting,
    callback: Mutex<Option<Callback<N>>>,
}

impl<N> std::fmt::Debug for GaugeCell<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.value.fmt(f)
    }
}

impl<N> GaugeCell<N> {
    fn holding(value: Setting) -> Arc<Self> {
        Arc::new(Self {
            value,
            callback: Mutex::new(None),
        })
    }

    fn track(&self, callback: &Callback<N>) {
        let mut current = self.callback.lock().unwrap_or_else(PoisonError::into_inner);
        self.value.close();
        *current = Some(Arc::clone(callback));
    }

    fn untrack(&self, callback: &Callback<N>) {
        let mut current = self.callback.lock().unwrap_or_else(PoisonError::into_inner);
        if current
            .take_if(|current| Arc::ptr_eq(current, callback))
            .is_some()
        {
            self.value.open();
        }
    }
}

impl<N: Number> Cell for Arc<GaugeCell<N>> {
    type Shape = ();

    fn new((): &()) -> Self {
        GaugeCell::holding(Setting::absent())
    }

    fn mute((): &()) -> Self {
        GaugeCell::holding(Setting::mute())
    }

    fn free(&self, (): &()) {}

    fn read(&self, (): &(), place: &mut Place<'_>, sink: &mut dyn Sink) -> Result<u64, Unreadable> {
        let callback = self
            .callback
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let value = match callback {
            Some(compute) => {
                catch_unwind(AssertUnwindSafe(|| compute())).map_err(|_| Unreadable)?
            }
            None => self.value.get().map(N::from_bits),
        };
        let Some(value) = value else { return Ok(0) };
        place.current(value.value(), sink);
        Ok(1)
    }

    /// What is tracked isn't idle.
    fn stirred(&self, (): &(), _reader: &Reader<'_>, _seen: &AtomicU64) -> bool {
        self.value.touched()
    }
}

/// A value that is set, such as a temperature, or computed when a scrape asks, such as a queue's depth.
///
/// **Absent is absent.** A series appears with its first [`set`](Self::set), and is gone after [`clear`](Self::clear): a scrape
/// never shows a 0 that nobody measured. NaN and infinities are shown as set.
///
/// **Unit.** The declaration's; it ends the name.
/// **Labels.** `L`; no series is shown before it has a value.
/// **When it moves.** With each [`set`](Self::set), or at each scrape while it is [tracked](Gauge::track).
/// **Consistency.** A reader sees the last value set by some thread; the last of several threads wins.
///
/// # Examples
/// ```
/// use inferometer::{Gauge, MetricSet, Registry};
///
/// #[derive(MetricSet)]
/// struct Room {
///     /// Air temperature.
///     #[metric(unit = "celsius")]
///     temperature: Gauge,
///     /// People inside.
///     people: Gauge,
/// }
///
/// let registry = Registry::new();
/// let room: Room = registry.register()?;
/// assert!(!registry.encode_text().contains("\ntemperature_celsius "));
///
/// room.temperature.set(21.5);
/// let tracking = room.people.track(|| Some(3.0));
/// let page = registry.encode_text();
/// assert!(page.contains("\ntemperature_celsius 21.5\n"));
/// assert!(page.contains("\npeople 3.0\n"));
///
/// drop(tracking);
/// assert!(!registry.encode_text().contains("\npeople "));
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Gauge<L: LabelSet = ()>(pub(crate) Handle<Arc<GaugeCell<f64>>, L>);

/// One series of a [`Gauge`], found for a recording or two.
#[derive(Debug)]
pub struct GaugeRef<'a>(pub(crate) Borrowed<'a, Arc<GaugeCell<f64>>>);

/// Keeps a series computed; dropped, it makes the series absent and settable again.
///
/// When the same series is tracked anew meanwhile, the newer tracking takes over, and dropping the older one changes nothing.
#[must_use = "dropped at once, it computes nothing"]
pub struct Tracking {
    gauge: Gauge,
    callback: Callback<f64>,
}

/// A whole number that is set, such as a capacity or a generation; otherwise as [`Gauge`].
///
/// It shows every `i64` exactly in the text formats; in protobuf, whose gauges are floats, beyond 2⁵³ the nearest.
///
/// # Examples
/// ```
/// use inferometer::{IntGauge, MetricSet, Registry};
///
/// #[derive(MetricSet)]
/// struct Queue {
///     /// How many requests may wait.
///     capacity: IntGauge,
/// }
///
/// let registry = Registry::new();
/// let queue: Queue = registry.register()?;
/// queue.capacity.set(256);
/// assert!(registry.encode_text().contains("\ncapacity 256\n"));
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
#[derive(Clone, Debug)]
pub struct IntGauge<L: LabelSet = ()>(Handle<Arc<GaugeCell<i64>>, L>);

/// One series of an [`IntGauge`], found for a recording or two.
#[derive(Debug)]
pub struct IntGaugeRef<'a>(Borrowed<'a, Arc<GaugeCell<i64>>>);

/// As [`Tracking`], for an [`IntGauge`].
#[must_use = "dropped at once, it computes nothing"]
pub struct IntTracking {
    gauge: IntGauge,
    callback: Callback<i64>,
}

macro_rules! gauge {
    ($gauge:ident, $reference:ident, $tracking:ident, $number:ty) => {
        finding!($gauge, $reference);

        impl std::fmt::Debug for $tracking {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($tracking)).field(&self.gauge).finish()
            }
        }

        impl Drop for $tracking {
            fn drop(&mut self) {
                self.gauge.0.cell().untrack(&self.callback);
            }
        }

        impl $gauge {
            /// Computes the value at each scrape, for as long as the [`Tracking`] lives. `None` leaves the series out.
            ///
            /// A series has one writer: meanwhile [`set`](Self::set) is refused and counted in `inferometer_recordings_refused_total`.
            /// The callback runs on the scraping thread and should do no more than read memory. One that panics costs its own
            /// series only, and is counted in `inferometer_scrape_failures_total`.
            pub fn track(
                &self,
                value: impl Fn() -> Option<$number> + Send + Sync + 'static,
            ) -> $tracking {
                let callback: Callback<$number> = Arc::new(value);
                if self.0.family().enabled() {
                    self.0.cell().track(&callback);
                }
                $tracking {
                    gauge: self.clone(),
                    callback,
                }
            }
        }

        gauge!(record $gauge, $number);
        gauge!(record $reference<'_>, $number);

        metric!($gauge, Kind::Gauge, "");
    };
    (record $type:ty, $number:ty) => {
        impl $type {
            /// Sets the value.
            #[inline(always)]
            pub fn set(&self, value: $number) {
                if !self.0.cell().value.set(Number::to_bits(value)) {
                    self.0.family().own.refuse();
                }
            }

            /// Adds `amount`, which may be negative, in one step; an absent series begins at 0.
            ///
            /// Additions and settings of several threads happen one after another, in some order, and none is lost. It is one atomic for all
            /// threads: what only rises and falls is cheaper as an [`AdditiveGauge`](crate::AdditiveGauge). An addition after a
            /// [`clear`](Self::clear) that met a recording of another thread may begin from that recording's value.
            #[inline]
            pub fn add(&self, amount: $number) {
                let change = |bits| <$number as Number>::from_bits(bits).plus(amount);
                if !self.0.cell().value.update(|bits| Number::to_bits(change(bits))) {
                    self.0.family().own.refuse();
                }
            }

            /// Makes the series absent until it is set again.
            pub fn clear(&self) {
                self.0.cell().value.clear();
            }

            /// The value last set; `None` when it is absent, or computed at each scrape.
            pub fn get(&self) -> Option<$number> {
                self.0.cell().value.get().map(Number::from_bits)
            }
        }
    };
}
gauge!(Gauge, GaugeRef, Tracking, f64);
gauge!(IntGauge, IntGaugeRef, IntTracking, i64);
