//! Tasks that have a thread.

use std::{
    fs,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use inferometer_monitor::scheduler::{MAX_INTERVAL, RunOutcome, ScheduleError};

use super::{Gate, PATIENCE, sample, scheduler, wait_until};

const SOON: Duration = Duration::from_millis(1);

#[test]
fn a_late_run_piles_nothing_up_and_what_it_missed_is_counted() {
    let (registry, scheduler) = scheduler();
    let gate = Gate::closed();
    let scheduled = Instant::now();
    let task = {
        let gate = Arc::clone(&gate);
        scheduler
            .schedule_task("late", SOON, move || gate.pass())
            .unwrap()
    };
    gate.wait_for(1);
    let began = Instant::now();
    wait_until("twenty intervals have passed", || {
        began.elapsed() > SOON * 20
    });
    assert_eq!(gate.entered(), 1, "one run at a time");
    gate.let_one();
    gate.wait_for(2);
    let status = task.status();
    assert_eq!(status.runs.ok, 1);
    assert!(status.runs.skipped >= 19, "{status:?}");

    gate.open();
    wait_until("more runs have ended", || task.status().runs.ok > 20);
    scheduler.stop(PATIENCE).unwrap();
    let runs = task.status().runs;
    let points = scheduled.elapsed().as_millis() + 1;
    assert!(
        u128::from(runs.ended() + runs.skipped) <= points,
        "each time was run or skipped, none twice: {runs:?} in {points} intervals"
    );
    #[expect(clippy::cast_precision_loss, reason = "a test makes few runs")]
    let expected = (Some(runs.ok as f64), Some(runs.skipped as f64));
    let ok = r#"task="late",outcome="ok""#;
    assert_eq!(
        (
            sample(&registry, "inferometer_scheduler_runs_total", ok),
            sample(
                &registry,
                "inferometer_scheduler_runs_skipped_total",
                r#"task="late""#
            )
        ),
        expected
    );
}

#[test]
fn a_task_that_hangs_delays_no_other() {
    let (_registry, scheduler) = scheduler();
    let gate = Gate::closed();
    let hung = Arc::clone(&gate);
    scheduler
        .schedule_task("hung", SOON, move || hung.pass())
        .unwrap();
    gate.wait_for(1);
    let other = scheduler.schedule_task("other", SOON, || ()).unwrap();
    wait_until("the other runs", || other.status().runs.ok >= 5);
    assert_eq!(gate.entered(), 1);
    gate.open();
}

#[test]
fn a_task_that_panics_every_time_keeps_being_run() {
    let (registry, scheduler) = scheduler();
    let mut runs = 0;
    let task = scheduler
        .schedule_task("broken", SOON, move || {
            runs += 1;
            assert!(runs == 0, "for the {runs}th time");
        })
        .unwrap();
    wait_until("it has panicked five times", || {
        task.status().runs.panicked >= 5
    });
    scheduler.stop(PATIENCE).unwrap();
    let status = task.status();
    let panicked = status.runs.panicked;
    let last = status.last_error.unwrap();
    assert_eq!(last.outcome, RunOutcome::Panicked);
    assert_eq!(last.message, format!("panicked: for the {panicked}th time"));
    assert!(last.timestamp_seconds > 1.6e9);
    assert_eq!(status.last_success_timestamp_seconds, None);
    #[expect(clippy::cast_precision_loss, reason = "a test makes few runs")]
    let expected = Some(panicked as f64);
    let labels = r#"task="broken",outcome="panicked""#;
    assert_eq!(
        sample(&registry, "inferometer_scheduler_runs_total", labels),
        expected
    );
    let labels = r#"task="broken""#;
    let never = "inferometer_scheduler_last_success_timestamp_seconds";
    assert_eq!(sample(&registry, never, labels), None);
    assert_eq!(
        sample(&registry, "inferometer_scheduler_running", labels),
        Some(0.0)
    );
}

#[test]
fn a_failure_is_counted_and_can_be_read_and_a_later_success_is_stamped() {
    let (registry, scheduler) = scheduler();
    let gate = Gate::closed();
    let (answers, answer) = mpsc::channel();
    let inside = Arc::clone(&gate);
    let task = scheduler
        .schedule_task("sometimes", SOON, move || -> Result<(), String> {
            inside.pass();
            answer.recv().unwrap()
        })
        .unwrap();
    gate.open();
    answers.send(Err("the disk is full".to_owned())).unwrap();
    wait_until("it has failed", || task.status().runs.failed == 1);
    let status = task.status();
    assert_eq!(status.last_error.unwrap().message, "the disk is full");
    assert_eq!(status.last_success_timestamp_seconds, None);

    answers.send(Ok(())).unwrap();
    wait_until("it has worked", || task.status().runs.ok == 1);
    let status = task.status();
    let at = status.last_success_timestamp_seconds.unwrap();
    let name = "inferometer_scheduler_last_success_timestamp_seconds";
    assert_eq!(sample(&registry, name, r#"task="sometimes""#), Some(at));
    assert!(status.last_error.is_some(), "the last error stays readable");
    task.cancel();
    answers.send(Ok(())).unwrap();
    assert!(task.wait(PATIENCE));
}

#[test]
fn a_run_under_way_is_shown_and_marked_when_it_is_overdue() {
    let (registry, scheduler) = scheduler();
    let gate = Gate::closed();
    let inside = Arc::clone(&gate);
    let task = scheduler
        .task("slow", MAX_INTERVAL)
        .run_at_once()
        .overdue_after(SOON)
        .start(move || inside.pass())
        .unwrap();
    let unlimited = scheduler
        .schedule_task("unlimited", MAX_INTERVAL, || ())
        .unwrap();
    let labels = r#"task="slow""#;
    let shown = |name: &str| sample(&registry, name, labels);
    gate.wait_for(1);
    wait_until("it is overdue", || {
        shown("inferometer_scheduler_run_overdue") == Some(1.0)
    });
    assert_eq!(shown("inferometer_scheduler_running"), Some(1.0));
    assert!(task.status().overdue);
    assert!(task.status().running_for.unwrap() > SOON);

    gate.open();
    wait_until("it has ended", || task.status().runs.ok == 1);
    assert_eq!(shown("inferometer_scheduler_run_overdue"), Some(0.0));
    assert_eq!(shown("inferometer_scheduler_running"), Some(0.0));
    assert_eq!(
        shown("inferometer_scheduler_run_duration_seconds_count"),
        Some(1.0)
    );
    assert!(shown("inferometer_scheduler_run_duration_seconds_sum") > Some(SOON.as_secs_f64()));
    assert_eq!(
        shown("inferometer_scheduler_run_lag_seconds_count"),
        Some(1.0)
    );
    assert_eq!(task.status().running_for, None);

    assert!(!unlimited.status().overdue);
    let absent = sample(
        &registry,
        "inferometer_scheduler_run_overdue",
        r#"task="unlimited""#,
    );
    assert_eq!(absent, None);
    assert_eq!(
        sample(&registry, "inferometer_scheduler_tasks", ""),
        Some(2.0)
    );
}

#[test]
fn a_tasks_thread_bears_its_name() {
    let (_registry, scheduler) = scheduler();
    let (names, name) = mpsc::channel();
    scheduler
        .task("gpu", MAX_INTERVAL)
        .run_at_once()
        .start(move || names.send(thread::current().name().map(str::to_owned)))
        .unwrap();
    assert_eq!(name.recv_timeout(PATIENCE).unwrap().as_deref(), Some("gpu"));
}

#[test]
fn a_cancelled_task_that_sleeps_ends_leaves_the_scrape_and_frees_its_name_at_once() {
    let (registry, scheduler) = scheduler();
    let held = Arc::new(());
    let inside = Arc::clone(&held);
    let task = scheduler
        .schedule_task("sleeper", MAX_INTERVAL, move || drop(Arc::clone(&inside)))
        .unwrap();
    let shown = || registry.encode_text().contains(r#"task="sleeper""#);
    assert!(shown());
    task.cancel();
    assert!(!shown());
    let successor = scheduler
        .schedule_task("sleeper", MAX_INTERVAL, || ())
        .unwrap();
    assert!(task.wait(PATIENCE));
    assert_eq!(Arc::strong_count(&held), 1, "what the task held is gone");
    task.cancel();
    assert!(
        shown(),
        "a task cancelled twice takes nothing from its successor"
    );
    assert!(successor.status().scheduled);
    assert!(!task.status().scheduled);
}

#[test]
fn a_cancelled_task_with_a_run_under_way_ends_with_it_and_keeps_its_name_until_then() {
    let (registry, scheduler) = scheduler();
    let gate = Gate::closed();
    let inside = Arc::clone(&gate);
    let task = scheduler
        .schedule_task("busy", SOON, move || inside.pass())
        .unwrap();
    gate.wait_for(1);
    task.cancel();
    assert!(!task.wait(SOON));
    let refused = scheduler.schedule_task("busy", SOON, || ()).unwrap_err();
    assert!(
        matches!(refused, ScheduleError::Duplicate { .. }),
        "{refused}"
    );
    gate.open();
    assert!(task.wait(PATIENCE));
    assert_eq!(gate.entered(), 1, "no run after the cancel");
    assert_eq!(task.status().runs.ok, 1);
    assert!(!registry.encode_text().contains(r#"task="busy""#));
    scheduler.schedule_task("busy", SOON, || ()).unwrap();
}

#[test]
fn thousands_of_schedules_and_cancels_leak_no_thread_and_no_series() {
    let (registry, scheduler) = scheduler();
    for number in 0..3_000 {
        let task = scheduler
            .schedule_task(format!("churn {number}"), MAX_INTERVAL, || ())
            .unwrap();
        task.cancel();
    }
    wait_until("all have ended", || scheduler.tasks().is_empty());
    let left = || {
        let threads = fs::read_dir("/proc/self/task").unwrap();
        threads
            .filter_map(|thread| fs::read_to_string(thread.unwrap().path().join("comm")).ok())
            .filter(|name| name.starts_with("churn"))
            .count()
    };
    wait_until("no thread is left", || left() == 0);
    let page = registry.encode_text();
    assert!(!page.contains("churn"));
    assert!(!page.contains(r#"task="other""#));
    assert_eq!(
        sample(&registry, "inferometer_scheduler_tasks", ""),
        Some(0.0)
    );
}

#[test]
fn threads_that_schedule_and_cancel_the_same_names_at_once_leave_nothing_behind() {
    let (registry, scheduler) = scheduler();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..300 {
                    let name = format!("shared {}", round % 3);
                    // Another thread may have the name at the moment.
                    if let Ok(task) = scheduler.task(name, SOON).run_at_once().start(|| ()) {
                        task.cancel();
                        task.cancel();
                    }
                }
            });
        }
    });
    wait_until("all have ended", || scheduler.tasks().is_empty());
    let page = registry.encode_text();
    let left: Vec<_> = page
        .lines()
        .filter(|line| line.contains("shared"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let tasks = sample(&registry, "inferometer_scheduler_tasks", "");
    assert_eq!(tasks, Some(0.0));
    scheduler
        .schedule_task("shared 0", MAX_INTERVAL, || ())
        .unwrap();
}
