//! The cross-encoder server: tokenizer pool → batcher → model pool.
//!
//! Thirty-one names are the system's contract; the rest is what it takes to see where a request's time and the model's tokens went.
//!
//! **Queries, requests, pairs.** A request is one query with its passages. Each passage makes a pair with the query, and a pair is what
//! the model scores. The contract's "queries" are requests; pairs have names of their own.

pub mod gpu;
pub mod host;
pub mod http;
mod labels;
mod recorder;
mod stages;
mod window;
mod workers;

use inferometer::{
    Counter, Gauge, Histogram, IntGauge, MetricSet, buckets, lifecycle::RequestCounts,
};

pub use self::{
    labels::{
        ByError, ByQueue, ByReason, ByShed, ByStage, ByWorker, ErrorType, Queue, Release,
        ShedReason, Stage, WorkerType,
    },
    recorder::Recorder,
    stages::StageTimings,
    window::{PaddingStats, ThroughputStats},
    workers::WorkerSeries,
};

/// The contract's own bounds for a request's latency, from 5 ms to 10 s.
pub const REQUEST_LATENCY: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// From 0.25 ms to 10 s, for a stage that works.
pub const STAGE_LATENCY: [f64; 15] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0,
];

/// From 10 µs to 1 s, for a hand-off and for what lies between stages.
pub const HAND_OFF: [f64; 14] = [
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025,
    0.1, 0.25, 1.0,
];

/// From 1 to 512 in powers of 2, for the pairs of a batch and of a request.
pub const PAIRS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// The cross-encoder server's metrics.
#[derive(Clone, Debug, MetricSet)]
#[metrics(namespace = "rerank")]
pub struct Rerank {
    /// What the contract names of GPUs.
    #[metric(flatten)]
    pub gpu: gpu::Gpu,
    /// What the contract names of the machine.
    #[metric(flatten)]
    pub host: host::Host,
    /// Requests that wait for a tokenizer worker.
    #[metric(name = "tokenizer_queue_size", unit = "requests")]
    pub tokenizer_queue_size: Gauge,
    /// Requests in batches that were released and wait for a model worker; one whose pairs are in two batches counts in both.
    #[metric(name = "model_queue_size", unit = "requests")]
    pub model_queue_size: Gauge,
    /// Requests with pairs that wait to be put into a batch.
    #[metric(name = "batch_queue_size", unit = "requests")]
    pub batch_queue_size: Gauge,
    /// Share of padding in the tokens that the model processed over the window; absent while it processed none.
    #[metric(name = "padding_ratio", unit = "ratio")]
    pub padding_ratio: Gauge,
    /// The longest pair that the model processed in the window, in tokens; absent while it processed none.
    #[metric(name = "max_seq_length", unit = "tokens")]
    pub max_seq_length: Gauge,
    /// The mean length of the pairs that the model processed over the window, in tokens without padding; absent while it processed none.
    #[metric(name = "avg_seq_length", unit = "tokens")]
    pub avg_seq_length: Gauge,
    /// Requests answered in full.
    #[metric(name = "request_count_total", unit = "requests")]
    pub request_count: Counter,
    /// Tokens of padding that the model processed.
    #[metric(name = "padded_tokens_total", unit = "tokens")]
    pub padded_tokens: Counter,
    /// Tokens that the model processed, padding among them.
    #[metric(name = "total_tokens_total", unit = "tokens")]
    pub total_tokens: Counter,
    /// Requests that a worker was through with, by worker; a request whose pairs are in several batches counts at the model worker that
    /// scores its last.
    #[metric(
        name = "worker_request_count_total",
        unit = "requests",
        max_series = 128
    )]
    pub worker_requests: Counter<ByWorker>,
    /// Time from a request's arrival, read and checked, to its answer, ready to be written; of requests answered in full.
    #[metric(
        name = "request_latency_seconds",
        unit = "seconds",
        buckets = REQUEST_LATENCY
    )]
    pub request_latency: Histogram,
    /// Time to tokenize a request's pairs.
    #[metric(
        name = "tokenization_latency_seconds",
        unit = "seconds",
        buckets = STAGE_LATENCY
    )]
    pub tokenization: Histogram,
    /// Time in which the model worked on a request's batches; where two workers did so at once, it counts once.
    #[metric(
        name = "inference_latency_seconds",
        unit = "seconds",
        buckets = STAGE_LATENCY
    )]
    pub inference: Histogram,
    /// Time that a request waited in queues: for a tokenizer worker and for a model worker, the two next to this one added up.
    #[metric(
        name = "queue_wait_latency_seconds",
        unit = "seconds",
        buckets = buckets::QUEUE_WAIT
    )]
    pub queue_wait: Histogram,
    /// Time that a request waited for a tokenizer worker.
    #[metric(
        name = "tokenizer_queue_wait_latency_seconds",
        unit = "seconds",
        buckets = buckets::QUEUE_WAIT
    )]
    pub tokenizer_queue_wait: Histogram,
    /// Time that a request's batches, released, waited for a model worker while none of them was worked on.
    #[metric(
        name = "model_queue_wait_latency_seconds",
        unit = "seconds",
        buckets = buckets::QUEUE_WAIT
    )]
    pub model_queue_wait: Histogram,
    /// Time that a tokenizer worker took to hand a request to the batcher, waiting for room among it.
    #[metric(
        name = "mp_queue_send_latency_seconds",
        unit = "seconds",
        buckets = HAND_OFF
    )]
    pub queue_send: Histogram,
    /// Time from a model worker's taking a request's batch out of its queue to its beginning to work on it.
    #[metric(
        name = "mp_queue_receive_latency_seconds",
        unit = "seconds",
        buckets = HAND_OFF
    )]
    pub queue_receive: Histogram,
    /// What the contract names of messages.
    #[metric(flatten)]
    pub messages: http::Messages,
    /// Time that a request's pairs waited to be put into a batch, while none of its batches was released and unfinished.
    #[metric(
        name = "scheduler_latency_seconds",
        unit = "seconds",
        buckets = buckets::QUEUE_WAIT
    )]
    pub scheduler: Histogram,
    /// Time from the end of a request's last inference to its answer, back at the one who asked; measured between these two points.
    #[metric(
        name = "overhead_latency_seconds",
        unit = "seconds",
        buckets = HAND_OFF
    )]
    pub overhead: Histogram,
    /// A request's latency that none of its stages explains: the whole minus tokenizer wait, tokenization, hand-offs, scheduler, model wait,
    /// inference and overhead, which don't overlap.
    #[metric(
        name = "pipeline_overhead_latency_seconds",
        unit = "seconds",
        buckets = HAND_OFF
    )]
    pub pipeline_overhead: Histogram,
    /// Requests tokenized a second, over the window; absent until there is one.
    #[metric(name = "tokenizer_throughput_qps", unit = "queries_per_second")]
    pub tokenizer_throughput: Gauge,
    /// Requests scored a second, over the window; absent until there is one.
    #[metric(name = "inference_throughput_qps", unit = "queries_per_second")]
    pub inference_throughput: Gauge,
    /// Requests answered in full a second, over the window; absent until there is one.
    #[metric(name = "overall_throughput_qps", unit = "queries_per_second")]
    pub overall_throughput: Gauge,
    /// Requests that a worker was through with a second, over the window, by worker; absent until there is one.
    #[metric(
        name = "worker_throughput_qps",
        unit = "queries_per_second",
        max_series = 128
    )]
    pub worker_throughput: Gauge<ByWorker>,
    /// The mean time of a worker's piece of work over the window, in milliseconds, by worker: a request at a tokenizer, a batch at a model;
    /// absent while it did none.
    #[metric(name = "worker_latency_ms", unit = "milliseconds", max_series = 128)]
    pub worker_latency: Gauge<ByWorker>,

    /// Requests started, finished by outcome, and in flight.
    #[metric(flatten)]
    pub counts: RequestCounts,

    /// Time of a worker's piece of work, by worker: a request at a tokenizer, a batch at a model.
    #[metric(unit = "seconds", buckets = STAGE_LATENCY, max_series = 128)]
    pub worker_duration: Histogram<ByWorker>,
    /// Times that a worker panicked and was started anew, by worker.
    #[metric(max_series = 128)]
    pub worker_restarts: Counter<ByWorker>,
    /// Requests that a queue has room for.
    #[metric(name = "rerank_queue_capacity", unit = "requests")]
    pub queue_capacity: IntGauge<ByQueue>,
    /// Requests turned away, by reason.
    #[metric(name = "rerank_requests_shed_total", unit = "requests")]
    pub requests_shed: Counter<ByShed>,
    /// Requests whose deadline passed, by the stage they were in.
    pub deadline_misses: Counter<ByStage>,
    /// Requests that failed, by kind of error; those turned away and those given up aren't among them.
    pub errors: Counter<ByError>,
    /// Pairs that the model scored.
    #[metric(name = "rerank_pairs_total", unit = "pairs")]
    pub pairs: Counter,
    /// Pairs cut off at the model's window.
    #[metric(name = "rerank_pairs_truncated_total", unit = "pairs")]
    pub pairs_truncated: Counter,
    /// Pairs of a request answered in full.
    #[metric(unit = "pairs", buckets = PAIRS)]
    pub request: Histogram,
    /// Tokens of a pair that the model processed, without padding.
    #[metric(unit = "tokens", buckets = buckets::exponential(4.0, 2.0, 8))]
    pub sequence: Histogram,
    /// Batches released, by reason.
    #[metric(name = "rerank_batches_released_total", unit = "batches")]
    pub batches_released: Counter<ByReason>,
    /// Pairs of a released batch.
    #[metric(unit = "pairs", buckets = PAIRS)]
    pub batch_size: Histogram,
    /// Tokens of a released batch, padding among them.
    #[metric(unit = "tokens", buckets = buckets::TOKENS)]
    pub batch: Histogram,
}
