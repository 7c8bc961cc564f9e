//! One monitor for the whole process, started and stopped where a service starts and stops.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use inferometer::RegisterError;

use super::monitor::GpuMonitor;
use crate::scheduler::{self, ScheduleError, Scheduler};

static MONITOR: Mutex<Option<GpuMonitor>> = Mutex::new(None);

fn monitor() -> MutexGuard<'static, Option<GpuMonitor>> {
    MONITOR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why the process's monitor can't start.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// Its metrics, or the scheduler's, can't be declared.
    #[error("the metrics of the GPU monitor can't be declared in the process's registry: {0}")]
    Register(#[from] RegisterError),
    /// It can't poll.
    #[error(transparent)]
    Start(#[from] ScheduleError),
}

/// Starts the process's monitor: NVIDIA's GPUs, in [`inferometer::global`], every five seconds, on the process's
/// [scheduler](scheduler::global). One that runs goes on.
///
/// # Errors
/// Its metrics can't be declared, or there is no thread to be had. A driver that isn't there is no error.
pub fn start_gpu_monitoring() -> Result<GpuMonitor, HookError> {
    let mut current = monitor();
    let monitor = match &*current {
        Some(monitor) => monitor.clone(),
        None => GpuMonitor::builder().register(inferometer::global())?,
    };
    if !monitor.is_running() {
        monitor.start(&scheduler::global()?, GpuMonitor::INTERVAL)?;
    }
    *current = Some(monitor.clone());
    Ok(monitor)
}

/// Starts `new` as the process's monitor on `scheduler`, and stops the one before.
///
/// # Errors
/// As [`GpuMonitor::start`].
pub fn start_gpu_monitoring_with(
    new: &GpuMonitor,
    scheduler: &Scheduler,
    interval: Duration,
) -> Result<(), ScheduleError> {
    let mut current = monitor();
    if let Some(before) = current.take() {
        before.shutdown();
    }
    new.start(scheduler, interval)?;
    *current = Some(new.clone());
    Ok(())
}

/// The process's monitor, if one was started.
pub fn gpu_monitor() -> Option<GpuMonitor> {
    monitor().clone()
}

/// Stops the process's monitor and gives the driver back; says whether it is back by now. [`start_gpu_monitoring`] starts it again.
pub fn stop_gpu_monitoring() -> bool {
    monitor().as_ref().is_none_or(GpuMonitor::shutdown)
}
