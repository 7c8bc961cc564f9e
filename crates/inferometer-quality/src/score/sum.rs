//! Sums that don't wear off: what rounding takes away is kept, and two halves make the whole.

/// A sum that remembers what rounding took from it (Neumaier's form of Kahan's).
///
/// Its error doesn't grow with the number of terms. A sum beyond what a float holds is infinite, and stays so.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    /// Adds `term`.
    #[inline]
    pub fn add(&mut self, term: f64) {
        let sum = self.sum + term;
        if sum.is_finite() {
            self.lost += if self.sum.abs() >= term.abs() {
                (self.sum - sum) + term
            } else {
                (term - sum) + self.sum
            };
        } else {
            self.lost = 0.0;
        }
        self.sum = sum;
    }

    /// Adds all that `other` has summed.
    pub fn merge(&mut self, other: &Self) {
        self.add(other.sum);
        if self.sum.is_finite() {
            self.lost += other.lost;
        }
    }

    /// The sum.
    pub fn value(&self) -> f64 {
        self.sum + self.lost
    }
}

/// Count, mean and spread of numbers seen once each (Welford's, merged after Chan).
///
/// The spread is taken around the mean as it moves, so that values far from 0 which hardly differ keep their digits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// Counts `value` in.
    #[inline]
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / float(self.count);
        self.squares += before * (value - self.mean);
    }

    /// Counts in all that `other` has seen.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let (here, there) = (float(self.count), float(other.count));
        let apart = other.mean - self.mean;
        self.count += other.count;
        let all = float(self.count);
        self.mean += apart * (there / all);
        self.squares += other.squares + apart * apart * (here * there / all);
    }

    /// How many numbers there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean; `None` without a number.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then_some(self.mean)
    }

    /// The sum of their squared distances from the mean; 0 without a number.
    pub fn squares(&self) -> f64 {
        self.squares
    }

    /// Their standard deviation, of the numbers themselves and not estimated for more; `None` without a number.
    pub fn deviation(&self) -> Option<f64> {
        (self.count > 0).then(|| (self.squares / float(self.count)).sqrt())
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "beyond 2⁵³ samples the nearest will do"
)]
#[inline]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_keeps_small_terms_beside_large_ones() {
        let mut sum = Sum::default();
        sum.add(1e16);
        for _ in 0..10_000 {
            sum.add(1.0);
        }
        sum.add(-1e16);
        assert_eq!(sum.value(), 10_000.0);
    }

    #[test]
    fn a_sum_beyond_a_float_is_infinite_and_not_nan() {
        let mut sum = Sum::default();
        sum.add(f64::MAX);
        sum.add(f64::MAX);
        sum.add(1.0);
        let mut other = Sum::default();
        other.merge(&sum);
        assert_eq!((sum.value(), other.value()), (f64::INFINITY, f64::INFINITY));
    }

    #[test]
    fn moments_keep_a_small_spread_far_from_zero() {
        let mut moments = Moments::default();
        for index in 0..100_000_u32 {
            moments.add(1e9 + f64::from(index % 2) / 1_024.0);
        }
        let deviation = moments.deviation().unwrap();
        assert!((deviation - 0.5 / 1_024.0).abs() < 1e-9, "{deviation}");
    }

    #[test]
    fn nothing_has_no_mean() {
        let mut moments = Moments::default();
        moments.merge(&Moments::default());
        assert_eq!((moments.mean(), moments.deviation()), (None, None));
    }
}
