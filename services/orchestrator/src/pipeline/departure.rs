//! How a request leaves before its end.

use std::sync::{
    Arc, Mutex, OnceLock, PoisonError, Weak,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use inferometer::lifecycle::Outcome;
use inferometer_catalog::orchestrator::{ErrorType, Stage};
use tokio_util::sync::CancellationToken;

use super::job::Job;
use crate::queue::{Queue, Refused, Ticket};

/// A stage's queue.
pub(super) type JobQueue = Queue<Box<Job>>;

/// Where a request is, shared between the one who asked and the stage that has it.
#[derive(Debug)]
pub(super) struct Whereabouts {
    /// The queue it waits in, if it waits.
    place: Mutex<Place>,
    timed_out: AtomicBool,
    /// The model that answers, once that is settled.
    pub(super) model: OnceLock<Arc<str>>,
    pub(super) cancel: CancellationToken,
}

#[derive(Debug)]
struct Place {
    stage: Stage,
    queue: Option<(Weak<JobQueue>, Ticket)>,
    left: bool,
}

impl Whereabouts {
    pub(super) fn new(cancel: CancellationToken) -> Self {
        Self {
            place: Mutex::new(Place {
                stage: Stage::Rag,
                queue: None,
                left: false,
            }),
            timed_out: AtomicBool::new(false),
            model: OnceLock::new(),
            cancel,
        }
    }

    /// Puts a job into a stage's queue. The lock is held meanwhile, so that whoever leaves at this moment finds it there.
    pub(super) fn enqueue(
        &self,
        stage: Stage,
        queue: &Arc<JobQueue>,
        job: Box<Job>,
    ) -> Result<(), Refused<Box<Job>>> {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        place.stage = stage;
        let ticket = queue.push(job)?;
        place.queue = Some((Arc::downgrade(queue), ticket));
        Ok(())
    }

    /// Whether whoever asked has left, or the deadline has passed for them.
    pub(super) fn left(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// What leaving counts as.
    pub(super) fn outcome(&self) -> Outcome {
        if self.timed_out.load(Ordering::Relaxed) {
            Outcome::Timeout
        } else {
            Outcome::Cancelled
        }
    }

    /// Leaves: out of the queue at once, or by a sign to the stage that has the request.
    fn leave(&self, outcome: Outcome) {
        let waiting = {
            let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
            if std::mem::replace(&mut place.left, true) {
                return;
            }
            self.timed_out
                .store(outcome == Outcome::Timeout, Ordering::Relaxed);
            self.cancel.cancel();
            let waiting = place
                .queue
                .take()
                .and_then(|(queue, ticket)| queue.upgrade()?.remove(ticket));
            waiting.map(|job| (place.stage, job))
        };
        if let Some((stage, mut job)) = waiting {
            if outcome == Outcome::Timeout {
                job.request.metrics().failed(stage, ErrorType::Timeout);
            }
            job.request.expect(outcome);
        }
    }
}

/// Counts a request as active until its job is done, whether or not its client has read the answer.
#[derive(Debug)]
pub(super) struct Active(Arc<AtomicUsize>);

impl Active {
    pub(super) fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The hold that whoever asked has on a request: dropped, the request is cancelled and its place is free.
#[derive(Debug)]
pub struct Departure(Arc<Whereabouts>);

impl Departure {
    pub(super) fn new(whereabouts: Arc<Whereabouts>) -> Self {
        Self(whereabouts)
    }

    /// The model that answers, once that is settled.
    pub(super) fn model(&self) -> Option<&Arc<str>> {
        self.0.model.get()
    }

    /// The deadline has passed for whoever asked.
    pub(super) fn time_out(&self) {
        self.0.leave(Outcome::Timeout);
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        self.0.leave(Outcome::Cancelled);
    }
}
