//! What checks find, and what comes of it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use inferometer::sample::health::HealthState;
use inferometer_monitor::health::Verdict;

use super::{HOUR, SOON, checks, health, reason, scraped};
use crate::scheduler::{Gate, PATIENCE, sample, wait_until};

#[test]
fn each_thing_that_a_check_may_find_has_its_state_reason_and_count() {
    let cases = [
        ("fine", Verdict::healthy(), HealthState::Healthy, None),
        (
            "slow",
            Verdict::degraded("lag"),
            HealthState::Degraded,
            Some("lag"),
        ),
        (
            "refused",
            Verdict::unhealthy("full"),
            HealthState::Unhealthy,
            Some("full"),
        ),
        (
            "stuck",
            Verdict::stalled("idle"),
            HealthState::Stalled,
            Some("idle"),
        ),
        (
            "vague",
            Verdict::unknown("no key"),
            HealthState::Unknown,
            Some("no key"),
        ),
    ];
    let (registry, _scheduler, health) = health();
    for (name, found, state, why) in cases {
        let check = move || found.clone();
        let component = health.component(name).timeout(HOUR).cache(HOUR);
        component.check(check).unwrap();
        wait_until(name, || {
            checks(&registry, name, state.as_str()) == Some(1.0)
                && scraped(&registry, name) == Some(state)
        });
        assert_eq!(health.state(name), Some(state));
        assert_eq!(reason(&health, name).as_deref(), why, "{name}");
    }
}

#[test]
fn an_error_makes_a_component_unhealthy_and_says_why() {
    let (_registry, _scheduler, health) = health();
    let check = || Err::<(), _>("connection refused");
    health
        .component("redis")
        .timeout(HOUR)
        .check(check)
        .unwrap();
    wait_until("it is unhealthy", || {
        health.state("redis") == Some(HealthState::Unhealthy)
    });
    assert_eq!(
        reason(&health, "redis").as_deref(),
        Some("connection refused")
    );
}

#[test]
fn a_check_that_panics_makes_its_component_unhealthy_and_is_made_again() {
    let (registry, _scheduler, health) = health();
    let count = Arc::new(AtomicU64::new(0));
    let checked = Arc::clone(&count);
    let broken = move || assert!(checked.fetch_add(1, Relaxed) >= 3, "no such table");
    health
        .component("database")
        .timeout(HOUR)
        .cache(SOON)
        .check(broken)
        .unwrap();
    wait_until("it has panicked", || {
        checks(&registry, "database", "panicked") >= Some(1.0)
    });
    wait_until("it is well when the check is", || health.ready().is_ok());
    assert_eq!(checks(&registry, "database", "panicked"), Some(3.0));
    let labels = r#"task="health_database",outcome="panicked""#;
    assert_eq!(
        sample(&registry, "inferometer_scheduler_runs_total", labels),
        Some(3.0)
    );
}

#[test]
fn the_reason_of_a_panic_is_what_it_said() {
    let (_registry, _scheduler, health) = health();
    let broken = || assert_eq!("left", "right", "no such table");
    health
        .component("database")
        .timeout(HOUR)
        .cache(HOUR)
        .check(broken)
        .unwrap();
    wait_until("it has panicked", || {
        health.state("database") == Some(HealthState::Unhealthy)
    });
    let reason = reason(&health, "database").unwrap();
    assert!(
        reason.starts_with("the check panicked: ") && reason.contains("no such table"),
        "{reason}"
    );
}

#[test]
fn nothing_is_known_before_the_first_check_ends() {
    let (registry, _scheduler, health) = health();
    let gate = Gate::closed();
    let inside = Arc::clone(&gate);
    health
        .component("model")
        .timeout(HOUR)
        .check(move || inside.pass())
        .unwrap();
    gate.wait_for(1);
    assert_eq!(scraped(&registry, "model"), Some(HealthState::Unknown));
    let why = health.ready().unwrap_err().to_string();
    assert_eq!(why, "model: unknown: not checked yet");
    let report = health.report();
    assert_eq!(report.status, HealthState::Unknown);
    let model = &report.components[0];
    assert_eq!(
        (
            model.checked_timestamp_seconds,
            model.age_seconds,
            model.duration_seconds
        ),
        (None, None, None)
    );
    assert!(model.running_seconds.is_some());
    let last = "inferometer_health_last_check_timestamp_seconds";
    assert_eq!(sample(&registry, last, r#"component="model""#), None);
    gate.open();
    wait_until("it is known", || health.ready().is_ok());
    assert!(sample(&registry, last, r#"component="model""#) > Some(1.6e9));
}

#[test]
fn asking_makes_no_checks() {
    let (_registry, scheduler, health) = health();
    let gate = Gate::closed();
    gate.open();
    let inside = Arc::clone(&gate);
    health
        .component("gpu")
        .timeout(HOUR)
        .cache(HOUR)
        .check(move || inside.pass())
        .unwrap();
    wait_until("it was checked", || health.ready().is_ok());
    for _ in 0..1_000 {
        assert!(health.ready().is_ok());
    }
    scheduler.stop(PATIENCE).unwrap();
    assert_eq!(gate.entered(), 1);
}
