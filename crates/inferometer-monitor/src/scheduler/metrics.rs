//! What the scheduler shows of its tasks.

use std::{sync::Arc, time::Duration};

use inferometer::{
    AdditiveGauge, Counter, Gauge, Histogram, IntGauge, IntTracking, LabelSet, MetricSet, buckets,
};

use super::{MAX_TASKS, RunOutcome};

/// By task.
#[derive(Clone, Copy, Debug, LabelSet)]
pub(super) struct ByTask<'a> {
    #[label(limit = MAX_TASKS)]
    task: &'a str,
}

/// By task and outcome.
#[derive(Clone, Copy, Debug, LabelSet)]
pub(super) struct ByRun<'a> {
    #[label(limit = MAX_TASKS)]
    task: &'a str,
    outcome: RunOutcome,
}

/// The scheduler's metrics.
#[derive(Debug, MetricSet)]
#[metrics(namespace = "inferometer_scheduler")]
pub(super) struct Metrics {
    /// Tasks that are scheduled.
    pub(super) tasks: AdditiveGauge,
    /// Runs that have ended, by task and outcome.
    runs: Counter<ByRun<'static>>,
    /// Times that a task was due and not run, because the run before had not ended or the machine slept.
    runs_skipped: Counter<ByTask<'static>>,
    /// Time that a run took, whatever its outcome.
    #[metric(unit = "seconds", buckets = buckets::QUEUE_WAIT)]
    run_duration: Histogram<ByTask<'static>>,
    /// How long after its time a run began.
    #[metric(unit = "seconds", buckets = buckets::QUEUE_WAIT)]
    run_lag: Histogram<ByTask<'static>>,
    /// Whether a run is under way: 1 or 0.
    running: IntGauge<ByTask<'static>>,
    /// Whether a run is under way that takes longer than it may: 1 or 0; absent for a task without such a limit.
    run_overdue: IntGauge<ByTask<'static>>,
    /// When a run last ended well; absent until one has.
    #[metric(
        name = "inferometer_scheduler_last_success_timestamp_seconds",
        unit = "seconds"
    )]
    last_success: Gauge<ByTask<'static>>,
}

/// The series of one task.
#[derive(Debug)]
pub(super) struct TaskSeries {
    runs: [Counter; 3],
    skipped: Counter,
    duration: Histogram,
    lag: Histogram,
    running: IntGauge,
    last_success: Gauge,
    overdue: Option<IntTracking>,
}

impl Metrics {
    /// The series of a task, from now on in the scrape. `overdue` is asked by scrapes where the task's runs have a limit.
    pub(super) fn of_task(
        &self,
        task: &str,
        overdue: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
    ) -> TaskSeries {
        let by = ByTask { task };
        let running = self.running.series(by);
        running.set(0);
        TaskSeries {
            runs: RunOutcome::ALL.map(|outcome| self.runs.series(ByRun { task, outcome })),
            skipped: self.runs_skipped.series(by),
            duration: self.run_duration.series(by),
            lag: self.run_lag.series(by),
            running,
            last_success: self.last_success.series(by),
            overdue: overdue.map(|overdue| {
                let gauge = self.run_overdue.series(by);
                gauge.track(move || Some(overdue().into()))
            }),
        }
    }

    /// Takes a task out of the scrape.
    pub(super) fn forget(&self, task: &str, series: TaskSeries) {
        drop(series);
        let by = ByTask { task };
        for outcome in RunOutcome::ALL {
            self.runs.remove(ByRun { task, outcome });
        }
        self.runs_skipped.remove(by);
        self.run_duration.remove(by);
        self.run_lag.remove(by);
        self.running.remove(by);
        self.run_overdue.remove(by);
        self.last_success.remove(by);
    }
}

impl TaskSeries {
    pub(super) fn began(&self, lag: Duration) {
        self.lag.observe_duration(lag);
        self.running.set(1);
    }

    pub(super) fn ended(&self, outcome: RunOutcome, took: Duration, unix_seconds: f64) {
        self.running.set(0);
        self.runs[outcome as usize].inc();
        self.duration.observe_duration(took);
        if outcome == RunOutcome::Ok {
            self.last_success.set(unix_seconds);
        }
    }

    pub(super) fn skipped(&self, count: u64) {
        self.skipped.add(count);
    }

    /// Nothing runs any more; what was counted stays in the scrape.
    pub(super) fn close(&mut self) {
        self.running.set(0);
        self.overdue = None;
    }
}
