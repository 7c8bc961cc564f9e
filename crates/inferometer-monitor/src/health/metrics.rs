//! What health shows in the scrape under names of its own.

use std::time::Duration;

use inferometer::{
    Counter, Gauge, Histogram, IntGauge, LabelSet, LabelValue, MetricSet, StateSet, buckets,
    sample::health::{ByComponent, HealthObserver, HealthSample, HealthState, MAX_COMPONENTS},
};

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, LabelValue)]
pub(super) enum Outcome {
    Healthy,
    Degraded,
    Unhealthy,
    Stalled,
    Unknown,
    TimedOut,
    Panicked,
}

impl Outcome {
    const ALL: [Self; 7] = [
        Self::Healthy,
        Self::Degraded,
        Self::Unhealthy,
        Self::Stalled,
        Self::Unknown,
        Self::TimedOut,
        Self::Panicked,
    ];

    pub(super) fn of(state: HealthState) -> Self {
        match state {
            HealthState::Healthy => Self::Healthy,
            HealthState::Degraded => Self::Degraded,
            HealthState::Unhealthy => Self::Unhealthy,
            HealthState::Stalled => Self::Stalled,
            HealthState::Unknown => Self::Unknown,
        }
    }
}

#[derive(Clone, Copy, Debug, LabelSet)]
pub(super) struct ByCheck<'a> {
    #[label(limit = MAX_COMPONENTS)]
    component: &'a str,
    outcome: Outcome,
}

/// The metrics of health itself.
#[derive(Debug, MetricSet)]
#[metrics(namespace = "inferometer_health")]
pub(super) struct Metrics {
    /// Whether the service should be let live: 1, or 0 when something that gates liveness is unhealthy or stalled.
    pub(super) live: IntGauge,
    /// Whether the service is ready for requests: 1, or 0 when something that gates readiness doesn't work or isn't known to.
    pub(super) ready: IntGauge,
    /// How a component is.
    #[metric(name = "inferometer_health_state")]
    state: StateSet<HealthState, ByComponent<'static>>,
    /// Since when a component is as it is.
    #[metric(
        name = "inferometer_health_state_since_timestamp_seconds",
        unit = "seconds"
    )]
    since: Gauge<ByComponent<'static>>,
    /// When somebody last finished looking at a component; absent until somebody has.
    #[metric(
        name = "inferometer_health_last_check_timestamp_seconds",
        unit = "seconds"
    )]
    last_check: Gauge<ByComponent<'static>>,
    /// Checks, by what came of them; one that takes too long is counted when it does, and not again when it ends.
    checks: Counter<ByCheck<'static>>,
    /// Time that a check took that ended.
    #[metric(unit = "seconds", buckets = buckets::QUEUE_WAIT)]
    check_duration: Histogram<ByComponent<'static>>,
}

impl Metrics {
    /// The series of a component's checks begin at 0.
    pub(super) fn prepare(&self, component: &str) {
        for outcome in Outcome::ALL {
            self.checks.with(ByCheck { component, outcome }).add(0);
        }
        drop(self.check_duration.with(ByComponent { component }));
    }

    pub(super) fn counted(&self, component: &str, outcome: Outcome) {
        self.checks.with(ByCheck { component, outcome }).inc();
    }

    pub(super) fn took(&self, component: &str, took: Duration) {
        let series = self.check_duration.with(ByComponent { component });
        series.observe_duration(took);
    }

    /// Takes a component out of the scrape.
    pub(super) fn forget(&self, component: &str) {
        self.gone(component);
        for outcome in Outcome::ALL {
            self.checks.remove(ByCheck { component, outcome });
        }
        self.check_duration.remove(ByComponent { component });
    }
}

impl HealthObserver for Metrics {
    fn observed(&self, sample: &HealthSample<'_>) {
        let component = sample.component;
        let by = ByComponent { component };
        self.state.with(by).set(sample.state);
        self.since.with(by).set(sample.since);
        if let Some(checked) = sample.checked {
            self.last_check.with(by).set(checked);
        }
    }

    /// What was counted stays.
    fn gone(&self, component: &str) {
        let by = ByComponent { component };
        self.state.remove(by);
        self.since.remove(by);
        self.last_check.remove(by);
    }
}
