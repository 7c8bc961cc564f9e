//! What a window was found to be.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{Counts, FeatureReference, Kind, Method, compare, window::Sketch};

/// How far a window is from the reference.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The version of the model.
    pub model_version: Arc<str>,
    /// When the window began.
    pub opened: SystemTime,
    /// When it was full.
    pub closed: SystemTime,
    /// How many rows it had.
    pub rows: u64,
    /// Every feature, in the order of a row.
    pub features: Vec<FeatureDrift>,
}

/// How far a feature is from the reference.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureDrift {
    /// The feature.
    pub name: Arc<str>,
    /// What it is.
    pub kind: Kind,
    /// How many values of which sort there were.
    pub counts: Counts,
    /// How many values the scores are of. It is less than the valid ones where these were more than a window keeps.
    pub kept: u64,
    /// Every score there is, once a method.
    pub scores: Vec<DriftScore>,
    judged: bool,
}

/// One score, and what is thought of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DriftScore {
    /// How it was measured.
    pub method: Method,
    /// The score, in the unit of the method.
    pub value: f64,
    /// Of the two tests: how probable a score of at least this is where nothing has changed.
    pub p_value: Option<f64>,
    /// The threshold that the training data set; `None` where they were too few.
    pub threshold: Option<f64>,
    /// Whether it is drift by the [usual rule](Method::usual).
    pub usual: bool,
}

impl Report {
    /// A feature by its name.
    pub fn feature(&self, name: &str) -> Option<&FeatureDrift> {
        self.features.iter().find(|feature| &*feature.name == name)
    }

    /// How old it is at `now`.
    pub fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.closed).unwrap_or_default()
    }
}

impl FeatureDrift {
    pub(super) fn new(sketch: &mut Sketch, feature: &FeatureReference, judged: bool) -> Self {
        let (counts, kept) = (sketch.counts, sketch.kept());
        let found = sketch.sides(feature).map(|sides| compare::scores(&sides));
        let score = |raw: compare::Raw| DriftScore {
            method: raw.method,
            value: raw.value,
            p_value: raw.p_value,
            threshold: feature.thresholds().and_then(|own| own.get(raw.method)),
            usual: raw.method.usual(raw.value, raw.p_value),
        };
        let mut scores: Vec<_> = found.into_iter().flatten().map(score).collect();
        scores.sort_by_key(|score| score.method);
        Self {
            name: Arc::clone(feature.name()),
            kind: feature.kind(),
            counts,
            kept,
            scores,
            judged,
        }
    }

    /// The score of one method; `None` where it isn't for such a feature, or there was nothing to measure.
    pub fn get(&self, method: Method) -> Option<&DriftScore> {
        self.scores.iter().find(|score| score.method == method)
    }

    /// One score for the feature: its [PSI](Method::Psi), which every kind has and which sees missing values. `None` for a window without a
    /// row.
    pub fn score(&self) -> Option<f64> {
        Some(self.get(Method::Psi)?.value)
    }

    /// Whether the window has as many rows as a chunk had for the thresholds. With fewer, scores are larger by chance.
    pub fn is_judged(&self) -> bool {
        self.judged
    }

    /// Whether one method calls it drift; `None` where it has no score or the window is not [judged](Self::is_judged).
    pub fn alert_by(&self, method: Method) -> Option<bool> {
        let score = self.get(method)?;
        self.judged.then(|| score.is_drift())
    }

    /// Whether any method calls it drift; `None` where none has a say.
    pub fn alert(&self) -> Option<bool> {
        let said = self
            .scores
            .iter()
            .filter_map(|score| self.alert_by(score.method));
        said.reduce(|one, other| one || other)
    }
}

impl DriftScore {
    /// Whether it is above the threshold that the training data set; without one, whether the [usual rule](Method::usual) says so.
    pub fn is_drift(&self) -> bool {
        match self.threshold {
            Some(threshold) => self.value > threshold,
            None => self.usual,
        }
    }
}
