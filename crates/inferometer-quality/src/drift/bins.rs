//! Bins of a numeric feature.

use serde::{Deserialize, Serialize};

/// The bins that a numeric feature is counted into.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bins {
    /// Between these edges, which rise: the first bin is all below the first, the last all from the last on. A value on an edge is
    /// in the bin that begins there.
    Edges(Vec<f64>),
    /// Each of these values, which rise, and everything between, below and above them: for a feature that takes few.
    Points(Vec<f64>),
}

impl Bins {
    /// A feature with at most so many values, or as many as there shall be bins, has its values for bins.
    pub const POINTS: usize = 20;

    /// About `bins` bins that hold as much each of `sorted`. Edges that fall together are one.
    pub(super) fn of(sorted: &[f64], bins: usize) -> Self {
        let mut points = sorted.to_vec();
        points.dedup();
        if points.len() <= Self::POINTS.max(bins) {
            return Self::Points(points);
        }
        let mut edges: Vec<_> = (1..bins).map(|part| quantile(sorted, part, bins)).collect();
        edges.dedup();
        Self::Edges(edges)
    }

    /// Whether edges or points are there, finite, and rise.
    pub(super) fn is_sound(&self) -> bool {
        let (Self::Edges(places) | Self::Points(places)) = self;
        places.iter().all(|place| place.is_finite())
            && places.windows(2).all(|pair| pair[0] < pair[1])
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        match self {
            Self::Edges(edges) => edges.len() + 1,
            Self::Points(points) => 2 * points.len() + 1,
        }
    }

    /// How many of `sorted` are in each.
    pub fn counts(&self, sorted: &[f64]) -> Vec<u64> {
        let mut counts = Vec::with_capacity(self.count());
        let mut from = 0;
        let mut upto = |to: usize| {
            counts.push((to - from) as u64);
            from = to;
        };
        match self {
            Self::Edges(edges) => {
                for edge in edges {
                    upto(sorted.partition_point(|value| value < edge));
                }
            }
            Self::Points(points) => {
                for point in points {
                    upto(sorted.partition_point(|value| value < point));
                    upto(sorted.partition_point(|value| value <= point));
                }
            }
        }
        upto(sorted.len());
        counts
    }
}

/// The value below which `part` of `of` parts are, between two values in proportion.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place in a slice, of far fewer than 2⁵³ values"
)]
fn quantile(sorted: &[f64], part: usize, of: usize) -> f64 {
    let place = (sorted.len() - 1) as f64 * part as f64 / of as f64;
    let below = place as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let (low, high) = (sorted[below], sorted[above]);
    low + (high - low) * (place - place.floor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_an_edge_is_in_the_bin_that_begins_there() {
        let bins = Bins::Edges(vec![1.0, 2.0]);
        assert_eq!(bins.counts(&[0.5, 1.0, 1.5, 2.0, 2.5]), [1, 2, 2]);
    }

    #[test]
    fn few_values_are_bins_themselves() {
        let bins = Bins::of(&[3.0, 3.0, 5.0], 10);
        assert_eq!(bins, Bins::Points(vec![3.0, 5.0]));
        assert_eq!(
            bins.counts(&[2.0, 3.0, 4.0, 4.5, 5.0, 6.0]),
            [1, 1, 2, 1, 1]
        );
    }

    #[test]
    fn many_values_are_parted_evenly() {
        let sorted: Vec<_> = (0..1_001).map(f64::from).collect();
        let bins = Bins::of(&sorted, 4);
        assert_eq!(bins, Bins::Edges(vec![250.0, 500.0, 750.0]));
        assert_eq!(bins.counts(&sorted), [250, 250, 250, 251]);
    }
}
