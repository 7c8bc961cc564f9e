//! What is refused, and what the refusal says.

use std::time::Duration;

use inferometer::Registry;
use inferometer_monitor::scheduler::{
    MAX_INTERVAL, MAX_NAME_BYTES, MAX_TASKS, ScheduleError, Scheduler, TaskHandle,
};

use super::scheduler;

const SECOND: Duration = Duration::from_secs(1);

#[track_caller]
fn refused(result: Result<TaskHandle, ScheduleError>, says: &str) {
    let text = result.unwrap_err().to_string();
    assert!(text.contains(says), "{text:?} doesn't say {says:?}");
}

#[test]
fn intervals_and_delays_out_of_bounds_are_refused() {
    let (_registry, scheduler) = scheduler();
    let at = |interval| scheduler.schedule_task("gpu", interval, || ());
    refused(
        at(Duration::ZERO),
        "task `gpu` at an interval of 0ns: it is more than zero",
    );
    refused(at(Duration::MAX), "at most 31622400s");
    let first = scheduler.task("gpu", SECOND).run_first_after(Duration::MAX);
    refused(first.start(|| ()), "to run first after");
    let jitter = scheduler.task("gpu", SECOND).jitter(SECOND * 2);
    refused(
        jitter.start(|| ()),
        "a jitter of 2s: it would reach beyond the next run, 1s later",
    );
    let limit = scheduler.task("gpu", SECOND).overdue_after(Duration::ZERO);
    refused(limit.start(|| ()), "overdue at once");
    assert!(
        scheduler.tasks().is_empty(),
        "what is refused leaves nothing behind"
    );
}

#[test]
fn names_that_are_none_are_refused() {
    let (registry, scheduler) = scheduler();
    for name in ["", "a\0b", "two\nlines", &"x".repeat(MAX_NAME_BYTES + 1)] {
        refused(
            scheduler.schedule_task(name, SECOND, || ()),
            "a name has 1 to 100 bytes",
        );
    }
    scheduler
        .schedule_task("x".repeat(MAX_NAME_BYTES), SECOND, || ())
        .unwrap();
    scheduler
        .schedule_task("naïve \"quoted\"", SECOND, || ())
        .unwrap();
    assert!(
        registry
            .encode_text()
            .contains(r#"task="naïve \"quoted\"""#)
    );
}

#[test]
fn a_name_that_is_taken_is_refused_and_its_owner_goes_on() {
    let (_registry, scheduler) = scheduler();
    let owner = scheduler.schedule_task("gpu", SECOND, || ()).unwrap();
    refused(
        scheduler.schedule_task("gpu", SECOND, || ()),
        "can't schedule task `gpu`: a task of this name is scheduled already",
    );
    assert!(owner.status().scheduled);
    assert_eq!(scheduler.tasks().len(), 1);
}

#[test]
fn one_task_too_many_is_refused_until_another_is_cancelled() {
    let (registry, scheduler) = scheduler();
    let tasks: Vec<_> = (0..MAX_TASKS)
        .map(|number| {
            let name = format!("task {number}");
            scheduler.schedule_task(name, MAX_INTERVAL, || ()).unwrap()
        })
        .collect();
    let more = || scheduler.schedule_task("more", MAX_INTERVAL, || ());
    refused(more(), "there are 256 tasks already");
    tasks[3].cancel();
    more().unwrap();
    assert!(!registry.encode_text().contains(r#"task="other""#));
}

#[test]
fn a_registry_has_one_scheduler_and_several_registries_have_one_each() {
    let (registry, _scheduler) = scheduler();
    let text = Scheduler::new(&registry).unwrap_err().to_string();
    assert!(text.contains("inferometer_scheduler_tasks") && text.contains("declared already"));
    Scheduler::new(&Registry::new()).unwrap();
}
