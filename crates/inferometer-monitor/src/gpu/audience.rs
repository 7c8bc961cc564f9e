//! Everyone who is told what polls find: the board, the metrics, the views.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use inferometer::sample::gpu::{GpuDevice, GpuSample, GpuView};

use super::{
    board::Board,
    metrics::{DriverPhase, Shown},
    source::{Failure, GpuDriver, Seat},
};

/// What polls share with those who read.
pub(super) struct Audience {
    pub(super) board: Board,
    pub(super) shown: Shown,
    views: Vec<Arc<dyn GpuView>>,
    reach: Mutex<Option<Reach>>,
}

/// What is open and who answers, for those who ask the driver something between polls.
#[derive(Clone)]
pub(super) struct Reach {
    pub(super) driver: Arc<dyn GpuDriver>,
    pub(super) seats: Vec<Arc<Seat>>,
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

impl Audience {
    pub(super) fn new(shown: Shown, views: Vec<Arc<dyn GpuView>>) -> Self {
        Self {
            board: Board::new(),
            shown,
            views,
            reach: Mutex::default(),
        }
    }

    /// What is within reach, held for no longer than it takes to copy.
    pub(super) fn reach(&self) -> MutexGuard<'_, Option<Reach>> {
        self.reach.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells every view. One that panics stops no other.
    pub(super) fn tell(&self, tell: impl Fn(&dyn GpuView)) {
        for view in &self.views {
            if catch_unwind(AssertUnwindSafe(|| tell(&**view))).is_err() {
                tracing::error!("a view of the GPUs panicked; it was told and did not take it in");
            }
        }
    }

    /// A GPU was identified, perhaps anew.
    pub(super) fn found(&self, device: &Arc<GpuDevice>) {
        let before = self.board.read().found(device);
        match before {
            Some(before) if before == *device => return,
            // What was said of it may have labels that hold no more.
            Some(before) => self.hush(&before),
            None => {}
        }
        tracing::info!(
            gpu = %device.uuid,
            index = %device.id,
            name = %device.name,
            simulated = device.simulated.map_or("no", |kind| kind.as_str()),
            "found a GPU"
        );
    }

    /// A GPU was read.
    pub(super) fn answered(&self, sample: &Arc<GpuSample>, took: Duration) {
        let device = &sample.device;
        if let Some(entry) = self.board.read().entry(&device.uuid) {
            entry.last_success = Some(sample.at);
            entry.sample = Some(Arc::clone(sample));
            entry.failure = None;
        }
        self.shown.found(device);
        self.shown.answered(device, sample.at, took);
        self.shown.sampled(sample);
        self.tell(|view| view.sampled(sample));
    }

    /// A GPU can't be read: what was said of it holds no more.
    pub(super) fn lost(&self, device: &GpuDevice, failure: &Failure) {
        let first = match self.board.read().entry(&device.uuid) {
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
            self.hush(device);
        }
    }

    /// A GPU is gone on purpose: nothing is left of it.
    pub(super) fn removed(&self, device: &GpuDevice) {
        tracing::info!(gpu = %device.uuid, "a GPU's instance was removed");
        self.hush(device);
        self.shown.forget(device);
        let mut board = self.board.read();
        board
            .devices
            .retain(|entry| entry.device.uuid != device.uuid);
    }

    fn hush(&self, device: &GpuDevice) {
        self.shown.lost(device);
        self.tell(|view| view.lost(device));
    }

    /// The driver is in another state, or the same for another reason.
    pub(super) fn phase(&self, source: &str, phase: DriverPhase, why: Option<String>) {
        self.shown.metrics.driver.set(phase);
        let mut board = self.board.read();
        if board.driver != phase || board.why != why {
            let why = why.as_deref();
            match phase {
                DriverPhase::Broken | DriverPhase::Hung => {
                    tracing::warn!(source, why, "GPUs can't be read");
                }
                _ => tracing::info!(source, ?phase, why, "GPU driver"),
            }
        }
        board.driver = phase;
        board.why = why;
    }

    /// What is wrong with the list of visible GPUs.
    pub(super) fn complain(&self, complaint: Option<String>) {
        let mut board = self.board.read();
        if let Some(complaint) = &complaint
            && board.complaint.as_ref() != Some(complaint)
        {
            tracing::warn!("{complaint}");
        }
        board.complaint = complaint;
    }

    /// A poll ended that `began` then, or the driver was given back.
    pub(super) fn polled(&self, began: Option<Instant>) -> Poll {
        let mut board = self.board.read();
        if let Some(began) = began {
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
            self.shown.metrics.devices.set(samples.len() as f64);
        } else {
            self.shown.metrics.devices.clear();
        }
        match began {
            Some(_) => self.tell(|view| view.polled(&samples)),
            None => self.tell(|view| view.released()),
        }
        poll
    }
}
