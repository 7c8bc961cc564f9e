//! How the cross-encoder server's requests record.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use inferometer::{
    RegisterError, Registry,
    lifecycle::{Lifecycle, Outcome, RequestCounts},
};

use super::{
    ByError, ByQueue, ByReason, ByShed, ByStage, ErrorType, PaddingStats, Queue, Release, Rerank,
    ShedReason, Stage, StageTimings, ThroughputStats, WorkerSeries, WorkerType,
    window::{Totals, Window, grown, mean},
};
use crate::clock::UnixClock;

/// The metrics as requests and workers see them: series found once, and the window of the gauges that are means.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use inferometer::Registry;
/// use inferometer_catalog::rerank::{Recorder, StageTimings};
///
/// let registry = Registry::new();
/// let recorder = Recorder::register(&registry, 2, 1, Duration::from_secs(30))?;
/// recorder.record(Duration::from_millis(20), 1);
/// let timings = StageTimings { inference: Some(Duration::from_millis(15)), ..StageTimings::default() };
/// recorder.record_stage_timings(Duration::from_millis(20), &timings);
/// let page = registry.encode_text();
/// assert!(page.contains("\nrequest_count_total 1\n"));
/// assert!(page.contains("\ninference_latency_seconds_count 1\n"));
/// // A stage that wasn't gone through isn't one that took no time.
/// assert!(page.contains("\ntokenization_latency_seconds_count 0\n"));
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
#[derive(Debug)]
pub struct Recorder {
    /// The metrics.
    pub metrics: Rerank,
    tokenizers: Vec<WorkerSeries>,
    models: Vec<WorkerSeries>,
    /// The longest sequence since the last collection.
    longest: AtomicU64,
    window: Mutex<Window>,
    clock: UnixClock,
    /// When something last moved, as the bits of seconds since 1970; 0 before anything did.
    last_progress: AtomicU64,
}

impl Recorder {
    /// Declares the metrics in `registry`, for so many workers of each kind. Throughputs and means are over the last `window`.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub fn register(
        registry: &Registry,
        tokenizers: u32,
        models: u32,
        window: Duration,
    ) -> Result<Self, RegisterError> {
        let metrics: Rerank = registry.register()?;
        for queue in [
            &metrics.tokenizer_queue_size,
            &metrics.batch_queue_size,
            &metrics.model_queue_size,
        ] {
            queue.set(0.0);
        }
        let workers = |kind, count| {
            (0..count)
                .map(|id| WorkerSeries::of(&metrics, kind, id))
                .collect()
        };
        let recorder = Self {
            tokenizers: workers(WorkerType::Tokenizer, tokenizers),
            models: workers(WorkerType::Model, models),
            metrics,
            longest: AtomicU64::new(0),
            window: Mutex::new(Window::new(window)),
            clock: UnixClock::start(),
            last_progress: AtomicU64::new(0),
        };
        // The first window begins here, so that what comes before the first collection is in it.
        let begun = recorder.totals();
        recorder.window().push(Instant::now(), begun);
        Ok(recorder)
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many requests were answered in full, each after `latency`.
    pub fn record(&self, latency: Duration, requests: u64) {
        self.metrics.request_count.add(requests);
        self.metrics
            .request_latency
            .observe_times(latency.as_secs_f64(), requests);
    }

    /// Where the time of a request that took `latency` went. What is absent is not recorded; a zero is.
    pub fn record_stage_timings(&self, latency: Duration, timings: &StageTimings) {
        let metrics = &self.metrics;
        let rest = latency.saturating_sub(timings.explained());
        let stages = [
            (&metrics.tokenizer_queue_wait, timings.tokenizer_queue_wait),
            (&metrics.tokenization, timings.tokenization),
            (&metrics.queue_send, timings.queue_send),
            (&metrics.scheduler, timings.scheduler),
            (&metrics.model_queue_wait, timings.model_queue_wait),
            (&metrics.queue_receive, timings.queue_receive),
            (&metrics.inference, timings.inference),
            (&metrics.overhead, timings.overhead),
            (&metrics.queue_wait, timings.queue_wait()),
            (&metrics.pipeline_overhead, Some(rest)),
        ];
        for (histogram, duration) in stages {
            if let Some(duration) = duration {
                histogram.observe_duration(duration);
            }
        }
    }

    /// Model worker `worker_id` took `latency` for a batch, and with it scored the last pair of so many requests.
    ///
    /// A worker beyond those that were declared records nothing.
    pub fn record_worker_stats(&self, worker_id: u32, latency: Duration, requests: u64) {
        if let Some(worker) = self.worker(WorkerType::Model, worker_id) {
            worker.worked(latency, requests);
        }
    }

    /// Tokenizer worker `worker_id` took `latency` for so many requests.
    ///
    /// A worker beyond those that were declared records nothing.
    pub fn record_tokenizer_worker_stats(&self, worker_id: u32, latency: Duration, requests: u64) {
        if let Some(worker) = self.worker(WorkerType::Tokenizer, worker_id) {
            worker.worked(latency, requests);
        }
    }

    /// The series of a worker, if there is one of this number.
    pub fn worker(&self, kind: WorkerType, worker_id: u32) -> Option<&WorkerSeries> {
        let workers = match kind {
            WorkerType::Tokenizer => &self.tokenizers,
            WorkerType::Model => &self.models,
        };
        workers.get(usize::try_from(worker_id).ok()?)
    }

    /// The model processed a batch.
    pub fn record_padding_stats(&self, stats: &PaddingStats) {
        self.metrics.padded_tokens.add(stats.padded_tokens);
        self.metrics.total_tokens.add(stats.total_tokens);
        self.longest.fetch_max(stats.max_seq_length, Relaxed);
    }

    /// The throughputs; what isn't known is absent.
    pub fn record_throughput_stats(&self, stats: &ThroughputStats) {
        show(&self.metrics.tokenizer_throughput, stats.tokenizer);
        show(&self.metrics.inference_throughput, stats.inference);
        show(&self.metrics.overall_throughput, stats.overall);
    }

    /// The GPUs' utilization from 0 to 100; what isn't known is absent.
    pub fn record_gpu_utilization(&self, percent: Option<f64>) {
        show(&self.metrics.gpu.utilization, percent);
    }

    /// A batch was released with so many pairs, and tokens, padding among them.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a batch has far fewer than 2^53 tokens"
    )]
    pub fn released(&self, reason: Release, pairs: u64, tokens: u64) {
        let metrics = &self.metrics;
        metrics.batches_released.with(ByReason { reason }).inc();
        metrics.batch_size.observe(pairs as f64);
        metrics.batch.observe(tokens as f64);
    }

    /// A request was turned away.
    pub fn shed(&self, reason: ShedReason) {
        self.metrics.requests_shed.with(ByShed { reason }).inc();
    }

    /// A request's deadline passed while it was in `stage`.
    pub fn missed(&self, stage: Stage) {
        self.metrics.deadline_misses.with(ByStage { stage }).inc();
        self.failed(ErrorType::Timeout);
    }

    /// A request failed.
    pub fn failed(&self, error_type: ErrorType) {
        self.metrics.errors.with(ByError { error_type }).inc();
    }

    /// A queue has room for so many requests.
    pub fn capacity(&self, queue: Queue, requests: usize) {
        let requests = i64::try_from(requests).unwrap_or(i64::MAX);
        self.metrics
            .queue_capacity
            .with(ByQueue { queue })
            .set(requests);
    }

    /// Something moved.
    pub fn progress(&self, now: Instant) {
        let seconds = self.clock.seconds(now);
        self.last_progress.store(seconds.to_bits(), Relaxed);
    }

    /// Computes the throughputs and means anew, over the window that ends `now`: what a collection loop calls.
    pub fn collect(&self, now: Instant) {
        let totals = self.totals();
        let mut window = self.window();
        window.push(now, totals);
        let Some((from, to, seconds)) = window.ends() else {
            return;
        };
        let metrics = &self.metrics;
        let mut by_kind = [0.0; 2];
        let workers = self.tokenizers.iter().chain(&self.models);
        for ((worker, from), to) in workers.zip(&from.workers).zip(&to.workers) {
            let (requests, (pieces, time)) = to;
            let rate = grown(from.0, *requests) / seconds;
            by_kind[worker.kind as usize] += rate;
            worker.throughput.set(rate);
            let latency = mean(time - from.1.1, grown(from.1.0, *pieces));
            show(&worker.latency, latency.map(|seconds| seconds * 1e3));
        }
        let [tokenizer, inference] = by_kind;
        self.record_throughput_stats(&ThroughputStats {
            tokenizer: Some(tokenizer),
            inference: Some(inference),
            overall: Some(grown(from.answered, to.answered) / seconds),
        });
        let padded = grown(from.padded_tokens, to.padded_tokens);
        let tokens = grown(from.total_tokens, to.total_tokens);
        show(&metrics.padding_ratio, mean(padded, tokens));
        let length = mean(
            to.sequences.1 - from.sequences.1,
            grown(from.sequences.0, to.sequences.0),
        );
        show(&metrics.avg_seq_length, length);
        let longest = grown(0, window.longest());
        show(&metrics.max_seq_length, (longest > 0.0).then_some(longest));
    }

    fn totals(&self) -> Totals {
        let metrics = &self.metrics;
        let workers = self.tokenizers.iter().chain(&self.models);
        Totals {
            answered: metrics.request_count.get(),
            // Padding before all tokens: a batch between the two can't make the ratio more than 1.
            padded_tokens: metrics.padded_tokens.get(),
            total_tokens: metrics.total_tokens.get(),
            sequences: metrics.sequence.get(),
            longest: self.longest.swap(0, Relaxed),
            workers: workers
                .map(|worker| (worker.requests.get(), worker.duration.get()))
                .collect(),
        }
    }
}

/// Shows what is known, and nothing otherwise.
fn show(gauge: &inferometer::Gauge, value: Option<f64>) {
    match value {
        Some(value) => gauge.set(value),
        None => gauge.clear(),
    }
}

impl Lifecycle for Recorder {
    type Stage = Stage;
    type Context = ();

    fn counts(&self) -> &RequestCounts {
        &self.metrics.counts
    }

    fn last_progress(&self) -> Option<Instant> {
        let bits = self.last_progress.load(Relaxed);
        (bits != 0).then(|| self.clock.instant(f64::from_bits(bits)))
    }

    fn finished(&self, (): &(), summary: &inferometer::lifecycle::Summary) {
        if summary.outcome == Outcome::Panicked {
            self.failed(ErrorType::Panic);
        }
    }
}
