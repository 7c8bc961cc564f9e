//! What goes into the pipeline and what comes out of it.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use inferometer::lifecycle::Outcome;
use inferometer_catalog::rerank::{ErrorType, ShedReason, Stage, StageTimings};

/// A query and a passage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The query; the pairs of a request share it.
    pub query: Arc<str>,
    /// The passage.
    pub passage: String,
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// What is to be scored.
    pub pairs: Vec<Pair>,
    /// When an answer is of no use any more; without it, the pipeline's own timeout counts.
    pub deadline: Option<Instant>,
}

impl Ask {
    /// A query with its passages.
    pub fn new(query: &str, passages: impl IntoIterator<Item = String>) -> Self {
        let query: Arc<str> = query.into();
        let pairs = passages.into_iter().map(|passage| Pair {
            query: Arc::clone(&query),
            passage,
        });
        Self {
            pairs: pairs.collect(),
            deadline: None,
        }
    }

    /// The same, of use until `deadline`.
    #[must_use]
    pub fn by(self, deadline: Option<Instant>) -> Self {
        Self { deadline, ..self }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// A logit for each pair, in the order in which they were asked.
    pub scores: Vec<f32>,
    /// Pairs that were cut off at the model's window.
    pub truncated: u32,
    /// Tokens of all pairs, without padding.
    pub tokens: u64,
    /// From arrival to answer.
    pub latency: Duration,
    /// Where the time went.
    pub timings: StageTimings,
}

/// A request that isn't answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It can't be served as asked: the field, and what is wrong with it.
    Invalid(&'static str, String),
    /// It was turned away.
    Shed {
        /// Why.
        reason: ShedReason,
        /// When to come back.
        retry_after: Duration,
    },
    /// Its deadline passed in this stage.
    Timeout(Stage),
    /// A text could not be made into tokens.
    Tokenizer(String),
    /// The model failed.
    Model(String),
    /// The worker that had it panicked.
    Panicked,
}

impl Failure {
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Invalid(..) => Outcome::Rejected,
            Self::Shed { .. } => Outcome::Shed,
            Self::Timeout(_) => Outcome::Timeout,
            Self::Tokenizer(_) | Self::Model(_) => Outcome::Error,
            Self::Panicked => Outcome::Panicked,
        }
    }

    /// What it counts as where it isn't counted by its outcome alone.
    pub(super) fn error(&self) -> Option<ErrorType> {
        match self {
            Self::Invalid(..) => Some(ErrorType::InvalidRequest),
            Self::Tokenizer(_) => Some(ErrorType::Tokenizer),
            Self::Model(_) => Some(ErrorType::Model),
            Self::Shed { .. } | Self::Timeout(_) | Self::Panicked => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(_, message) => f.write_str(message),
            Self::Shed {
                reason: ShedReason::QueueFull,
                retry_after,
            } => write!(
                f,
                "the queue is full; come back in {} s, or send less load",
                seconds(*retry_after)
            ),
            Self::Shed {
                reason: ShedReason::ExpectedWait,
                retry_after,
            } => write!(
                f,
                "the expected wait is longer than the request's deadline allows; come back in {} s, or allow more time",
                seconds(*retry_after)
            ),
            Self::Shed {
                reason: ShedReason::ShuttingDown,
                ..
            } => f.write_str("the service is shutting down; ask another one"),
            Self::Timeout(stage) => write!(
                f,
                "the deadline passed in stage `{}`; allow more time, or send less load",
                name(*stage)
            ),
            Self::Tokenizer(error) => {
                write!(f, "a text could not be made into tokens: {error}")
            }
            Self::Model(error) => write!(f, "the model failed: {error}"),
            Self::Panicked => f.write_str(
                "the worker that had the request panicked and was started anew; its log says why. Try again",
            ),
        }
    }
}

impl std::error::Error for Failure {}

fn name(stage: Stage) -> &'static str {
    use inferometer::LabelValue as _;
    Stage::VALUES.map_or("", |names| names[stage.index()])
}

/// Whole seconds, one at the least: what `Retry-After` takes.
pub(crate) fn seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}
