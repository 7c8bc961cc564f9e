//! Distributions over buckets with upper bounds.
#![expect(
    unsafe_code,
    reason = "a place that is below one that was checked needs no check"
)]

use super::{
    bank::{Reader, Slot},
    number::{add_float_own, add_float_shared, add_own},
    thread::{Words, bank, own_words, words},
};
use crate::sync::Relaxed;

/// The upper bounds of a family's buckets, and a table that finds the bucket of a value.
///
/// The table has a cell for each quarter of a binary exponent, from the smallest positive bound to some way above the largest, and one for
/// what is below. A cell says how many bounds are below all its values, and holds the one that some of them are above: there is seldom
/// another. All of it compares bits, which are in the order of the values where no value is negative.
#[derive(Debug)]
pub(crate) struct Bounds {
    bounds: Box<[f64]>,
    cells: Box<[Cell]>,
    /// The quarter of `cells[0]`.
    lowest: u64,
}

/// The most quarters in the table: 64 exponents, from 10⁻⁹ to 10¹⁰ for one. A value that is beyond takes a search.
const CELLS: u64 = 4 * 64;

/// Quarters in the table above the largest bound, for values up to four times as large.
const ABOVE: u64 = 4 * 2;

/// The bounds that a value of some quarter may lie beside.
#[derive(Clone, Copy, Debug)]
#[repr(align(16))]
struct Cell {
    /// How many bounds are below all its values; [`CROWDED`] where more than one may lie beside a value.
    start: usize,
    /// The bits of that one; [`NONE`], which nothing is above, where there isn't one.
    bound: u64,
}

/// More buckets than there can be.
const CROWDED: usize = usize::MAX / 2;

const NONE: u64 = u64::MAX;

/// Below the bits of these are what a number's quarter has of its own.
const QUARTER: u32 = 50;

/// Which quarter of which exponent a number is in. One that is negative or NaN is in one that no table has.
#[inline(always)]
fn quarter(bits: u64) -> u64 {
    bits >> QUARTER
}

impl Bounds {
    pub(crate) fn new(bounds: &[f64]) -> Self {
        let positive = bounds.partition_point(|bound| *bound <= 0.0);
        let quarters = match (bounds.get(positive), bounds.last()) {
            (Some(low), Some(high)) => quarter(low.to_bits())..quarter(high.to_bits()) + 1,
            _ => 1..1,
        };
        let lowest = quarters.start.saturating_sub(1);
        let end = (quarters.end + ABOVE)
            .min(lowest + CELLS)
            .min(quarter(f64::INFINITY.to_bits()));
        let least = |at| f64::from_bits(if at == lowest { 0 } else { at << QUARTER });
        let below = |value: f64| bounds.partition_point(|bound| *bound < value);
        let cells = (lowest..end).map(|at| {
            let start = below(least(at));
            // A zero may be a negative one.
            let bits = |bound: &f64| (bound + 0.0).to_bits();
            let (start, bound) = match &bounds[start..below(least(at + 1))] {
                [] => (start, NONE),
                [one] => (start, bits(one)),
                _ => (CROWDED, NONE),
            };
            Cell { start, bound }
        });
        Self {
            bounds: bounds.into(),
            cells: cells.collect(),
            lowest,
        }
    }

    /// How many bounds there are.
    pub(crate) fn len(&self) -> usize {
        self.bounds.len()
    }

    /// How many bounds are below `value`, which is its bucket.
    #[inline]
    pub(crate) fn bucket(&self, value: f64) -> usize {
        self.find(value)
            .filter(|at| *at <= self.bounds.len())
            .unwrap_or_else(|| self.search(value))
    }

    /// The bucket of `value`; more than there are, or `None`, when it takes a search.
    #[inline(always)]
    fn find(&self, value: f64) -> Option<usize> {
        let bits = value.to_bits();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a quarter has fourteen bits"
        )]
        let at = quarter(bits).saturating_sub(self.lowest) as usize;
        let cell = self.cells.get(at)?;
        Some(cell.start + usize::from(cell.bound < bits))
    }

    #[cold]
    #[inline(never)]
    fn search(&self, value: f64) -> usize {
        self.bounds.partition_point(|bound| *bound < value)
    }
}

/// The sum of the values and their counts by bucket. The last bucket takes what is above every bound.
///
/// The sum is in several words, and the value's own bits say in which it goes: an addition to a float in memory takes as long as the whole
/// rest of an observation, and so the next seldom has to wait for it, nor any addition for its bucket to be found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buckets(Slot);

/// Words of the sum.
const SUMS: usize = 4;

/// The word of the sum that `value` goes in. Values that differ by a few per cent go in different ones.
#[inline(always)]
fn part(value: f64) -> usize {
    let bits = (value.to_bits() >> 47) as usize;
    bits % SUMS
}

impl Buckets {
    /// Words that a distribution over `bounds` takes: of the sum, the buckets, and the one above them.
    fn width(bounds: &Bounds) -> usize {
        SUMS + bounds.len() + 1
    }

    /// The most bounds that a distribution can have.
    pub(crate) const MOST_BOUNDS: usize = Slot::WIDEST / 2;

    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self(bank().take(Self::width(bounds)))
    }

    pub(crate) const fn mute() -> Self {
        Self(Slot::MUTE)
    }

    pub(crate) fn free(self, bounds: &Bounds) {
        bank().give_back(self.0, Self::width(bounds));
    }

    /// Where it is, if it isn't mute.
    pub(crate) fn live_slot(self) -> Option<Slot> {
        (!self.0.is_mute()).then_some(self.0)
    }

    /// Counts `times` values of `value`, unless it is NaN; says whether it did.
    #[inline(always)]
    pub(crate) fn add(self, bounds: &Bounds, value: f64, times: u64) -> bool {
        self.add_at(bounds.find(value), bounds, value, times)
    }

    /// As [`add`](Self::add), where there are no bounds.
    #[inline(always)]
    pub(crate) fn add_boundless(self, bounds: &Bounds, value: f64, times: u64) -> bool {
        let at = (!value.is_nan()).then_some(0);
        self.add_at(at, bounds, value, times)
    }

    /// As [`add`](Self::add), the bucket found, unless that takes a search.
    #[inline(always)]
    fn add_at(self, at: Option<usize>, bounds: &Bounds, value: f64, times: u64) -> bool {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a repeat count stays far below 2^53"
        )]
        let amount = value * times as f64;
        if let Some(at) = at
            && let Some(words) = own_words(self.0)
            && let Some(count) = words.get(SUMS + at)
        {
            add_own(count, times);
            // SAFETY: the part is below `SUMS + at`, which is a place in `words`.
            add_float_own(unsafe { words.get_unchecked(part(value)) }, amount);
            true
        } else {
            self.add_elsewhere(bounds, value, amount, times)
        }
    }

    #[cold]
    #[inline(never)]
    fn add_elsewhere(self, bounds: &Bounds, value: f64, amount: f64, times: u64) -> bool {
        if value.is_nan() {
            return false;
        }
        let at = bounds.bucket(value);
        match words(self.0) {
            Some(Words::Own(words)) => {
                add_own(&words[SUMS + at], times);
                add_float_own(&words[part(value)], amount);
            }
            Some(Words::Shared(words)) => {
                words[SUMS + at].fetch_add(times, Relaxed);
                add_float_shared(&words[part(value)], amount);
            }
            None => {}
        }
        true
    }

    /// Puts the counts of the buckets, each alone, into `counts`, and returns the sum.
    pub(crate) fn get(self, bounds: &Bounds, reader: &Reader<'_>, counts: &mut Vec<u64>) -> f64 {
        counts.clear();
        counts.resize(bounds.len() + 1, 0);
        if self.0.is_mute() {
            return 0.0;
        }
        reader.range(self.0.plus(SUMS), counts);
        (0..SUMS).map(|at| reader.float(self.0.plus(at))).sum()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted(mut bounds: Vec<f64>) -> Vec<f64> {
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        bounds
    }

    proptest! {
        #[test]
        fn the_table_finds_the_bucket_that_a_plain_search_finds(
            bounds in prop::collection::vec(-1e3_f64..1e3, 1..40).prop_map(sorted),
            values in prop::collection::vec(-2e3_f64..2e3, 1..40),
        ) {
            let table = Bounds::new(&bounds);
            for value in values.into_iter().chain(bounds.iter().copied()) {
                prop_assert_eq!(table.bucket(value), bounds.partition_point(|bound| *bound < value));
            }
        }

        #[test]
        fn the_table_of_positive_bounds_finds_the_bucket_that_a_plain_search_finds(
            exponents in prop::collection::vec(-300.0_f64..300.0, 1..40),
            values in prop::collection::vec(prop::num::f64::ANY, 1..40),
        ) {
            let bounds = sorted(exponents.into_iter().map(|e| 10_f64.powf(e)).collect());
            let table = Bounds::new(&bounds);
            let extremes = [0.0, -0.0, f64::MIN_POSITIVE, 5e-324, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, -1.0];
            for value in values.into_iter().chain(bounds.iter().copied()).chain(extremes) {
                if !value.is_nan() {
                    prop_assert_eq!(table.bucket(value), bounds.partition_point(|bound| *bound < value));
                }
            }
        }
    }

    #[test]
    fn the_usual_bounds_need_no_search() {
        use crate::buckets::{LATENCY, QUEUE_WAIT, TIME_PER_TOKEN, TIME_TO_FIRST_TOKEN, TOKENS};
        let all: [&[f64]; 5] = [
            &LATENCY,
            &QUEUE_WAIT,
            &TIME_TO_FIRST_TOKEN,
            &TIME_PER_TOKEN,
            &TOKENS,
        ];
        for bounds in all {
            for cell in Bounds::new(bounds).cells {
                assert!(cell.start <= bounds.len(), "{cell:?} of {bounds:?}");
            }
        }
    }
}
