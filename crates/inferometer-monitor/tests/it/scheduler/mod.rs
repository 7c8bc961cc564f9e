//! Tasks on threads and on a runtime, held to what the scheduler promises.

mod bad_input;
mod gate;
#[cfg(feature = "tokio")]
mod runtime;
mod stopping;
mod threads;

use std::{
    thread,
    time::{Duration, Instant},
};

use inferometer::Registry;
use inferometer_monitor::scheduler::Scheduler;

pub(crate) use gate::Gate;

/// So long a test waits for what has to come about, before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn scheduler() -> (Registry, Scheduler) {
    let registry = Registry::new();
    let scheduler = Scheduler::new(&registry).unwrap();
    (registry, scheduler)
}

/// Looks again and again until `condition` holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A sample of the scrape: a counter's or gauge's value, a histogram's count.
pub(crate) fn sample(registry: &Registry, family: &str, labels: &str) -> Option<f64> {
    let prefix = if labels.is_empty() {
        format!("{family} ")
    } else {
        format!("{family}{{{labels}}} ")
    };
    let page = registry.encode_text();
    page.lines()
        .find_map(|line| line.strip_prefix(&prefix))
        .map(|value| value.parse().unwrap())
}
