//! Recording by stage name, for code outside the pipeline: what a service of its own writes where it has no typed handle.
//!
//! Everything goes to the registry of the whole process, [`inferometer::global`], which [`metrics_server`](crate::metrics_server)
//! serves. A stage that doesn't exist is refused: the call counts nothing, and says so in the log once a name.
//!
//! # Examples
//! ```
//! use std::time::Duration;
//! use orchestrator::metrics;
//!
//! metrics::record_throughput("inference", 1);
//! metrics::record_stage_latency("inference", Duration::from_millis(20));
//! metrics::record_queue_depth("inference", 3);
//! metrics::record_error("inference", "timeout");
//! metrics::record_tokens_generated("local", 150);
//! assert!(metrics::gather_metrics().contains("orchestrator_requests_total{stage=\"inference\"} 1"));
//! assert_eq!(metrics::get_metrics_summary().errors_total["inference"]["timeout"], 1);
//! ```

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Duration,
};

use inferometer::LabelValue;
use inferometer_catalog::orchestrator::{
    ByError, ByStage, ByWorker, ErrorType, Objective, Recorder, Stage, WorkerType,
};

static RECORDER: LazyLock<Arc<Recorder>> = LazyLock::new(|| {
    let recorder = Recorder::register(inferometer::global(), Objective::default())
        .expect("the process-wide registry takes the orchestrator's metrics once, here");
    Arc::new(recorder)
});

/// The metrics of the whole process, for a [`Pipeline`](crate::pipeline::Pipeline) that is to record to them too. While it runs it
/// computes the queues' depths itself, and [`record_queue_depth`] is refused and counted.
pub fn recorder() -> &'static Arc<Recorder> {
    &RECORDER
}

/// The value of a closed label with this text.
fn parse<V: LabelValue + Copy>(all: &[V], text: &str) -> Option<V> {
    let at = V::VALUES?.iter().position(|value| *value == text)?;
    all.get(at).copied()
}

fn stage(name: &str, record: impl FnOnce(&Recorder, Stage)) {
    static UNKNOWN: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
    if let Some(stage) = parse(&Stage::ALL, name) {
        record(&RECORDER, stage);
        return;
    }
    let mut unknown = UNKNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    // Bounded: a name that comes from outside can't fill the memory.
    if unknown.len() < 100 && unknown.insert(name.to_owned()) {
        tracing::warn!(
            stage = name,
            "no such stage, not recorded: use one of {:?}",
            Stage::VALUES
        );
    }
}

/// `stage` has processed `count` requests.
pub fn record_throughput(stage: &str, count: u64) {
    self::stage(stage, |recorder, stage| {
        recorder.metrics.requests.with(ByStage { stage }).add(count);
    });
}

/// `stage` took `latency` for a request.
pub fn record_stage_latency(stage: &str, latency: Duration) {
    self::stage(stage, |recorder, stage| {
        recorder
            .metrics
            .stage_duration
            .with(ByStage { stage })
            .observe_duration(latency);
    });
}

/// `depth` requests wait for `stage`: of a tokio channel, `max_capacity() - capacity()`.
pub fn record_queue_depth(stage: &str, depth: usize) {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a queue has far fewer than 2^53 places"
    )]
    self::stage(stage, |recorder, stage| {
        recorder
            .metrics
            .queue_depth
            .with(ByStage { stage })
            .set(depth as f64);
    });
}

/// `stage` turned a request away.
pub fn record_shed(stage: &str) {
    self::stage(stage, Recorder::shed);
}

/// A request failed in `stage`; a kind of error that isn't known counts as `other`.
pub fn record_error(stage: &str, error_type: &str) {
    let error_type = parse(&ErrorType::ALL, error_type).unwrap_or(ErrorType::Other);
    self::stage(stage, |recorder, stage| recorder.failed(stage, error_type));
}

/// A worker generated `tokens`; a kind of worker that isn't known counts as `other`.
pub fn record_tokens_generated(worker_type: &str, tokens: u64) {
    let worker_type = parse(&WorkerType::ALL, worker_type).unwrap_or(WorkerType::Other);
    RECORDER
        .metrics
        .tokens_generated
        .with(ByWorker { worker_type })
        .add(tokens);
}

/// The scrape of the whole process, in the Prometheus text format.
pub fn gather_metrics() -> String {
    LazyLock::force(&RECORDER);
    inferometer::global().encode_text()
}

/// What has been counted so far, by stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricsSummary {
    /// Requests processed.
    pub requests_total: BTreeMap<&'static str, u64>,
    /// Requests turned away.
    pub requests_shed: BTreeMap<&'static str, u64>,
    /// Errors, by kind; kinds that never happened are left out.
    pub errors_total: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
}

/// What the process has counted so far.
pub fn get_metrics_summary() -> MetricsSummary {
    summary(&RECORDER)
}

/// What a pipeline has counted so far.
pub fn summary(recorder: &Recorder) -> MetricsSummary {
    let metrics = &recorder.metrics;
    let text = |stage: Stage| Stage::VALUES.map_or("", |values| values[stage.index()]);
    let by_stage = |count: &dyn Fn(Stage) -> u64| {
        Stage::ALL
            .iter()
            .map(|stage| (text(*stage), count(*stage)))
            .collect()
    };
    let errors = |stage: Stage| {
        let names = ErrorType::VALUES.unwrap_or_default();
        let counts = ErrorType::ALL
            .map(|error_type| metrics.errors.with(ByError { stage, error_type }).get());
        names
            .iter()
            .copied()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .collect()
    };
    MetricsSummary {
        requests_total: by_stage(&|stage| metrics.requests.with(ByStage { stage }).get()),
        requests_shed: by_stage(&|stage| metrics.requests_shed.with(ByStage { stage }).get()),
        errors_total: Stage::ALL
            .iter()
            .map(|stage| (text(*stage), errors(*stage)))
            .collect(),
    }
}
