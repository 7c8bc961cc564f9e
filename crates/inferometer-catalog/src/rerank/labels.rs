//! Its labels.

use inferometer::{LabelSet, LabelValue};

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub enum Stage {
    /// It waits for a tokenizer worker.
    TokenizerQueue,
    /// A tokenizer worker has it.
    Tokenization,
    /// Its pairs wait to be put into a batch.
    BatchQueue,
    /// Its batch, released, waits for a model worker.
    ModelQueue,
    /// A model worker has it.
    Inference,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 5] = [
        Self::TokenizerQueue,
        Self::Tokenization,
        Self::BatchQueue,
        Self::ModelQueue,
        Self::Inference,
    ];
}

/// A kind of worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub enum WorkerType {
    /// It makes tokens of texts.
    Tokenizer,
    /// It scores batches.
    Model,
}

/// A queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub enum Queue {
    /// Before the tokenizer workers.
    Tokenizer,
    /// Before the batcher.
    Batch,
    /// Before the model workers.
    Model,
}

/// Why a batch was released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub enum Release {
    /// It has as many pairs as a batch may have.
    Full,
    /// The next pair would take it past its budget of tokens.
    Budget,
    /// The next pair, too long or too short for it, would make too much of it padding.
    Padding,
    /// Its oldest pair had waited for as long as one may.
    Deadline,
    /// A model worker had nothing to do, and nothing more was on its way.
    Idle,
}

/// Why a request was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub enum ShedReason {
    /// The first queue was full.
    QueueFull,
    /// It would have waited past its deadline.
    ExpectedWait,
    /// The service was shutting down.
    ShuttingDown,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub enum ErrorType {
    /// The request can't be served as asked.
    InvalidRequest,
    /// The deadline passed.
    Timeout,
    /// A text could not be made into tokens.
    Tokenizer,
    /// The model failed.
    Model,
    /// A worker panicked.
    Panic,
}

/// By worker.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByWorker {
    /// The worker's number among those of its kind, from 0. Sixty-four are told apart.
    #[label(limit = 64)]
    pub worker_id: u32,
    /// The kind of worker.
    pub worker_type: WorkerType,
}

/// By queue.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByQueue {
    /// The queue.
    pub queue: Queue,
}

/// By the reason of a release.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByReason {
    /// The reason.
    pub reason: Release,
}

/// By the reason for turning a request away.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByShed {
    /// The reason.
    pub reason: ShedReason,
}

/// By stage.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByStage {
    /// The stage.
    pub stage: Stage,
}

/// By kind of error.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByError {
    /// What went wrong.
    pub error_type: ErrorType,
}
