//! The thread that writes.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant, SystemTime},
};

use super::{
    JournalOptions, Unwritten,
    queue::{Job, Queue},
};
use crate::{
    score::Scoreboard,
    store::{Outcome, Store, StoreError},
};

pub(super) struct Writer {
    store: Box<dyn Store>,
    board: Arc<Scoreboard>,
    queue: Arc<Queue>,
    options: JournalOptions,
    forget_at: Instant,
}

/// Tells those who wait, also when the store panics.
struct End(Arc<Queue>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Writer {
    pub(super) fn new(
        store: Box<dyn Store>,
        board: Arc<Scoreboard>,
        queue: Arc<Queue>,
        options: JournalOptions,
    ) -> Self {
        Self {
            store,
            board,
            queue,
            options,
            forget_at: Instant::now() + options.forget_every,
        }
    }

    pub(super) fn run(mut self) {
        let _end = End(Arc::clone(&self.queue));
        if !self.replay() {
            return;
        }
        while let Some(jobs) = self.queue.take(self.options.batch.max(1), self.forget_at) {
            self.write(jobs);
            if Instant::now() >= self.forget_at {
                self.forget();
            }
        }
        self.forget();
    }

    /// Makes the scores anew of what the store has. Both are handed over whole: a store that fails midway is read from the start.
    fn replay(&mut self) -> bool {
        let found = self.persist(|store| {
            let mut found = Vec::new();
            store.replay(&mut |prediction, label| found.push((prediction, label)))?;
            Ok(found)
        });
        match found {
            Ok(found) => {
                for (prediction, label) in found {
                    self.board.replay(prediction, label);
                }
                true
            }
            // What is there can't be read: that doesn't stop what comes from being written.
            Err(Some(error)) => {
                self.queue.unread(error.to_string());
                true
            }
            Err(None) => false,
        }
    }

    fn write(&mut self, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return self.queue.settled();
        }
        let (entries, replies): (Vec<_>, Vec<_>) =
            jobs.into_iter().map(|job| (job.entry, job.reply)).unzip();
        let written = self.persist(|store| store.write(&entries));
        match written {
            Ok(outcomes) => {
                let settled = entries.into_iter().zip(replies).zip(outcomes);
                for ((entry, reply), outcome) in settled {
                    self.settle(Job { entry, reply }, outcome);
                }
            }
            Err(Some(_)) => {
                // One of them is at fault. Alone, each goes through or is refused for itself.
                for (entry, reply) in entries.into_iter().zip(replies) {
                    self.write_alone(Job { entry, reply });
                }
            }
            // They count as queued: they were not written. Who waits is told as the replies are dropped.
            Err(None) => return,
        }
        self.queue.settled();
    }

    fn write_alone(&mut self, job: Job) {
        let written = self.persist(|store| store.write(std::slice::from_ref(&job.entry)));
        match written.map(|outcomes| outcomes.into_iter().next()) {
            Ok(Some(outcome)) => self.settle(job, outcome),
            Ok(None) | Err(None) => {}
            Err(Some(error)) => {
                self.queue.unwritable.fetch_add(1, Relaxed);
                let refused = Unwritten::Refused(error.to_string().into());
                job.reply.answer(Err(refused));
            }
        }
    }

    /// Scored first, then acknowledged: who has the answer finds it in the scores.
    fn settle(&self, job: Job, outcome: Outcome) {
        self.board.record(&job.entry, &outcome);
        self.queue.written.fetch_add(1, Relaxed);
        job.reply.answer(Ok(outcome));
    }

    fn forget(&mut self) {
        self.forget_at = Instant::now() + self.options.forget_every.max(Duration::from_millis(1));
        // It is tried again at the next turn; what can't be forgotten stops nothing.
        match self.store.forget(SystemTime::now()) {
            Ok(forgotten) => self.board.forgotten(forgotten),
            Err(error) => self.queue.failing(Some(error.to_string())),
        }
    }

    /// Does `work`, again and again while it fails in a way that passes. Fails with the error that doesn't pass, or with `None` where the
    /// journal ends first.
    fn persist<T>(
        &mut self,
        mut work: impl FnMut(&mut dyn Store) -> Result<T, StoreError>,
    ) -> Result<T, Option<StoreError>> {
        let mut pause = self.options.retry.max(Duration::from_millis(1));
        loop {
            match work(&mut *self.store) {
                Ok(done) => {
                    self.queue.failing(None);
                    return Ok(done);
                }
                Err(error) if !error.is_passing() => return Err(Some(error)),
                Err(error) => self.queue.failing(Some(error.to_string())),
            }
            if !self.queue.pause(pause) {
                return Err(None);
            }
            pause = (pause * 2).min(self.options.retry_at_most.max(pause));
        }
    }
}
