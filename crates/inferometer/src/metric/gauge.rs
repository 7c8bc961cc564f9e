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
/// **Consistency.** A reader sees the last value set by some thread.
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
#[must_use = "dropped at once, it computes nothing"]
#[derive(Debug)]
pub struct Tracking(Gauge);

impl Drop for Tracking {
    fn drop(&mut self) {
        let cell = self.0.0.cell();
        *cell.callback.lock().unwrap_or_else(PoisonError::into_inner) = None;
        cell.value.clear();
        cell.tracked.store(false, Relaxed);
    }
}

impl<L: LabelSet> Gauge<L> {
    /// The series of `labels`, for a recording or two.
    #[inline]
    pub fn with(&self, labels: L::Of<'_>) -> GaugeRef<'_> {
        GaugeRef(self.0.with(&labels))
    }

    /// The series of `labels`, to keep.
    pub fn series(&self, labels: L::Of<'_>) -> Gauge {
        Gauge(self.0.tie(&labels))
    }
}

impl Gauge {
    /// Computes the value at each scrape, for as long as the [`Tracking`] lives. `None` leaves the series out.
    ///
    /// A series has one writer: meanwhile [`set`](Self::set) is refused and counted in `inferometer_recordings_refused_total`.
    /// The callback runs on the scraping thread and should do no more than read memory. One that panics costs its own
    /// series only, and is counted in `inferometer_scrape_failures_total`.
    pub fn track(&self, value: impl Fn() -> Option<f64> + Send + Sync + 'static) -> Tracking {
        let cell = self.0.cell();
        cell.tracked.store(true, Relaxed);
        *cell.callback.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(value));
        Tracking(self.clone())
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
        let family = Family::new::<L>(descriptor.into(), registrar.enabled(), false, || GaugeCell {
            value: Value::absent(),
            tracked: AtomicBool::new(false),
            callback: Mutex::new(None),
        });
        Self(Handle::new(registrar.add(Arc::new(family))))
    }
}

impl Read for GaugeCell {
    fn read(&self, _family: &Descriptor, labels: &str) -> Result<Vec<SeriesSnapshot>, Unreadable> {
        let callback = self.callback.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let value = match callback {
            Some(compute) => catch_unwind(AssertUnwindSafe(|| compute())).map_err(|_| Unreadable)?,
            None => self.value.get(),
        };
        Ok(value.map_or_else(Vec::new, |value| point(labels, Point::Float(value))))
    }
}
