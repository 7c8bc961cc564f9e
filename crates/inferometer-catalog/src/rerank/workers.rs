//! A worker's own series.

use std::time::Duration;

use inferometer::{Counter, Gauge, Histogram};

use super::{ByWorker, Rerank, WorkerType};

/// The series of one worker, found once.
#[derive(Clone, Debug)]
pub struct WorkerSeries {
    pub(super) kind: WorkerType,
    pub(super) requests: Counter,
    pub(super) duration: Histogram,
    pub(super) throughput: Gauge,
    pub(super) latency: Gauge,
    restarts: Counter,
}

impl WorkerSeries {
    pub(super) fn of(metrics: &Rerank, worker_type: WorkerType, worker_id: u32) -> Self {
        let by = ByWorker {
            worker_id,
            worker_type,
        };
        Self {
            kind: worker_type,
            requests: metrics.worker_requests.series(by),
            duration: metrics.worker_duration.series(by),
            throughput: metrics.worker_throughput.series(by),
            latency: metrics.worker_latency.series(by),
            restarts: metrics.worker_restarts.series(by),
        }
    }

    /// A piece of work took `latency`, and the worker is through with `requests` by it.
    pub(super) fn worked(&self, latency: Duration, requests: u64) {
        self.duration.observe_duration(latency);
        self.requests.add(requests);
    }

    /// The worker panicked and is started anew.
    pub fn restarted(&self) {
        self.restarts.inc();
    }
}
