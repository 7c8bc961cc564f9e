//! Counts that only grow.

use std::time::Duration;

use crate::{
    cell::{self, Count, Reader, Slot},
    descriptor::Kind,
    family::{Borrowed, Family, Handle},
    label::LabelSet,
    reading::{Sink, Value},
    series::{Cell, Place, Unreadable},
    sync::{AtomicU64, Relaxed},
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
pub struct Counter<L: LabelSet = ()>(pub(crate) Handle<Count, L>);

/// One series of a [`Counter`], found for a recording or two.
#[derive(Debug)]
pub struct CounterRef<'a>(pub(crate) Borrowed<'a, Count>);

finding!(Counter, CounterRef);

macro_rules! record {
    ($type:ty) => {
        impl $type {
            /// Adds one.
            #[inline(always)]
            pub fn inc(&self) {
                self.0.cell().add(1);
            }

            /// Adds `amount`.
            #[inline(always)]
            pub fn add(&self, amount: u64) {
                self.0.cell().add(amount);
            }

            /// Adds `amount`, and offers `exemplar`, such as `[("trace_id", id)]`, to stand for the series.
            ///
            /// A family takes at most a thousand a second, and the newest is shown. One with more than 128 characters in its names and
            /// values, or with a name that isn't one, is refused and counted in `inferometer_exemplars_refused_total`; the amount counts all
            /// the same.
            pub fn add_with_exemplar(&self, amount: u64, exemplar: &[(&str, &str)]) {
                self.add(amount);
                if let Some(slot) = self.0.cell().exemplar_slot() {
                    #[expect(
                        clippy::cast_precision_loss,
                        reason = "an amount of one event is small"
                    )]
                    let value = amount as f64;
                    let exemplars = &self.0.family().own.exemplars;
                    exemplars.offer(slot, (0, 1), value, exemplar);
                }
            }

            /// Adds one, and offers `exemplar`: see [`add_with_exemplar`](Self::add_with_exemplar).
            pub fn inc_with_exemplar(&self, exemplar: &[(&str, &str)]) {
                self.add_with_exemplar(1, exemplar);
            }

            /// What has been counted so far.
            pub fn get(&self) -> u64 {
                self.0.cell().get(&cell::reader())
            }
        }
    };
}
record!(Counter);
record!(CounterRef<'_>);

metric!(Counter, Kind::Counter, "_total");

impl Cell for Count {
    of_a_number!();

    fn read(&self, (): &(), place: &mut Place<'_>, sink: &mut dyn Sink) -> Result<u64, Unreadable> {
        place.counted(Value::Integer(self.get(place.reader)), sink);
        Ok(1)
    }

    fn read_run(cells: &[Self], reader: &Reader<'_>, values: &mut [u64]) -> bool {
        Self::get_run(cells, reader, values)
    }

    fn stirred(&self, (): &(), reader: &Reader<'_>, seen: &AtomicU64) -> bool {
        let now = self.get(reader);
        now != seen.swap(now, Relaxed)
    }

    fn exemplar_slot(&self) -> Option<Slot> {
        self.live_slot()
    }
}
