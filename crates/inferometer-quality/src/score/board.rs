//! The scores of all model versions and data sets.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use super::{
    Measure, Score, Task, Window,
    window::{Cohort, Pane, Panes},
};
use crate::store::{Entry, Forgotten, Label, Outcome, Pair, Prediction};

/// Scores of the labelled predictions: for each model version and data set, over a window and over all the time.
///
/// It is told what a store made of predictions and labels, and reads no clock: times are those of the entries. It begins empty, and
/// [`replay`](Self::replay) fills it from what a store still has.
///
/// **Bounds.** At most [`series`](BoardOptions::series) pairs of version and data set; what comes of others is counted as
/// [`Tallied::crowded_out`] and scored nowhere.
/// **Consistency.** One lock: a reader sees each entry with all that it changes, or not at all.
#[derive(Debug)]
pub struct Scoreboard {
    task: Task,
    options: BoardOptions,
    state: Mutex<State>,
}

/// How a [`Scoreboard`] keeps its scores.
#[derive(Clone, Copy, Debug)]
pub struct BoardOptions {
    /// How far back the window goes.
    pub window: Window,
    /// At most so many pairs of model version and data set.
    pub series: usize,
}

impl Default for BoardOptions {
    /// A default [`Window`], 64 series.
    fn default() -> Self {
        Self {
            window: Window::default(),
            series: 64,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    series: BTreeMap<Key, Series>,
    tallied: Tallied,
}

/// Model version and data set.
type Key = (Arc<str>, Arc<str>);

#[derive(Debug)]
struct Series {
    life: Pane,
    cohort: Cohort,
    panes: Panes,
}

/// What a scoreboard was told, counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tallied {
    /// New predictions.
    pub predictions: u64,
    /// Predictions and labels that met and were scored.
    pub joined: u64,
    /// Labels that came before their prediction.
    pub early_labels: u64,
    /// Predictions whose id was taken.
    pub duplicate_predictions: u64,
    /// Labels of what had one.
    pub duplicate_labels: u64,
    /// Labels whose prediction never came.
    pub strangers: u64,
    /// Predictions that grew too old before a label came.
    pub expired: u64,
    /// Predictions without a label that made room for newer ones.
    pub evicted: u64,
    /// Pairs that can't be scored: a NaN, an unknown class, a class where a number is predicted.
    pub misfits: u64,
    /// Pairs and predictions of a version and data set beyond the bound of series.
    pub crowded_out: u64,
}

/// How late labels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Mean time from prediction to label.
    pub mean: Duration,
    /// The longest.
    pub longest: Duration,
}

/// Scores, with all that is needed to weigh them.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// Labelled predictions that these are scores of.
    pub samples: u64,
    /// Predictions made: in the window's period, or in all the time.
    pub predictions: u64,
    /// Of those, the ones that have a label by now.
    pub labelled: u64,
    /// How late the labels were; `None` without one.
    pub lag: Option<Lag>,
    scores: Vec<(Measure, Score)>,
}

/// The scores of one model version on one data set.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesScores {
    /// The version.
    pub model_version: Arc<str>,
    /// The data set.
    pub dataset: Arc<str>,
    /// Over the window.
    pub window: Scores,
    /// Since the beginning.
    pub lifetime: Scores,
}

impl Scores {
    fn new(pane: &Pane, cohort: Cohort) -> Self {
        let score = |measure| Some((measure, pane.tally.score(measure)?));
        Self {
            samples: pane.tally.samples(),
            predictions: cohort.made,
            labelled: cohort.labelled,
            lag: pane.lag.lag(),
            scores: Measure::ALL.into_iter().filter_map(score).collect(),
        }
    }

    /// One of them; `None` where there is none, as each [`Measure`] says of itself.
    pub fn get(&self, measure: Measure) -> Option<Score> {
        let found = self.scores.iter().find(|(own, _)| *own == measure)?;
        Some(found.1)
    }

    /// All there are.
    pub fn iter(&self) -> impl Iterator<Item = (Measure, Score)> {
        self.scores.iter().copied()
    }

    /// Share of the predictions that have a label; `None` without a prediction.
    ///
    /// A window's is of the predictions that were *made* in its period, whenever their labels came, so it is never above 1; its
    /// scores are of the labels that *came* in it.
    pub fn coverage(&self) -> Option<f64> {
        use super::sum::float;
        (self.predictions > 0).then(|| float(self.labelled) / float(self.predictions))
    }
}

impl Scoreboard {
    /// An empty one.
    pub fn new(task: Task, options: BoardOptions) -> Self {
        Self {
            task,
            options,
            state: Mutex::default(),
        }
    }

    /// What is predicted.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// A store has made `outcome` of `entry`.
    pub fn record(&self, entry: &Entry, outcome: &Outcome) {
        let mut state = self.state();
        let tallied = &mut state.tallied;
        match (entry, outcome) {
            (Entry::Prediction(_), Outcome::Duplicate) => tallied.duplicate_predictions += 1,
            (Entry::Label(_), Outcome::Duplicate) => tallied.duplicate_labels += 1,
            (Entry::Label(_), Outcome::Waiting) => tallied.early_labels += 1,
            (_, Outcome::Remembered | Outcome::Waiting | Outcome::Joined(_)) => {}
        }
        if let (Entry::Prediction(prediction), Outcome::Remembered | Outcome::Joined(_)) =
            (entry, outcome)
        {
            self.made(&mut state, prediction);
        }
        if let Outcome::Joined(pair) = outcome {
            self.joined(&mut state, pair);
        }
    }

    /// A store has given something up.
    pub fn forgotten(&self, forgotten: Forgotten) {
        let tallied = &mut self.state().tallied;
        tallied.expired += forgotten.expired;
        tallied.evicted += forgotten.evicted;
        tallied.strangers += forgotten.strangers;
    }

    /// A store, asked after a restart, still has this prediction, and the label if there is one.
    pub fn replay(&self, prediction: Prediction, label: Option<Label>) {
        let mut state = self.state();
        self.made(&mut state, &prediction);
        if let Some(label) = label {
            self.joined(&mut state, &Pair { prediction, label });
        }
    }

    /// What it was told, counted.
    pub fn tallied(&self) -> Tallied {
        self.state().tallied
    }

    /// The scores at `now`, by version and data set in order.
    pub fn scores(&self, now: SystemTime) -> Vec<SeriesScores> {
        let state = self.state();
        let series = state
            .series
            .iter()
            .map(|((model_version, dataset), series)| {
                let (pane, cohort) = series.panes.whole(&self.task, now);
                SeriesScores {
                    model_version: Arc::clone(model_version),
                    dataset: Arc::clone(dataset),
                    window: Scores::new(&pane, cohort),
                    lifetime: Scores::new(&series.life, series.cohort),
                }
            });
        series.collect()
    }

    /// Drops the scores of a version that is no longer served. What comes of it later begins anew.
    pub fn retire(&self, model_version: &str) {
        let mut state = self.state();
        state
            .series
            .retain(|(version, _), _| **version != *model_version);
    }

    fn made(&self, state: &mut State, prediction: &Prediction) {
        state.tallied.predictions += 1;
        let Some(series) = self.series(state, prediction) else {
            return;
        };
        series.cohort.made += 1;
        series.panes.made(prediction.at);
    }

    fn joined(&self, state: &mut State, pair: &Pair) {
        let prediction = &pair.prediction;
        let Some(series) = self.series(state, prediction) else {
            return;
        };
        let (output, truth) = (&prediction.output, pair.label.truth);
        if series.life.tally.add(output, truth).is_err() {
            state.tallied.misfits += 1;
            return;
        }
        series.life.lag.add(pair.lag());
        series.cohort.labelled += 1;
        let times = (prediction.at, pair.joined_at());
        series
            .panes
            .joined(&self.task, (output, truth), times, pair.lag());
        state.tallied.joined += 1;
    }

    fn series<'a>(&self, state: &'a mut State, prediction: &Prediction) -> Option<&'a mut Series> {
        let key = (
            Arc::clone(&prediction.model_version),
            Arc::clone(&prediction.dataset),
        );
        if !state.series.contains_key(&key) && state.series.len() >= self.options.series {
            state.tallied.crowded_out += 1;
            return None;
        }
        let new = || Series {
            life: Pane::new(&self.task, 0),
            cohort: Cohort::default(),
            panes: Panes::new(self.options.window),
        };
        Some(state.series.entry(key).or_insert_with(new))
    }

    /// A panic under this lock leaves counts that are off by one entry at most.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
