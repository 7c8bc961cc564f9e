//! Checks that hang.
//!
//! The gate is opened by the thread that asks. An answer that waited for the check would wait for ever.

use std::{sync::Arc, time::Duration};

use inferometer::sample::health::HealthState;
use inferometer_catalog::{predict::health::ApiHealth, vla::health::ApplicationHealth};

use super::{HOUR, SOON, checks, health, reason, scraped};
use crate::scheduler::{Gate, sample, wait_until};

#[test]
fn every_answer_comes_while_a_check_hangs_and_says_so() {
    let (registry, _scheduler, health) = health();
    let vla: ApplicationHealth = registry.register().unwrap();
    let predict: ApiHealth = registry.register().unwrap();
    health.observe(Arc::new(vla));
    health.observe(Arc::new(predict));
    let gate = Gate::closed();
    let inside = Arc::clone(&gate);
    let hung = health.component("gpu").timeout(SOON * 5).cache(SOON);
    hung.check(move || inside.pass()).unwrap();
    health
        .component("model")
        .cache(SOON)
        .timeout(HOUR)
        .check(|| ())
        .unwrap();
    gate.wait_for(1);

    for _ in 0..100 {
        let report = health.report();
        assert_eq!(report.components.len(), 2);
        assert!(health.live().is_ok());
        assert!(health.ready().is_err(), "unknown, and then unhealthy");
        assert!(health.state("gpu").is_some());
        assert!(!registry.encode_text().is_empty());
        health.component("queue").reported().unwrap();
        assert!(health.remove("queue"));
    }
    wait_until("the answers say that it timed out", || {
        health.state("gpu") == Some(HealthState::Unhealthy)
    });
    assert_eq!(
        reason(&health, "gpu").as_deref(),
        Some("timed out after 5ms")
    );
    wait_until("the scrape says it, too", || {
        scraped(&registry, "gpu") == Some(HealthState::Unhealthy)
    });
    let labels = r#"component="gpu""#;
    assert_eq!(
        sample(&registry, "vla_application_health", labels),
        Some(0.0)
    );
    assert_eq!(sample(&registry, "api_health_status", labels), Some(0.0));
    assert_eq!(sample(&registry, "inferometer_health_ready", ""), Some(0.0));
    assert_eq!(sample(&registry, "inferometer_health_live", ""), Some(1.0));
    assert_eq!(checks(&registry, "gpu", "timed_out"), Some(1.0));

    let before = checks(&registry, "model", "healthy");
    wait_until("the other is checked ten times more", || {
        checks(&registry, "model", "healthy") > before.map(|count| count + 10.0)
    });
    assert_eq!(health.state("model"), Some(HealthState::Healthy));
    assert_eq!(gate.entered(), 1, "one check of a component at a time");
    assert_eq!(
        checks(&registry, "gpu", "timed_out"),
        Some(1.0),
        "counted once"
    );

    gate.open();
    wait_until("the next check finds it well", || {
        health.state("gpu") == Some(HealthState::Healthy)
    });
}

#[test]
fn a_check_that_ends_after_its_timeout_is_no_good_news() {
    let (registry, _scheduler, health) = health();
    let gate = Gate::closed();
    let inside = Arc::clone(&gate);
    let slow = health.component("database").timeout(SOON).cache(HOUR);
    slow.check(move || inside.pass()).unwrap();
    gate.wait_for(1);
    wait_until("it has timed out and is counted", || {
        checks(&registry, "database", "timed_out") == Some(1.0)
    });
    gate.open();
    let duration = || {
        let name = "inferometer_health_check_duration_seconds_count";
        sample(&registry, name, r#"component="database""#)
    };
    wait_until("it has ended", || duration() == Some(1.0));
    assert_eq!(health.state("database"), Some(HealthState::Unhealthy));
    let report = &health.report().components[0];
    assert_eq!(report.reason.as_deref(), Some("timed out after 1ms"));
    assert!(report.duration_seconds > Some(SOON.as_secs_f64()));
    assert_eq!(report.running_seconds, None);
    assert_eq!(checks(&registry, "database", "healthy"), Some(0.0));
    let counted = checks(&registry, "database", "timed_out");
    assert_eq!(counted, Some(1.0), "not again when it ended");
}

#[test]
fn a_hung_check_that_is_removed_and_ends_later_brings_nothing_back() {
    let (registry, scheduler, health) = health();
    let gate = Gate::closed();
    let inside = Arc::clone(&gate);
    let add = |gate: Arc<Gate>| {
        let gpu = health.component("gpu").timeout(SOON).cache(HOUR);
        gpu.check(move || gate.pass())
    };
    add(inside).unwrap();
    gate.wait_for(1);
    assert!(health.remove("gpu"));
    assert!(!health.remove("gpu"));
    assert_eq!(health.state("gpu"), None);
    assert!(!registry.encode_text().contains(r#"component="gpu""#));

    let refused = add(Gate::closed()).unwrap_err().to_string();
    assert!(
        refused.contains("`health_gpu`") && refused.contains("its last run hasn't ended"),
        "{refused}"
    );
    assert_eq!(health.state("gpu"), None, "what is refused isn't watched");

    gate.open();
    wait_until("the check has ended", || scheduler.tasks().len() == 1);
    assert!(!registry.encode_text().contains(r#"component="gpu""#));
    add(gate).unwrap();
    wait_until("it is watched anew", || {
        health.state("gpu") == Some(HealthState::Healthy)
    });
}

#[test]
fn a_result_that_nobody_renews_is_not_believed_for_ever() {
    let (registry, _scheduler, health) = health();
    let gate = Gate::closed();
    let inside = Arc::clone(&gate);
    gate.let_one();
    let check = health.component("redis").cache(SOON).timeout(HOUR);
    let check = check.believed_for(Duration::from_millis(20));
    check.check(move || inside.pass()).unwrap();
    wait_until("one check has ended and one hangs", || gate.entered() == 2);
    wait_until("it isn't known any more", || {
        scraped(&registry, "redis") == Some(HealthState::Unknown)
    });
    let reason = reason(&health, "redis").unwrap();
    assert!(
        reason.starts_with("healthy when last checked, "),
        "{reason}"
    );
    assert!(health.ready().is_err());
    gate.open();
    wait_until("it is known again", || health.ready().is_ok());
}
