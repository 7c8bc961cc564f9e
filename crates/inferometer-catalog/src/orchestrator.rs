//! The LLM orchestrator: rag → assemble → inference → post → stream.
//!
//! Seven names are the system's contract; the rest is what it takes to see where a prompt's time went.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use inferometer::{
    AdditiveGauge, Counter, Gauge, Histogram, LabelSet, LabelValue, MetricSet, Registry, buckets,
    lifecycle::{Lifecycle, Outcome, RequestCounts, Summary},
};

use crate::clock::UnixClock;

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

/// What a request must hold to count as good.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Objective {
    /// The longest time to the first token.
    pub time_to_first_token: Option<Duration>,
    /// The longest time from arrival to end.
    pub request_duration: Option<Duration>,
}

impl Objective {
    /// Whether a request with this summary holds it: answered in full, and every limit that is set is kept.
    pub fn holds(&self, summary: &Summary) -> bool {
        let first = match (self.time_to_first_token, summary.time_to_first_token) {
            (Some(limit), Some(time)) => time <= limit,
            (Some(_), None) => false,
            (None, _) => true,
        };
        summary.outcome == Outcome::Ok
            && first
            && self
                .request_duration
                .is_none_or(|limit| summary.duration <= limit)
    }
}

/// The orchestrator's metrics as its requests see them: handles found once, and the objective.
#[derive(Debug)]
pub struct Recorder {
    /// The metrics.
    pub metrics: Orchestrator,
    objective: Objective,
    clock: UnixClock,
    without_session: Histogram,
    enabled: bool,
}

impl Recorder {
    /// Declares the metrics in `registry`.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub fn register(
        registry: &Registry,
        objective: Objective,
    ) -> Result<Self, inferometer::RegisterError> {
        let metrics: Orchestrator = registry.register()?;
        let limits = [
            (
                objective.time_to_first_token,
                &metrics.objective_time_to_first_token,
            ),
            (
                objective.request_duration,
                &metrics.objective_request_duration,
            ),
        ];
        for (limit, gauge) in limits {
            if let Some(limit) = limit {
                gauge.set(limit.as_secs_f64());
            }
        }
        Ok(Self {
            without_session: metrics.request_duration.series(BySession {
                session: NO_SESSION,
            }),
            metrics,
            objective,
            clock: UnixClock::start(),
            enabled: registry.enabled(),
        })
    }

    /// Whether anything is recorded.
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// A request failed in `stage`.
    pub fn failed(&self, stage: Stage, error_type: ErrorType) {
        self.metrics
            .errors
            .with(ByError { stage, error_type })
            .inc();
    }

    /// A request was turned away at `stage`.
    pub fn shed(&self, stage: Stage) {
        self.metrics.requests_shed.with(ByStage { stage }).inc();
    }
}

/// What a request carries for its labels.
#[derive(Clone, Debug, Default)]
pub struct RequestContext {
    /// The conversation it belongs to.
    pub session: Option<Arc<str>>,
}

impl Lifecycle for Recorder {
    type Stage = Stage;
    type Context = RequestContext;

    fn counts(&self) -> &RequestCounts {
        &self.metrics.counts
    }

    fn waited(&self, stage: Stage, wait: Duration) {
        self.metrics
            .queue_wait
            .with(ByStage { stage })
            .observe_duration(wait);
    }

    fn stage_ended(&self, stage: Stage, duration: Duration) {
        self.metrics
            .stage_duration
            .with(ByStage { stage })
            .observe_duration(duration);
        self.metrics.requests.with(ByStage { stage }).inc();
    }

    fn progressed(&self, stage: Stage, at: Instant) {
        self.metrics
            .stage_last_progress
            .with(ByStage { stage })
            .set(self.clock.seconds(at));
    }

    fn first_token(&self, since_start: Duration) {
        self.metrics
            .time_to_first_token
            .observe_duration(since_start);
    }

    fn next_tokens(&self, gap: Duration, tokens: u32) {
        self.metrics
            .inter_token_latency
            .observe_times(gap.as_secs_f64(), tokens.into());
    }

    fn finished(&self, context: &RequestContext, summary: &Summary) {
        match context.session.as_deref() {
            Some(session) => self
                .metrics
                .request_duration
                .with(BySession { session })
                .observe_duration(summary.duration),
            None => self.without_session.observe_duration(summary.duration),
        }
        if let Some(time) = summary.time_per_output_token {
            self.metrics.time_per_output_token.observe_duration(time);
        }
        if self.objective.holds(summary) {
            self.metrics.requests_within_objective.inc();
        }
    }
}
