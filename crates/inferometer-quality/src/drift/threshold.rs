//! Thresholds that the training data themselves set.

use serde::{Deserialize, Serialize};

use super::{
    Method,
    compare::{Sides, scores},
};
use crate::score::{Moments, float};

/// A threshold for each method: what chunks of the training data hardly ever reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    psi: Option<f64>,
    kolmogorov_smirnov: Option<f64>,
    jensen_shannon: Option<f64>,
    wasserstein: Option<f64>,
    chi_squared: Option<f64>,
    missing: Option<f64>,
}

/// How thresholds are calibrated.
#[derive(Clone, Copy, Debug)]
pub struct Calibration {
    /// Rows in a chunk, which shall be those of a window: the fewer, the more two chunks differ by chance.
    pub chunk: u64,
    /// At least so many chunks; the training data are shuffled and cut anew until there are.
    pub chunks: u32,
    /// Chunks in the order of the training data, each once and none shuffled: where that is an order of time, what changes with
    /// time then counts as usual. Not for data sorted by something.
    pub in_order: bool,
}

impl Default for Calibration {
    /// 200 shuffled chunks of 1,000 rows.
    fn default() -> Self {
        Self {
            chunk: 1_000,
            chunks: 200,
            in_order: false,
        }
    }
}

impl Thresholds {
    /// The one for `method`; `None` where it isn't for such a feature, or no chunk had a score.
    pub fn get(&self, method: Method) -> Option<f64> {
        match method {
            Method::Psi => self.psi,
            Method::KolmogorovSmirnov => self.kolmogorov_smirnov,
            Method::JensenShannon => self.jensen_shannon,
            Method::Wasserstein => self.wasserstein,
            Method::ChiSquared => self.chi_squared,
            Method::Missing => self.missing,
        }
    }

    fn place(&mut self, method: Method) -> &mut Option<f64> {
        match method {
            Method::Psi => &mut self.psi,
            Method::KolmogorovSmirnov => &mut self.kolmogorov_smirnov,
            Method::JensenShannon => &mut self.jensen_shannon,
            Method::Wasserstein => &mut self.wasserstein,
            Method::ChiSquared => &mut self.chi_squared,
            Method::Missing => &mut self.missing,
        }
    }
}

/// The scores of chunks, from which thresholds come.
///
/// A threshold is mean + 3σ of the scores of chunks, each compared with what remains of the data without it. Both are taken of the
/// scores' cube roots, and the sum is cubed again. Scores can't be below 0 and lean to the right: in their own scale mean + 3σ is exceeded
/// by more than one window in a hundred where nothing has changed, and in this one (Wilson and Hilferty's, which makes χ² nearly normal)
/// by a few in a thousand.
///
/// That is the mean over all references there could have been. This one is a sample too, and may be off in some direction by 2/√others where a
/// chunk is by 1/√chunk: then every window seems to have moved. So a threshold of three such steps is widened by two of those.
#[derive(Debug, Default)]
pub(super) struct Chunks([Moments; Method::ALL.len()]);

impl Chunks {
    pub(super) fn add(&mut self, sides: &Sides<'_>) {
        for score in scores(sides) {
            if score.value.is_finite() {
                self.0[score.method as usize].add(score.value.cbrt());
            }
        }
    }

    /// The thresholds for chunks of so many rows, each compared with so many others.
    pub(super) fn thresholds(&self, chunk: u64, others: u64) -> Thresholds {
        let wider = 1.0 + 2.0 / 3.0 * (float(chunk) / float(others)).sqrt();
        let mut thresholds = Thresholds::default();
        for method in Method::ALL {
            let roots = &self.0[method as usize];
            if let (Some(mean), Some(deviation)) = (roots.mean(), roots.deviation()) {
                let threshold = (mean + 3.0 * deviation).powi(3);
                let wider = if method.is_squared() {
                    wider * wider
                } else {
                    wider
                };
                *thresholds.place(method) = Some((threshold * wider).max(method.least()));
            }
        }
        thresholds
    }
}
