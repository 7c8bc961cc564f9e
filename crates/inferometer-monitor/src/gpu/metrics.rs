//! What is shown of GPUs under names of our own.

mod labels;
mod shown;

use inferometer::{Counter, FloatCounter, Gauge, MetricSet, StateSet, sample::gpu::ComputeMode};

pub use labels::{
    ByClock, ByDevice, ByEccKind, ByReason, ByThrottleReason, ByXid, Clock, DriverPhase, EccKind,
    Facts,
};
pub(super) use shown::Shown;

/// Stands for a GPU that didn't tell who it is.
pub(super) const UNKNOWN: &str = "unknown";

/// The monitor's metrics.
#[derive(Clone, Debug, MetricSet)]
#[metrics(namespace = "inferometer_gpu")]
pub struct GpuMetrics {
    /// What became of the driver.
    pub driver: StateSet<DriverPhase>,
    /// GPUs that may be used and answer; absent while nobody can tell.
    pub devices: Gauge,
    /// What a GPU is; always 1.
    #[metric(name = "inferometer_gpu_info")]
    pub info: Gauge<Facts<'static>>,
    /// Whether a GPU answers: 1, or 0 from the moment that it is known not to. It stays 0 for a GPU that is gone.
    pub up: Gauge<ByDevice<'static>>,
    /// Readings of a GPU, or of one of its figures, that went wrong, by reason. What a GPU doesn't offer isn't an error.
    pub errors: Counter<ByReason<'static>>,
    /// When a GPU was last read, in seconds since 1970. It stays when the GPU is lost.
    #[metric(
        name = "inferometer_gpu_last_success_timestamp_seconds",
        unit = "seconds"
    )]
    pub last_success: Gauge<ByDevice<'static>>,
    /// How long the last reading of a GPU took.
    #[metric(unit = "seconds")]
    pub sample_duration: Gauge<ByDevice<'static>>,
    /// Share of time in which a GPU computed, 0 to 1.
    #[metric(name = "inferometer_gpu_utilization_ratio", unit = "ratio")]
    pub utilization: Gauge<ByDevice<'static>>,
    /// Share of time in which a GPU's memory was read or written, 0 to 1.
    #[metric(name = "inferometer_gpu_memory_utilization_ratio", unit = "ratio")]
    pub memory_utilization: Gauge<ByDevice<'static>>,
    /// Memory that processes hold on a GPU, without what the driver keeps for itself.
    #[metric(unit = "bytes")]
    pub memory_used: Gauge<ByDevice<'static>>,
    /// Memory that the driver keeps for itself on a GPU.
    #[metric(unit = "bytes")]
    pub memory_reserved: Gauge<ByDevice<'static>>,
    /// Memory that is free on a GPU.
    #[metric(unit = "bytes")]
    pub memory_free: Gauge<ByDevice<'static>>,
    /// Memory of a GPU.
    #[metric(unit = "bytes")]
    pub memory_total: Gauge<ByDevice<'static>>,
    /// Memory that this process holds on a GPU; absent where the driver knows the process by another number, as in containers.
    #[metric(unit = "bytes")]
    pub own_memory: Gauge<ByDevice<'static>>,
    /// Processes beside this one on a GPU.
    pub other_processes: Gauge<ByDevice<'static>>,
    /// Memory that processes beside this one hold on a GPU.
    #[metric(unit = "bytes")]
    pub other_processes_memory: Gauge<ByDevice<'static>>,
    /// Temperature of a GPU.
    #[metric(unit = "celsius")]
    pub temperature: Gauge<ByDevice<'static>>,
    /// Temperature at which a GPU slows down.
    #[metric(unit = "celsius")]
    pub slowdown_temperature: Gauge<ByDevice<'static>>,
    /// Temperature at which a GPU shuts down.
    #[metric(unit = "celsius")]
    pub shutdown_temperature: Gauge<ByDevice<'static>>,
    /// Power that a GPU draws.
    #[metric(unit = "watts")]
    pub power: Gauge<ByDevice<'static>>,
    /// Power that a GPU may draw.
    #[metric(unit = "watts")]
    pub power_limit: Gauge<ByDevice<'static>>,
    /// Energy that a GPU has used since its driver was loaded; it moves every 20 to 100 ms, so rates over less than a second are noise.
    #[metric(unit = "joules")]
    pub energy: FloatCounter<ByDevice<'static>>,
    /// A GPU's clocks.
    #[metric(name = "inferometer_gpu_clock_hertz", unit = "hertz")]
    pub clock: Gauge<ByClock<'static>>,
    /// Whether a reason for slower clocks holds: 1 or 0. Several may hold at once.
    pub throttled: Gauge<ByThrottleReason<'static>>,
    /// Memory errors of a GPU since its driver was loaded.
    pub ecc_errors: Counter<ByEccKind<'static>>,
    /// XID errors that a GPU reported since the monitor began, by code.
    pub xid_events: Counter<ByXid<'static>>,
    /// When a GPU last reported an XID error, by code, in seconds since 1970.
    #[metric(name = "inferometer_gpu_xid_last_timestamp_seconds", unit = "seconds")]
    pub xid_last: Gauge<ByXid<'static>>,
    /// Who may use a GPU.
    pub compute_mode: StateSet<ComputeMode, ByDevice<'static>>,
    /// What a GPU receives over its bus, in bytes a second; only when asked for.
    #[metric(unit = "bytes_per_second")]
    pub pcie_received: Gauge<ByDevice<'static>>,
    /// What a GPU sends over its bus, in bytes a second; only when asked for.
    #[metric(unit = "bytes_per_second")]
    pub pcie_sent: Gauge<ByDevice<'static>>,
    /// How fast a GPU's fastest fan should turn, as a share of the most it can; only when asked for.
    #[metric(name = "inferometer_gpu_fan_speed_ratio", unit = "ratio")]
    pub fan_speed: Gauge<ByDevice<'static>>,
}
