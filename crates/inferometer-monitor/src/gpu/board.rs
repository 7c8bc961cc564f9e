//! What is known now, for whoever asks: it is memory, and nobody who reads it waits for a driver.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use inferometer::sample::gpu::{GpuDevice, GpuSample};

use super::{metrics::DriverPhase, source::Failure};

/// What is known of the driver and of each GPU.
#[derive(Clone, Debug)]
pub struct GpuStatus {
    /// What became of the driver.
    pub driver: DriverPhase,
    /// Why, when it isn't loaded.
    pub why: Option<String>,
    /// What is wrong with `CUDA_VISIBLE_DEVICES`, and what follows from it.
    pub complaint: Option<String>,
    /// When the last poll ended.
    pub polled: Option<SystemTime>,
    /// How long it took.
    pub took: Option<Duration>,
    /// Every GPU that was ever seen and may be used.
    pub devices: Vec<DeviceStatus>,
}

/// What is known of a GPU.
#[derive(Clone, Debug)]
pub struct DeviceStatus {
    /// What it is.
    pub device: Arc<GpuDevice>,
    /// What it was last found to do; `None` when it doesn't answer.
    pub sample: Option<Arc<GpuSample>>,
    /// Why it doesn't answer, and since when.
    pub failure: Option<(Failure, SystemTime)>,
    /// When it was last read.
    pub last_success: Option<SystemTime>,
}

#[derive(Debug)]
pub(super) struct Board(Mutex<GpuStatus>);

impl Board {
    pub(super) fn new() -> Self {
        Self(Mutex::new(GpuStatus {
            driver: DriverPhase::Unasked,
            why: None,
            complaint: None,
            polled: None,
            took: None,
            devices: Vec::new(),
        }))
    }

    /// Held for no longer than it takes to copy.
    pub(super) fn read(&self) -> MutexGuard<'_, GpuStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GpuStatus {
    /// A GPU, by UUID.
    pub(super) fn entry(&mut self, uuid: &str) -> Option<&mut DeviceStatus> {
        self.devices
            .iter_mut()
            .find(|entry| *entry.device.uuid == *uuid)
    }

    /// A GPU was identified, perhaps anew: what it was taken for before.
    pub(super) fn found(&mut self, device: &Arc<GpuDevice>) -> Option<Arc<GpuDevice>> {
        if let Some(entry) = self.entry(&device.uuid) {
            return Some(std::mem::replace(&mut entry.device, Arc::clone(device)));
        }
        self.devices.push(DeviceStatus {
            device: Arc::clone(device),
            sample: None,
            failure: None,
            last_success: None,
        });
        self.devices.sort_by_key(|entry| {
            let within = entry.device.instance.as_ref().map(|part| part.position);
            (entry.device.index, within)
        });
        None
    }

    /// The samples of the GPUs that answer, in order.
    pub(super) fn samples(&self) -> Vec<Arc<GpuSample>> {
        self.devices
            .iter()
            .filter_map(|entry| entry.sample.clone())
            .collect()
    }
}
