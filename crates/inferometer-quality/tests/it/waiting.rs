//! Waiting for what another thread does.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Looks every few milliseconds whether it is done, and fails when it isn't within half a minute.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}
