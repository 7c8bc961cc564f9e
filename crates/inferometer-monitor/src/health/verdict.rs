//! What a check finds.

use std::fmt::Display;

use inferometer::sample::health::HealthState;

use crate::scheduler::outcome::shortened;

/// How a check found its component, and why it isn't healthy, if it isn't.
///
/// Reasons are shown to whoever may read the detail of a service's health, and cut off at 1,000 bytes: keep secrets out of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub(super) state: HealthState,
    pub(super) reason: Option<String>,
}

impl Verdict {
    /// It does its work.
    pub fn healthy() -> Self {
        Self {
            state: HealthState::Healthy,
            reason: None,
        }
    }

    /// It does its work, but not as it should.
    pub fn degraded(reason: impl Into<String>) -> Self {
        Self::new(HealthState::Degraded, reason.into())
    }

    /// It doesn't do its work.
    pub fn unhealthy(reason: impl Into<String>) -> Self {
        Self::new(HealthState::Unhealthy, reason.into())
    }

    /// It has work in hand, and nothing of it moves.
    pub fn stalled(reason: impl Into<String>) -> Self {
        Self::new(HealthState::Stalled, reason.into())
    }

    /// It can't be told.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self::new(HealthState::Unknown, reason.into())
    }

    fn new(state: HealthState, reason: String) -> Self {
        Self {
            state,
            reason: Some(shortened(reason)),
        }
    }

    /// How it is.
    pub fn state(&self) -> HealthState {
        self.state
    }

    /// Why it isn't healthy; `None` if it is.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

/// What a check may return: nothing (it is healthy), a [`Verdict`], or a `Result` whose error says why it is unhealthy.
///
/// # Examples
/// ```
/// use inferometer_monitor::health::{CheckResult, Verdict};
///
/// assert_eq!(().verdict(), Verdict::healthy());
/// assert_eq!(Err::<(), _>("connection refused").verdict(), Verdict::unhealthy("connection refused"));
/// let slow: Result<Verdict, String> = Ok(Verdict::degraded("one replica of three is left"));
/// assert_eq!(slow.verdict().reason(), Some("one replica of three is left"));
/// ```
pub trait CheckResult {
    /// What was found.
    fn verdict(self) -> Verdict;
}

impl CheckResult for () {
    fn verdict(self) -> Verdict {
        Verdict::healthy()
    }
}

impl CheckResult for Verdict {
    fn verdict(self) -> Verdict {
        self
    }
}

impl<T: CheckResult, E: Display> CheckResult for Result<T, E> {
    fn verdict(self) -> Verdict {
        match self {
            Ok(found) => found.verdict(),
            Err(error) => Verdict::unhealthy(format!("{error:#}")),
        }
    }
}
