//! Counts that only grow.

use std::sync::Arc;

use super::{Metric, Read, Unreadable, describe, point};
use crate::{
    cell::Count,
    descriptor::{Descriptor, Kind},
    family::{Borrowed, Family, Handle},
    label::LabelSet,
    registry::Registrar,
    set::FieldSpec,
    snapshot::{Point, SeriesSnapshot},
};

/// A whole number that only grows, such as requests or tokens.
///
/// **Unit.** The declaration's; it ends the name, before `_total`.
/// **Labels.** `L`; series of a closed set start at 0, those of an open one appear when they are first asked for.
/// **When it moves.** With each recording, at once.
/// **Consistency.** Every increment is counted once; a later scrape never shows less. It wraps at `u64::MAX`.
///
/// # Examples
/// ```
/// use inferometer::{Counter, MetricSet, Registry};
///
/// #[derive(MetricSet)]
/// #[metrics(namespace = "shop")]
/// struct Shop {
///     /// Orders taken.
///     orders: Counter,
/// }
///
/// let registry = Registry::new();
/// let shop: Shop = registry.register()?;
/// shop.orders.inc();
/// assert!(registry.encode_text().contains("\nshop_orders_total 1\n"));
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Counter<L: LabelSet = ()>(Handle<Count, L>);

/// One series of a [`Counter`], found for a recording or two.
#[derive(Debug)]
pub struct CounterRef<'a>(Borrowed<'a, Count>);

finding!(Counter, CounterRef);

macro_rules! record {
    ($type:ty) => {
        impl $type {
            /// Adds one.
            #[inline]
            pub fn inc(&self) {
                self.add(1);
            }

            /// Adds `amount`.
            #[inline]
            pub fn add(&self, amount: u64) {
                if self.0.family.enabled {
                    self.0.cell().add(amount);
                }
            }

            /// What has been counted so far.
            pub fn get(&self) -> u64 {
                self.0.cell().get()
            }
        }
    };
}
record!(Counter);
record!(CounterRef<'_>);

impl<L: LabelSet> Metric for Counter<L> {
    fn describe(spec: &FieldSpec, namespace: &str) -> Descriptor {
        describe::<L>(spec, namespace, Kind::Counter, "_total")
    }

    fn create(descriptor: Descriptor, registrar: &mut Registrar<'_>) -> Self {
        let family = Family::new::<L>(descriptor.into(), registrar.enabled(), true, Count::new);
        Self(Handle::new(registrar.add(Arc::new(family))))
    }
}

impl Read for Count {
    fn read(&self, _family: &Descriptor, labels: &str) -> Result<Vec<SeriesSnapshot>, Unreadable> {
        Ok(point(labels, Point::Integer(self.get())))
    }
}
