//! How a scheduler stops.

use std::{sync::Arc, thread, time::Duration};

use inferometer_monitor::scheduler::{MAX_INTERVAL, ScheduleError};

use super::{Gate, PATIENCE, sample, scheduler, wait_until};

const SOON: Duration = Duration::from_millis(1);

#[test]
fn a_stop_wakes_tasks_that_sleep_and_leaves_nothing_behind() {
    let (registry, scheduler) = scheduler();
    let held = Arc::new(());
    for number in 0..20 {
        let inside = Arc::clone(&held);
        scheduler
            .schedule_task(format!("sleeper {number}"), MAX_INTERVAL, move || {
                drop(Arc::clone(&inside));
            })
            .unwrap();
    }
    scheduler.stop(PATIENCE).unwrap();
    assert_eq!(Arc::strong_count(&held), 1, "every thread is through");
    assert!(scheduler.tasks().is_empty());
    assert_eq!(
        sample(&registry, "inferometer_scheduler_tasks", ""),
        Some(0.0)
    );
    scheduler.stop(Duration::ZERO).unwrap();
}

#[test]
fn what_was_counted_before_a_stop_is_still_scraped_and_nothing_is_scheduled_after() {
    let (registry, scheduler) = scheduler();
    let task = scheduler
        .task("once", MAX_INTERVAL)
        .run_at_once()
        .start(|| ())
        .unwrap();
    wait_until("it has run", || task.status().runs.ok == 1);
    scheduler.stop(PATIENCE).unwrap();
    let labels = r#"task="once",outcome="ok""#;
    assert_eq!(
        sample(&registry, "inferometer_scheduler_runs_total", labels),
        Some(1.0)
    );
    let refused = scheduler.schedule_task("more", SOON, || ()).unwrap_err();
    assert!(
        matches!(refused, ScheduleError::Stopped { .. }),
        "{refused}"
    );
}

#[test]
fn a_stop_with_a_stuck_task_returns_and_names_it() {
    let (registry, scheduler) = scheduler();
    let gate = Gate::closed();
    let start = |name| {
        let inside = Arc::clone(&gate);
        let task = scheduler.schedule_task(name, SOON, move || inside.pass());
        task.unwrap()
    };
    start("stuck");
    let cancelled = start("cancelled");
    let sleeper = scheduler
        .schedule_task("sleeper", MAX_INTERVAL, || ())
        .unwrap();
    gate.wait_for(2);
    cancelled.cancel();
    // The gate is closed: had a stop waited for the runs, it would wait for ever.
    wait_until("all others have ended", || {
        scheduler.stop(SOON).unwrap_err().tasks.len() == 2
    });
    assert!(sleeper.wait(Duration::ZERO));
    let bound = Duration::from_millis(20);
    let stuck = scheduler.stop(bound).unwrap_err();
    assert_eq!(stuck.tasks, ["stuck", "cancelled"]);
    assert!(stuck.waited >= bound);
    let text = stuck.to_string();
    assert!(text.contains("still running: stuck, cancelled;"), "{text}");
    let running = || {
        sample(
            &registry,
            "inferometer_scheduler_running",
            r#"task="stuck""#,
        )
    };
    assert_eq!(running(), Some(1.0));

    gate.open();
    scheduler.stop(PATIENCE).unwrap();
    assert_eq!(gate.entered(), 2);
    assert_eq!(running(), Some(0.0));
}

#[test]
fn a_stop_waits_for_a_run_that_ends_in_time() {
    let (_registry, scheduler) = scheduler();
    let gate = Gate::closed();
    let inside = Arc::clone(&gate);
    let task = scheduler
        .schedule_task("short", SOON, move || inside.pass())
        .unwrap();
    gate.wait_for(1);
    let stop = {
        let scheduler = scheduler.clone();
        thread::spawn(move || scheduler.stop(PATIENCE))
    };
    wait_until("the stop has begun", || !task.status().scheduled);
    assert!(!stop.is_finished());
    gate.open();
    stop.join().unwrap().unwrap();
    assert_eq!(task.status().runs.ok, 1);
}

#[test]
fn the_last_clone_dropped_stops_the_tasks_and_waits_for_none() {
    let (_registry, scheduler) = scheduler();
    let clone = scheduler.clone();
    let gate = Gate::closed();
    let inside = Arc::clone(&gate);
    let busy = scheduler
        .schedule_task("busy", SOON, move || inside.pass())
        .unwrap();
    let sleeper = scheduler
        .schedule_task("sleeper", MAX_INTERVAL, || ())
        .unwrap();
    gate.wait_for(1);
    drop(scheduler);
    assert!(busy.status().scheduled, "there is a clone");
    drop(clone);
    assert!(sleeper.wait(PATIENCE));
    assert!(!busy.wait(Duration::ZERO), "the gate is closed");
    gate.open();
    assert!(busy.wait(PATIENCE));
}
