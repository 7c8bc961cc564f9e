//! Faults that GPUs report by themselves, awaited on a thread of their own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, SystemTime},
};

use super::{
    audience::Audience,
    source::{GpuDriver, Seat},
};

/// A thread that waits for faults.
#[derive(Debug)]
pub(super) struct Watch {
    seats: Vec<Arc<Seat>>,
    stop: Arc<AtomicBool>,
    failed: Arc<AtomicBool>,
    /// Disconnected when the thread has let go of the driver.
    ended: Receiver<()>,
}

impl Watch {
    /// Waits for faults of `seats`; nothing when there is no thread to be had.
    pub(super) fn begin(
        driver: Arc<dyn GpuDriver>,
        seats: Vec<Arc<Seat>>,
        audience: Arc<Audience>,
    ) -> Option<Self> {
        let (stop, failed) = (Arc::default(), Arc::default());
        let (end, ended) = mpsc::channel();
        let watch = Self {
            seats: seats.clone(),
            stop: Arc::clone(&stop),
            failed: Arc::clone(&failed),
            ended,
        };
        let watching = move || {
            let mut take = |seat: &Seat, code| {
                tracing::warn!(gpu = %seat.uuid, xid = code, "a GPU reports a fault");
                audience.shown.faulted(&seat.uuid, code, SystemTime::now());
            };
            if let Err(failure) = driver.watch(&seats, &stop, &mut take) {
                tracing::debug!(%failure, "GPU faults can't be awaited; tried again with the next poll");
                failed.store(true, Relaxed);
            }
            drop(driver);
            drop(end);
        };
        let spawned = thread::Builder::new()
            .name("gpu-faults".to_owned())
            .spawn(watching);
        spawned
            .inspect_err(|error| tracing::warn!(%error, "no thread to wait for GPU faults on"))
            .ok()
            .map(|_| watch)
    }

    /// Whether it waits, or has nothing to wait for, on behalf of just these.
    pub(super) fn serves(&self, seats: &[Arc<Seat>]) -> bool {
        !self.failed.load(Relaxed)
            && self.seats.len() == seats.len()
            && self
                .seats
                .iter()
                .zip(seats)
                .all(|(mine, yours)| Arc::ptr_eq(mine, yours))
    }

    /// Ends it, and says whether it has ended within `limit`.
    pub(super) fn stop(&self, limit: Duration) -> bool {
        self.stop.store(true, Relaxed);
        !matches!(
            self.ended.recv_timeout(limit),
            Err(RecvTimeoutError::Timeout)
        )
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}
