//! Which worker a request goes to, and which one next when that one fails.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use crate::worker::Worker;

/// How long a worker that has failed is asked only when there is no other.
const REST: Duration = Duration::from_secs(5);

/// The workers, in the order of preference.
#[derive(Debug)]
pub(super) struct Pool {
    seats: Vec<Seat>,
    epoch: Instant,
}

/// A worker and how many generations it may run.
pub(super) struct Seat {
    pub(super) worker: Arc<dyn Worker>,
    pub(super) model: Arc<str>,
    pub(super) slots: Arc<Semaphore>,
    pub(super) concurrency: usize,
    /// Milliseconds after the epoch until which it rests.
    rests_until: AtomicU64,
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seat")
            .field("model", &self.worker.model())
            .finish_non_exhaustive()
    }
}

/// The workers that a request has been to, as bits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tried(u64);

/// The most workers that a pool holds: one bit each.
pub(super) const MOST_WORKERS: usize = 64;

impl Pool {
    pub(super) fn new(workers: Vec<Arc<dyn Worker>>) -> Self {
        let seat = |worker: Arc<dyn Worker>| {
            let concurrency = worker.concurrency().clamp(1, Semaphore::MAX_PERMITS);
            let slots = Arc::new(Semaphore::new(concurrency));
            let model = worker.model().into();
            Seat {
                worker,
                model,
                slots,
                concurrency,
                rests_until: AtomicU64::new(0),
            }
        };
        Self {
            seats: workers.into_iter().map(seat).collect(),
            epoch: Instant::now(),
        }
    }

    pub(super) fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// The worker whose model counts the tokens of a request for `model`; `None` when nobody serves it.
    pub(super) fn first(&self, model: Option<&str>) -> Option<&Arc<dyn Worker>> {
        self.seats
            .iter()
            .map(|seat| &seat.worker)
            .find(|worker| serves(&***worker, model))
    }

    /// The next worker for a request: one that isn't resting and has a free slot, else one that isn't resting, else any.
    pub(super) fn next(&self, model: Option<&str>, tried: &mut Tried) -> Option<&Seat> {
        let fresh = || {
            let untried = |at: &usize| tried.0 & (1 << at) == 0;
            let fits = |at: &usize| serves(&*self.seats[*at].worker, model);
            (0..self.seats.len()).filter(untried).filter(fits)
        };
        let awake = |at: &usize| !self.rests(&self.seats[*at]);
        let at = fresh()
            .find(|at| awake(at) && self.seats[*at].slots.available_permits() > 0)
            .or_else(|| fresh().find(awake))
            .or_else(|| fresh().next())?;
        tried.0 |= 1 << at;
        Some(&self.seats[at])
    }

    /// A worker has failed in a way that it may fail again.
    pub(super) fn rest(&self, seat: &Seat) {
        let until = self.epoch.elapsed() + REST;
        let until = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        seat.rests_until.store(until, Ordering::Relaxed);
    }

    fn rests(&self, seat: &Seat) -> bool {
        let until = seat.rests_until.load(Ordering::Relaxed);
        until > 0 && u128::from(until) > self.epoch.elapsed().as_millis()
    }
}

fn serves(worker: &dyn Worker, model: Option<&str>) -> bool {
    model.is_none_or(|model| worker.model() == model)
}
