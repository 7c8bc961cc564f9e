//! The health of what a service depends on, as it was found at one moment.

mod report;

use crate::{LabelSet, LabelValue};

pub use report::{ComponentReport, Gate, HealthReport, Impaired};

/// The component that is a database.
pub const DATABASE: &str = "database";
/// The component that is a Redis.
pub const REDIS: &str = "redis";
/// The component that is the machine's GPUs.
pub const GPU: &str = "gpu";
/// The component that is a model.
pub const MODEL: &str = "model";
/// The component that is a queue.
pub const QUEUE: &str = "queue";

/// How many components a service may have.
pub const MAX_COMPONENTS: usize = 64;

/// How a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub enum HealthState {
    /// It does its work.
    Healthy,
    /// It does its work, but not as it should: slower, or with a part of it missing.
    Degraded,
    /// It doesn't do its work, or doesn't answer.
    Unhealthy,
    /// It has work in hand, and nothing of it moves.
    Stalled,
    /// Nobody has looked yet, or not for too long.
    Unknown,
}

impl HealthState {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Healthy,
        Self::Degraded,
        Self::Unhealthy,
        Self::Stalled,
        Self::Unknown,
    ];

    /// Its name, as in a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Stalled => "stalled",
            Self::Unknown => "unknown",
        }
    }

    /// The state for those who know but two: whether the component does its work. `None` while that isn't known.
    ///
    /// # Examples
    /// ```
    /// use inferometer::sample::health::HealthState;
    ///
    /// assert_eq!(HealthState::Degraded.works(), Some(true));
    /// assert_eq!(HealthState::Stalled.works(), Some(false));
    /// assert_eq!(HealthState::Unknown.works(), None);
    /// ```
    pub const fn works(self) -> Option<bool> {
        match self {
            Self::Healthy | Self::Degraded => Some(true),
            Self::Unhealthy | Self::Stalled => Some(false),
            Self::Unknown => None,
        }
    }
}

/// By component.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByComponent<'a> {
    /// The component's name. [`MAX_COMPONENTS`] are told apart.
    #[label(limit = MAX_COMPONENTS)]
    pub component: &'a str,
}

/// What is known of a component at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HealthSample<'a> {
    /// Its name.
    pub component: &'a str,
    /// How it is.
    pub state: HealthState,
    /// Why it isn't healthy, if it isn't.
    pub reason: Option<&'a str>,
    /// Since when it is so, in seconds since 1970.
    pub since: f64,
    /// When somebody last finished looking, in seconds since 1970; `None` if nobody has.
    pub checked: Option<f64>,
}

/// Who wants to be told of a service's health: a set of metrics, for one.
///
/// Its methods are called one at a time for each component, on threads that check health and never on one that answers. They should
/// record and return.
pub trait HealthObserver: Send + Sync + 'static {
    /// A component was found so. It is told again and again, also while nothing changes.
    fn observed(&self, sample: &HealthSample<'_>);

    /// Nobody looks at a component any more.
    fn gone(&self, component: &str);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_states_name_is_its_label() {
        let names: Vec<_> = HealthState::ALL
            .iter()
            .map(|state| state.as_str())
            .collect();
        assert_eq!(HealthState::VALUES.unwrap(), names);
    }
}
