//! What is shown of the machine.

use inferometer::{
    FloatCounter, Gauge, LabelSet, MetricSet, RegisterError, Registry,
    sample::{
        Present,
        host::{CpuSeconds, Disk, HostSample, Temperature},
    },
};

use super::{float, followed::Followed, show};

/// By mode. The label is open so that a mode the kernel doesn't know has no series, not one at 0.
#[derive(Clone, Copy, Debug, LabelSet)]
pub(super) struct ByMode<'a> {
    #[label(limit = 8)]
    pub(super) mode: &'a str,
}

/// By resource and share of the tasks; open for the same reason.
#[derive(Clone, Copy, Debug, LabelSet)]
pub(super) struct ByStall<'a> {
    #[label(limit = 3)]
    resource: &'a str,
    #[label(limit = 2)]
    share: &'a str,
}

/// By mount point.
#[derive(Clone, Copy, Debug, LabelSet)]
pub(super) struct ByMountPoint<'a> {
    #[label(limit = 64)]
    mount_point: &'a str,
}

/// By component.
#[derive(Clone, Copy, Debug, LabelSet)]
pub(super) struct ByComponent<'a> {
    #[label(limit = 64)]
    component: &'a str,
}

#[derive(Debug, MetricSet)]
#[metrics(namespace = "inferometer_host")]
struct Set {
    /// Time of the machine's processors by mode, all of them together, since the machine started.
    #[metric(unit = "seconds")]
    cpu: FloatCounter<ByMode<'static>>,
    /// Share of their time that the processors worked since the sample before, 0 to 1; waiting for a disk is not work.
    #[metric(name = "inferometer_host_cpu_usage_ratio", unit = "ratio")]
    cpu_usage: Gauge,
    /// Processors on line.
    cpus: Gauge,
    /// Memory of the machine.
    #[metric(name = "inferometer_host_memory_total_bytes", unit = "bytes")]
    memory_total: Gauge,
    /// Memory that programs could still get without swapping, as the kernel estimates it.
    #[metric(unit = "bytes")]
    memory_available: Gauge,
    /// Memory in use: the total without what is available.
    #[metric(unit = "bytes")]
    memory_used: Gauge,
    /// Swap space of the machine.
    #[metric(name = "inferometer_host_swap_total_bytes", unit = "bytes")]
    swap_total: Gauge,
    /// Swap space in use.
    #[metric(unit = "bytes")]
    swap_used: Gauge,
    /// Size of a file system, by mount point.
    #[metric(name = "inferometer_host_filesystem_total_bytes", unit = "bytes")]
    filesystem_total: Gauge<ByMountPoint<'static>>,
    /// Space in use in a file system, by mount point.
    #[metric(unit = "bytes")]
    filesystem_used: Gauge<ByMountPoint<'static>>,
    /// Space in a file system that a program without privileges can still write, by mount point.
    #[metric(unit = "bytes")]
    filesystem_free: Gauge<ByMountPoint<'static>>,
    /// Temperature by component.
    #[metric(unit = "celsius")]
    temperature: Gauge<ByComponent<'static>>,
    /// Time in which some, or all, of the tasks with something to do waited for a resource, since the machine started.
    #[metric(unit = "seconds")]
    pressure: FloatCounter<ByStall<'static>>,
}

/// The machine's metrics, and what they showed last.
#[derive(Debug)]
pub(super) struct Machine {
    set: Set,
    modes: Followed,
    stalls: Followed,
    mounted: Present,
    sensed: Present,
}

impl Machine {
    pub(super) fn register(registry: &Registry) -> Result<Self, RegisterError> {
        Ok(Self {
            set: registry.register()?,
            modes: Followed::default(),
            stalls: Followed::default(),
            mounted: Present::default(),
            sensed: Present::default(),
        })
    }

    pub(super) fn sampled(&self, sample: &HostSample) {
        self.cpu(sample);
        self.memory(sample);
        self.disks(sample.disks.as_deref().unwrap_or_default());
        self.temperatures(sample.temperatures.as_deref().unwrap_or_default());
        self.pressure(sample);
    }

    fn cpu(&self, sample: &HostSample) {
        let unknown = || {
            CpuSeconds::default()
                .by_mode()
                .map(|(mode, _)| (mode, None))
        };
        let times = sample.cpu.map(|cpu| cpu.seconds.by_mode());
        for (mode, time) in times.unwrap_or_else(unknown) {
            let labels = ByMode { mode };
            self.modes.follow(
                [mode, ""],
                time,
                |more| self.set.cpu.with(labels).add(more),
                || self.set.cpu.remove(labels),
            );
        }
        let usage = sample.cpu.and_then(|cpu| cpu.usage_ratio);
        show(&self.set.cpu_usage, usage);
        let count = sample.cpu.and_then(|cpu| cpu.count);
        show(&self.set.cpus, count.map(float));
    }

    fn memory(&self, sample: &HostSample) {
        let set = &self.set;
        let memory = sample.memory;
        show(
            &set.memory_total,
            memory.map(|memory| float(memory.total_bytes)),
        );
        let of = |bytes: Option<Option<u64>>| bytes.flatten().map(float);
        show(
            &set.memory_available,
            of(memory.map(|memory| memory.available_bytes)),
        );
        show(
            &set.memory_used,
            of(memory.map(|memory| memory.used_bytes())),
        );
        show(
            &set.swap_total,
            of(memory.map(|memory| memory.swap_total_bytes)),
        );
        show(
            &set.swap_used,
            of(memory.map(|memory| memory.swap_used_bytes())),
        );
    }

    /// What is gone goes first: its label value makes room for another.
    fn disks(&self, disks: &[Disk]) {
        let set = &self.set;
        let now = disks.iter().map(|disk| &*disk.mount_point);
        self.mounted.replace(now, |mount_point| {
            let labels = ByMountPoint { mount_point };
            set.filesystem_total.remove(labels);
            set.filesystem_used.remove(labels);
            set.filesystem_free.remove(labels);
        });
        for disk in disks {
            let labels = ByMountPoint {
                mount_point: &disk.mount_point,
            };
            let space = [
                (&set.filesystem_total, disk.total_bytes),
                (&set.filesystem_used, disk.used_bytes),
                (&set.filesystem_free, disk.free_bytes),
            ];
            for (family, bytes) in space {
                family.with(labels).set(float(bytes));
            }
        }
    }

    fn temperatures(&self, temperatures: &[Temperature]) {
        let family = &self.set.temperature;
        let now = temperatures.iter().map(|sensor| &*sensor.component);
        self.sensed.replace(now, |component| {
            family.remove(ByComponent { component });
        });
        for Temperature { component, celsius } in temperatures {
            family.with(ByComponent { component }).set(*celsius);
        }
    }

    fn pressure(&self, sample: &HostSample) {
        for (resource, share, time) in sample.pressure.unwrap_or_default().by_resource() {
            let labels = ByStall { resource, share };
            self.stalls.follow(
                [resource, share],
                time,
                |more| self.set.pressure.with(labels).add(more),
                || self.set.pressure.remove(labels),
            );
        }
    }
}
