//! What goes leaves nothing behind.

use inferometer::sample::health::HealthState;
use inferometer_monitor::health::Health;

use super::{HOUR, checks, health, scraped};
use crate::scheduler::{PATIENCE, sample, wait_until};

#[test]
fn when_the_scheduler_stops_no_gauge_is_left_that_nobody_sets() {
    let (registry, scheduler, health) = health();
    health
        .component("gpu")
        .timeout(HOUR)
        .cache(HOUR)
        .check(|| ())
        .unwrap();
    wait_until("it is known", || {
        scraped(&registry, "gpu") == Some(HealthState::Healthy)
    });
    scheduler.stop(PATIENCE).unwrap();
    assert_eq!(scraped(&registry, "gpu"), None);
    let since = "inferometer_health_state_since_timestamp_seconds";
    assert_eq!(sample(&registry, since, r#"component="gpu""#), None);
    assert_eq!(
        checks(&registry, "gpu", "healthy"),
        Some(1.0),
        "counters stay"
    );
    let refused = health
        .component("model")
        .check(|| ())
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("the scheduler has been stopped"),
        "{refused}"
    );
    assert_eq!(health.state("model"), None);
}

#[test]
fn the_last_clone_dropped_ends_the_checks_and_leaves_the_scrape() {
    let (registry, scheduler, health) = health();
    health.component("gpu").timeout(HOUR).check(|| ()).unwrap();
    let clone = health.clone();
    drop(health);
    wait_until("it is known", || clone.ready().is_ok());
    assert_eq!(sample(&registry, "inferometer_health_ready", ""), Some(1.0));
    drop(clone);
    wait_until("nothing runs any more", || scheduler.tasks().is_empty());
    let page = registry.encode_text();
    let left: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("inferometer_health_"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let again = Health::new(&registry, &scheduler).unwrap_err().to_string();
    assert!(again.contains("a registry has one health"), "{again}");
}
