//! One poll after another: opens the driver, finds the GPUs, reads each, and tells everyone.

mod opening;
mod roster;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use inferometer::sample::gpu::{GpuDevice, GpuSample};

use self::opening::Opened;
use super::{
    audience::{Audience, Poll},
    caller::{Caller, Pending},
    faults::Watch,
    metrics::DriverPhase,
    source::{Failure, GpuDriver, GpuSource, Reason, Seat, Tiers},
};

/// How long the others get, once a call of a poll has hung: a driver that locks itself up hangs every call.
const AFTER_A_HANG: Duration = Duration::from_millis(250);

/// How to poll.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) call_limit: Duration,
    pub(super) slow_every: Duration,
    pub(super) retry_every: Duration,
    pub(super) costly: bool,
    pub(super) visible: Option<String>,
}

/// A GPU that may be used.
struct Known {
    seat: Arc<Seat>,
    device: Arc<GpuDevice>,
    /// What is carried from one reading to the next.
    sample: GpuSample,
    /// Why it can't be read, or hasn't been yet.
    down: Option<Reason>,
    /// A call that hangs.
    pending: Option<Box<dyn Hanging>>,
}

/// A call that hangs, whatever it would have answered.
trait Hanging: Send {
    fn returned(&self) -> bool;
}

impl<T: Send> Hanging for Pending<T> {
    fn returned(&self) -> bool {
        Self::returned(self)
    }
}

/// The one who polls. Every call to the driver is made through [`call`](Self::call), and nothing that hangs is asked again.
pub(super) struct Poller {
    source: Arc<dyn GpuSource>,
    settings: Settings,
    audience: Arc<Audience>,
    caller: Caller,
    driver: Option<Arc<dyn GpuDriver>>,
    known: Vec<Known>,
    /// Calls that hang: those that open and close the driver, ask for the list, and identify a GPU.
    opening: Option<Pending<Opened>>,
    closing: Option<Box<dyn Hanging>>,
    listing: Option<Box<dyn Hanging>>,
    strangers: Vec<Box<dyn Hanging>>,
    /// Whether the list had none, or one that didn't tell who it is.
    incomplete: bool,
    /// Whether the driver was opened anew since the last list: what is known of the GPUs may hold no more.
    fresh: bool,
    /// How often in a row it was opened anew and brought nothing.
    in_vain: u32,
    watch: Option<Watch>,
    slow_at: Option<Instant>,
    tried_at: Option<Instant>,
    released: bool,
    /// Whether a call of this poll has hung.
    hung: bool,
}

impl Poller {
    pub(super) fn new(
        source: Arc<dyn GpuSource>,
        settings: Settings,
        audience: Arc<Audience>,
    ) -> Self {
        Self {
            source,
            settings,
            audience,
            caller: Caller::new("gpu-sampling"),
            driver: None,
            known: Vec::new(),
            opening: None,
            closing: None,
            listing: None,
            strangers: Vec::new(),
            incomplete: false,
            fresh: false,
            in_vain: 0,
            watch: None,
            slow_at: None,
            tried_at: None,
            released: false,
            hung: false,
        }
    }

    /// Lets the next poll open the driver, whatever was before.
    pub(super) fn allow(&mut self) {
        self.released = false;
        self.tried_at = None;
        self.in_vain = 0;
    }

    /// Reads every GPU once.
    pub(super) fn poll(&mut self) -> Poll {
        if self.released {
            return self.audience.polled(None);
        }
        let began = Instant::now();
        self.hung = false;
        if self.driver_answers() {
            self.look_around();
            self.read_all();
            self.watch_faults();
        }
        self.share_reach();
        self.audience.polled(Some(began))
    }

    /// Gives the driver back, and says whether it is back by now: calls that hang keep it.
    pub(super) fn release(&mut self) -> bool {
        self.released = true;
        let kept = self.close();
        self.phase(DriverPhase::Released, None);
        self.forget_all("the driver was given back");
        self.audience.polled(None);
        !kept
    }

    /// Whether it is time for what changes slowly. A poll that comes a little early doesn't wait for the next.
    fn slow_is_due(&self) -> bool {
        let after = self.settings.slow_every * 9 / 10;
        self.slow_at.is_none_or(|at| at.elapsed() >= after)
    }

    fn read_all(&mut self) {
        if self.driver.is_none() {
            return;
        }
        let slow = self.slow_is_due();
        if slow {
            self.slow_at = Some(Instant::now());
        }
        let mut known = std::mem::take(&mut self.known);
        for one in &mut known {
            if let Some(pending) = &one.pending {
                if !pending.returned() {
                    continue;
                }
                tracing::info!(gpu = %one.device.uuid, "the call that hung has returned");
                one.pending = None;
            }
            let tiers = Tiers {
                fast: true,
                // A GPU that was away has none of its slow figures.
                slow: slow || one.down.is_some(),
                costly: self.settings.costly,
            };
            self.read(one, tiers);
        }
        self.known = known;
        let gone = |one: &Known| one.down == Some(Reason::DriverGone);
        if !self.known.is_empty() && self.known.iter().all(gone) {
            let why = "the driver was unloaded, or replaced by another version".to_owned();
            self.driver_failed(Failure::new(Reason::DriverGone, why));
        }
    }

    fn read(&mut self, known: &mut Known, tiers: Tiers) {
        let Some(driver) = self.driver.clone() else {
            return;
        };
        let uuid = &known.device.uuid;
        let (seat, mut sample) = (Arc::clone(&known.seat), known.sample.clone());
        let began = Instant::now();
        let read = self.call(uuid, move || {
            let failures = driver.read(&seat, tiers, &mut sample)?;
            Ok((sample, failures))
        });
        let failure = match read {
            Ok(Ok((sample, failures))) => {
                for failure in failures {
                    tracing::debug!(%failure, "a figure of a GPU can't be had");
                    self.audience.shown.failed(uuid, failure.reason);
                }
                known.down = None;
                known.sample = sample.clone();
                self.audience.answered(&Arc::new(sample), began.elapsed());
                return;
            }
            Ok(Err(failure)) => failure,
            Err((failure, pending)) => {
                known.pending = pending;
                failure
            }
        };
        self.audience.shown.failed(uuid, failure.reason);
        self.audience.lost(&known.device, &failure);
        known.sample = GpuSample::empty(Arc::clone(&known.device));
        known.down = Some(failure.reason);
    }

    /// How long a call may take now.
    fn limit(&self) -> Duration {
        if self.hung {
            AFTER_A_HANG.min(self.settings.call_limit)
        } else {
            self.settings.call_limit
        }
    }

    /// Makes a call about something, within the limit.
    fn call<T: Send + 'static>(
        &mut self,
        what: &str,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, (Failure, Option<Box<dyn Hanging>>)> {
        let limit = self.limit();
        self.caller.call(limit, call).map_err(|why| {
            let (failure, pending) = self.unanswered(what, why);
            (failure, pending.map(|pending| Box::new(pending) as _))
        })
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.close();
    }
}
