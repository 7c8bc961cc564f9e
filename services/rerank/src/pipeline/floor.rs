//! Where tokenized pairs wait, are put into batches, and wait for a model worker.
//!
//! There is no thread of a batcher: a tokenizer worker that brings a whole batch together releases it, and a model worker with nothing
//! to do releases what there is, once nothing more is on its way or the oldest pair has waited for long enough.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use inferometer_catalog::rerank::{Recorder, Release, Stage};

use super::{
    choice::{BatchLimits, choose},
    job::Job,
};
use crate::model::Encoded;

/// A pair that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) job: Arc<Job>,
    pub(super) at: usize,
    pub(super) encoded: Encoded,
    since: Instant,
}

/// A batch that was released.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) pairs: Vec<Waiting>,
    pub(super) released: Instant,
}

impl Batch {
    /// The jobs in it, each once.
    pub(super) fn jobs(&self) -> Vec<Arc<Job>> {
        let mut seen = HashSet::new();
        let jobs = self.pairs.iter().map(|pair| &pair.job);
        jobs.filter(|job| seen.insert(Arc::as_ptr(job)))
            .cloned()
            .collect()
    }
}

/// How pairs wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) limits: BatchLimits,
    pub(super) max_wait: Duration,
    /// Requests whose pairs may wait.
    pub(super) capacity: usize,
    /// Batches that may wait.
    pub(super) prefetch: usize,
}

#[derive(Debug)]
pub(super) struct Floor {
    state: Mutex<State>,
    /// For model workers: there may be something to do.
    work: Condvar,
    /// For tokenizer workers: there may be room.
    room: Condvar,
    rules: Rules,
    recorder: Arc<Recorder>,
}

#[derive(Debug, Default)]
struct State {
    pending: Vec<Waiting>,
    /// Requests among them.
    requests: usize,
    released: VecDeque<Batch>,
    /// Requests that were admitted and haven't come here, nor left.
    upstream: usize,
    closed: bool,
}

impl Floor {
    pub(super) fn new(rules: Rules, recorder: Arc<Recorder>) -> Self {
        Self {
            state: Mutex::default(),
            work: Condvar::new(),
            room: Condvar::new(),
            rules,
            recorder,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request is on its way.
    pub(super) fn expect_one(&self) {
        self.state().upstream += 1;
    }

    /// A request that was on its way comes no more.
    pub(super) fn expect_one_less(&self) {
        let mut state = self.state();
        state.upstream = state.upstream.saturating_sub(1);
        self.work.notify_all();
    }

    /// Takes a request's pairs in, waiting for room for as long as the request is wanted.
    pub(super) fn bring(&self, job: &Arc<Job>, encoded: Vec<Encoded>) {
        let mut state = self.state();
        let now = loop {
            let now = Instant::now();
            if !job.wanted(now) {
                return;
            }
            if state.requests < self.rules.capacity {
                break now;
            }
            let patience = job.deadline.saturating_duration_since(now);
            state = self
                .room
                .wait_timeout(state, patience)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        };
        job.mark(|marks| marks.handed = Some(now));
        job.enter(Stage::BatchQueue);
        job.waiting.store(encoded.len(), Relaxed);
        state.requests += 1;
        for (at, encoded) in encoded.into_iter().enumerate() {
            state.pending.push(Waiting {
                job: Arc::clone(job),
                at,
                encoded,
                since: now,
            });
        }
        while state.released.len() < self.rules.prefetch
            && self.is_whole(&state)
            && let Some(batch) = self.release(&mut state, None)
        {
            state.released.push_back(batch);
        }
        self.work.notify_all();
    }

    /// Whether there is more than one batch takes, or as much.
    fn is_whole(&self, state: &State) -> bool {
        let pending = &state.pending;
        let longest = pending.iter().map(|pair| pair.encoded.ids.len()).max();
        pending.len() >= self.rules.limits.pairs
            || longest.is_some_and(|longest| longest * pending.len() > self.rules.limits.tokens)
    }

    /// Makes a batch of what waits. Where all of it fits, it is released for the reason that is given, or as full when it is.
    fn release(&self, state: &mut State, otherwise: Option<Release>) -> Option<Batch> {
        let lengths: Vec<_> = state
            .pending
            .iter()
            .map(|pair| pair.encoded.ids.len())
            .collect();
        let choice = choose(&lengths, &self.rules.limits);
        let all = (choice.places.len() >= self.rules.limits.pairs).then_some(Release::Full);
        let reason = choice.reason.or(all).or(otherwise)?;
        let now = Instant::now();
        let mut slots: Vec<_> = state.pending.drain(..).map(Some).collect();
        let pairs: Vec<_> = choice
            .places
            .iter()
            .filter_map(|place| slots[*place].take())
            .collect();
        state.pending.extend(slots.into_iter().flatten());
        for pair in &pairs {
            pair.job.enter(Stage::ModelQueue);
            if pair.job.waiting.fetch_sub(1, Relaxed) == 1 {
                state.requests -= 1;
            }
        }
        self.room.notify_all();
        let longest = choice.places.iter().map(|place| lengths[*place]).max()?;
        let count = as_count(pairs.len());
        self.recorder
            .released(reason, count, count * as_count(longest));
        Some(Batch {
            pairs,
            released: now,
        })
    }

    /// The next batch, waiting for one; `None` when the floor is closed and empty.
    pub(super) fn next(&self) -> Option<Batch> {
        let mut state = self.state();
        loop {
            if let Some(batch) = state.released.pop_front() {
                // Its place may be taken at once.
                if self.is_whole(&state)
                    && let Some(next) = self.release(&mut state, None)
                {
                    state.released.push_back(next);
                }
                return Some(batch);
            }
            let oldest = state.pending.first().map(|pair| pair.since);
            let Some(oldest) = oldest else {
                if state.closed {
                    return None;
                }
                state = self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let wait = (oldest + self.rules.max_wait).saturating_duration_since(Instant::now());
            let reason = if wait.is_zero() {
                Some(Release::Deadline)
            } else if state.upstream == 0 || state.closed {
                Some(Release::Idle)
            } else {
                None
            };
            if (reason.is_some() || self.is_whole(&state))
                && let Some(batch) = self.release(&mut state, reason)
            {
                return Some(batch);
            }
            state = self
                .work
                .wait_timeout(state, wait)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Lets go of a request's pairs, wherever they wait.
    pub(super) fn forget(&self, job: &Arc<Job>) {
        let mut state = self.state();
        let is_other = |pair: &Waiting| !Arc::ptr_eq(&pair.job, job);
        if job.waiting.swap(0, Relaxed) > 0 {
            state.pending.retain(is_other);
            state.requests -= 1;
        }
        for batch in &mut state.released {
            batch.pairs.retain(is_other);
        }
        state.released.retain(|batch| !batch.pairs.is_empty());
        self.room.notify_all();
    }

    /// Nothing more is expected.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.work.notify_all();
        self.room.notify_all();
    }

    /// Requests with pairs that wait to be put into a batch.
    pub(super) fn waiting(&self) -> usize {
        self.state().requests
    }

    /// Requests in batches that wait for a worker.
    pub(super) fn released(&self) -> usize {
        let state = self.state();
        state.released.iter().map(|batch| batch.jobs().len()).sum()
    }
}

pub(super) fn as_count(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
