//! What waits to be written.

use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

use super::{JournalStatus, Unwritten};
use crate::store::{Entry, Outcome};

/// An entry, and who wants to know of it.
pub(super) struct Job {
    pub(super) entry: Entry,
    pub(super) reply: Reply,
}

/// Who wants to know. Dropped, also by a panic of the store's, it tells that the journal has stopped: so somebody is always told.
pub(super) struct Reply(Option<Told>);

type Told = Box<dyn FnOnce(Result<Outcome, Unwritten>) + Send>;

impl Reply {
    pub(super) fn to(told: impl FnOnce(Result<Outcome, Unwritten>) + Send + 'static) -> Self {
        Self(Some(Box::new(told)))
    }

    pub(super) fn nobody() -> Self {
        Self(None)
    }

    /// Who panics at the answer harms nobody else.
    fn tell(&mut self, answer: Result<Outcome, Unwritten>) {
        if let Some(told) = self.0.take() {
            let _ = catch_unwind(AssertUnwindSafe(|| told(answer)));
        }
    }

    pub(super) fn answer(mut self, answer: Result<Outcome, Unwritten>) {
        self.tell(answer);
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.tell(Err(Unwritten::Stopped));
    }
}

#[derive(Default)]
pub(super) struct Queue {
    room: usize,
    state: Mutex<State>,
    /// Something changed: there is work, or less of it, or an end.
    changed: Condvar,
    pub(super) dropped: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) unwritable: AtomicU64,
    pub(super) written: AtomicU64,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    /// Taken out by the writer and not settled yet.
    in_hand: usize,
    failing: Option<(SystemTime, Arc<str>)>,
    unread: Option<Arc<str>>,
    /// No more is taken; what there is is written until then.
    closing: Option<Instant>,
    ended: bool,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status().fmt(f)
    }
}

impl Queue {
    pub(super) fn new(room: usize) -> Self {
        Self {
            room: room.max(1),
            ..Self::default()
        }
    }

    /// Fails when there is no room, or no writer any more; then nobody is told.
    pub(super) fn push(&self, mut job: Job) -> Result<(), Unwritten> {
        let mut state = self.state();
        let held = state.waiting.len() + state.in_hand;
        let over = state.closing.is_some() || state.ended;
        if over || held >= self.room {
            job.reply.0 = None;
            return Err(if over {
                Unwritten::Stopped
            } else {
                Unwritten::Full(held)
            });
        }
        state.waiting.push_back(job);
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Waits for work until `until`, and takes up to `most`. `None` at the end.
    pub(super) fn take(&self, most: usize, until: Instant) -> Option<Vec<Job>> {
        let mut state = self.state();
        loop {
            let now = Instant::now();
            if state.waiting.is_empty() && state.closing.is_some() || state.is_over(now) {
                return None;
            }
            if !state.waiting.is_empty() || now >= until {
                let most = most.min(state.waiting.len());
                let taken: Vec<_> = state.waiting.drain(..most).collect();
                state.in_hand = taken.len();
                return Some(taken);
            }
            state = self.wait(state, until - now);
        }
    }

    /// What was taken is settled.
    pub(super) fn settled(&self) {
        self.state().in_hand = 0;
        self.changed.notify_all();
    }

    /// Waits after a failure, and tells whether to try again.
    pub(super) fn pause(&self, length: Duration) -> bool {
        let until = Instant::now() + length;
        let mut state = self.state();
        loop {
            let now = Instant::now();
            if state.is_over(now) {
                return false;
            }
            if now >= until {
                return true;
            }
            let end = state.closing.map_or(until, |end| end.min(until));
            state = self.wait(state, end.saturating_duration_since(now));
        }
    }

    pub(super) fn failing(&self, error: Option<String>) {
        let failing = &mut self.state().failing;
        match (error, &mut *failing) {
            (None, _) => *failing = None,
            (Some(error), Some((_, last))) => *last = error.into(),
            (Some(error), None) => *failing = Some((SystemTime::now(), error.into())),
        }
    }

    /// What the store has can't be read.
    pub(super) fn unread(&self, error: String) {
        self.state().unread = Some(error.into());
    }

    /// Takes no more, and waits for the writer's end, but not much longer than `at_most`.
    pub(super) fn close(&self, at_most: Duration) -> JournalStatus {
        let now = Instant::now();
        let end = now.checked_add(at_most).unwrap_or(now);
        let mut state = self.state();
        state.closing = Some(end);
        self.changed.notify_all();
        // The writer notices the end by itself, unless the store holds it.
        let patience = end + Duration::from_millis(100);
        while !state.ended {
            let left = patience.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.wait(state, left);
        }
        drop(state);
        self.status()
    }

    /// The writer is gone; tells those who wait.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        // They count as queued: they were not written.
        state.in_hand += state.waiting.len();
        let left = std::mem::take(&mut state.waiting);
        drop(state);
        drop(left);
        self.changed.notify_all();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state().ended
    }

    pub(super) fn status(&self) -> JournalStatus {
        let state = self.state();
        JournalStatus {
            queued: state.waiting.len() + state.in_hand,
            failing: state.failing.clone(),
            unread: state.unread.clone(),
            dropped_predictions: self.dropped.load(Relaxed),
            refused_labels: self.refused.load(Relaxed),
            unwritable: self.unwritable.load(Relaxed),
            written: self.written.load(Relaxed),
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, length: Duration) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, length);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Nothing of ours panics while it holds this.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_over(&self, now: Instant) -> bool {
        self.closing.is_some_and(|end| now >= end)
    }
}
