//! Medians with their spread, and ratios.

/// A median and the values it stands between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// `None` without samples.
    pub(crate) fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        Some(Self {
            median,
            least,
            most,
        })
    }
}

/// How many times as much `other` took as `ours`, repetition by repetition: both were measured next to each other, so what
/// disturbed one disturbed the other. The longer list's rest has no partner and is left out.
pub(crate) fn ratios(other: &[f64], ours: &[f64]) -> Vec<f64> {
    other
        .iter()
        .zip(ours)
        .map(|(other, ours)| other / ours)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_median_between_the_extremes() {
        let odd = Spread::of(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!((odd.least, odd.median, odd.most), (1.0, 2.0, 3.0));
        let even = Spread::of(&[4.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!((even.least, even.median, even.most), (1.0, 2.5, 4.0));
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn ratios_pair_the_samples_of_one_repetition() {
        // A disturbance that doubles both sides of the second repetition leaves the ratio as it was.
        assert_eq!(
            ratios(&[10.0, 20.0, 9.0], &[2.0, 4.0, 3.0]),
            [5.0, 5.0, 3.0]
        );
        assert_eq!(ratios(&[10.0, 20.0], &[2.0]), [5.0]);
    }
}
