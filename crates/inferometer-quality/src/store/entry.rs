//! What a store is told, and what comes of it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::score::{Output, Truth};

/// A prediction, to be remembered until the truth is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// What it is called; a label names it by this.
    pub id: Arc<str>,
    /// The version of the model that made it.
    pub model_version: Arc<str>,
    /// What its input belongs to, such as `production` or `validation`.
    pub dataset: Arc<str>,
    /// What the model said.
    pub output: Output,
    /// When it was made.
    pub at: SystemTime,
    pub(crate) token: u64,
}

/// What turned out to be true of a prediction.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// The prediction's name.
    pub id: Arc<str>,
    /// The truth.
    pub truth: Truth,
    /// When it came in.
    pub at: SystemTime,
    pub(crate) token: u64,
}

/// One of the two.
///
/// **Written again.** Each carries a number of its own, made with it and kept by its clones. A store knows by it the entry that it has
/// already written from another of the same name: the first is answered as before, the second is a duplicate. So a write whose answer
/// was lost can be repeated.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A prediction.
    Prediction(Prediction),
    /// A label.
    Label(Label),
}

/// A prediction and its label.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The prediction.
    pub prediction: Prediction,
    /// Its label.
    pub label: Label,
}

/// What came of an entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A prediction that waits for its label.
    Remembered,
    /// A label that waits for its prediction. If none comes, it was a stranger.
    Waiting,
    /// The two have met.
    Joined(Box<Pair>),
    /// There is a prediction, or a label, of that name already; it stays as it is.
    Duplicate,
}

/// What a store gave up, for its age or for want of room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Predictions that grew too old before a label came.
    pub expired: u64,
    /// Predictions without a label that made room for newer ones.
    pub evicted: u64,
    /// Labels whose prediction never came.
    pub strangers: u64,
}

/// What a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Predictions, labelled or not.
    pub predictions: u64,
    /// Labels, with a prediction or without.
    pub labels: u64,
}

/// How much a store remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// At most so many predictions, and as many labels without one. Beyond, the oldest go.
    pub entries: u64,
    /// None older than this.
    pub age: Duration,
}

impl Default for Bounds {
    /// 100,000 entries of at most 30 days.
    fn default() -> Self {
        Self {
            entries: 100_000,
            age: Duration::from_secs(30 * 86_400),
        }
    }
}

impl Prediction {
    /// A prediction, made at `at`.
    pub fn new(
        id: impl Into<Arc<str>>,
        model_version: impl Into<Arc<str>>,
        dataset: impl Into<Arc<str>>,
        output: Output,
        at: SystemTime,
    ) -> Self {
        Self {
            id: id.into(),
            model_version: model_version.into(),
            dataset: dataset.into(),
            output,
            at,
            token: fastrand::u64(..),
        }
    }
}

impl Label {
    /// The truth about the prediction called `id`, known at `at`.
    pub fn new(id: impl Into<Arc<str>>, truth: Truth, at: SystemTime) -> Self {
        Self {
            id: id.into(),
            truth,
            at,
            token: fastrand::u64(..),
        }
    }
}

impl Entry {
    /// The prediction's name.
    pub fn id(&self) -> &Arc<str> {
        match self {
            Self::Prediction(prediction) => &prediction.id,
            Self::Label(label) => &label.id,
        }
    }
}

impl From<Prediction> for Entry {
    fn from(prediction: Prediction) -> Self {
        Self::Prediction(prediction)
    }
}

impl From<Label> for Entry {
    fn from(label: Label) -> Self {
        Self::Label(label)
    }
}

impl Pair {
    /// How long after the prediction the label came; 0 when it was there first.
    pub fn lag(&self) -> Duration {
        let (label, prediction) = (self.label.at, self.prediction.at);
        label.duration_since(prediction).unwrap_or_default()
    }

    /// When the later of the two came.
    pub fn joined_at(&self) -> SystemTime {
        self.prediction.at.max(self.label.at)
    }
}
