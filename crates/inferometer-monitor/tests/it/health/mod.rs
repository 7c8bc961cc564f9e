//! The health of components, held to what it promises.

mod bad_input;
mod checks;
mod hung;
mod leaving;
mod report;
#[cfg(feature = "tokio")]
mod runtime;
mod stall;
mod views;

use std::time::Duration;

use inferometer::{Registry, sample::health::HealthState};
use inferometer_monitor::{health::Health, scheduler::Scheduler};

use crate::scheduler::sample;

const SOON: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// Health that looks each millisecond.
fn health() -> (Registry, Scheduler, Health) {
    let registry = Registry::new();
    let scheduler = Scheduler::new(&registry).unwrap();
    let health = Health::watching_every(SOON, &registry, &scheduler).unwrap();
    (registry, scheduler, health)
}

/// Why the component isn't healthy.
fn reason(health: &Health, component: &str) -> Option<String> {
    let report = health.report();
    let mut components = report.components.into_iter();
    components.find(|one| one.component == component)?.reason
}

/// The state that the scrape shows.
fn scraped(registry: &Registry, component: &str) -> Option<HealthState> {
    HealthState::ALL.into_iter().find(|state| {
        let state = state.as_str();
        let labels = format!(r#"component="{component}",inferometer_health_state="{state}""#);
        sample(registry, "inferometer_health_state", &labels) == Some(1.0)
    })
}

/// How many checks came out so.
fn checks(registry: &Registry, component: &str, outcome: &str) -> Option<f64> {
    let labels = format!(r#"component="{component}",outcome="{outcome}""#);
    sample(registry, "inferometer_health_checks_total", &labels)
}
