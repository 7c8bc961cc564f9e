//! What is shown of the collectors themselves.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use inferometer::{Counter, Gauge, LabelSet, MetricSet};

use super::super::{Collector, Failure, Reason};

/// By collector.
#[derive(Clone, Copy, Debug, LabelSet)]
pub(super) struct ByCollector {
    collector: Collector,
}

/// By collector and reason.
#[derive(Clone, Copy, Debug, LabelSet)]
pub(super) struct ByFailure {
    collector: Collector,
    reason: Reason,
}

/// How the collectors fare.
#[derive(Debug, MetricSet)]
#[metrics(namespace = "inferometer_host_collector")]
pub(super) struct Collectors {
    /// Whether a collector could read all there is, the last time it ran: 1 or 0; absent where it isn't run.
    up: Gauge<ByCollector>,
    /// How long a collector's last run took.
    #[metric(unit = "seconds")]
    duration: Gauge<ByCollector>,
    /// When a collector last could read all there is, in seconds since 1970; absent before the first time.
    #[metric(
        name = "inferometer_host_collector_last_success_timestamp_seconds",
        unit = "seconds"
    )]
    last_success: Gauge<ByCollector>,
    /// Runs of a collector that failed in full or in part, by reason.
    failures: Counter<ByFailure>,
}

impl Collectors {
    pub(super) fn ran(
        &self,
        collector: Collector,
        took: Duration,
        at: SystemTime,
        failure: Option<&Failure>,
    ) {
        let labels = ByCollector { collector };
        self.duration.with(labels).set(took.as_secs_f64());
        let up = f64::from(u8::from(failure.is_none()));
        self.up.with(labels).set(up);
        if let Some(failure) = failure {
            let reason = failure.reason();
            self.failures.with(ByFailure { collector, reason }).inc();
        } else if let Ok(since) = at.duration_since(UNIX_EPOCH) {
            // A clock before 1970 is none to tell the time by.
            self.last_success.with(labels).set(since.as_secs_f64());
        }
    }

    pub(super) fn forget(&self) {
        for collector in Collector::ALL {
            let labels = ByCollector { collector };
            self.up.with(labels).clear();
            self.duration.with(labels).clear();
            self.last_success.with(labels).clear();
        }
    }
}
