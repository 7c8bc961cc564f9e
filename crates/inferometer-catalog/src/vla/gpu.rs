//! Its view of the GPUs: by device, and what each inference does to a device's memory.

use inferometer::{
    Gauge, Histogram, LabelSet, MetricSet,
    sample::gpu::{GpuDevice, GpuSample, GpuView, percent},
};

/// By GPU.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByDevice<'a> {
    /// The GPU's id: its index, such as `0`, or `0:1` for a MIG instance.
    #[label(limit = 128)]
    pub device: &'a str,
}

/// By model and GPU.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByModel<'a> {
    /// The model.
    #[label(limit = 100)]
    pub model: &'a str,
    /// The GPU's id.
    #[label(limit = 128)]
    pub device: &'a str,
}

/// Bounds for the size of a change of memory, in bytes: 64 KiB to 16 GiB.
const CHANGE: [f64; 10] = [
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
    1_073_741_824.0,
    4_294_967_296.0,
    17_179_869_184.0,
];

/// The robot inference API's GPU metrics.
#[derive(Clone, Debug, MetricSet)]
#[metrics(namespace = "vla")]
pub struct Gpu {
    /// Share of time in which a GPU computed, from 0 to 100.
    #[metric(name = "vla_gpu_utilization_percent", unit = "percent")]
    pub utilization: Gauge<ByDevice<'static>>,
    /// Memory in use on a GPU.
    #[metric(name = "vla_gpu_memory_used_bytes", unit = "bytes")]
    pub memory_used: Gauge<ByDevice<'static>>,
    /// Memory of a GPU.
    #[metric(name = "vla_gpu_memory_total_bytes", unit = "bytes")]
    pub memory_total: Gauge<ByDevice<'static>>,
    /// Share of a GPU's memory in use, from 0 to 100; not to be averaged: divide the bytes.
    #[metric(name = "vla_gpu_memory_utilization_percent", unit = "percent")]
    pub memory_utilization: Gauge<ByDevice<'static>>,
    /// Temperature of a GPU.
    #[metric(name = "vla_gpu_temperature_celsius", unit = "celsius")]
    pub temperature: Gauge<ByDevice<'static>>,
    /// Power that a GPU draws.
    #[metric(name = "vla_gpu_power_watts", unit = "watts")]
    pub power: Gauge<ByDevice<'static>>,
    /// Who may use a GPU: 0 anyone, 1 one thread, 2 nobody, 3 one process.
    #[metric(name = "vla_gpu_compute_mode")]
    pub compute_mode: Gauge<ByDevice<'static>>,
    /// By how much the last inference of a model changed the memory in use on a GPU; below 0 when it freed some.
    #[metric(name = "vla_inference_gpu_memory_delta_bytes", unit = "bytes")]
    pub memory_delta: Gauge<ByModel<'static>>,
    /// By how much inferences raised the memory in use on a GPU, by model; one that freed some counts as 0.
    #[metric(
        name = "vla_inference_gpu_memory_growth_bytes",
        unit = "bytes",
        buckets = CHANGE
    )]
    pub memory_growth: Histogram<ByModel<'static>>,
}

impl GpuView for Gpu {
    fn sampled(&self, sample: &GpuSample) {
        let set = |gauge: &Gauge<ByDevice<'static>>, value: Option<f64>| {
            let series = gauge.with(ByDevice {
                device: &sample.device.id,
            });
            match value {
                Some(value) => series.set(value),
                None => series.clear(),
            }
        };
        let memory = sample.memory;
        let used = memory.map(|memory| memory.used as f64);
        let total = memory
            .map(|memory| memory.total)
            .or(sample.device.memory_total)
            .map(|total| total as f64);
        set(&self.utilization, sample.utilization_percent());
        set(&self.memory_used, used);
        set(&self.memory_total, total);
        let share = used.zip(total).filter(|(_, total)| *total > 0.0);
        set(
            &self.memory_utilization,
            share.map(|(used, total)| percent(used / total)),
        );
        set(&self.temperature, sample.temperature);
        set(&self.power, sample.power);
        let mode = sample.compute_mode.map(|mode| f64::from(mode.number()));
        set(&self.compute_mode, mode);
    }

    fn lost(&self, device: &GpuDevice) {
        for gauge in [
            &self.utilization,
            &self.memory_used,
            &self.memory_total,
            &self.memory_utilization,
            &self.temperature,
            &self.power,
            &self.compute_mode,
        ] {
            gauge.remove(ByDevice { device: &device.id });
        }
    }

    fn inference_memory(&self, model: &str, device: &GpuDevice, delta: i64) {
        let labels = ByModel {
            model,
            device: &device.id,
        };
        let delta = delta as f64;
        self.memory_delta.with(labels).set(delta);
        self.memory_growth.with(labels).observe(delta.max(0.0));
    }
}
