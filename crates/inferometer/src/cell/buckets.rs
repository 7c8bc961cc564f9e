//! Distributions over buckets with upper bounds.

use super::{
    bank::{Reader, Slot},
    number::{add_float_own, add_float_shared, add_own},
    thread::{Words, bank, own_words, words},
};
use crate::sync::Relaxed;

/// The upper bounds of a family's buckets, and a table that finds the bucket of a value.
///
/// The table has an entry for each binary exponent between those of the smallest and of the largest positive bound. It says
/// how many bounds are below every value of the exponent, and holds those that some values of it are above: seldom more than two.
#[derive(Debug)]
pub(crate) struct Bounds {
    bounds: Box<[f64]>,
    near: Box<[Near]>,
    /// The exponent of `near[0]`.
    lowest: u64,
}

/// The bounds that a value of some exponent may lie beside.
#[derive(Clone, Copy, Debug)]
struct Near {
    /// How many bounds are below all its values.
    start: usize,
    /// How many are not above all of them.
    end: usize,
    /// The bounds in between, if they are two at most; else NaN, which nothing is above.
    two: [f64; 2],
}

/// The biased exponent of a number that isn't negative.
#[inline(always)]
fn exponent(value: f64) -> u64 {
    value.to_bits() >> 52
}

impl Bounds {
    pub(crate) fn new(bounds: &[f64]) -> Self {
        let positive = bounds.partition_point(|bound| *bound <= 0.0);
        let exponents = match (bounds.get(positive), bounds.last()) {
            (Some(low), Some(high)) => exponent(*low)..exponent(*high) + 1,
            _ => 1..1,
        };
        // The entry before them is for everything smaller; what is beyond the table is above every bound.
        let lowest = exponents.start.saturating_sub(1);
        let near = (lowest..exponents.end)
            .map(|at| {
                let least = f64::from_bits(at << 52);
                let start = if at == lowest {
                    0
                } else {
                    bounds.partition_point(|bound| *bound < least)
                };
                let beyond = f64::from_bits((at + 1) << 52);
                let end = bounds.partition_point(|bound| *bound < beyond);
                let two = match &bounds[start..end] {
                    [] => [f64::NAN; 2],
                    [one] => [*one, f64::NAN],
                    [one, two] => [*one, *two],
                    _ => [f64::NAN; 2],
                };
                Near { start, end, two }
            })
            .collect();
        Self {
            bounds: bounds.into(),
            near,
            lowest,
        }
    }

    /// How many bounds there are.
    pub(crate) fn len(&self) -> usize {
        self.bounds.len()
    }

    /// How many bounds are below `value`, which is its bucket.
    #[inline(always)]
    pub(crate) fn bucket(&self, value: f64) -> usize {
        if value.is_sign_negative() {
            return self.search(value);
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "an exponent has eleven bits"
        )]
        let at = exponent(value).saturating_sub(self.lowest) as usize;
        let Some(near) = self.near.get(at) else {
            return self.bounds.len();
        };
        if near.end - near.start > 2 {
            return self.search(value);
        }
        near.start + usize::from(near.two[0] < value) + usize::from(near.two[1] < value)
    }

    #[cold]
    #[inline(never)]
    fn search(&self, value: f64) -> usize {
        self.bounds.partition_point(|bound| *bound < value)
    }
}

/// The sum of the values and their counts by bucket. The last bucket takes what is above every bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buckets(Slot);

impl Buckets {
    /// Words that a distribution over `bounds` takes: the sum, the buckets, the one above them.
    fn width(bounds: &Bounds) -> usize {
        bounds.len() + 2
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

    /// Counts `times` values of `value`, in the bucket `at`.
    #[inline(always)]
    pub(crate) fn add(self, bounds: &Bounds, value: f64, times: u64) {
        let at = bounds.bucket(value);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a repeat count stays far below 2^53"
        )]
        let amount = value * times as f64;
        if let Some([sum, counts @ ..]) = own_words(self.0)
            && let Some(count) = counts.get(at)
        {
            add_own(count, times);
            add_float_own(sum, amount);
        } else {
            self.add_elsewhere(at, amount, times);
        }
    }

    #[cold]
    #[inline(never)]
    fn add_elsewhere(self, at: usize, amount: f64, times: u64) {
        match words(self.0) {
            Some(Words::Own(words)) => {
                add_own(&words[at + 1], times);
                add_float_own(&words[0], amount);
            }
            Some(Words::Shared(words)) => {
                words[at + 1].fetch_add(times, Relaxed);
                add_float_shared(&words[0], amount);
            }
            None => {}
        }
    }

    /// Puts the counts of the buckets, each alone, into `counts`, and returns the sum.
    pub(crate) fn get(self, bounds: &Bounds, reader: &Reader<'_>, counts: &mut Vec<u64>) -> f64 {
        counts.clear();
        counts.resize(bounds.len() + 1, 0);
        if self.0.is_mute() {
            return 0.0;
        }
        reader.range(self.0.plus(1), counts);
        reader.float(self.0)
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
            for near in Bounds::new(bounds).near {
                assert!(near.end - near.start <= 2, "{near:?} of {bounds:?}");
            }
        }
    }
}
