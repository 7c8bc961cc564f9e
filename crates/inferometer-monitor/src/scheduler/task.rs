//! One task, as its runs, its handles and the scheduler share it.

use std::{
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use super::{
    RunOutcome,
    metrics::TaskSeries,
    moment::Moment,
    outcome::Ended,
    roster::Roster,
    status::{LastError, RunCounts, TaskStatus},
};

/// Why a task makes no more runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Leaving {
    /// Somebody cancelled it: it leaves the scrape, too.
    Cancelled,
    /// The scheduler was stopped: what it has counted stays.
    Stopped,
}

/// Its lock is never held together with the roster's, nor while anybody else's code runs.
#[derive(Debug)]
pub(super) struct Task {
    name: Arc<str>,
    /// Names come back, numbers don't.
    pub(super) number: u64,
    interval: Duration,
    overdue_after: Option<Duration>,
    state: Mutex<State>,
    wake: Condvar,
    #[cfg(feature = "tokio")]
    notify: tokio::sync::Notify,
    roster: Arc<Roster>,
}

#[derive(Debug, Default)]
struct State {
    leaving: Option<Leaving>,
    running: Option<Moment>,
    counts: RunCounts,
    last_error: Option<LastError>,
    last_success: Option<Moment>,
    /// Whether the run before ended otherwise than well.
    failing: bool,
    series: Option<TaskSeries>,
    #[cfg(feature = "tokio")]
    abort: Option<tokio::task::AbortHandle>,
}

impl Task {
    pub(super) fn new(
        name: Arc<str>,
        number: u64,
        interval: Duration,
        overdue_after: Option<Duration>,
        roster: &Arc<Roster>,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            number,
            interval,
            overdue_after,
            state: Mutex::default(),
            wake: Condvar::new(),
            #[cfg(feature = "tokio")]
            notify: tokio::sync::Notify::new(),
            roster: Arc::clone(roster),
        })
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the task in the scrape.
    pub(super) fn show(self: &Arc<Self>) {
        let task: Weak<Self> = Arc::downgrade(self);
        let overdue = move || task.upgrade().is_some_and(|task| task.overdue());
        let overdue = self.overdue_after.map(|_| Arc::new(overdue) as _);
        let series = self.roster.metrics.of_task(&self.name, overdue);
        self.state().series = Some(series);
    }

    fn overdue(&self) -> bool {
        let running = self.state().running;
        running
            .zip(self.overdue_after)
            .is_some_and(|(since, limit)| since.at.elapsed() > limit)
    }

    /// Waits until `due`, and tells whether there is a run to make: there is none once the task is leaving.
    pub(super) fn wait_until(&self, due: Instant) -> bool {
        let mut state = self.state();
        loop {
            if state.leaving.is_some() {
                return false;
            }
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            state = self
                .wake
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits until the task is leaving.
    #[cfg(feature = "tokio")]
    pub(super) async fn left(&self) {
        while self.state().leaving.is_none() {
            // One waiter, and a notice before the wait is kept for it.
            self.notify.notified().await;
        }
    }

    /// A run begins `lag` after its time, unless the task is leaving.
    pub(super) fn begin(&self, lag: Duration) -> bool {
        let mut state = self.state();
        if state.leaving.is_some() {
            return false;
        }
        state.running = Some(Moment::now());
        if let Some(series) = &state.series {
            series.began(lag);
        }
        true
    }

    /// What ends the run that is under way from outside.
    #[cfg(feature = "tokio")]
    pub(super) fn abort_with(&self, abort: tokio::task::AbortHandle) {
        self.state().abort = Some(abort);
    }

    #[cfg(feature = "tokio")]
    pub(super) fn abort(&self) {
        if let Some(abort) = self.state().abort.take() {
            abort.abort();
        }
    }

    /// The run under way has ended so, and `skipped` more were due meanwhile.
    pub(super) fn end(&self, ended: Ended, skipped: u64) {
        let now = Moment::now();
        let outcome = ended
            .as_ref()
            .err()
            .map_or(RunOutcome::Ok, |(outcome, _)| *outcome);
        let mut state = self.state();
        let took = state.running.take().map_or(Duration::ZERO, |since| {
            now.at.saturating_duration_since(since.at)
        });
        #[cfg(feature = "tokio")]
        {
            state.abort = None;
        }
        state.counts.add(outcome, skipped);
        if let Some(series) = &state.series {
            series.ended(outcome, took, now.unix_seconds);
            series.skipped(skipped);
        }
        let failed_before = mem::replace(&mut state.failing, outcome != RunOutcome::Ok);
        let message = match ended {
            Ok(()) => {
                state.last_success = Some(now);
                None
            }
            Err((outcome, message)) => {
                state.last_error = Some(LastError {
                    outcome,
                    message: message.clone(),
                    timestamp_seconds: now.unix_seconds,
                });
                Some(message)
            }
        };
        drop(state);
        let name = &*self.name;
        match message {
            // A task that fails each time is told of once.
            Some(message) if !failed_before => {
                tracing::warn!(task = name, error = message, "a scheduled task has failed");
            }
            Some(message) => {
                tracing::debug!(
                    task = name,
                    error = message,
                    "a scheduled task has failed again"
                );
            }
            None if failed_before => tracing::info!(task = name, "a scheduled task works again"),
            None => {}
        }
    }

    /// Makes the run under way the last, and wakes the task if it sleeps.
    pub(super) fn leave(&self, why: Leaving) {
        let mut state = self.state();
        if state.leaving.is_some() {
            return;
        }
        state.leaving = Some(why);
        let sleeps = state.running.is_none();
        drop(state);
        self.wake.notify_all();
        #[cfg(feature = "tokio")]
        self.notify.notify_one();
        if sleeps && why == Leaving::Cancelled {
            self.retire();
        }
    }

    /// Leaves the scrape and gives the name back, once.
    fn retire(&self) {
        let Some(series) = self.state().series.take() else {
            return;
        };
        // While the name is still taken: later they may be a successor's.
        self.roster.metrics.forget(&self.name, series);
        self.roster.free_name(self);
    }

    /// Whatever made the runs makes no more.
    fn ended(&self) {
        let mut state = self.state();
        state.running = None;
        if let Some(series) = &mut state.series {
            series.close();
        }
        let why = state.leaving;
        state.leaving.get_or_insert(Leaving::Cancelled);
        drop(state);
        if why.is_none() {
            let name = &*self.name;
            tracing::warn!(
                task = name,
                "a scheduled task has ended, because its thread or runtime did"
            );
        }
        if why == Some(Leaving::Stopped) {
            self.roster.free_name(self);
        } else {
            self.retire();
        }
        self.roster.ended(self);
    }

    pub(super) fn wait_for_end(&self, wait: Duration) -> bool {
        self.roster.wait_for(self, wait)
    }

    pub(super) fn status(&self) -> TaskStatus {
        let state = self.state();
        let running_for = state.running.map(|since| since.at.elapsed());
        TaskStatus {
            name: self.name.to_string(),
            interval: self.interval,
            scheduled: state.leaving.is_none(),
            running_for,
            overdue: running_for
                .zip(self.overdue_after)
                .is_some_and(|(time, limit)| time > limit),
            runs: state.counts,
            last_success_timestamp_seconds: state.last_success.map(|at| at.unix_seconds),
            last_error: state.last_error.clone(),
        }
    }
}

/// Held by what makes a task's runs: when it goes, the task has ended, whatever the reason.
#[derive(Debug)]
pub(super) struct Ending(pub(super) Arc<Task>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.ended();
    }
}
