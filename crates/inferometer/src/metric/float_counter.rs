//! Amounts that only grow.

use std::time::Duration;

use crate::{
    cell::{self, Reader, Slot, Sum},
    descriptor::Kind,
    family::{Borrowed, Family, Handle},
    label::LabelSet,
    reading::{Sink, Value},
    series::{Cell, Place, Unreadable},
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

metric!(FloatCounter, Kind::Counter, "_total");

impl Cell for Sum {
    of_a_number!();

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
