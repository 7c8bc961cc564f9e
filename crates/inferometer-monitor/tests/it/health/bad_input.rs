//! What is refused, and what the refusal says.

use std::time::Duration;

use inferometer::{
    Registry,
    sample::health::{HealthState, MAX_COMPONENTS},
};
use inferometer_monitor::{
    health::{Health, HealthError, Verdict},
    scheduler::Scheduler,
};

use super::{HOUR, health};
use crate::scheduler::{PATIENCE, wait_until};

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, HealthError>, says: &str) {
    let text = result.unwrap_err().to_string();
    assert!(text.contains(says), "{text:?} doesn't say {says:?}");
}

#[test]
fn names_and_times_out_of_bounds_are_refused_and_leave_nothing_behind() {
    let (registry, scheduler, health) = health();
    for name in ["", "a\nb", &"x".repeat(65)] {
        refused(
            health.component(name).check(|| ()),
            "a name has 1 to 64 bytes",
        );
        refused(
            health.component(name).reported(),
            "a name has 1 to 64 bytes",
        );
    }
    let gpu = || health.component("gpu");
    let zero = Duration::ZERO;
    refused(
        gpu().timeout(zero).check(|| ()),
        "component `gpu`: its timeout is 0ns",
    );
    refused(gpu().cache(zero).check(|| ()), "its cache time is 0ns");
    refused(gpu().cache(Duration::MAX).check(|| ()), "at most 366 days");
    refused(
        gpu().believed_for(zero).check(|| ()),
        "its time to be believed is 0ns",
    );
    refused(
        gpu().stalled_after(zero, Default::default),
        "its limit is 0ns",
    );
    assert!(health.report().components.is_empty());
    assert_eq!(scheduler.tasks().len(), 1);
    assert!(!registry.encode_text().contains(r#"component=""#));
}

#[test]
fn a_name_that_is_taken_is_refused_and_its_owner_stays() {
    let (_registry, _scheduler, health) = health();
    let model = health.component("model").reported().unwrap();
    model.set(Verdict::healthy());
    refused(
        health.component("model").check(|| ()),
        "`model`: one of this name is watched already",
    );
    assert_eq!(health.state("model"), Some(HealthState::Healthy));
}

#[test]
fn one_component_too_many_is_refused_until_another_goes() {
    let (registry, _scheduler, health) = health();
    for number in 0..MAX_COMPONENTS {
        health
            .component(format!("part {number}"))
            .reported()
            .unwrap();
    }
    refused(health.component("more").reported(), "there are 64 already");
    assert!(health.remove("part 7"));
    health.component("more").reported().unwrap();
    assert!(!registry.encode_text().contains(r#"component="other""#));
}

#[test]
fn a_component_may_have_any_printable_name() {
    let (_registry, _scheduler, health) = health();
    let names = ["watch", "health", "Datenbank \"süd\"", "other"];
    for name in names {
        health.component(name).timeout(HOUR).check(|| ()).unwrap();
    }
    wait_until("all are known", || health.ready().is_ok());
}

#[test]
fn a_scheduler_that_is_stopped_makes_no_health() {
    let registry = Registry::new();
    let scheduler = Scheduler::new(&registry).unwrap();
    scheduler.stop(PATIENCE).unwrap();
    let refused = Health::new(&registry, &scheduler).unwrap_err().to_string();
    assert!(
        refused.contains("the scheduler has been stopped"),
        "{refused}"
    );
}
