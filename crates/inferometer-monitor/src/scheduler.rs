//! Work that is done again and again, at an interval.
//!
//! ```
//! use std::{sync::mpsc, time::Duration};
//! use inferometer::Registry;
//! use inferometer_monitor::scheduler::Scheduler;
//!
//! let registry = Registry::new();
//! let scheduler = Scheduler::new(&registry)?;
//! let (ran, runs) = mpsc::channel();
//! let task = scheduler.schedule_task("heartbeat", Duration::from_millis(1), move || ran.send(()))?;
//! runs.recv()?;
//!
//! task.cancel();
//! scheduler.stop(Duration::from_secs(5))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A task has a thread of its own, or runs on a Tokio runtime (feature `tokio`), so that one that hangs delays no other. It is due
//! at the points of a grid that doesn't drift. One run is made at a time: **a run that is late piles nothing up**, the points that
//! it passes over are skipped and counted. A panic ends the run and not the task. A task may return a `Result`; its failures are
//! counted, and the last can be read from its [`TaskStatus`].
//!
//! # Metrics
//!
//! Each has the label `task`, whose values are the names: [`MAX_TASKS`] at most. A task that is cancelled leaves the scrape.
//!
//! | name | kind | moves when |
//! |---|---|---|
//! | `inferometer_scheduler_tasks` | gauge | a task is scheduled, or ends; without the label |
//! | `inferometer_scheduler_runs_total` | counter, also by `outcome`: `ok`, `failed`, `panicked` | a run ends |
//! | `inferometer_scheduler_runs_skipped_total` | counter | a run ends, by the times that were due meanwhile |
//! | `inferometer_scheduler_run_duration_seconds` | histogram | a run ends |
//! | `inferometer_scheduler_run_lag_seconds` | histogram | a run begins, by how late it is |
//! | `inferometer_scheduler_running` | gauge | a run begins (1) or ends (0) |
//! | `inferometer_scheduler_run_overdue` | gauge | a scrape finds a run that takes longer than [`overdue_after`](TaskBuilder::overdue_after) says (1), or none (0); absent without such a limit |
//! | `inferometer_scheduler_last_success_timestamp_seconds` | gauge | a run ends well; absent before |

mod builder;
mod error;
mod metrics;
pub(crate) mod moment;
pub(crate) mod outcome;
mod roster;
#[cfg(feature = "tokio")]
mod runtime;
mod status;
mod task;
mod thread;
mod ticks;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use inferometer::{RegisterError, Registry};

pub use builder::TaskBuilder;
pub use error::{ScheduleError, StillRunning};
pub use outcome::{RunOutcome, TaskResult};
pub use status::{LastError, RunCounts, TaskHandle, TaskStatus};

use roster::Roster;

/// How many tasks a scheduler may have at a time.
pub const MAX_TASKS: usize = 256;

/// How many bytes a task's name may have.
pub const MAX_NAME_BYTES: usize = 100;

/// The longest interval: 366 days.
pub const MAX_INTERVAL: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The process's scheduler, made when it is first asked for: its metrics are in [`inferometer::global`].
///
/// # Errors
/// When that registry has another scheduler: one that was made by hand is to be passed on by hand.
pub fn global() -> Result<Scheduler, RegisterError> {
    static GLOBAL: Mutex<Option<Scheduler>> = Mutex::new(None);
    let mut global = GLOBAL.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(scheduler) = &*global {
        return Ok(scheduler.clone());
    }
    let scheduler = Scheduler::new(inferometer::global())?;
    *global = Some(scheduler.clone());
    Ok(scheduler)
}

/// Does tasks again and again, each at its interval: see the [module](self). Clones share it; when the last one is dropped, it
/// stops without waiting.
#[derive(Clone, Debug)]
pub struct Scheduler {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The tasks have it, too, so that the scheduler can be dropped while they end.
    roster: Arc<Roster>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.roster.close();
    }
}

impl Scheduler {
    /// A scheduler without tasks, whose metrics are declared in `registry`.
    ///
    /// # Errors
    /// When the registry has a scheduler already: a registry has one, and code that needs it takes a clone.
    pub fn new(registry: &Registry) -> Result<Self, RegisterError> {
        let roster = Roster::new(registry.register()?);
        Ok(Self {
            inner: Arc::new(Inner { roster }),
        })
    }

    /// Runs `task` on a thread of its own at each `interval` from now, first after one.
    ///
    /// [`task`](Self::task) says more of when it runs, and takes async tasks.
    ///
    /// # Errors
    /// As [`TaskBuilder::start`].
    pub fn schedule_task<R: TaskResult>(
        &self,
        name: impl Into<String>,
        interval: Duration,
        task: impl FnMut() -> R + Send + 'static,
    ) -> Result<TaskHandle, ScheduleError> {
        self.task(name, interval).start(task)
    }

    /// A task that is to run at each `interval`, to be told more and then started.
    pub fn task(&self, name: impl Into<String>, interval: Duration) -> TaskBuilder<'_> {
        TaskBuilder::new(self, name.into(), interval)
    }

    /// What is known of each task now, in the order in which they were scheduled.
    pub fn tasks(&self) -> Vec<TaskStatus> {
        let tasks = self.inner.roster.tasks();
        tasks.iter().map(|task| task.status()).collect()
    }

    /// Stops: no run begins any more, tasks that sleep end at once, and those with a run under way are waited for, no longer than
    /// `wait`. What they have counted stays in the scrape.
    ///
    /// It may be called again, to wait for longer. It blocks its thread: in async code call it through `spawn_blocking`; and a task
    /// that stops its own scheduler waits for itself in vain.
    ///
    /// # Errors
    /// Names the tasks whose run hasn't ended. A thread can't be ended from outside: theirs end with their runs. Async ones are
    /// aborted.
    pub fn stop(&self, wait: Duration) -> Result<(), StillRunning> {
        self.inner.roster.close();
        self.inner.roster.drain(wait)
    }
}
