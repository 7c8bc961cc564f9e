//! The async runtime, which keeps figures of its own.

use inferometer::sample::host::{HostSample, Runtime};
use tokio::runtime::Handle;

use super::{
    super::{Options, files::Files},
    Collect, Failure,
};

/// A runtime's workers.
#[derive(Debug)]
pub(super) struct Workers(Handle);

impl Workers {
    /// `None` where no runtime was named.
    pub(super) fn of(options: &Options) -> Option<Box<dyn Collect>> {
        let runtime = options.runtime.clone()?;
        Some(Box::new(Self(runtime)))
    }
}

impl Collect for Workers {
    fn collect(&mut self, _files: &mut Files, sample: &mut HostSample) -> Result<(), Failure> {
        let metrics = self.0.metrics();
        sample.runtime = Some(Runtime {
            workers: metrics.num_workers() as u64,
            alive_tasks: metrics.num_alive_tasks() as u64,
            queue_depth: metrics.global_queue_depth() as u64,
            busy_seconds: busy_seconds(&metrics),
        });
        Ok(())
    }
}

#[cfg(target_has_atomic = "64")]
fn busy_seconds(metrics: &tokio::runtime::RuntimeMetrics) -> Option<f64> {
    let busy = (0..metrics.num_workers()).map(|at| metrics.worker_total_busy_duration(at));
    Some(busy.map(|time| time.as_secs_f64()).sum())
}

#[cfg(not(target_has_atomic = "64"))]
fn busy_seconds(_metrics: &tokio::runtime::RuntimeMetrics) -> Option<f64> {
    None
}
