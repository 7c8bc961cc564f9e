//! Scores and drift as metrics, each beside its weight.
//!
//! | name | labels | what |
//! |---|---|---|
//! | `inferometer_quality_score` | `model_version`, `dataset`, `span`, `measure` | a score; absent where there is none |
//! | `inferometer_quality_score_samples` | the same | labelled predictions that it is of |
//! | `inferometer_quality_coverage_ratio` | `model_version`, `dataset`, `span` | share of the predictions that have a label |
//! | `inferometer_quality_label_lag_mean_seconds`, `…_longest_seconds` | the same | how late labels are |
//! | `inferometer_quality_entries_total` | `outcome` | what came of predictions and labels |
//! | `inferometer_quality_journal_…` | | the queue before the store |
//! | `inferometer_quality_drift_score` | `model_version`, `feature`, `method` | how far a feature is from the reference |
//! | `inferometer_quality_drift_threshold`, `…_alert` | the same | the calibrated threshold; 1 where it is exceeded |
//! | `inferometer_quality_drift_samples` | `model_version`, `feature` | values that the scores are of |
//! | `inferometer_quality_drift_rows`, `…_age_seconds` | `model_version` | the window's rows, and how old the result is |
//! | `inferometer_quality_drift_values_total` | `model_version`, `feature`, `sort` | values by what they were |
//!
//! A model's accuracy under the name that a contract gives it is for a catalogue to declare: [`Scoreboard::scores`] and
//! [`DriftMonitor::judge`] return all that is needed.
//!
//! [`Scoreboard::scores`]: crate::score::Scoreboard::scores
//! [`DriftMonitor::judge`]: crate::drift::DriftMonitor::judge

mod drift;
mod journal;
mod score;

use inferometer::Gauge;

pub use self::{drift::DriftMetrics, journal::JournalMetrics, score::ScoreMetrics};

/// Most versions of a model that are shown at once; others are `other`.
const VERSIONS: usize = 16;

fn show(gauge: &Gauge, value: Option<f64>) {
    match value {
        Some(value) => gauge.set(value),
        None => gauge.clear(),
    }
}
