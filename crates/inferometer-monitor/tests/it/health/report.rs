//! What a report says, and what the states of components make of a service.

use inferometer::sample::health::HealthState;
use inferometer_monitor::health::{Gate, Verdict};
use serde_json::Value;

use super::{HOUR, health};
use crate::scheduler::wait_until;

fn verdict(state: HealthState) -> Verdict {
    match state {
        HealthState::Healthy => Verdict::healthy(),
        HealthState::Degraded => Verdict::degraded("so"),
        HealthState::Unhealthy => Verdict::unhealthy("so"),
        HealthState::Stalled => Verdict::stalled("so"),
        HealthState::Unknown => Verdict::unknown("so"),
    }
}

#[test]
fn a_component_makes_the_service_what_its_gate_says() {
    use HealthState::{Degraded, Healthy, Stalled, Unhealthy, Unknown};
    // By gate and state: the service's status, live, ready.
    let table = [
        (Gate::Nothing, Healthy, (Healthy, true, true)),
        (Gate::Nothing, Degraded, (Degraded, true, true)),
        (Gate::Nothing, Unhealthy, (Degraded, true, true)),
        (Gate::Nothing, Stalled, (Degraded, true, true)),
        (Gate::Nothing, Unknown, (Degraded, true, true)),
        (Gate::Readiness, Healthy, (Healthy, true, true)),
        (Gate::Readiness, Degraded, (Degraded, true, true)),
        (Gate::Readiness, Unhealthy, (Unhealthy, true, false)),
        (Gate::Readiness, Stalled, (Stalled, true, false)),
        (Gate::Readiness, Unknown, (Unknown, true, false)),
        (Gate::Liveness, Healthy, (Healthy, true, true)),
        (Gate::Liveness, Degraded, (Degraded, true, true)),
        (Gate::Liveness, Unhealthy, (Unhealthy, false, false)),
        (Gate::Liveness, Stalled, (Stalled, false, false)),
        (Gate::Liveness, Unknown, (Unknown, true, false)),
    ];
    for (gate, state, expected) in table {
        let (_registry, _scheduler, health) = health();
        let well = health.component("well").reported().unwrap();
        well.set(Verdict::healthy());
        let one = health.component("one").gate(gate).reported().unwrap();
        one.set(verdict(state));
        let report = health.report();
        let found = (report.status, report.live, report.ready);
        assert_eq!(found, expected, "{gate:?}, {state:?}");
        assert_eq!(
            (health.live().is_ok(), health.ready().is_ok()),
            (expected.1, expected.2)
        );
    }
}

#[test]
fn a_service_without_components_is_healthy_and_each_that_is_not_is_named() {
    let (_registry, _scheduler, health) = health();
    assert_eq!(health.report().status, HealthState::Healthy);
    assert!(health.live().is_ok() && health.ready().is_ok());
    for (name, verdict) in [
        ("database", Verdict::unhealthy("refused")),
        ("redis", Verdict::healthy()),
        ("queue", Verdict::stalled("3 in flight")),
    ] {
        let gate = Gate::Liveness;
        health
            .component(name)
            .gate(gate)
            .reported()
            .unwrap()
            .set(verdict);
    }
    let expected = "database: unhealthy: refused; queue: stalled: 3 in flight";
    assert_eq!(health.ready().unwrap_err().to_string(), expected);
    assert_eq!(health.live().unwrap_err().to_string(), expected);
    assert_eq!(health.report().status, HealthState::Unhealthy, "the worst");
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn a_reports_shape_is_the_documented_one() {
    let (_registry, _scheduler, health) = health();
    let check = || Verdict::degraded("two of three");
    health
        .component("database")
        .timeout(HOUR)
        .cache(HOUR)
        .check(check)
        .unwrap();
    health
        .component("model")
        .gate(Gate::Nothing)
        .reported()
        .unwrap();
    wait_until("it was checked", || health.ready().is_ok());
    wait_until("the check has ended", || {
        health.report().components[0].running_seconds.is_none()
    });
    let report = serde_json::to_value(health.report()).unwrap();
    assert_eq!(
        keys(&report),
        ["components", "live", "ready", "status", "timestamp_seconds"]
    );
    assert_eq!(
        (&report["status"], &report["ready"]),
        (&"degraded".into(), &true.into())
    );
    let database = &report["components"][0];
    assert_eq!(
        keys(database),
        [
            "age_seconds",
            "checked_timestamp_seconds",
            "component",
            "duration_seconds",
            "gates",
            "reason",
            "since_timestamp_seconds",
            "status"
        ]
    );
    assert_eq!(database["component"], "database");
    assert_eq!(database["status"], "degraded");
    assert_eq!(database["reason"], "two of three");
    assert_eq!(database["gates"], "readiness");
    let number = |name: &str| database[name].as_f64().unwrap();
    let (since, checked) = (
        number("since_timestamp_seconds"),
        number("checked_timestamp_seconds"),
    );
    assert!(since > 1.6e9 && since <= checked);
    let now = report["timestamp_seconds"].as_f64().unwrap();
    let age = number("age_seconds");
    assert!(
        (now - checked - age).abs() < 0.5,
        "{now} - {checked} isn't {age}"
    );
    assert!((0.0..30.0).contains(&number("duration_seconds")));

    let model = &report["components"][1];
    assert_eq!(
        keys(model),
        [
            "component",
            "gates",
            "reason",
            "since_timestamp_seconds",
            "status"
        ]
    );
    assert_eq!(
        (&model["status"], &model["gates"]),
        (&"unknown".into(), &"nothing".into())
    );
}
