//! What the metrics show of each GPU.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use inferometer::{
    Gauge, LabelSet,
    sample::gpu::{GpuDevice, GpuSample, GpuView, ThrottleReason},
};

use super::{
    super::source::Reason, ByClock, ByDevice, ByEccKind, ByReason, ByThrottleReason, ByXid, Clock,
    DriverPhase, EccKind, Facts, GpuMetrics,
};

/// The metrics, and what it takes to make counters of a driver's totals.
#[derive(Debug)]
pub(in crate::gpu) struct Shown {
    pub(in crate::gpu) metrics: GpuMetrics,
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
    pub(in crate::gpu) fn new(metrics: GpuMetrics) -> Self {
        metrics.driver.set(DriverPhase::Unasked);
        Self {
            metrics,
            totals: Mutex::default(),
        }
    }

    /// A GPU is known.
    pub(in crate::gpu) fn found(&self, device: &GpuDevice) {
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
    pub(in crate::gpu) fn answered(&self, device: &GpuDevice, at: SystemTime, took: Duration) {
        let by = ByDevice { uuid: &device.uuid };
        self.metrics.up.with(by).set(1.0);
        self.metrics.last_success.with(by).set(timestamp(at));
        self.metrics
            .sample_duration
            .with(by)
            .set(took.as_secs_f64());
    }

    /// Something went wrong with a GPU.
    pub(in crate::gpu) fn failed(&self, uuid: &str, reason: Reason) {
        self.metrics.errors.with(ByReason { uuid, reason }).inc();
    }

    /// A GPU reported a fault.
    pub(in crate::gpu) fn faulted(&self, uuid: &str, xid: u64, at: SystemTime) {
        let by = ByXid { uuid, xid };
        self.metrics.xid_events.with(by).inc();
        self.metrics.xid_last.with(by).set(timestamp(at));
    }

    /// Nothing is left of a GPU.
    pub(in crate::gpu) fn forget(&self, device: &GpuDevice) {
        let by = ByDevice { uuid: &device.uuid };
        self.metrics.up.remove(by);
        self.metrics.last_success.remove(by);
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        totals.remove(&*device.uuid);
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
