//! The ways in which drift is measured.

use inferometer::LabelValue;
use serde::{Deserialize, Serialize};

use super::Kind;

/// A way to measure how far a window is from the reference. Each score is 0 where nothing has changed, and grows with the change.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, LabelValue, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Index of population stability, over the bins or categories, with the missing values as one more.
    Psi,
    /// Largest distance of the distribution functions, 0 to 1, of the values there are. Numeric features only.
    KolmogorovSmirnov,
    /// Jensen–Shannon distance in bits, 0 to 1, over the bins or categories, with the missing values as one more.
    JensenShannon,
    /// Area between the distribution functions of the values there are, in standard deviations of the reference. Numeric features only.
    Wasserstein,
    /// Statistic of the χ² test on the counts of the categories, with the missing values as one more. Categorical features only.
    ChiSquared,
    /// By how much the share of missing values has changed, 0 to 1.
    Missing,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Psi,
        Self::KolmogorovSmirnov,
        Self::JensenShannon,
        Self::Wasserstein,
        Self::ChiSquared,
        Self::Missing,
    ];

    /// Whether it is for features of this kind.
    pub fn is_for(self, kind: Kind) -> bool {
        match self {
            Self::Psi | Self::JensenShannon | Self::Missing => true,
            Self::KolmogorovSmirnov | Self::Wasserstein => kind == Kind::Numeric,
            Self::ChiSquared => kind == Kind::Categorical,
        }
    }

    /// Whether a score is drift by the rule that is usual for this method, whatever the data: PSI above 0.2, p below 0.05 for the
    /// two tests, 0.1 for the others.
    ///
    /// The tests' rule calls one in twenty windows drifted where nothing has changed, and more as windows grow; a calibrated threshold
    /// doesn't.
    pub fn usual(self, value: f64, p_value: Option<f64>) -> bool {
        match self {
            Self::Psi => value > 0.2,
            Self::JensenShannon | Self::Wasserstein | Self::Missing => value > 0.1,
            Self::KolmogorovSmirnov | Self::ChiSquared => p_value.is_some_and(|p| p < 0.05),
        }
    }

    /// Whether a score grows with the square of a small change.
    pub(super) fn is_squared(self) -> bool {
        matches!(self, Self::Psi | Self::ChiSquared)
    }

    /// No calibrated threshold is below this: a change so small is no news, however surely it is seen. For χ² it is the statistic that one
    /// in a thousand windows exceeds where there are two categories.
    pub(super) fn least(self) -> f64 {
        match self {
            Self::Psi | Self::Missing => 0.01,
            Self::KolmogorovSmirnov | Self::JensenShannon | Self::Wasserstein => 0.02,
            Self::ChiSquared => 10.828,
        }
    }
}
