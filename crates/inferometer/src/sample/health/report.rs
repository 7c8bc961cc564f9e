//! What health says to those who ask.

use std::fmt;

use super::HealthState;

/// What a component's state decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Gate {
    /// Nothing: it is shown, and makes the service degraded at worst.
    Nothing,
    /// Whether the service is ready for requests.
    #[default]
    Readiness,
    /// That, and whether the service should be let live: what only a restart mends.
    Liveness,
}

/// A service's health in detail, at one moment.
///
/// Serialised (feature `serde`), it has this shape, which is stable; names may be added. Times are in seconds, timestamps in seconds since 1970.
///
/// ```json
/// {
///   "status": "unhealthy",
///   "live": true,
///   "ready": false,
///   "timestamp_seconds": 1763726400.5,
///   "components": [
///     {
///       "component": "database",
///       "status": "unhealthy",
///       "reason": "timed out after 2s",
///       "gates": "readiness",
///       "since_timestamp_seconds": 1763726395.0,
///       "checked_timestamp_seconds": 1763726388.0,
///       "age_seconds": 12.5,
///       "duration_seconds": 0.004,
///       "running_seconds": 7.5
///     }
///   ]
/// }
/// ```
///
/// `status` is `healthy`, `degraded`, `unhealthy`, `stalled` or `unknown`. Absent are: `reason` where there is nothing to say;
/// `checked_timestamp_seconds`, `age_seconds` and `duration_seconds` before the first check has ended; `running_seconds` while none is
/// under way.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct HealthReport {
    /// How the service is: as the worst of the components that gate something; degraded if but another isn't healthy.
    #[cfg_attr(feature = "serde", serde(serialize_with = "as_text"))]
    pub status: HealthState,
    /// Whether the service should be let live.
    pub live: bool,
    /// Whether the service is ready for requests.
    pub ready: bool,
    /// When this was said.
    pub timestamp_seconds: f64,
    /// Each component, in the order in which they were added.
    pub components: Vec<ComponentReport>,
}

/// A component's health: see [`HealthReport`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ComponentReport {
    /// Its name.
    pub component: String,
    /// How it is.
    #[cfg_attr(feature = "serde", serde(serialize_with = "as_text"))]
    pub status: HealthState,
    /// Why it isn't healthy.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub reason: Option<String>,
    /// What its state decides.
    pub gates: Gate,
    /// Since when it is so.
    pub since_timestamp_seconds: f64,
    /// When the last check ended.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub checked_timestamp_seconds: Option<f64>,
    /// How long ago that is.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub age_seconds: Option<f64>,
    /// What that check took.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub duration_seconds: Option<f64>,
    /// For how long the check under way has been going.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub running_seconds: Option<f64>,
}

#[cfg(feature = "serde")]
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn as_text<S: serde::Serializer>(state: &HealthState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.as_str())
}

impl ComponentReport {
    /// Whether the service should not be let live for it. What isn't known is no reason to end anybody.
    fn ends_life(&self) -> bool {
        self.gates == Gate::Liveness && self.status.works() == Some(false)
    }

    /// Whether the service isn't ready for it.
    fn bars(&self) -> bool {
        self.gates != Gate::Nothing && self.status.works() != Some(true)
    }
}

impl HealthReport {
    /// Of a service with these components.
    pub fn new(components: Vec<ComponentReport>, timestamp_seconds: f64) -> Self {
        Self {
            status: overall(&components),
            live: Impaired::life(&components).is_ok(),
            ready: Impaired::readiness(&components).is_ok(),
            timestamp_seconds,
            components,
        }
    }
}

/// The status of a service with these components.
fn overall(components: &[ComponentReport]) -> HealthState {
    let worst = [
        HealthState::Unhealthy,
        HealthState::Stalled,
        HealthState::Unknown,
    ]
    .into_iter()
    .find(|state| {
        let mut gating = components.iter().filter(|one| one.gates != Gate::Nothing);
        gating.any(|one| one.status == *state)
    });
    let all_well = || {
        components
            .iter()
            .all(|one| one.status == HealthState::Healthy)
    };
    worst.unwrap_or_else(|| {
        if all_well() {
            HealthState::Healthy
        } else {
            HealthState::Degraded
        }
    })
}

/// Why a service shouldn't be let live, or isn't ready: the components that are the reason.
///
/// It prints as `database: unhealthy: timed out after 2s; model: unknown: not checked yet`.
#[derive(Clone, Debug, PartialEq)]
pub struct Impaired {
    /// The components, at least one.
    pub components: Vec<ComponentReport>,
}

impl Impaired {
    /// Whether any of `components` ends the service's life.
    ///
    /// # Errors
    /// Names those that gate liveness and are unhealthy or stalled. One that isn't known yet is no reason.
    pub fn life(components: &[ComponentReport]) -> Result<(), Self> {
        Self::by(components, ComponentReport::ends_life)
    }

    /// Whether any of `components` keeps the service from being ready.
    ///
    /// # Errors
    /// Names those that gate readiness or liveness and are neither healthy nor degraded.
    pub fn readiness(components: &[ComponentReport]) -> Result<(), Self> {
        Self::by(components, ComponentReport::bars)
    }

    fn by(
        components: &[ComponentReport],
        reason: impl Fn(&ComponentReport) -> bool,
    ) -> Result<(), Self> {
        let components: Vec<_> = components
            .iter()
            .filter(|one| reason(one))
            .cloned()
            .collect();
        if components.is_empty() {
            Ok(())
        } else {
            Err(Self { components })
        }
    }
}

impl fmt::Display for ComponentReport {
    /// As `database: unhealthy: timed out after 2s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.component, self.status.as_str())?;
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Impaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, one) in self.components.iter().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{one}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Impaired {}
