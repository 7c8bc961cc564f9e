//! Levels that rise and fall.

use std::time::Duration;

use crate::{
    cell::{self, Level, Reader},
    descriptor::Kind,
    family::{Borrowed, Family, Handle},
    label::LabelSet,
    reading::{Sink, Value},
    series::{Cell, Place, Unreadable},
    sync::{AtomicU64, Relaxed},
};

/// A whole number that rises and falls by steps, such as requests in flight or connections in use.
///
/// It is never set, so threads don't overwrite each other. [`enter`](AdditiveGauge::enter) takes the step down by itself, whatever
/// ends the work.
///
/// **Labels.** `L`; series of a closed set start at 0, those of an open one appear when they are first asked for.
/// **When it moves.** With each step, on the thread that takes it.
/// **Consistency.** The sum of all steps is exact once they are done. A reader in the midst may see a step down before the step
/// up that it belongs to, taken on another thread: for that moment the level is too low, and may be below zero.
///
/// # Examples
/// ```
/// use inferometer::{AdditiveGauge, MetricSet, Registry};
///
/// #[derive(MetricSet)]
/// #[metrics(namespace = "pool")]
/// struct Pool {
///     /// Connections in use.
///     connections_in_use: AdditiveGauge,
/// }
///
/// let registry = Registry::new();
/// let pool: Pool = registry.register()?;
/// let first = pool.connections_in_use.enter();
/// let second = pool.connections_in_use.enter();
/// drop(first);
/// assert!(registry.encode_text().contains("\npool_connections_in_use 1\n"));
/// # drop(second);
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
#[doc(alias = "UpDownCounter")]
#[derive(Clone, Debug)]
pub struct AdditiveGauge<L: LabelSet = ()>(Handle<Level, L>);

/// One series of an [`AdditiveGauge`], found for a recording or two.
#[derive(Debug)]
pub struct AdditiveGaugeRef<'a>(Borrowed<'a, Level>);

/// Holds an [`AdditiveGauge`] one higher until it is dropped.
#[derive(Debug)]
#[must_use = "dropped at once, it counts nothing"]
pub struct InFlight(AdditiveGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

finding!(AdditiveGauge, AdditiveGaugeRef);

impl AdditiveGauge {
    /// Adds one until the guard is dropped.
    pub fn enter(&self) -> InFlight {
        self.inc();
        InFlight(self.clone())
    }
}

macro_rules! record {
    ($type:ty) => {
        impl $type {
            /// Adds one.
            #[inline(always)]
            pub fn inc(&self) {
                self.0.cell().add(1);
            }

            /// Takes one away.
            #[inline(always)]
            pub fn dec(&self) {
                self.0.cell().add(-1);
            }

            /// Adds `amount`, which may be negative.
            #[inline(always)]
            pub fn add(&self, amount: i64) {
                self.0.cell().add(amount);
            }

            /// The sum of all steps.
            pub fn get(&self) -> i64 {
                self.0.cell().get(&cell::reader())
            }
        }
    };
}
record!(AdditiveGauge);
record!(AdditiveGaugeRef<'_>);

metric!(AdditiveGauge, Kind::Gauge, "");

impl Cell for Level {
    of_a_number!();

    fn read(&self, (): &(), place: &mut Place<'_>, sink: &mut dyn Sink) -> Result<u64, Unreadable> {
        place.current(Value::Signed(self.get(place.reader)), sink);
        Ok(1)
    }

    /// What is still in flight isn't idle.
    fn stirred(&self, (): &(), reader: &Reader<'_>, seen: &AtomicU64) -> bool {
        let now = self.get(reader).cast_unsigned();
        now != seen.swap(now, Relaxed) || now != 0
    }
}
