//! What one inference does to a GPU's memory.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use inferometer::sample::gpu::GpuDevice;

use super::{
    audience::Audience,
    caller::{Caller, Pending, Unanswered},
    source::Failure,
};

/// The longest that an inference waits for a driver. A reading takes 12 µs when the driver is well.
const PATIENCE: Duration = Duration::from_millis(50);

/// Reads memory between polls.
pub(super) struct Tracker {
    audience: Arc<Audience>,
    lane: Mutex<Lane>,
}

struct Lane {
    caller: Caller,
    pending: Option<Pending<Result<u64, Failure>>>,
}

impl Tracker {
    pub(super) fn new(audience: Arc<Audience>) -> Self {
        Self {
            audience,
            lane: Mutex::new(Lane {
                caller: Caller::new("gpu-memory"),
                pending: None,
            }),
        }
    }

    /// Bytes in use on a GPU now; `None` when that can't be known within [`PATIENCE`].
    fn used(&self, uuid: &str) -> Option<u64> {
        let reach = self.audience.reach().clone()?;
        let seat = reach.seats.into_iter().find(|seat| *seat.uuid == *uuid)?;
        let mut lane = self.lane.lock().unwrap_or_else(PoisonError::into_inner);
        lane.pending.take_if(|pending| pending.returned());
        if lane.pending.is_some() {
            // One inference has waited; the others don't.
            return None;
        }
        let driver = reach.driver;
        let read = move || driver.memory(&seat).map(|memory| memory.used);
        match lane.caller.call(PATIENCE, read) {
            Ok(read) => read.ok(),
            Err(Unanswered::Hung(pending)) => {
                lane.pending = Some(pending);
                None
            }
            Err(Unanswered::Panicked | Unanswered::NoThread(_)) => None,
        }
    }
}

/// One inference, from when this was made until it is dropped or [finished](Self::finish). Then the views are told by how much the
/// memory in use on the GPU changed.
///
/// It is the whole GPU's memory: what others take or free meanwhile is in it. Each end costs a reading, some 30 µs with the way to
/// another thread and back; a driver that doesn't answer costs one inference 50 ms at either end and the others nothing, and nothing
/// is told then. It is not for the thread of an async runtime that can't bear that: make and drop it where the inference blocks.
#[must_use = "dropped at once, it measures nothing"]
pub struct InferenceMemory {
    tracker: Arc<Tracker>,
    model: String,
    /// The GPU, and the bytes in use at the beginning.
    before: Option<(Arc<GpuDevice>, u64)>,
}

impl std::fmt::Debug for InferenceMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InferenceMemory")
            .field("model", &self.model)
            .field("before", &self.before.as_ref().map(|(_, used)| used))
            .finish_non_exhaustive()
    }
}

impl InferenceMemory {
    pub(super) fn begin(
        tracker: Arc<Tracker>,
        model: String,
        device: Option<Arc<GpuDevice>>,
    ) -> Self {
        let before =
            device.and_then(|device| tracker.used(&device.uuid).map(|used| (device, used)));
        Self {
            tracker,
            model,
            before,
        }
    }

    /// Ends it, and returns the change in bytes; `None` when it isn't known.
    pub fn finish(mut self) -> Option<i64> {
        self.settle()
    }

    fn settle(&mut self) -> Option<i64> {
        let (device, before) = self.before.take()?;
        let after = self.tracker.used(&device.uuid)?;
        let delta = after.wrapping_sub(before).cast_signed();
        self.tracker
            .audience
            .tell(|view| view.inference_memory(&self.model, &device, delta));
        Some(delta)
    }
}

impl Drop for InferenceMemory {
    fn drop(&mut self) {
        self.settle();
    }
}
