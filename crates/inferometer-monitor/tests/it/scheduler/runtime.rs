//! Tasks that run on a Tokio runtime.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    time::Duration,
};

use inferometer_monitor::scheduler::{MAX_INTERVAL, RunOutcome, ScheduleError};
use tokio::runtime::{Builder, Runtime};

use super::{PATIENCE, sample, scheduler, wait_until};

const SECOND: Duration = Duration::from_secs(1);

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_async_task_runs_at_its_interval_by_the_runtimes_clock() {
    let (_registry, scheduler) = scheduler();
    let task = scheduler
        .task("steady", SECOND)
        .start_async(|| tokio::time::sleep(SECOND / 4))
        .unwrap();
    tokio::time::sleep(SECOND * 21 / 2).await;
    let runs = task.status().runs;
    assert_eq!((runs.ok, runs.skipped), (10, 0));
}

#[tokio::test(start_paused = true)]
async fn an_async_run_that_is_late_skips_what_it_missed() {
    let (_registry, scheduler) = scheduler();
    let task = scheduler
        .task("late", SECOND)
        .run_at_once()
        .start_async(|| tokio::time::sleep(SECOND * 7 / 2))
        .unwrap();
    // Due at 0, 4 and 8 s; under way until 3.5, 7.5 and 11.5 s.
    tokio::time::sleep(SECOND * 49 / 4).await;
    let runs = task.status().runs;
    assert_eq!((runs.ok, runs.skipped), (3, 9));
    assert!(task.status().running_for.is_some(), "the fourth");
}

#[tokio::test(start_paused = true)]
async fn failures_and_panics_of_async_tasks_are_counted_and_end_no_task() {
    let (registry, scheduler) = scheduler();
    let mut runs = 0;
    let task = scheduler
        .task("shaky", SECOND)
        .start_async(move || {
            runs += 1;
            let run = runs;
            assert_ne!(run, 3, "not even a future");
            async move {
                assert_ne!(run, 2, "halfway");
                if run == 1 { Err("no answer") } else { Ok(()) }
            }
        })
        .unwrap();
    tokio::time::sleep(SECOND * 7 / 2).await;
    let status = task.status();
    assert_eq!(
        (status.runs.ok, status.runs.failed, status.runs.panicked),
        (0, 1, 2)
    );
    let last = status.last_error.unwrap();
    assert_eq!(last.outcome, RunOutcome::Panicked);
    assert!(
        last.message.contains("not even a future"),
        "{}",
        last.message
    );
    tokio::time::sleep(SECOND * 2).await;
    assert_eq!(task.status().runs.ok, 2);
    let labels = r#"task="shaky",outcome="panicked""#;
    assert_eq!(
        sample(&registry, "inferometer_scheduler_runs_total", labels),
        Some(2.0)
    );
}

#[test]
fn an_async_task_without_a_runtime_or_without_timers_is_refused() {
    let (_registry, scheduler) = scheduler();
    let refused = scheduler
        .task("lost", SECOND)
        .start_async(|| async {})
        .unwrap_err();
    assert!(matches!(refused, ScheduleError::NoRuntime { .. }));
    assert!(
        refused
            .to_string()
            .contains("async task `lost`: no Tokio runtime")
    );

    let timeless = Builder::new_current_thread().build().unwrap();
    let task = scheduler.task("timeless", SECOND);
    let refused = task.start_on(timeless.handle(), || async {}).unwrap_err();
    assert!(matches!(refused, ScheduleError::NoTimers { .. }));
    assert!(scheduler.tasks().is_empty());
}

#[test]
fn a_stop_names_an_async_task_that_hangs_and_aborts_its_run() {
    let (_registry, scheduler) = scheduler();
    let runtime = runtime();
    let (entered, inside) = mpsc::channel();
    let held = Arc::new(());
    let kept = Arc::clone(&held);
    let task = scheduler
        .task("hung", MAX_INTERVAL)
        .run_at_once()
        .start_on(runtime.handle(), move || {
            let (entered, kept) = (entered.clone(), Arc::clone(&kept));
            async move {
                entered.send(()).unwrap();
                pending::<()>().await;
                drop(kept);
            }
        })
        .unwrap();
    inside.recv_timeout(PATIENCE).unwrap();
    let stuck = scheduler.stop(Duration::from_millis(1)).unwrap_err();
    assert_eq!(stuck.tasks, ["hung"]);
    scheduler.stop(PATIENCE).unwrap();
    assert_eq!(Arc::strong_count(&held), 1, "the run is gone");
    assert_eq!(task.status().last_error.unwrap().message, "aborted");
}

#[test]
fn cancelled_and_stopped_async_tasks_that_sleep_end_at_once() {
    let (registry, scheduler) = scheduler();
    let runtime = runtime();
    let start = |name| {
        let task = scheduler.task(name, MAX_INTERVAL);
        task.start_on(runtime.handle(), || async {}).unwrap()
    };
    let cancelled = start("cancelled");
    cancelled.cancel();
    assert!(!registry.encode_text().contains(r#"task="cancelled""#));
    assert!(cancelled.wait(PATIENCE));
    start("stopped");
    scheduler.stop(PATIENCE).unwrap();
    assert!(registry.encode_text().contains(r#"task="stopped""#));
}

#[test]
fn a_runtime_that_shuts_down_ends_its_tasks_and_frees_their_names() {
    let (registry, scheduler) = scheduler();
    let runtime = runtime();
    let runs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&runs);
    let task = scheduler
        .task("orphan", Duration::from_millis(1))
        .start_on(runtime.handle(), move || {
            counted.fetch_add(1, Relaxed);
            async {}
        })
        .unwrap();
    wait_until("it has run", || runs.load(Relaxed) > 0);
    drop(runtime);
    assert!(task.wait(PATIENCE));
    assert!(!task.status().scheduled);
    assert!(!registry.encode_text().contains(r#"task="orphan""#));
    scheduler.schedule_task("orphan", SECOND, || ()).unwrap();
}

#[test]
fn hundreds_of_async_schedules_and_cancels_leave_nothing_behind() {
    let (registry, scheduler) = scheduler();
    let runtime = runtime();
    let held = Arc::new(());
    for number in 0..500 {
        let kept = Arc::clone(&held);
        let task = scheduler.task(format!("churn {number}"), MAX_INTERVAL);
        let task = task.start_on(runtime.handle(), move || {
            drop(Arc::clone(&kept));
            async {}
        });
        task.unwrap().cancel();
    }
    wait_until("all have ended", || scheduler.tasks().is_empty());
    assert_eq!(Arc::strong_count(&held), 1);
    assert!(!registry.encode_text().contains("churn"));
}
