//! Amounts that only grow.

use std::{sync::Arc, time::Duration};

use super::{Metric, describe};
use crate::{
    cell::{self, Reader, Slot, Sum},
    descriptor::{Descriptor, Kind},
    family::{Borrowed, Family, Handle},
    label::LabelSet,
    reading::{Sink, Value},
    registry::Registrar,
    series::{Cell, Place, Unreadable},
    set::FieldSpec,
    sync::{AtomicU64, Relaxed},
};

/// An amount that only grows and needn't be whole, such as joules, seconds or money.
///
/// **Unit.** The declaration's; it ends the name, before `_total`.
/// **Labels.** `L`; series of a closed set start at 0, those of an open one appear when they are first asked for.
/// **When it moves.** With each recording, at once. A negative, infinite or NaN amount is refused and counted in
/// `inferometer_recordings_refused_total`.
/// **Consistency.** A later scrape never shows less. The sum is rounded as `f64` is.
///
/// # Examples
/// ```
/// use inferometer::{FloatCounter, MetricSet, Registry};
///
/// #[derive(MetricSet)]
/// #[metrics(namespace = "device")]
/// struct Device {
///     /// Energy used.
///     #[metric(unit = "joules")]
///     energy: FloatCounter,
/// }
///
/// let registry = Registry::new();
/// let device: Device = registry.register()?;
/// device.energy.add(0.5);
/// device.energy.add(-3.0); // refused
/// let page = registry.encode_text();
/// assert!(page.contains("\ndevice_energy_joules_total 0.5\n"));
/// assert!(page.contains(r#"refused_total{family="device_energy_joules_total"} 1"#));
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FloatCounter<L: LabelSet = ()>(pub(crate) Handle<Sum, L>);

/// One series of a [`FloatCounter`], found for a recording or two.
#[derive(Debug)]
pub struct FloatCounterRef<'a>(pub(crate) Borrowed<'a, Sum>);

finding!(FloatCounter, FloatCounterRef);

#[inline(always)]
fn is_increase(amount: f64) -> bool {
    (0.0..f64::INFINITY).contains(&amount)
}

macro_rules! record {
    ($type:ty) => {
        impl $type {
            /// Adds `amount`, which must be finite and not negative.
            #[inline(always)]
            pub fn add(&self, amount: f64) {
                if is_increase(amount) {
                    self.0.cell().add(amount);
                } else {
                    self.0.family().own.refuse();
                }
            }

            /// Adds `amount`, and offers `exemplar` to stand for the series: see
            /// [`Counter::add_with_exemplar`](crate::Counter::add_with_exemplar).
            pub fn add_with_exemplar(&self, amount: f64, exemplar: &[(&str, &str)]) {
                self.add(amount);
                if let Some(slot) = self.0.cell().exemplar_slot()
                    && is_increase(amount)
                {
                    let exemplars = &self.0.family().own.exemplars;
                    exemplars.offer(slot, (0, 1), amount, exemplar);
                }
            }

            /// What has been added so far.
            pub fn get(&self) -> f64 {
                self.0.cell().get(&cell::reader())
            }
        }
    };
}
record!(FloatCounter);
record!(FloatCounterRef<'_>);

impl<L: LabelSet> Metric for FloatCounter<L> {
    fn describe(spec: &FieldSpec, namespace: &str) -> Descriptor {
        describe::<L>(spec, namespace, Kind::Counter, "_total")
    }

    fn create(descriptor: Descriptor, registrar: &mut Registrar<'_>) -> Self {
        let family = Family::new::<L>(descriptor.into(), registrar.enabled(), ());
        Self(Handle::new(registrar.add(Arc::new(family))))
    }
}

impl Cell for Sum {
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

    fn read(&self, (): &(), place: &mut Place<'_>, sink: &mut dyn Sink) -> Result<u64, Unreadable> {
        place.counted(Value::Float(self.get(place.reader)), sink);
        Ok(1)
    }

    fn stirred(&self, (): &(), reader: &Reader<'_>, seen: &AtomicU64) -> bool {
        let now = self.get(reader).to_bits();
        now != seen.swap(now, Relaxed)
    }

    fn exemplar_slot(&self) -> Option<Slot> {
        self.live_slot()
    }
}
