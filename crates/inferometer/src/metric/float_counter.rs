//! Amounts that only grow.

use std::sync::Arc;

use super::{Metric, Read, Unreadable, describe, point};
use crate::{
    cell::Sum,
    descriptor::{Descriptor, Kind},
    family::{Borrowed, Family, Handle},
    label::LabelSet,
    registry::Registrar,
    set::FieldSpec,
    snapshot::{Point, SeriesSnapshot},
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
pub struct FloatCounter<L: LabelSet = ()>(Handle<Sum, L>);

/// One series of a [`FloatCounter`], found for a recording or two.
#[derive(Debug)]
pub struct FloatCounterRef<'a>(Borrowed<'a, Sum>);

finding!(FloatCounter, FloatCounterRef);

macro_rules! record {
    ($type:ty) => {
        impl $type {
            /// Adds `amount`, which must be finite and not negative.
            #[inline]
            pub fn add(&self, amount: f64) {
                if !self.0.family.enabled {
                } else if amount >= 0.0 && amount.is_finite() {
                    self.0.cell().add(amount);
                } else {
                    self.0.family.own.refused.add(1);
                }
            }

            /// What has been added so far.
            pub fn get(&self) -> f64 {
                self.0.cell().get()
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
        let family = Family::new::<L>(descriptor.into(), registrar.enabled(), true, Sum::new);
        Self(Handle::new(registrar.add(Arc::new(family))))
    }
}

impl Read for Sum {
    fn read(&self, _family: &Descriptor, labels: &str) -> Result<Vec<SeriesSnapshot>, Unreadable> {
        Ok(point(labels, Point::Float(self.get())))
    }
}
