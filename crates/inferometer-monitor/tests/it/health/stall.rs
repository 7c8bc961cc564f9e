//! Requests in flight, and nothing that moves.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use inferometer::{
    MetricSet,
    lifecycle::{Activity, Lifecycle, Outcome, Request, RequestCounts},
    sample::health::HealthState,
};
use inferometer_monitor::health::Gate;

use super::{SOON, health, reason, scraped};
use crate::scheduler::{Gate as Barrier, wait_until};

const LIMIT: Duration = Duration::from_millis(20);

/// A service of one stage that keeps when it last moved.
#[derive(MetricSet)]
#[metrics(namespace = "echo")]
struct Echo {
    #[metric(flatten)]
    counts: RequestCounts,
}

struct Service {
    echo: Echo,
    moved: Mutex<Option<Instant>>,
}

impl Lifecycle for Service {
    type Stage = ();
    type Context = ();

    fn counts(&self) -> &RequestCounts {
        &self.echo.counts
    }

    fn progressed(&self, (): (), at: Instant) {
        *self.moved.lock().unwrap() = Some(at);
    }

    fn last_progress(&self) -> Option<Instant> {
        *self.moved.lock().unwrap()
    }
}

#[test]
fn requests_that_do_not_move_stall_the_service_until_one_does() {
    let (registry, _scheduler, health) = health();
    let service = Arc::new(Service {
        echo: registry.register().unwrap(),
        moved: Mutex::default(),
    });
    let watched = Arc::clone(&service);
    let requests = health.component("requests").gate(Gate::Liveness);
    requests
        .stalled_after(LIMIT, move || watched.activity())
        .unwrap();
    wait_until("it is looked at", || health.ready().is_ok());

    let mut request = Request::admit(&service);
    let refused = Request::admit(&service);
    request.begin(());
    let began = service.last_progress().unwrap();
    wait_until("it is stalled", || {
        health.state("requests") == Some(HealthState::Stalled)
    });
    assert!(began.elapsed() > LIMIT);
    assert_eq!(health.report().status, HealthState::Stalled);
    assert!(health.live().is_err() && health.ready().is_err());
    let why = reason(&health, "requests").unwrap();
    assert!(
        why.starts_with("2 in flight, and nothing has moved for "),
        "{why}"
    );
    wait_until("the scrape says so", || {
        scraped(&registry, "requests") == Some(HealthState::Stalled)
    });

    // One that is turned away moves nothing.
    let _summary = refused.finish(Outcome::Shed);
    wait_until("it was looked at again", || {
        reason(&health, "requests").is_some_and(|why| why.starts_with("1 in flight"))
    });
    request.end();
    let _summary = request.finish(Outcome::Ok);
    wait_until("it is well", || {
        health.live().is_ok() && health.ready().is_ok()
    });
}

#[test]
fn a_service_whose_activity_cannot_be_asked_is_unhealthy_and_not_stuck_itself() {
    let (_registry, _scheduler, health) = health();
    let barrier = Barrier::closed();
    let inside = Arc::clone(&barrier);
    let requests = health.component("requests").timeout(SOON);
    let activity = move || {
        inside.pass();
        Activity::default()
    };
    requests.stalled_after(LIMIT, activity).unwrap();
    wait_until("asking has timed out", || {
        health.state("requests") == Some(HealthState::Unhealthy)
    });
    barrier.open();
}
