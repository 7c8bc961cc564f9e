//! The LLM orchestrator: rag → assemble → inference → post → stream.
//!
//! Seven names are the system's contract; the rest is what it takes to see where a prompt's time went.

mod recorder;

use inferometer::{
    AdditiveGauge, Counter, Gauge, Histogram, LabelSet, LabelValue, MetricSet, buckets,
    lifecycle::RequestCounts,
};

pub use recorder::{Objective, Recorder, RequestContext};

/// A stage of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub enum Stage {
    /// Retrieval of context.
    Rag,
    /// The prompt, put together within the model's context.
    Assemble,
    /// Generation.
    Inference,
    /// Stop sequences, redaction, output limits.
    Post,
    /// Delivery to the client.
    Stream,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 5] = [
        Self::Rag,
        Self::Assemble,
        Self::Inference,
        Self::Post,
        Self::Stream,
    ];
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub enum ErrorType {
    /// The request can't be served as asked: bad fields, unknown model, a prompt longer than the context.
    InvalidRequest,
    /// The deadline passed.
    Timeout,
    /// No connection to the upstream.
    Connection,
    /// The upstream refused the key.
    Authentication,
    /// The upstream said 429.
    RateLimited,
    /// The upstream answered with another error status.
    UpstreamStatus,
    /// The upstream answered something that isn't the protocol.
    BadResponse,
    /// The upstream closed its stream before the end.
    StreamClosed,
    /// The local model failed.
    Model,
    /// A task panicked.
    Panic,
    /// Any other.
    Other,
}

impl ErrorType {
    /// Every kind of error.
    pub const ALL: [Self; 11] = [
        Self::InvalidRequest,
        Self::Timeout,
        Self::Connection,
        Self::Authentication,
        Self::RateLimited,
        Self::UpstreamStatus,
        Self::BadResponse,
        Self::StreamClosed,
        Self::Model,
        Self::Panic,
        Self::Other,
    ];
}

/// The kind of worker that generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub enum WorkerType {
    /// Any OpenAI-compatible upstream.
    Openai,
    /// A model on this machine.
    Local,
    /// A script, for tests and benchmarks.
    Scripted,
    /// Any other.
    Other,
}

impl WorkerType {
    /// Every kind of worker.
    pub const ALL: [Self; 4] = [Self::Openai, Self::Local, Self::Scripted, Self::Other];
}

/// Where context tokens were when they were left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub enum ContextSource {
    /// Retrieved passages.
    Retrieval,
    /// Earlier messages of the conversation.
    History,
}

/// By stage.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByStage {
    /// The stage.
    pub stage: Stage,
}

/// By stage and kind of error.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByError {
    /// The stage in which it happened.
    pub stage: Stage,
    /// What went wrong.
    pub error_type: ErrorType,
}

/// By kind of worker.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByWorker {
    /// The kind of worker.
    pub worker_type: WorkerType,
}

/// By kind of worker that failed and kind that took over.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByFailover {
    /// The kind that failed.
    pub from: WorkerType,
    /// The kind that took over.
    pub to: WorkerType,
}

/// By session.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct BySession<'a> {
    /// The conversation, or `none`. Twenty are told apart by name, all others are `other`.
    #[label(limit = 20)]
    pub session: &'a str,
}

/// By source of context.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct BySource {
    /// Where the tokens were.
    pub source: ContextSource,
}

/// The session of a request that names none.
pub const NO_SESSION: &str = "none";

/// The orchestrator's metrics.
#[derive(Clone, Debug, MetricSet)]
#[metrics(namespace = "orchestrator")]
pub struct Orchestrator {
    /// Requests that a stage has processed, by stage.
    #[metric(name = "orchestrator_requests_total", unit = "requests")]
    pub requests: Counter<ByStage>,
    /// Requests that a stage turned away because its queue was full, by stage.
    #[metric(name = "orchestrator_requests_shed_total", unit = "requests")]
    pub requests_shed: Counter<ByStage>,
    /// Requests that failed, by the stage and the kind of error.
    #[metric(name = "orchestrator_errors_total", unit = "errors")]
    pub errors: Counter<ByError>,
    /// Tokens generated, by the kind of worker.
    #[metric(name = "orchestrator_tokens_generated_total", unit = "tokens")]
    pub tokens_generated: Counter<ByWorker>,
    /// Requests waiting for a stage now.
    #[metric(name = "orchestrator_queue_depth", unit = "requests")]
    pub queue_depth: Gauge<ByStage>,
    /// Time that a stage spent on a request, by stage; waiting is not in it.
    #[metric(unit = "seconds", buckets = buckets::LATENCY)]
    pub stage_duration: Histogram<ByStage>,
    /// Time from a request's arrival to its end, whatever the outcome, by session.
    #[metric(unit = "seconds", buckets = buckets::LATENCY)]
    pub request_duration: Histogram<BySession<'static>>,

    /// Requests started, finished by outcome, and in flight.
    #[metric(flatten)]
    pub counts: RequestCounts,

    /// Requests that fit in the queue before a stage.
    #[metric(name = "orchestrator_queue_capacity", unit = "requests")]
    pub queue_capacity: Gauge<ByStage>,
    /// Time that a request waited for a stage, by stage.
    #[metric(unit = "seconds", buckets = buckets::QUEUE_WAIT)]
    pub queue_wait: Histogram<ByStage>,
    /// When something last moved in a stage, in seconds since 1970; absent before the first request.
    #[metric(
        name = "orchestrator_stage_last_progress_timestamp_seconds",
        unit = "seconds"
    )]
    pub stage_last_progress: Gauge<ByStage>,
    /// Time from a request's arrival to its first token at the client's side of the pipeline.
    #[metric(unit = "seconds", buckets = buckets::TIME_TO_FIRST_TOKEN)]
    pub time_to_first_token: Histogram,
    /// Time between one token and the next, as delivered; tokens that come in one piece share its gap.
    #[metric(unit = "seconds", buckets = buckets::TIME_PER_TOKEN)]
    pub inter_token_latency: Histogram,
    /// A request's mean time for each token after its first piece.
    #[metric(unit = "seconds", buckets = buckets::TIME_PER_TOKEN)]
    pub time_per_output_token: Histogram,
    /// Tokens of the prompts that reached a worker, by the kind of worker.
    #[metric(name = "orchestrator_prompt_tokens_total", unit = "tokens")]
    pub prompt_tokens: Counter<ByWorker>,
    /// Prompt tokens whose state a worker had kept and reused, by the kind of worker.
    #[metric(name = "orchestrator_prompt_tokens_cached_total", unit = "tokens")]
    pub prompt_tokens_cached: Counter<ByWorker>,
    /// Tokens of context left out because the model's window was too small, by where they were.
    #[metric(name = "orchestrator_context_tokens_dropped_total", unit = "tokens")]
    pub context_tokens_dropped: Counter<BySource>,
    /// Tries beyond the first at the same worker, by its kind.
    pub worker_retries: Counter<ByWorker>,
    /// Requests handed from a worker that failed to another.
    pub worker_failovers: Counter<ByFailover>,
    /// Generations under way, by the kind of worker.
    pub generations_in_flight: AdditiveGauge<ByWorker>,
    /// Requests answered in full and within the objective.
    #[metric(
        name = "orchestrator_requests_within_objective_total",
        unit = "requests"
    )]
    pub requests_within_objective: Counter,
    /// The objective's limit on the time to the first token; absent when there is none.
    #[metric(
        name = "orchestrator_objective_time_to_first_token_seconds",
        unit = "seconds"
    )]
    pub objective_time_to_first_token: Gauge,
    /// The objective's limit on the request's duration; absent when there is none.
    #[metric(
        name = "orchestrator_objective_request_duration_seconds",
        unit = "seconds"
    )]
    pub objective_request_duration: Gauge,
    /// Secrets that were taken out of answers.
    #[metric(name = "orchestrator_redactions_total")]
    pub redactions: Counter,
}
