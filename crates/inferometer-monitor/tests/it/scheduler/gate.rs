//! Something that a test lets others through, one by one.

use std::sync::{Arc, Condvar, Mutex};

use super::PATIENCE;

/// Counts who has come to it, and holds each until the test lets it through.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    entered: u64,
    permits: u64,
}

impl Gate {
    pub(crate) fn closed() -> Arc<Self> {
        Arc::default()
    }

    /// Waits to be let through.
    pub(crate) fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.entered += 1;
        self.changed.notify_all();
        let mut state = self
            .changed
            .wait_while(state, |state| state.permits == 0)
            .unwrap();
        state.permits -= 1;
    }

    /// Lets the next one through.
    pub(crate) fn let_one(&self) {
        self.state.lock().unwrap().permits += 1;
        self.changed.notify_all();
    }

    /// Lets everybody through from now on.
    pub(crate) fn open(&self) {
        self.state.lock().unwrap().permits = u64::MAX / 2;
        self.changed.notify_all();
    }

    pub(crate) fn entered(&self) -> u64 {
        self.state.lock().unwrap().entered
    }

    /// Waits until so many have come.
    #[track_caller]
    pub(crate) fn wait_for(&self, count: u64) {
        let state = self.state.lock().unwrap();
        let (_state, timeout) = self
            .changed
            .wait_timeout_while(state, PATIENCE, |state| state.entered < count)
            .unwrap();
        assert!(!timeout.timed_out(), "{count} have not come");
    }
}
