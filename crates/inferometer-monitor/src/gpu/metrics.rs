//! What is shown of GPUs under names of our own.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use inferometer::{
    Counter, FloatCounter, Gauge, LabelSet, LabelValue, MetricSet, StateSet,
    sample::gpu::{ComputeMode, GpuDevice, GpuSample, GpuView, ThrottleReason},
};

use super::source::Reason;

/// How many GPUs are told apart.
const DEVICES: usize = 128;

/// Stands for a GPU that didn't tell who it is.
pub(super) const UNKNOWN: &str = "unknown";

/// By GPU.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByDevice<'a> {
    /// The GPU's UUID.
    #[label(limit = DEVICES)]
    pub uuid: &'a str,
}

/// By GPU, with what else it is called.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct Facts<'a> {
    /// The GPU's UUID.
    #[label(limit = DEVICES)]
    pub uuid: &'a str,
    /// Its index, such as `1`, or `1:0` for a MIG instance.
    #[label(limit = DEVICES)]
    pub index: &'a str,
    /// Its product name.
    #[label(limit = DEVICES)]
    pub name: &'a str,
    /// Where it is on the PCI bus.
    #[label(limit = DEVICES)]
    pub pci_bus_id: &'a str,
    /// The driver's version.
    #[label(limit = DEVICES)]
    pub driver_version: &'a str,
    /// The UUID of the GPU that it is a part of; empty when it is whole.
    #[label(limit = DEVICES)]
    pub parent: &'a str,
    /// `replayed` or `faked` when no hardware is behind it; empty otherwise.
    #[label(limit = 3)]
    pub simulated: &'a str,
}

/// By GPU and kind of failure.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByReason<'a> {
    /// The GPU's UUID; `unknown` for one that didn't tell it.
    #[label(limit = DEVICES)]
    pub uuid: &'a str,
    /// What went wrong.
    pub reason: Reason,
}

/// By GPU and reason for slower clocks.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByThrottleReason<'a> {
    /// The GPU's UUID.
    #[label(limit = DEVICES)]
    pub uuid: &'a str,
    /// The reason.
    pub reason: ThrottleReason,
}

/// A clock.
#[derive(Clone, Copy, Debug, LabelValue)]
pub enum Clock {
    /// The graphics clock.
    Graphics,
    /// The multiprocessors' clock.
    Sm,
    /// The memory's clock.
    Memory,
}

/// By GPU and clock.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByClock<'a> {
    /// The GPU's UUID.
    #[label(limit = DEVICES)]
    pub uuid: &'a str,
    /// The clock.
    pub clock: Clock,
}

/// A kind of memory error.
#[derive(Clone, Copy, Debug, LabelValue)]
pub enum EccKind {
    /// It was corrected.
    Corrected,
    /// It lost data.
    Uncorrected,
}

/// By GPU and kind of memory error.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByEccKind<'a> {
    /// The GPU's UUID.
    #[label(limit = DEVICES)]
    pub uuid: &'a str,
    /// The kind.
    pub kind: EccKind,
}

/// By GPU and XID code.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByXid<'a> {
    /// The GPU's UUID.
    #[label(limit = DEVICES)]
    pub uuid: &'a str,
    /// The code, as the driver's documentation lists them.
    #[label(limit = 200)]
    pub xid: u64,
}

/// What became of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub enum DriverPhase {
    /// Nobody has asked for it yet.
    Unasked,
    /// It is there and answers.
    Loaded,
    /// There is none, which is no fault.
    Absent,
    /// There is one, and it can't be used.
    Broken,
    /// It doesn't answer.
    Hung,
    /// It was given back.
    Released,
}

type Of<L> = Gauge<L>;

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
    pub info: Of<Facts<'static>>,
    /// Whether a GPU answers: 1, or 0 from the moment that it is known not to. It stays 0 for a GPU that is gone.
    pub up: Of<ByDevice<'static>>,
    /// Readings of a GPU, or of one of its figures, that went wrong, by reason. What a GPU doesn't offer isn't an error.
    pub errors: Counter<ByReason<'static>>,
    /// When a GPU was last read, in seconds since 1970. It stays when the GPU is lost.
    #[metric(
        name = "inferometer_gpu_last_success_timestamp_seconds",
        unit = "seconds"
    )]
    pub last_success: Of<ByDevice<'static>>,
    /// How long the last reading of a GPU took.
    #[metric(unit = "seconds")]
    pub sample_duration: Of<ByDevice<'static>>,
    /// Share of time in which a GPU computed, 0 to 1.
    #[metric(name = "inferometer_gpu_utilization_ratio", unit = "ratio")]
    pub utilization: Of<ByDevice<'static>>,
    /// Share of time in which a GPU's memory was read or written, 0 to 1.
    #[metric(name = "inferometer_gpu_memory_utilization_ratio", unit = "ratio")]
    pub memory_utilization: Of<ByDevice<'static>>,
    /// Memory that processes hold on a GPU, without what the driver keeps for itself.
    #[metric(unit = "bytes")]
    pub memory_used: Of<ByDevice<'static>>,
    /// Memory that the driver keeps for itself on a GPU.
    #[metric(unit = "bytes")]
    pub memory_reserved: Of<ByDevice<'static>>,
    /// Memory that is free on a GPU.
    #[metric(unit = "bytes")]
    pub memory_free: Of<ByDevice<'static>>,
    /// Memory of a GPU.
    #[metric(unit = "bytes")]
    pub memory_total: Of<ByDevice<'static>>,
    /// Memory that this process holds on a GPU; absent where the driver knows the process by another number, as in containers.
    #[metric(unit = "bytes")]
    pub own_memory: Of<ByDevice<'static>>,
    /// Processes beside this one on a GPU.
    pub other_processes: Of<ByDevice<'static>>,
    /// Memory that processes beside this one hold on a GPU.
    #[metric(unit = "bytes")]
    pub other_processes_memory: Of<ByDevice<'static>>,
    /// Temperature of a GPU.
    #[metric(unit = "celsius")]
    pub temperature: Of<ByDevice<'static>>,
    /// Temperature at which a GPU slows down.
    #[metric(unit = "celsius")]
    pub slowdown_temperature: Of<ByDevice<'static>>,
    /// Temperature at which a GPU shuts down.
    #[metric(unit = "celsius")]
    pub shutdown_temperature: Of<ByDevice<'static>>,
    /// Power that a GPU draws.
    #[metric(unit = "watts")]
    pub power: Of<ByDevice<'static>>,
    /// Power that a GPU may draw.
    #[metric(unit = "watts")]
    pub power_limit: Of<ByDevice<'static>>,
    /// Energy that a GPU has used since its driver was loaded; it moves every 20 to 100 ms, so rates over less than a second are noise.
    #[metric(unit = "joules")]
    pub energy: FloatCounter<ByDevice<'static>>,
    /// A GPU's clocks.
    #[metric(name = "inferometer_gpu_clock_hertz", unit = "hertz")]
    pub clock: Of<ByClock<'static>>,
    /// Whether a reason for slower clocks holds: 1 or 0. Several may hold at once.
    pub throttled: Of<ByThrottleReason<'static>>,
    /// Memory errors of a GPU since its driver was loaded.
    pub ecc_errors: Counter<ByEccKind<'static>>,
    /// XID errors that a GPU reported since the monitor began, by code.
    pub xid_events: Counter<ByXid<'static>>,
    /// When a GPU last reported an XID error, by code, in seconds since 1970.
    #[metric(name = "inferometer_gpu_xid_last_timestamp_seconds", unit = "seconds")]
    pub xid_last: Of<ByXid<'static>>,
    /// Who may use a GPU.
    pub compute_mode: StateSet<ComputeMode, ByDevice<'static>>,
    /// What a GPU receives over its bus, in bytes a second; only when asked for.
    #[metric(unit = "bytes_per_second")]
    pub pcie_received: Of<ByDevice<'static>>,
    /// What a GPU sends over its bus, in bytes a second; only when asked for.
    #[metric(unit = "bytes_per_second")]
    pub pcie_sent: Of<ByDevice<'static>>,
    /// How fast a GPU's fastest fan should turn, as a share of the most it can; only when asked for.
    #[metric(name = "inferometer_gpu_fan_speed_ratio", unit = "ratio")]
    pub fan_speed: Of<ByDevice<'static>>,
}

/// The metrics, and what it takes to make counters of a driver's totals.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) metrics: GpuMetrics,
    /// The driver's totals when they were last seen.
    totals: Mutex<HashMap<Box<str>, Totals>>,
}

/// A driver's totals of one GPU.
#[derive(Debug, Default)]
struct Totals {
    energy: Total<f64>,
    corrected: Total<u64>,
    uncorrected: Total<u64>,
}

/// A total that begins again when the driver is loaded anew, and what it was before.
#[derive(Debug, Default)]
struct Total<N> {
    before: N,
    last: N,
    /// Whether there is a series to take away when the driver doesn't tell it any more.
    shown: bool,
}

impl<N: Copy + PartialOrd + std::ops::Add<Output = N>> Total<N> {
    /// All there was, ever.
    fn follow(&mut self, now: N) -> N {
        if now < self.last {
            self.before = self.before + self.last;
        }
        self.last = now;
        self.shown = true;
        self.before + now
    }
}

impl Shown {
    pub(super) fn new(metrics: GpuMetrics) -> Self {
        metrics.driver.set(DriverPhase::Unasked);
        Self {
            metrics,
            totals: Mutex::default(),
        }
    }

    /// A GPU is known.
    pub(super) fn found(&self, device: &GpuDevice) {
        self.metrics.info.with(facts(device)).set(1.0);
        let by = ByDevice { uuid: &device.uuid };
        set(
            &self.metrics.slowdown_temperature,
            by,
            device.slowdown_celsius,
        );
        set(
            &self.metrics.shutdown_temperature,
            by,
            device.shutdown_celsius,
        );
    }

    /// A GPU answered.
    pub(super) fn answered(&self, device: &GpuDevice, at: SystemTime, took: Duration) {
        let by = ByDevice { uuid: &device.uuid };
        self.metrics.up.with(by).set(1.0);
        self.metrics.last_success.with(by).set(timestamp(at));
        self.metrics
            .sample_duration
            .with(by)
            .set(took.as_secs_f64());
    }

    /// Something went wrong with a GPU.
    pub(super) fn failed(&self, uuid: &str, reason: Reason) {
        self.metrics.errors.with(ByReason { uuid, reason }).inc();
    }

    /// A GPU reported a fault.
    pub(super) fn faulted(&self, uuid: &str, xid: u64, at: SystemTime) {
        let by = ByXid { uuid, xid };
        self.metrics.xid_events.with(by).inc();
        self.metrics.xid_last.with(by).set(timestamp(at));
    }

    fn totals(&self, sample: &GpuSample) {
        let by = ByDevice {
            uuid: &sample.device.uuid,
        };
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        if !totals.contains_key(by.uuid) {
            totals.insert(by.uuid.into(), Totals::default());
        }
        let Some(totals) = totals.get_mut(by.uuid) else {
            return;
        };
        match sample.energy {
            Some(joules) => {
                let series = self.metrics.energy.with(by);
                let more = totals.energy.follow(joules) - series.get();
                if more > 0.0 {
                    series.add(more);
                }
            }
            None if std::mem::take(&mut totals.energy.shown) => {
                self.metrics.energy.remove(by);
            }
            None => {}
        }
        for (kind, total, now) in [
            (
                EccKind::Corrected,
                &mut totals.corrected,
                sample.ecc.corrected,
            ),
            (
                EccKind::Uncorrected,
                &mut totals.uncorrected,
                sample.ecc.uncorrected,
            ),
        ] {
            let by = ByEccKind {
                uuid: by.uuid,
                kind,
            };
            match now {
                Some(now) => {
                    let series = self.metrics.ecc_errors.with(by);
                    let all = total.follow(now);
                    series.add(all.saturating_sub(series.get()));
                }
                None if std::mem::take(&mut total.shown) => {
                    self.metrics.ecc_errors.remove(by);
                }
                None => {}
            }
        }
    }
}

impl GpuView for Shown {
    fn sampled(&self, sample: &GpuSample) {
        let metrics = &self.metrics;
        let uuid = &*sample.device.uuid;
        let by = ByDevice { uuid };
        let memory = sample.memory;
        let total = memory
            .map(|memory| memory.total)
            .or(sample.device.memory_total);
        let others = sample.others.as_ref();
        let count = |count: u64| count as f64;
        for (gauge, value) in [
            (&metrics.utilization, sample.utilization),
            (&metrics.memory_utilization, sample.memory_utilization),
            (&metrics.memory_used, memory.map(|m| count(m.used))),
            (&metrics.memory_reserved, memory.map(|m| count(m.reserved))),
            (&metrics.memory_free, memory.map(|m| count(m.free))),
            (&metrics.memory_total, total.map(count)),
            (&metrics.own_memory, sample.own_memory.map(count)),
            (&metrics.other_processes, others.map(|o| count(o.count))),
            (
                &metrics.other_processes_memory,
                others.and_then(|o| o.memory).map(count),
            ),
            (&metrics.temperature, sample.temperature),
            (&metrics.power, sample.power),
            (&metrics.power_limit, sample.power_limit),
            (
                &metrics.pcie_received,
                sample.pcie.and_then(|pcie| pcie.received),
            ),
            (&metrics.pcie_sent, sample.pcie.and_then(|pcie| pcie.sent)),
            (&metrics.fan_speed, sample.fan_speed),
        ] {
            set(gauge, by, value);
        }
        for (clock, value) in [
            (Clock::Graphics, sample.clocks.graphics),
            (Clock::Sm, sample.clocks.sm),
            (Clock::Memory, sample.clocks.memory),
        ] {
            set(&metrics.clock, ByClock { uuid, clock }, value);
        }
        for reason in ThrottleReason::ALL {
            let holds = sample.throttle.map(|all| f64::from(all.contains(reason)));
            set(&metrics.throttled, ByThrottleReason { uuid, reason }, holds);
        }
        let mode = metrics.compute_mode.with(by);
        match sample.compute_mode {
            Some(now) => mode.set(now),
            None => mode.clear(),
        }
        self.totals(sample);
    }

    fn lost(&self, device: &GpuDevice) {
        let metrics = &self.metrics;
        let uuid = &*device.uuid;
        let by = ByDevice { uuid };
        metrics.up.with(by).set(0.0);
        metrics.info.remove(facts(device));
        for gauge in [
            &metrics.sample_duration,
            &metrics.utilization,
            &metrics.memory_utilization,
            &metrics.memory_used,
            &metrics.memory_reserved,
            &metrics.memory_free,
            &metrics.memory_total,
            &metrics.own_memory,
            &metrics.other_processes,
            &metrics.other_processes_memory,
            &metrics.temperature,
            &metrics.slowdown_temperature,
            &metrics.shutdown_temperature,
            &metrics.power,
            &metrics.power_limit,
            &metrics.pcie_received,
            &metrics.pcie_sent,
            &metrics.fan_speed,
        ] {
            gauge.remove(by);
        }
        metrics.energy.remove(by);
        metrics.compute_mode.remove(by);
        for clock in [Clock::Graphics, Clock::Sm, Clock::Memory] {
            metrics.clock.remove(ByClock { uuid, clock });
        }
        for reason in ThrottleReason::ALL {
            metrics.throttled.remove(ByThrottleReason { uuid, reason });
        }
        for kind in [EccKind::Corrected, EccKind::Uncorrected] {
            metrics.ecc_errors.remove(ByEccKind { uuid, kind });
        }
    }
}

fn facts(device: &GpuDevice) -> Facts<'_> {
    Facts {
        uuid: &device.uuid,
        index: &device.id,
        name: &device.name,
        pci_bus_id: device.pci_bus_id.as_deref().unwrap_or_default(),
        driver_version: device.driver_version.as_deref().unwrap_or_default(),
        parent: device
            .instance
            .as_ref()
            .map_or("", |instance| &instance.parent),
        simulated: device.simulated.map_or("", |kind| kind.as_str()),
    }
}

fn set<L: LabelSet>(gauge: &Gauge<L>, labels: L::Of<'_>, value: Option<f64>) {
    let series = gauge.with(labels);
    match value {
        Some(value) => series.set(value),
        None => series.clear(),
    }
}

fn timestamp(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
