//! What can be asked of a task.

use std::{sync::Arc, time::Duration};

use super::{
    RunOutcome,
    task::{Leaving, Task},
};

/// What is known of a task at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskStatus {
    /// Its name.
    pub name: String,
    /// From one time at which it is due to the next.
    pub interval: Duration,
    /// Whether there are more runs to come: not once it is cancelled, or its scheduler stopped.
    pub scheduled: bool,
    /// For how long the run under way has been going; `None` if none is.
    pub running_for: Option<Duration>,
    /// Whether the run under way takes longer than the task's limit.
    pub overdue: bool,
    /// Its runs so far.
    pub runs: RunCounts,
    /// When a run last ended well, in seconds since 1970.
    pub last_success_timestamp_seconds: Option<f64>,
    /// The last run that didn't.
    pub last_error: Option<LastError>,
}

/// The runs of a task, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunCounts {
    /// Runs that ended as they should.
    pub ok: u64,
    /// Runs that said that they failed.
    pub failed: u64,
    /// Runs that panicked.
    pub panicked: u64,
    /// Times that a run was due and not made, because the run before had not ended or the machine slept.
    pub skipped: u64,
}

impl RunCounts {
    pub(super) fn add(&mut self, outcome: RunOutcome, skipped: u64) {
        let count = match outcome {
            RunOutcome::Ok => &mut self.ok,
            RunOutcome::Failed => &mut self.failed,
            RunOutcome::Panicked => &mut self.panicked,
        };
        *count += 1;
        self.skipped = self.skipped.saturating_add(skipped);
    }

    /// Runs that have ended, whatever the outcome.
    pub fn ended(&self) -> u64 {
        self.ok + self.failed + self.panicked
    }
}

/// A run that didn't end well.
#[derive(Clone, Debug, PartialEq)]
pub struct LastError {
    /// Failed or panicked.
    pub outcome: RunOutcome,
    /// What it said, 1,000 bytes of it at most.
    pub message: String,
    /// When it ended, in seconds since 1970.
    pub timestamp_seconds: f64,
}

/// Somebody's hand on a scheduled task. Dropped, it changes nothing: the task goes on.
#[derive(Clone, Debug)]
pub struct TaskHandle(pub(super) Arc<Task>);

impl TaskHandle {
    /// The task's name.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// What is known of it now.
    pub fn status(&self) -> TaskStatus {
        self.0.status()
    }

    /// Makes no more runs, and takes the task's series out of the scrape. A run that is under way is left to end.
    ///
    /// It returns at once. The name is free again when it does, or, if a run is under way, once that has ended: see
    /// [`wait`](Self::wait).
    pub fn cancel(&self) {
        self.0.leave(Leaving::Cancelled);
    }

    /// Waits until the task has ended, its thread with it, for no longer than `limit`; tells whether it has. Cancel it before.
    ///
    /// It blocks its thread: don't call it on one of an async runtime.
    pub fn wait(&self, limit: Duration) -> bool {
        self.0.wait_for_end(limit)
    }
}
