//! The driver: opened when it is time, given back, waited for no longer than it deserves.

use std::{sync::Arc, time::Instant};

use super::{
    super::{
        audience::Reach,
        caller::{Pending, Unanswered},
        faults::Watch,
        metrics::DriverPhase,
        source::{Failure, GpuDriver, Reason, Unopened},
    },
    AFTER_A_HANG, Poller,
};

/// The longest pause between two tries to open the driver, as a power of two of the shortest: a driver that is opened wakes GPUs up.
const LONGEST_PAUSE: u32 = 4;

/// What opening a source comes to.
pub(super) type Opened = Result<Arc<dyn GpuDriver>, Unopened>;

impl Poller {
    /// Whether there is an open driver, opened just now perhaps.
    pub(super) fn driver_answers(&mut self) -> bool {
        self.closing.take_if(|pending| pending.returned());
        if self.closing.is_some() {
            return false;
        }
        if self.driver.is_some() {
            return true;
        }
        let opened = match self.opening.take() {
            // It may take a driver seconds to wake its GPUs: what comes late is welcome.
            Some(pending) => match pending.answer() {
                Ok(opened) => opened,
                Err(pending) => {
                    self.opening = Some(pending);
                    return false;
                }
            },
            None if self.may_try() => {
                let source = Arc::clone(&self.source);
                let limit = self.limit();
                match self.caller.call(limit, move || source.open()) {
                    Ok(opened) => Some(opened),
                    Err(why) => {
                        let what = "the driver's initialisation";
                        let (failure, pending) = self.unanswered(what, why);
                        self.opening = pending;
                        self.driver_failed(failure);
                        return false;
                    }
                }
            }
            None => return false,
        };
        match opened {
            Some(Ok(driver)) => {
                self.driver = Some(driver);
                self.slow_at = None;
                self.fresh = true;
                true
            }
            Some(Err(unopened)) => {
                self.forget_all(&unopened.to_string());
                let (phase, why) = match unopened {
                    Unopened::Absent(why) => (DriverPhase::Absent, why),
                    Unopened::Broken(why) => (DriverPhase::Broken, why),
                };
                self.phase(phase, Some(why));
                false
            }
            // It panicked late; the next poll tries again.
            None => false,
        }
    }

    /// Whether it is time to open the driver, perhaps anew.
    pub(super) fn may_try(&mut self) -> bool {
        let pause = self.settings.retry_every * (1 << self.in_vain.min(LONGEST_PAUSE));
        let due = self.tried_at.is_none_or(|at| at.elapsed() >= pause);
        if due {
            self.tried_at = Some(Instant::now());
        }
        due
    }

    /// The driver itself fails: no GPU can be read.
    pub(super) fn driver_failed(&mut self, failure: Failure) {
        let phase = match failure.reason {
            Reason::Hung => DriverPhase::Hung,
            _ => DriverPhase::Broken,
        };
        let message = failure.message;
        if failure.reason == Reason::DriverGone {
            self.close();
        }
        self.slow_at = None;
        self.forget_all(&message);
        self.phase(phase, Some(message));
    }

    pub(super) fn forget_all(&mut self, why: &str) {
        self.in_vain = 0;
        for known in std::mem::take(&mut self.known) {
            let failure = Failure::new(Reason::DriverGone, why);
            self.audience.lost(&known.device, &failure);
        }
    }

    pub(super) fn phase(&self, phase: DriverPhase, why: Option<String>) {
        self.audience.phase(self.source.name(), phase, why);
    }

    /// Lets go of the driver, and says whether something else still holds it.
    pub(super) fn close(&mut self) -> bool {
        *self.audience.reach() = None;
        let held_by_calls = self.is_waiting() || self.opening.is_some();
        let held_by_watch = self
            .watch
            .take()
            .is_some_and(|watch| !watch.stop(self.settings.call_limit));
        if let Some(driver) = self.driver.take() {
            // It may hang as any call may.
            let dropped = self.call("the driver's shutdown", move || drop(driver));
            self.closing = dropped.err().and_then(|(_, pending)| pending);
        }
        self.closing.is_some() || held_by_calls || held_by_watch
    }

    /// Shows to those who ask between polls what is open and who answers.
    pub(super) fn share_reach(&self) {
        *self.audience.reach() = self.driver.as_ref().map(|driver| Reach {
            driver: Arc::clone(driver),
            seats: self.answering(),
        });
    }

    /// Waits for faults of the GPUs that are there, from a thread of its own.
    pub(super) fn watch_faults(&mut self) {
        let Some(driver) = &self.driver else {
            return;
        };
        let seats = self.answering();
        if let Some(watch) = &self.watch {
            // One that doesn't stop is waited for: there is never a second.
            if watch.serves(&seats) || !watch.stop(AFTER_A_HANG * 2) {
                return;
            }
        }
        self.watch = None;
        if !seats.is_empty() {
            let audience = Arc::clone(&self.audience);
            self.watch = Watch::begin(Arc::clone(driver), seats, audience);
        }
    }

    /// What a call that has no answer means.
    pub(super) fn unanswered<T>(
        &mut self,
        what: &str,
        why: Unanswered<T>,
    ) -> (Failure, Option<Pending<T>>) {
        match why {
            Unanswered::Hung(pending) => {
                let limit = self.limit();
                self.hung = true;
                let message = format!("{what}: the driver has not answered for {limit:?}");
                (Failure::new(Reason::Hung, message), Some(pending))
            }
            Unanswered::Panicked => {
                let message = format!("{what}: the code that reads it panicked");
                (Failure::new(Reason::Panic, message), None)
            }
            Unanswered::NoThread(error) => {
                let message = format!("{what}: no thread to ask it from: {error}");
                (Failure::new(Reason::Other, message), None)
            }
        }
    }
}
