//! Checks on a Tokio runtime.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use inferometer::sample::health::HealthState;
use tokio::runtime::{Builder, Runtime};

use super::{HOUR, SOON, checks, health, reason};
use crate::scheduler::{PATIENCE, wait_until};

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap()
}

#[test]
fn an_async_check_that_hangs_is_dropped_at_its_timeout_and_made_again() {
    let (registry, _scheduler, health) = health();
    let runtime = runtime();
    let held = Arc::new(());
    let hanging = Arc::new(AtomicU64::new(1));
    let (kept, hangs) = (Arc::clone(&held), Arc::clone(&hanging));
    let database = health.component("database").timeout(SOON * 10).cache(SOON);
    let check = move || {
        let (kept, hangs) = (Arc::clone(&kept), Arc::clone(&hangs));
        async move {
            if hangs.load(Relaxed) == 1 {
                pending::<()>().await;
            }
            drop(kept);
        }
    };
    database.check_on(runtime.handle(), check).unwrap();
    wait_until("several have timed out", || {
        checks(&registry, "database", "timed_out") >= Some(3.0)
    });
    assert_eq!(health.state("database"), Some(HealthState::Unhealthy));
    assert_eq!(
        reason(&health, "database").as_deref(),
        Some("timed out after 10ms")
    );
    hanging.store(0, Relaxed);
    wait_until("it is well when it answers", || health.ready().is_ok());
    assert!(health.remove("database"));
    wait_until("no check that hung is left", || {
        Arc::strong_count(&held) == 1
    });
}

#[test]
fn async_checks_may_fail_and_panic() {
    let (registry, _scheduler, health) = health();
    let runtime = runtime();
    let watch = |name: &str| health.component(name).timeout(HOUR).cache(HOUR);
    let on = runtime.handle();
    let refused = || async { Err::<(), _>("connection refused") };
    watch("redis").check_on(on, refused).unwrap();
    let panicking = || async { assert_eq!(1, 2, "in the future") };
    watch("model").check_on(on, panicking).unwrap();
    let nothing = || {
        assert_eq!(1, 2, "before the future");
        async {}
    };
    watch("queue").check_on(on, nothing).unwrap();
    watch("gpu").check_on(on, || async {}).unwrap();
    wait_until("all are known", || {
        let report = health.report();
        report
            .components
            .iter()
            .all(|one| one.status != HealthState::Unknown)
    });
    assert_eq!(health.state("gpu"), Some(HealthState::Healthy));
    assert_eq!(
        reason(&health, "redis").as_deref(),
        Some("connection refused")
    );
    for (name, said) in [("model", "in the future"), ("queue", "before the future")] {
        let reason = reason(&health, name).unwrap();
        assert!(
            reason.contains("the check panicked") && reason.contains(said),
            "{reason}"
        );
        assert_eq!(checks(&registry, name, "panicked"), Some(1.0));
    }
}

#[test]
fn an_async_check_that_is_cut_off_by_a_stop_leaves_what_was_known() {
    let (_registry, scheduler, health) = health();
    let runtime = runtime();
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    let database = health.component("database").timeout(HOUR).cache(SOON);
    let check = move || {
        let hangs = counted.fetch_add(1, Relaxed) > 0;
        async move {
            if hangs {
                pending::<()>().await;
            }
        }
    };
    database.check_on(runtime.handle(), check).unwrap();
    wait_until("the second hangs", || count.load(Relaxed) == 2);
    let stuck = scheduler.stop(SOON).unwrap_err();
    assert!(
        stuck.tasks.iter().any(|task| task == "health_database"),
        "{stuck}"
    );
    scheduler.stop(PATIENCE).unwrap();
    let report = &health.report().components[0];
    assert_eq!(
        (report.status, report.running_seconds),
        (HealthState::Healthy, None)
    );
}

#[test]
fn an_async_check_without_a_runtime_is_refused() {
    let (_registry, _scheduler, health) = health();
    let refused = health
        .component("redis")
        .check_async(|| async {})
        .unwrap_err();
    let text = refused.to_string();
    assert!(
        text.contains("component `redis`") && text.contains("no Tokio runtime"),
        "{text}"
    );
    assert!(health.report().components.is_empty());
}

#[tokio::test]
async fn an_async_check_runs_where_it_was_said() {
    let (_registry, _scheduler, health) = health();
    let inside = tokio::runtime::Handle::current().id();
    let check = move || async move {
        let here = tokio::runtime::Handle::current().id() == inside;
        here.then_some(()).ok_or("on another runtime")
    };
    health
        .component("redis")
        .timeout(HOUR)
        .check_async(check)
        .unwrap();
    while health.state("redis") == Some(HealthState::Unknown) {
        tokio::task::yield_now().await;
    }
    assert_eq!(health.state("redis"), Some(HealthState::Healthy));
}
