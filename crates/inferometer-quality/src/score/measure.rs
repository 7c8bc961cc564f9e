//! What can be scored.

use inferometer::LabelValue;
use serde::{Deserialize, Serialize};

/// What a score measures. Each is as scikit-learn defines it, and `None` where that would have to make a value up.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, LabelValue, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Share of the predictions that were right.
    Accuracy,
    /// Of what was called positive, the share that is; `None` when nothing was. Two classes only.
    Precision,
    /// Of what is positive, the share that was called so; `None` when nothing is. Two classes only.
    Recall,
    /// Harmonic mean of precision and recall; `None` when nothing was positive, nor called so. Two classes only.
    F1,
    /// Mean of the precision of the classes that occur, in predictions or truth; a class never predicted counts as 0.
    PrecisionMacro,
    /// Mean of the recall of the classes that occur, in predictions or truth; a class that never was true counts as 0.
    RecallMacro,
    /// Mean of the F1 of the classes that occur, in predictions or truth.
    F1Macro,
    /// Precision of all decisions together: with one class to each prediction, the accuracy.
    PrecisionMicro,
    /// Recall of all decisions together: with one class to each prediction, the accuracy.
    RecallMicro,
    /// F1 of all decisions together: with one class to each prediction, the accuracy.
    F1Micro,
    /// Mean of −ln p, where p is the probability given to what was true, kept from 0 and 1 by 2⁻⁵². Its weight is the number of
    /// predictions that gave one; `None` when none did.
    LogLoss,
    /// Root of the mean squared error, in the unit of what is predicted.
    Rmse,
    /// Mean absolute error, in the unit of what is predicted.
    Mae,
    /// Share of the truth's variance that the prediction explains; `None` for fewer than two samples, or when the truth is always
    /// the same. Below 0 the mean would have predicted better.
    R2,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Accuracy,
        Self::Precision,
        Self::Recall,
        Self::F1,
        Self::PrecisionMacro,
        Self::RecallMacro,
        Self::F1Macro,
        Self::PrecisionMicro,
        Self::RecallMicro,
        Self::F1Micro,
        Self::LogLoss,
        Self::Rmse,
        Self::Mae,
        Self::R2,
    ];
}

/// A score, which never goes without its weight.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The score, in the unit of its [`Measure`].
    pub value: f64,
    /// How many labelled predictions it is of.
    pub samples: u64,
}
