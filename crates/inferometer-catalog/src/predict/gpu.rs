//! Its view of the GPUs, by id and name.

use inferometer::{
    Gauge, LabelSet, MetricSet,
    sample::gpu::{GpuDevice, GpuSample, GpuView},
};

/// By GPU.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByGpu<'a> {
    /// The GPU's id: its index, such as `0`, or `0:1` for a MIG instance.
    #[label(limit = 128)]
    pub gpu_id: &'a str,
    /// Its product name.
    #[label(limit = 32)]
    pub gpu_name: &'a str,
}

/// The prediction API's GPU metrics.
#[derive(Clone, Debug, MetricSet)]
pub struct Gpu {
    /// Share of time in which a GPU computed, from 0 to 100.
    #[metric(name = "gpu_utilization_percent", unit = "percent")]
    pub utilization: Gauge<ByGpu<'static>>,
    /// Memory in use on a GPU.
    #[metric(name = "gpu_memory_used_bytes", unit = "bytes")]
    pub memory_used: Gauge<ByGpu<'static>>,
    /// Memory of a GPU.
    #[metric(name = "gpu_memory_total_bytes", unit = "bytes")]
    pub memory_total: Gauge<ByGpu<'static>>,
    /// Temperature of a GPU.
    #[metric(name = "gpu_temperature_celsius", unit = "celsius")]
    pub temperature: Gauge<ByGpu<'static>>,
    /// Power that a GPU draws.
    #[metric(name = "gpu_power_usage_watts", unit = "watts")]
    pub power: Gauge<ByGpu<'static>>,
}

fn labels(device: &GpuDevice) -> ByGpu<'_> {
    ByGpu {
        gpu_id: &device.id,
        gpu_name: &device.name,
    }
}

impl GpuView for Gpu {
    fn sampled(&self, sample: &GpuSample) {
        let set = |gauge: &Gauge<ByGpu<'static>>, value: Option<f64>| {
            let series = gauge.with(labels(&sample.device));
            match value {
                Some(value) => series.set(value),
                None => series.clear(),
            }
        };
        let memory = sample.memory;
        let total = memory
            .map(|memory| memory.total)
            .or(sample.device.memory_total);
        set(&self.utilization, sample.utilization_percent());
        set(&self.memory_used, memory.map(|memory| memory.used as f64));
        set(&self.memory_total, total.map(|total| total as f64));
        set(&self.temperature, sample.temperature);
        set(&self.power, sample.power);
    }

    fn lost(&self, device: &GpuDevice) {
        for gauge in [
            &self.utilization,
            &self.memory_used,
            &self.memory_total,
            &self.temperature,
            &self.power,
        ] {
            gauge.remove(labels(device));
        }
    }
}
