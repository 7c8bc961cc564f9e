//! Values that are set.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use super::{Metric, Read, Unreadable, describe, point};
use crate::{
    cell::Value,
    descriptor::{Descriptor, Kind},
    family::{Borrowed, Family, Handle},
    label::LabelSet,
    registry::Registrar,
    set::FieldSpec,
    snapshot::{Point, SeriesSnapshot},
};

type Callback = Arc<dyn Fn() -> Option<f64> + Send + Sync>;

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
pub struct Gauge<L: LabelSet = ()>(Handle<GaugeCell, L>);

/// One series of a [`Gauge`], found for a recording or two.
#[derive(Debug)]
pub struct GaugeRef<'a>(Borrowed<'a, GaugeCell>);

pub(crate) struct GaugeCell {
    value: Value,
    tracked: AtomicBool,
    callback: Mutex<Option<Callback>>,
}

impl std::fmt::Debug for GaugeCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.value.fmt(f)
    }
}

/// Keeps a series computed; dropped, it makes the series absent and settable again.
///
/// When the same series is tracked anew meanwhile, the newer tracking takes over, and dropping the older one changes nothing.
#[must_use = "dropped at once, it computes nothing"]
pub struct Tracking {
    gauge: Gauge,
    callback: Callback,
}

impl std::fmt::Debug for Tracking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tracking").field(&self.gauge).finish()
    }
}

impl Drop for Tracking {
    fn drop(&mut self) {
        let cell = self.gauge.0.cell();
        let mut callback = cell.callback.lock().unwrap_or_else(PoisonError::into_inner);
        if callback
            .take_if(|current| Arc::ptr_eq(current, &self.callback))
            .is_some()
        {
            cell.value.clear();
            cell.tracked.store(false, Relaxed);
        }
    }
}

finding!(Gauge, GaugeRef);

impl Gauge {
    /// Computes the value at each scrape, for as long as the [`Tracking`] lives. `None` leaves the series out.
    ///
    /// A series has one writer: meanwhile [`set`](Self::set) is refused and counted in `inferometer_recordings_refused_total`.
    /// The callback runs on the scraping thread and should do no more than read memory. One that panics costs its own
    /// series only, and is counted in `inferometer_scrape_failures_total`.
    pub fn track(&self, value: impl Fn() -> Option<f64> + Send + Sync + 'static) -> Tracking {
        let callback: Callback = Arc::new(value);
        if self.0.family.enabled {
            let cell = self.0.cell();
            let mut current = cell.callback.lock().unwrap_or_else(PoisonError::into_inner);
            cell.tracked.store(true, Relaxed);
            cell.value.clear();
            *current = Some(Arc::clone(&callback));
        }
        Tracking {
            gauge: self.clone(),
            callback,
        }
    }
}

macro_rules! record {
    ($type:ty) => {
        impl $type {
            /// Sets the value.
            #[inline]
            pub fn set(&self, value: f64) {
                if !self.0.family.enabled {
                } else if self.0.cell().tracked.load(Relaxed) {
                    self.0.family.own.refused.add(1);
                } else {
                    self.0.cell().value.set(value);
                }
            }

            /// Makes the series absent until it is set again.
            pub fn clear(&self) {
                self.0.cell().value.clear();
            }

            /// The value last set; `None` when it is absent, or computed at each scrape.
            pub fn get(&self) -> Option<f64> {
                self.0.cell().value.get()
            }
        }
    };
}
record!(Gauge);
record!(GaugeRef<'_>);

impl<L: LabelSet> Metric for Gauge<L> {
    fn describe(spec: &FieldSpec, namespace: &str) -> Descriptor {
        describe::<L>(spec, namespace, Kind::Gauge, "")
    }

    fn create(descriptor: Descriptor, registrar: &mut Registrar<'_>) -> Self {
        let family = Family::new::<L>(descriptor.into(), registrar.enabled(), false, || {
            GaugeCell {
                value: Value::absent(),
                tracked: AtomicBool::new(false),
                callback: Mutex::new(None),
            }
        });
        Self(Handle::new(registrar.add(Arc::new(family))))
    }
}

impl Read for GaugeCell {
    fn read(&self, _family: &Descriptor, labels: &str) -> Result<Vec<SeriesSnapshot>, Unreadable> {
        let callback = self
            .callback
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let value = match callback {
            Some(compute) => {
                catch_unwind(AssertUnwindSafe(|| compute())).map_err(|_| Unreadable)?
            }
            None => self.value.get(),
        };
        Ok(value.map_or_else(Vec::new, |value| point(labels, Point::Float(value))))
    }
}
