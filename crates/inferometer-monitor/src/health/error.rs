//! Refusals.

use std::time::Duration;

use inferometer::sample::health::MAX_COMPONENTS;
use thiserror::Error;

use super::MAX_NAME_BYTES;
use crate::scheduler::ScheduleError;

/// A component whose health can't be watched, and why.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HealthError {
    /// The name is empty, too long, or has control characters.
    #[error(
        "can't watch a component called {name:?}: a name has 1 to {MAX_NAME_BYTES} bytes and no control characters; give it another"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// A component of this name is watched already.
    #[error(
        "can't watch component `{name}`: one of this name is watched already; remove it, or choose another name"
    )]
    Duplicate {
        /// The name.
        name: String,
    },
    /// There are as many components as there may be.
    #[error(
        "can't watch component `{name}`: there are {MAX_COMPONENTS} already; remove some, or check several in one"
    )]
    Full {
        /// The component.
        name: String,
    },
    /// A timeout, cache time or limit is zero, or beyond what the scheduler takes.
    #[error(
        "can't watch component `{name}`: its {what} is {time:?}; it is more than zero and at most 366 days"
    )]
    Time {
        /// The component.
        name: String,
        /// What is out of bounds.
        what: &'static str,
        /// The time.
        time: Duration,
    },
    /// The scheduler refused the check.
    #[error("can't watch component `{name}`: {source}")]
    Schedule {
        /// The component.
        name: String,
        /// What the scheduler said.
        source: ScheduleError,
    },
}

/// Health that can't be set up, and why.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The metrics can't be declared.
    #[error("can't set up health: {0}; a registry has one health, take a clone of that")]
    Register(#[from] inferometer::RegisterError),
    /// The scheduler refused the watch.
    #[error("can't set up health: {0}")]
    Schedule(#[from] ScheduleError),
}
