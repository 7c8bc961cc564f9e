//! Its view of the GPUs: two figures without labels, for all that the process may use together.

use std::sync::Arc;

use inferometer::{
    Gauge, MetricSet,
    sample::gpu::{GpuDevice, GpuSample, GpuView},
};

const MEGABYTE: f64 = 1e6;

/// The cross-encoder server's GPU metrics.
///
/// They speak of the GPUs that the process may use and that answer. When none does, both are absent.
#[derive(Clone, Debug, MetricSet)]
pub struct Gpu {
    /// GPU memory in use, in megabytes (of a million bytes), on all GPUs that the process may use and that answer.
    #[metric(name = "gpu_memory_mb", unit = "megabytes")]
    pub memory: Gauge,
    /// Share of time in which the GPUs computed, from 0 to 100, the mean of all that the process may use and that answer.
    #[metric(name = "gpu_utilization_pct", unit = "percent")]
    pub utilization: Gauge,
}

impl GpuView for Gpu {
    fn sampled(&self, _sample: &GpuSample) {}

    fn lost(&self, _device: &GpuDevice) {}

    fn polled(&self, samples: &[Arc<GpuSample>]) {
        let memory = sum(samples
            .iter()
            .filter(|sample| !is_within_another(sample, samples))
            .filter_map(|sample| sample.memory)
            .map(|memory| memory.used as f64));
        match memory {
            Some((bytes, _)) => self.memory.set(bytes / MEGABYTE),
            None => self.memory.clear(),
        }
        match sum(samples
            .iter()
            .filter_map(|sample| sample.utilization_percent()))
        {
            Some((percents, count)) => self.utilization.set(percents / count),
            None => self.utilization.clear(),
        }
    }
}

/// Whether its memory is counted already: a MIG instance's is part of its GPU's.
fn is_within_another(sample: &GpuSample, samples: &[Arc<GpuSample>]) -> bool {
    sample.device.instance.as_ref().is_some_and(|instance| {
        samples
            .iter()
            .any(|other| other.device.uuid == instance.parent && other.memory.is_some())
    })
}

/// The sum of the values and how many there are; `None` of none.
fn sum(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then_some((sum, count))
}
