//! How a task is to run.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use fastrand::Rng;

#[cfg(feature = "tokio")]
use super::runtime;
use super::{
    MAX_INTERVAL, MAX_NAME_BYTES, ScheduleError, Scheduler, TaskHandle, TaskResult,
    task::Task,
    thread,
    ticks::{First, Ticks},
};

/// A task that is about to be scheduled: see [`Scheduler::task`].
///
/// Without more said, it runs first after one interval, and then at each interval from there, whatever its runs take.
///
/// # Examples
/// ```
/// use std::{sync::mpsc, time::Duration};
/// use inferometer::Registry;
/// use inferometer_monitor::scheduler::Scheduler;
///
/// let registry = Registry::new();
/// let scheduler = Scheduler::new(&registry)?;
/// let (ran, runs) = mpsc::channel();
/// scheduler
///     .task("cache_cleanup", Duration::from_secs(60))
///     .run_at_once()
///     .jitter(Duration::from_secs(5))
///     .overdue_after(Duration::from_secs(30))
///     .start(move || ran.send(()))?;
/// runs.recv()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is scheduled before `start`"]
pub struct TaskBuilder<'a> {
    scheduler: &'a Scheduler,
    name: String,
    interval: Duration,
    first: First,
    jitter: Duration,
    seed: Option<u64>,
    overdue_after: Option<Duration>,
}

impl<'a> TaskBuilder<'a> {
    pub(super) fn new(scheduler: &'a Scheduler, name: String, interval: Duration) -> Self {
        Self {
            scheduler,
            name,
            interval,
            first: First::After(interval),
            jitter: Duration::ZERO,
            seed: None,
            overdue_after: None,
        }
    }

    /// It runs first at once.
    pub fn run_at_once(self) -> Self {
        self.run_first_after(Duration::ZERO)
    }

    /// It runs first after `delay`.
    pub fn run_first_after(mut self, delay: Duration) -> Self {
        self.first = First::After(delay);
        self
    }

    /// It runs first after a random part of the interval, so that many processes that start together don't work together.
    pub fn start_at_random(mut self) -> Self {
        self.first = First::Random;
        self
    }

    /// Each run is put off by a random time shorter than `most`, which is no longer than the interval. It doesn't add up.
    pub fn jitter(mut self, most: Duration) -> Self {
        self.jitter = most;
        self
    }

    /// What is random about it is the same for the same seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// A run that takes longer than `limit` is marked while it goes on: in `inferometer_scheduler_run_overdue` and in
    /// [`TaskStatus`](super::TaskStatus). It isn't ended: a thread can't be.
    pub fn overdue_after(mut self, limit: Duration) -> Self {
        self.overdue_after = Some(limit);
        self
    }

    /// Schedules `task` on a thread of its own, which bears the task's name (Linux shows 15 bytes of it).
    ///
    /// One run is made at a time. A panic ends the run and not the task.
    ///
    /// # Errors
    /// See [`ScheduleError`]: what it says is refused, the name is taken, the scheduler is full or stopped, or there is no thread.
    pub fn start<R: TaskResult>(
        self,
        task: impl FnMut() -> R + Send + 'static,
    ) -> Result<TaskHandle, ScheduleError> {
        let ticks = self.ticks(Instant::now())?;
        let handle = TaskHandle(self.admit()?);
        thread::start(Arc::clone(&handle.0), ticks, task).map_err(|source| {
            ScheduleError::Thread {
                name: self.name,
                source,
            }
        })?;
        Ok(handle)
    }

    /// Schedules the futures that `task` makes on the Tokio runtime that this is called in.
    ///
    /// One run is made at a time. A panic ends the run and not the task. Its times are the runtime's: under a paused clock, that
    /// clock's.
    ///
    /// # Errors
    /// As [`start`](Self::start); and when there is no runtime here, or it has no timers.
    #[cfg(feature = "tokio")]
    pub fn start_async<R, F>(
        self,
        task: impl FnMut() -> F + Send + 'static,
    ) -> Result<TaskHandle, ScheduleError>
    where
        R: TaskResult + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => self.start_on(&runtime, task),
            Err(_) => Err(ScheduleError::NoRuntime { name: self.name }),
        }
    }

    /// As [`start_async`](Self::start_async), on a runtime that is given.
    ///
    /// # Errors
    /// As there.
    #[cfg(feature = "tokio")]
    pub fn start_on<R, F>(
        self,
        runtime: &tokio::runtime::Handle,
        task: impl FnMut() -> F + Send + 'static,
    ) -> Result<TaskHandle, ScheduleError>
    where
        R: TaskResult + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        let Some(now) = runtime::now(runtime) else {
            return Err(ScheduleError::NoTimers { name: self.name });
        };
        let ticks = self.ticks(now)?;
        let handle = TaskHandle(self.admit()?);
        runtime::start(runtime, Arc::clone(&handle.0), ticks, task);
        Ok(handle)
    }

    /// The task's times, if they can be kept.
    fn ticks(&self, now: Instant) -> Result<Ticks, ScheduleError> {
        let Self {
            interval, jitter, ..
        } = *self;
        let name = || self.name.clone();
        if interval.is_zero() || interval > MAX_INTERVAL {
            return Err(ScheduleError::Interval {
                name: name(),
                interval,
            });
        }
        if let First::After(delay) = self.first
            && delay > MAX_INTERVAL
        {
            return Err(ScheduleError::Delay {
                name: name(),
                delay,
            });
        }
        if jitter > interval {
            return Err(ScheduleError::Jitter {
                name: name(),
                jitter,
                interval,
            });
        }
        if self.overdue_after.is_some_and(|limit| limit.is_zero()) {
            return Err(ScheduleError::Limit { name: name() });
        }
        let random = self.seed.map_or_else(Rng::new, Rng::with_seed);
        Ok(Ticks::new(interval, self.first, jitter, random, now))
    }

    fn admit(&self) -> Result<Arc<Task>, ScheduleError> {
        let name = &self.name;
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(char::is_control) {
            return Err(ScheduleError::Name { name: name.clone() });
        }
        let roster = &self.scheduler.inner.roster;
        let task = roster.admit(name, |name, number| {
            Task::new(name, number, self.interval, self.overdue_after, roster)
        })?;
        task.show();
        Ok(task)
    }
}
