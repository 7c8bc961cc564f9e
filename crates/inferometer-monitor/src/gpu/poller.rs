//! One poll after another: opens the driver, finds the GPUs, reads each, and tells everyone.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use inferometer::sample::gpu::{GpuDevice, GpuSample, GpuView};

use super::{
    board::{Board, DeviceStatus},
    caller::{Caller, Pending, Unanswered},
    faults::Watch,
    metrics::{DriverPhase, Shown, UNKNOWN},
    source::{Failure, GpuDriver, GpuSource, Reason, Seat, Tiers, Unopened},
    visible::select,
};

/// How long the others get, once a call of a poll has hung: a driver that locks itself up hangs every call.
const AFTER_A_HANG: Duration = Duration::from_millis(250);

/// The longest pause between two tries to open the driver, as a power of two of the shortest: a driver that is opened wakes GPUs up.
const LONGEST_PAUSE: u32 = 4;

/// How to poll.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) call_limit: Duration,
    pub(super) slow_every: Duration,
    pub(super) retry_every: Duration,
    pub(super) costly: bool,
    pub(super) visible: Option<String>,
}

/// What polls share with those who read.
pub(super) struct Audience {
    pub(super) board: Board,
    pub(super) shown: Shown,
    pub(super) views: Vec<Arc<dyn GpuView>>,
    pub(super) reach: Mutex<Option<Reach>>,
}

/// What is open and who answers, for those who ask the driver something between polls.
#[derive(Clone)]
pub(super) struct Reach {
    pub(super) driver: Arc<dyn GpuDriver>,
    pub(super) seats: Vec<Arc<Seat>>,
}

impl Audience {
    pub(super) fn reach(&self) -> Option<Reach> {
        self.lock_reach().clone()
    }

    fn lock_reach(&self) -> std::sync::MutexGuard<'_, Option<Reach>> {
        self.reach.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a poll did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poll {
    /// What became of the driver.
    pub driver: DriverPhase,
    /// GPUs that were read.
    pub read: usize,
    /// GPUs that don't answer.
    pub failed: usize,
}

/// A GPU that may be used.
struct Known {
    seat: Arc<Seat>,
    device: Arc<GpuDevice>,
    /// What is carried from one reading to the next.
    sample: GpuSample,
    /// Why it can't be read.
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

/// The one who polls.
pub(super) struct Poller {
    source: Arc<dyn GpuSource>,
    settings: Settings,
    audience: Arc<Audience>,
    caller: Caller,
    driver: Option<Arc<dyn GpuDriver>>,
    known: Vec<Known>,
    /// A call that opens or closes the driver, and hangs.
    pending: Option<Box<dyn Hanging>>,
    /// A call for the list of GPUs that hangs.
    list_pending: Option<Box<dyn Hanging>>,
    /// GPUs whose first call hangs.
    strangers: Vec<(Arc<str>, Box<dyn Hanging>)>,
    /// Whether the list had none, or one that didn't tell who it is.
    incomplete: bool,
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
            pending: None,
            list_pending: None,
            strangers: Vec::new(),
            incomplete: false,
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
        let began = Instant::now();
        self.hung = false;
        if !self.released && self.driver_answers() {
            self.look_around();
            self.read_all();
            self.watch_faults();
        }
        let audience = Arc::clone(&self.audience);
        *audience.lock_reach() = self.driver.as_ref().map(|driver| Reach {
            driver: Arc::clone(driver),
            seats: self.answering(),
        });
        let mut board = audience.board.read();
        if !self.released {
            board.polled = Some(SystemTime::now());
            board.took = Some(began.elapsed());
        }
        let samples = board.samples();
        let poll = Poll {
            driver: board.driver,
            read: samples.len(),
            failed: board.devices.len() - samples.len(),
        };
        drop(board);
        if poll.driver == DriverPhase::Loaded {
            audience.shown.metrics.devices.set(samples.len() as f64);
        } else {
            audience.shown.metrics.devices.clear();
        }
        for view in &audience.views {
            view.polled(&samples);
        }
        poll
    }

    /// Gives the driver back, and says whether it is back by now: calls that hang keep it.
    pub(super) fn release(&mut self) -> bool {
        self.released = true;
        let kept = self.close();
        self.phase(DriverPhase::Released, None);
        self.forget_all("the driver was given back");
        self.poll();
        !kept
    }

    /// Whether there is an open driver, opened just now perhaps.
    fn driver_answers(&mut self) -> bool {
        self.pending.take_if(|pending| pending.returned());
        if self.pending.is_some() {
            return false;
        }
        if self.driver.is_some() {
            return true;
        }
        if !self.may_try() {
            return false;
        }
        let source = Arc::clone(&self.source);
        let opened = self.call("the driver's initialisation", move || source.open());
        match opened {
            Ok(Ok(driver)) => {
                self.driver = Some(driver);
                self.slow_at = None;
                true
            }
            Ok(Err(unopened)) => {
                self.forget_all(&unopened.to_string());
                let (phase, why) = match unopened {
                    Unopened::Absent(why) => (DriverPhase::Absent, why),
                    Unopened::Broken(why) => (DriverPhase::Broken, why),
                };
                self.phase(phase, Some(why));
                false
            }
            Err(failure) => {
                self.driver_failed(failure);
                false
            }
        }
    }

    /// Whether it is time to open the driver, perhaps anew.
    fn may_try(&mut self) -> bool {
        let pause = self.settings.retry_every * (1 << self.in_vain.min(LONGEST_PAUSE));
        let due = self.tried_at.is_none_or(|at| at.elapsed() >= pause);
        if due {
            self.tried_at = Some(Instant::now());
        }
        due
    }

    /// Finds out which GPUs there are, when it is time.
    fn look_around(&mut self) {
        let slow = self.slow_is_due();
        // A driver sees what came back only when it is opened anew.
        if self.slow_at.is_some() && self.is_missing_one() && !self.is_waiting() && self.may_try() {
            self.close();
            self.tried_at = None;
            if self.driver_answers() {
                self.list();
            }
            self.in_vain = if self.is_missing_one() {
                self.in_vain + 1
            } else {
                0
            };
        } else if slow && !self.is_waiting() {
            self.list();
        }
    }

    /// Whether a GPU should be there and isn't. Instances come and go as people like.
    fn is_missing_one(&self) -> bool {
        let gone =
            |entry: &DeviceStatus| entry.failure.is_some() && entry.device.instance.is_none();
        self.incomplete || self.audience.board.read().devices.iter().any(gone)
    }

    /// Whether a call hangs that needs the driver as it is.
    fn is_waiting(&mut self) -> bool {
        self.list_pending.take_if(|pending| pending.returned());
        self.strangers.retain(|(_, pending)| !pending.returned());
        self.list_pending.is_some()
            || !self.strangers.is_empty()
            || self.known.iter().any(|known| {
                known
                    .pending
                    .as_ref()
                    .is_some_and(|pending| !pending.returned())
            })
    }

    /// The GPUs that answer.
    fn answering(&self) -> Vec<Arc<Seat>> {
        let up = self.known.iter().filter(|known| known.down.is_none());
        up.map(|known| Arc::clone(&known.seat)).collect()
    }

    /// Whether it is time for what changes slowly. A poll that comes a little early doesn't wait for the next.
    fn slow_is_due(&self) -> bool {
        let after = self.settings.slow_every * 9 / 10;
        self.slow_at.is_none_or(|at| at.elapsed() >= after)
    }

    fn list(&mut self) {
        let Some(driver) = self.driver.clone() else {
            return;
        };
        let failure = match self.call_about("the list of GPUs", move || driver.list()) {
            Ok(Ok(listed)) => return self.meet(listed),
            Ok(Err(failure)) => failure,
            Err((failure, pending)) => {
                self.list_pending = pending;
                failure
            }
        };
        self.audience.shown.failed(UNKNOWN, failure.reason);
        if self.known.is_empty() || failure.reason == Reason::DriverGone {
            self.driver_failed(failure);
        } else {
            // Those that are known are asked all the same: one that hangs hides no other.
            tracing::warn!(%failure, "the list of GPUs can't be had");
        }
    }

    /// Compares who is there with who was.
    fn meet(&mut self, listed: Vec<Result<Seat, Failure>>) {
        self.incomplete = listed.is_empty() || listed.iter().any(Result::is_err);
        let mut seats = Vec::new();
        for found in listed {
            match found {
                Ok(seat) => seats.push(seat),
                Err(failure) => {
                    tracing::warn!(%failure, "a GPU does not tell who it is");
                    self.audience.shown.failed(UNKNOWN, failure.reason);
                }
            }
        }
        let shown = match &self.settings.visible {
            Some(list) => {
                let selection = select(list, &seats.iter().collect::<Vec<_>>());
                self.complain(selection.complaint);
                selection.shown
            }
            None => vec![true; seats.len()],
        };
        let mut before = std::mem::take(&mut self.known);
        for (seat, _) in seats.into_iter().zip(shown).filter(|(_, shown)| *shown) {
            let at = before
                .iter()
                .position(|known| *known.seat.uuid == *seat.uuid);
            match at.map(|at| before.swap_remove(at)) {
                // It is where it was.
                Some(known)
                    if known.seat.index == seat.index && known.seat.instance == seat.instance =>
                {
                    self.known.push(known);
                }
                Some(_) | None => self.identify(seat),
            }
        }
        for gone in before {
            let failure = Failure::new(
                Reason::Lost,
                format!("{} is not listed any more", gone.device.uuid),
            );
            self.lost(&gone.device, &failure);
        }
        self.phase(DriverPhase::Loaded, None);
    }

    fn identify(&mut self, seat: Seat) {
        let Some(driver) = self.driver.clone() else {
            return;
        };
        let seat = Arc::new(seat);
        let asked = Arc::clone(&seat);
        match self.call_about(&seat.uuid, move || driver.identify(&asked)) {
            Ok(Ok(device)) => {
                let device = Arc::new(device);
                tracing::info!(
                    gpu = %device.uuid,
                    index = %device.id,
                    name = %device.name,
                    simulated = device.simulated.map_or("no", |kind| kind.as_str()),
                    "found a GPU"
                );
                self.audience.board.read().found(&device);
                self.known.push(Known {
                    seat,
                    sample: GpuSample::empty(Arc::clone(&device)),
                    device,
                    down: None,
                    pending: None,
                });
            }
            Ok(Err(failure)) => self.strange(&seat, &failure),
            Err((failure, pending)) => {
                self.strange(&seat, &failure);
                let uuid = Arc::clone(&seat.uuid);
                self.strangers
                    .extend(pending.map(|pending| (uuid, pending)));
            }
        }
    }

    /// A GPU can't be identified.
    fn strange(&mut self, seat: &Seat, failure: &Failure) {
        self.incomplete = true;
        tracing::warn!(%failure, "a GPU can't be identified");
        self.audience.shown.failed(&seat.uuid, failure.reason);
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
        let (seat, mut sample) = (Arc::clone(&known.seat), known.sample.clone());
        let began = Instant::now();
        let read = self.call_about(&known.device.uuid, move || {
            driver
                .read(&seat, tiers, &mut sample)
                .map(|failures| (sample, failures))
        });
        let failure = match read {
            Ok(Ok((sample, failures))) => {
                for failure in failures {
                    tracing::debug!(%failure, "a figure of a GPU can't be had");
                    self.audience
                        .shown
                        .failed(&known.device.uuid, failure.reason);
                }
                known.sample = sample.clone();
                self.answered(known, sample, began.elapsed());
                return;
            }
            Ok(Err(failure)) => failure,
            Err((failure, pending)) => {
                known.pending = pending;
                failure
            }
        };
        known.sample = GpuSample::empty(Arc::clone(&known.device));
        self.audience
            .shown
            .failed(&known.device.uuid, failure.reason);
        known.down = Some(failure.reason);
        self.lost(&known.device, &failure);
    }

    fn answered(&self, known: &mut Known, sample: GpuSample, took: Duration) {
        let device = &known.device;
        if known.down.is_some() {
            tracing::info!(gpu = %device.uuid, "the GPU answers again");
        }
        known.down = None;
        let sample = Arc::new(sample);
        let audience = &*self.audience;
        if let Some(entry) = audience.board.read().entry(&device.uuid) {
            entry.last_success = Some(sample.at);
            entry.sample = Some(Arc::clone(&sample));
            entry.failure = None;
        }
        audience.shown.found(device);
        audience.shown.answered(device, sample.at, took);
        audience.shown.sampled(&sample);
        for view in &audience.views {
            view.sampled(&sample);
        }
    }

    /// A GPU can't be read: what was said of it holds no more.
    fn lost(&self, device: &GpuDevice, failure: &Failure) {
        let audience = &*self.audience;
        let first = match audience.board.read().entry(&device.uuid) {
            Some(entry) => {
                entry.sample = None;
                let since = entry.failure.take().map(|(_, since)| since);
                entry.failure = Some((failure.clone(), since.unwrap_or_else(SystemTime::now)));
                since.is_none()
            }
            None => true,
        };
        if first {
            tracing::warn!(gpu = %device.uuid, %failure, "a GPU does not answer; its series are gone until it does");
            audience.shown.lost(device);
            for view in &audience.views {
                view.lost(device);
            }
        }
    }

    /// The driver itself fails: no GPU can be read.
    fn driver_failed(&mut self, failure: Failure) {
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

    fn forget_all(&mut self, why: &str) {
        for known in std::mem::take(&mut self.known) {
            self.lost(&known.device, &Failure::new(Reason::DriverGone, why));
        }
    }

    fn phase(&self, phase: DriverPhase, why: Option<String>) {
        self.audience.shown.metrics.driver.set(phase);
        let mut board = self.audience.board.read();
        if board.driver != phase || board.why != why {
            let why = why.as_deref().unwrap_or_default();
            match phase {
                DriverPhase::Broken | DriverPhase::Hung => {
                    tracing::warn!(source = self.source.name(), why, "GPUs can't be read");
                }
                _ => tracing::info!(source = self.source.name(), ?phase, why, "GPU driver"),
            }
        }
        board.driver = phase;
        board.why = why;
    }

    fn complain(&self, complaint: Option<String>) {
        let mut board = self.audience.board.read();
        if let Some(complaint) = &complaint
            && board.complaint.as_ref() != Some(complaint)
        {
            tracing::warn!("{complaint}");
        }
        board.complaint = complaint;
    }

    /// Lets go of the driver, and says whether something else still holds it.
    fn close(&mut self) -> bool {
        *self.audience.lock_reach() = None;
        let held_by_calls = self.is_waiting();
        let held_by_watch = self
            .watch
            .take()
            .is_some_and(|watch| !watch.stop(self.settings.call_limit));
        let Some(driver) = self.driver.take() else {
            return held_by_calls || held_by_watch || self.pending.is_some();
        };
        let dropped = self.call("the driver's shutdown", move || drop(driver));
        dropped.is_err() || held_by_calls || held_by_watch
    }

    /// Waits for faults of the GPUs that are there, from a thread of its own.
    fn watch_faults(&mut self) {
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

    /// A call about the driver itself.
    fn call<T: Send + 'static>(
        &mut self,
        what: &str,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        self.call_about(what, call).map_err(|(failure, pending)| {
            self.pending = pending;
            failure
        })
    }

    fn call_about<T: Send + 'static>(
        &mut self,
        what: &str,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, (Failure, Option<Box<dyn Hanging>>)> {
        let limit = if self.hung {
            AFTER_A_HANG.min(self.settings.call_limit)
        } else {
            self.settings.call_limit
        };
        self.caller.call(limit, call).map_err(|why| match why {
            Unanswered::Hung(pending) => {
                self.hung = true;
                let message = format!("{what}: the driver has not answered for {limit:?}");
                let pending: Box<dyn Hanging> = Box::new(pending);
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
        })
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.close();
    }
}
