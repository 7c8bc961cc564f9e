//! Refusals.

use std::{io, time::Duration};

use thiserror::Error;

use super::{MAX_INTERVAL, MAX_NAME_BYTES, MAX_TASKS};

/// A task that can't be scheduled, and why.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The name is empty, too long, or has control characters.
    #[error(
        "can't schedule a task as {name:?}: a name has 1 to {MAX_NAME_BYTES} bytes and no control characters; give it another"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// A task of this name is there already.
    #[error(
        "can't schedule task `{name}`: a task of this name is scheduled already, or is cancelled and its last run hasn't ended; \
         cancel that one, or choose another name"
    )]
    Duplicate {
        /// The name.
        name: String,
    },
    /// An interval is zero or longer than [`MAX_INTERVAL`].
    #[error(
        "can't schedule task `{name}` at an interval of {interval:?}: it is more than zero and at most {MAX_INTERVAL:?}"
    )]
    Interval {
        /// The task.
        name: String,
        /// Its interval.
        interval: Duration,
    },
    /// The first run is put off for too long.
    #[error(
        "can't schedule task `{name}` to run first after {delay:?}: that is at most {MAX_INTERVAL:?}"
    )]
    Delay {
        /// The task.
        name: String,
        /// The delay.
        delay: Duration,
    },
    /// A jitter is longer than the interval.
    #[error(
        "can't schedule task `{name}` with a jitter of {jitter:?}: it would reach beyond the next run, {interval:?} later; \
         make it shorter than the interval"
    )]
    Jitter {
        /// The task.
        name: String,
        /// Its jitter.
        jitter: Duration,
        /// Its interval.
        interval: Duration,
    },
    /// A limit on the length of a run is zero.
    #[error(
        "can't schedule task `{name}` with runs that are overdue at once: give `overdue_after` more than zero"
    )]
    Limit {
        /// The task.
        name: String,
    },
    /// There are as many tasks as there may be.
    #[error(
        "can't schedule task `{name}`: there are {MAX_TASKS} tasks already; cancel some, or do their work in one"
    )]
    Full {
        /// The task.
        name: String,
    },
    /// The scheduler has been stopped.
    #[error("can't schedule task `{name}`: the scheduler has been stopped; make a new one")]
    Stopped {
        /// The task.
        name: String,
    },
    /// No thread could be started.
    #[error(
        "can't start a thread for task `{name}`: {source}; look at the limits on threads and memory"
    )]
    Thread {
        /// The task.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// There is no async runtime here.
    #[error(
        "can't schedule async task `{name}`: no Tokio runtime runs on this thread; call from within one, or give its handle"
    )]
    NoRuntime {
        /// The task.
        name: String,
    },
    /// The async runtime has no timers.
    #[error(
        "can't schedule async task `{name}`: the Tokio runtime has no timers; build it with `enable_time()`"
    )]
    NoTimers {
        /// The task.
        name: String,
    },
}

/// Tasks that hadn't ended when the wait for them had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the scheduler has been stopped, but after {waited:?} these tasks were still running: {}; each ends with its run",
    tasks.join(", ")
)]
pub struct StillRunning {
    /// Their names, in the order in which they were scheduled.
    pub tasks: Vec<String>,
    /// How long they were waited for.
    pub waited: Duration,
}
