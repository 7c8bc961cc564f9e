//! Scores as metrics.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use inferometer::{Counter, Gauge, LabelSet, LabelValue, MetricSet, RegisterError, Registry};

use super::{VERSIONS, show};
use crate::score::{Measure, Scoreboard, Scores, SeriesScores, Tallied, float};

/// What a score is over.
#[derive(Clone, Copy, Debug, LabelValue)]
enum Span {
    Window,
    Lifetime,
}

#[derive(Clone, Copy, Debug, LabelSet)]
struct ByScore<'a> {
    #[label(limit = VERSIONS)]
    model_version: &'a str,
    #[label(limit = 16)]
    dataset: &'a str,
    span: Span,
    measure: Measure,
}

#[derive(Clone, Copy, Debug, LabelSet)]
struct BySpan<'a> {
    #[label(limit = VERSIONS)]
    model_version: &'a str,
    #[label(limit = 16)]
    dataset: &'a str,
    span: Span,
}

/// What came of a prediction, a label, or a pair of them.
#[derive(Clone, Copy, Debug, LabelValue)]
enum Outcome {
    Predicted,
    Joined,
    EarlyLabel,
    DuplicatePrediction,
    DuplicateLabel,
    Stranger,
    Expired,
    Evicted,
    Misfit,
    CrowdedOut,
}

#[derive(Clone, Copy, Debug, LabelSet)]
struct ByOutcome {
    outcome: Outcome,
}

#[derive(Debug, MetricSet)]
#[metrics(namespace = "inferometer_quality")]
struct Set {
    /// A score of a model on its labelled predictions, in the unit of the measure.
    score: Gauge<ByScore<'static>>,
    /// Labelled predictions that a score is of.
    score_samples: Gauge<ByScore<'static>>,
    /// Share of the predictions that have a label: of those made in the window's period, or of all.
    #[metric(unit = "ratio")]
    coverage: Gauge<BySpan<'static>>,
    /// Mean time from a prediction to its label.
    #[metric(unit = "seconds")]
    label_lag_mean: Gauge<BySpan<'static>>,
    /// Longest time from a prediction to its label.
    #[metric(unit = "seconds")]
    label_lag_longest: Gauge<BySpan<'static>>,
    /// Predictions and labels by what came of them.
    entries: Counter<ByOutcome>,
}

/// Shows what a [`Scoreboard`] knows.
///
/// **When it moves.** With each [`show`](Self::show), which a scheduler calls, every few seconds say.
/// **Labels.** `model_version` (at most 16), `dataset` (at most 16), `span` (`window` or `lifetime`), `measure`; `outcome`.
///
/// # Examples
/// ```
/// use std::time::SystemTime;
///
/// use inferometer::Registry;
/// use inferometer_quality::{
///     metrics::ScoreMetrics,
///     score::{Output, Scoreboard, Task, Truth},
///     store::{Label, MemoryStore, Prediction, Store},
/// };
///
/// let now = SystemTime::now();
/// let board = Scoreboard::new(Task::Regression, Default::default());
/// let entries = [
///     Prediction::new("a", "v1", "production", Output::Number(2.0), now).into(),
///     Label::new("a", Truth::Number(2.5), now).into(),
/// ];
/// let outcomes = MemoryStore::new(Default::default()).write(&entries)?;
/// for (entry, outcome) in entries.iter().zip(&outcomes) {
///     board.record(entry, outcome);
/// }
///
/// let registry = Registry::new();
/// let metrics = ScoreMetrics::register(&registry)?;
/// metrics.show(&board, now);
/// let page = registry.encode_text();
/// let labels = r#"{model_version="v1",dataset="production",span="window",measure="mae"}"#;
/// assert!(page.contains(&format!("\ninferometer_quality_score{labels} 0.5\n")));
/// assert!(page.contains(&format!("\ninferometer_quality_score_samples{labels} 1.0\n")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ScoreMetrics {
    set: Set,
    shown: Mutex<Shown>,
}

#[derive(Debug, Default)]
struct Shown {
    series: BTreeSet<(Arc<str>, Arc<str>)>,
    tallied: Tallied,
}

impl ScoreMetrics {
    /// Declares them.
    ///
    /// # Errors
    /// A name is taken.
    pub fn register(registry: &Registry) -> Result<Self, RegisterError> {
        Ok(Self {
            set: registry.register()?,
            shown: Mutex::default(),
        })
    }

    /// Shows the scores at `now`. Versions that were retired, and scores that there are none of any more, become absent.
    pub fn show(&self, board: &Scoreboard, now: SystemTime) {
        let (scores, tallied) = (board.scores(now), board.tallied());
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gone = std::mem::take(&mut shown.series);
        for series in scores {
            for (span, scores) in [
                (Span::Window, &series.window),
                (Span::Lifetime, &series.lifetime),
            ] {
                self.series(&series, span, scores);
            }
            let key = (series.model_version, series.dataset);
            gone.remove(&key);
            shown.series.insert(key);
        }
        for (model_version, dataset) in &gone {
            self.remove(model_version, dataset);
        }
        let before = std::mem::replace(&mut shown.tallied, tallied);
        self.entries(before, tallied);
    }

    fn series(&self, series: &SeriesScores, span: Span, scores: &Scores) {
        let (model_version, dataset) = (&*series.model_version, &*series.dataset);
        for measure in Measure::ALL {
            let labels = ByScore {
                model_version,
                dataset,
                span,
                measure,
            };
            let score = scores.get(measure);
            // A score that isn't there has no series; one that never was gets none.
            let Some(score) = score else {
                self.set.score.remove(labels);
                self.set.score_samples.remove(labels);
                continue;
            };
            self.set.score.with(labels).set(score.value);
            self.set
                .score_samples
                .with(labels)
                .set(float(score.samples));
        }
        let labels = BySpan {
            model_version,
            dataset,
            span,
        };
        let seconds = |of: fn(&crate::score::Lag) -> std::time::Duration| {
            scores.lag.as_ref().map(|lag| of(lag).as_secs_f64())
        };
        show(&self.set.coverage.series(labels), scores.coverage());
        show(
            &self.set.label_lag_mean.series(labels),
            seconds(|lag| lag.mean),
        );
        show(
            &self.set.label_lag_longest.series(labels),
            seconds(|lag| lag.longest),
        );
    }

    fn remove(&self, model_version: &str, dataset: &str) {
        for span in [Span::Window, Span::Lifetime] {
            for measure in Measure::ALL {
                let labels = ByScore {
                    model_version,
                    dataset,
                    span,
                    measure,
                };
                self.set.score.remove(labels);
                self.set.score_samples.remove(labels);
            }
            let labels = BySpan {
                model_version,
                dataset,
                span,
            };
            self.set.coverage.remove(labels);
            self.set.label_lag_mean.remove(labels);
            self.set.label_lag_longest.remove(labels);
        }
    }

    fn entries(&self, before: Tallied, now: Tallied) {
        let moved = [
            (Outcome::Predicted, before.predictions, now.predictions),
            (Outcome::Joined, before.joined, now.joined),
            (Outcome::EarlyLabel, before.early_labels, now.early_labels),
            (
                Outcome::DuplicatePrediction,
                before.duplicate_predictions,
                now.duplicate_predictions,
            ),
            (
                Outcome::DuplicateLabel,
                before.duplicate_labels,
                now.duplicate_labels,
            ),
            (Outcome::Stranger, before.strangers, now.strangers),
            (Outcome::Expired, before.expired, now.expired),
            (Outcome::Evicted, before.evicted, now.evicted),
            (Outcome::Misfit, before.misfits, now.misfits),
            (Outcome::CrowdedOut, before.crowded_out, now.crowded_out),
        ];
        for (outcome, before, now) in moved {
            let more = now.saturating_sub(before);
            self.set.entries.with(ByOutcome { outcome }).add(more);
        }
    }
}
