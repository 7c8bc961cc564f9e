//! A machine, and what it was found to do at one moment.

use std::time::SystemTime;

/// Somebody who is told each sample of the machine: a set of metrics, a live page, a log.
///
/// Samples come one after another, on the thread that takes them. A view that panics stops no other.
///
/// # Examples
/// ```
/// use inferometer::{Gauge, MetricSet, Registry, sample::host::{HostSample, HostView, Memory}};
///
/// #[derive(MetricSet)]
/// struct Machine {
///     /// Memory in use.
///     #[metric(unit = "bytes")]
///     memory_used: Gauge,
/// }
///
/// impl HostView for Machine {
///     fn sampled(&self, sample: &HostSample) {
///         match sample.memory.and_then(|memory| memory.used_bytes()) {
///             Some(used) => self.memory_used.set(used as f64),
///             None => self.memory_used.clear(),
///         }
///     }
/// }
///
/// let registry = Registry::new();
/// let machine: Machine = registry.register()?;
/// let memory = Memory { total_bytes: 1_000, available_bytes: Some(400), ..Memory::default() };
/// machine.sampled(&HostSample { memory: Some(memory), ..HostSample::default() });
/// assert!(registry.encode_text().contains("\nmemory_used_bytes 600.0\n"));
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
pub trait HostView: Send + Sync {
    /// Takes what the machine was found to do. What is `None` isn't known now, and is to be shown as absent.
    fn sampled(&self, sample: &HostSample);
}

/// What a machine and this process were found to do at one moment; `None` is what isn't known.
///
/// The default knows nothing: a monitor that ends tells it to its views, so that none shows old figures as new.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostSample {
    /// When it was taken.
    pub taken_at: Option<SystemTime>,
    /// The processors.
    pub cpu: Option<Cpu>,
    /// The memory.
    pub memory: Option<Memory>,
    /// The file systems on disks, by mount point in alphabetical order; empty where there are none.
    pub disks: Option<Vec<Disk>>,
    /// The temperatures, by component; empty on a machine without sensors.
    pub temperatures: Option<Vec<Temperature>>,
    /// How long work has waited for the machine.
    pub pressure: Option<Pressure>,
    /// This process.
    pub process: Option<Process>,
    /// The async runtime of this process.
    pub runtime: Option<Runtime>,
}

/// The processors of a machine, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cpu {
    /// Time by mode since the machine started, summed over its processors.
    pub seconds: CpuSeconds,
    /// The share of their time that the processors worked since the sample before, 0 to 1; waiting for a disk is not work.
    /// `None` until there is a sample to compare with.
    pub usage_ratio: Option<f64>,
    /// How many processors are on line.
    pub count: Option<u64>,
}

/// Processor time by mode, in seconds.
///
/// The kernel corrects these figures now and then: one may be a little lower than before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CpuSeconds {
    /// Programs, those of guests of a virtual machine among them.
    pub user: f64,
    /// Programs that yield to others.
    pub nice: f64,
    /// The kernel.
    pub system: f64,
    /// Nothing to do.
    pub idle: f64,
    /// Nothing to do but wait for a disk.
    pub iowait: Option<f64>,
    /// Interrupts.
    pub irq: Option<f64>,
    /// What interrupts left to do.
    pub softirq: Option<f64>,
    /// Time that the hypervisor gave to others.
    pub steal: Option<f64>,
}

impl CpuSeconds {
    /// Each mode's name and time.
    pub fn by_mode(&self) -> [(&'static str, Option<f64>); 8] {
        [
            ("user", Some(self.user)),
            ("nice", Some(self.nice)),
            ("system", Some(self.system)),
            ("idle", Some(self.idle)),
            ("iowait", self.iowait),
            ("irq", self.irq),
            ("softirq", self.softirq),
            ("steal", self.steal),
        ]
    }

    /// The time of all modes together.
    pub fn total(&self) -> f64 {
        self.by_mode().iter().filter_map(|(_, time)| *time).sum()
    }

    /// The time of all modes but idle and iowait.
    pub fn busy(&self) -> f64 {
        self.total() - self.idle - self.iowait.unwrap_or(0.0)
    }
}

/// The memory of a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// All there is, in bytes.
    pub total_bytes: u64,
    /// What programs could still get without swapping, in bytes, as the kernel estimates it: caches that can be dropped count.
    pub available_bytes: Option<u64>,
    /// All the swap space there is, in bytes.
    pub swap_total_bytes: Option<u64>,
    /// Swap space not in use, in bytes.
    pub swap_free_bytes: Option<u64>,
}

impl Memory {
    /// What is in use and can't be had: the total without what is available.
    pub fn used_bytes(&self) -> Option<u64> {
        Some(self.total_bytes.saturating_sub(self.available_bytes?))
    }

    /// Swap space in use.
    pub fn swap_used_bytes(&self) -> Option<u64> {
        Some(self.swap_total_bytes?.saturating_sub(self.swap_free_bytes?))
    }
}

/// A file system on a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// Where it is mounted.
    pub mount_point: String,
    /// Its size in bytes.
    pub total_bytes: u64,
    /// What is in use, in bytes.
    pub used_bytes: u64,
    /// What a program without privileges can still write, in bytes: less than the rest, where some is kept for the administrator.
    pub free_bytes: u64,
}

/// A sensor of temperature.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Temperature {
    /// What it measures, such as `k10temp/Tctl`; no two of a sample are the same.
    pub component: String,
    /// How hot that is, in degrees Celsius.
    pub celsius: f64,
}

/// How long work has waited for the machine since it started: the kernel's pressure stall information.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    /// Waiting for a processor. The kernel defines no `full` for the whole machine.
    pub cpu: Stall,
    /// Waiting for memory.
    pub memory: Stall,
    /// Waiting for disks.
    pub io: Stall,
}

/// How long tasks have waited for one resource, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stall {
    /// Time in which at least one task waited.
    pub some_seconds: Option<f64>,
    /// Time in which every task that had something to do waited.
    pub full_seconds: Option<f64>,
}

impl Pressure {
    /// Each resource's and share's name, and time.
    pub fn by_resource(&self) -> [(&'static str, &'static str, Option<f64>); 6] {
        [
            ("cpu", "some", self.cpu.some_seconds),
            ("cpu", "full", self.cpu.full_seconds),
            ("memory", "some", self.memory.some_seconds),
            ("memory", "full", self.memory.full_seconds),
            ("io", "some", self.io.some_seconds),
            ("io", "full", self.io.full_seconds),
        ]
    }
}

/// A process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    /// Processor time in its own code, in seconds.
    pub user_seconds: f64,
    /// Processor time in the kernel on its behalf, in seconds.
    pub system_seconds: f64,
    /// Memory that it has in RAM, in bytes.
    pub resident_bytes: u64,
    /// Address space that it has asked for, in bytes.
    pub virtual_bytes: u64,
    /// File descriptors that are open.
    pub open_descriptors: Option<u64>,
    /// File descriptors that may be open; `None` also where there is no limit.
    pub max_descriptors: Option<u64>,
    /// When it started, in seconds since 1970.
    pub start_seconds: Option<f64>,
    /// Threads.
    pub threads: Option<u64>,
}

/// An async runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Runtime {
    /// Threads that run tasks.
    pub workers: u64,
    /// Tasks that have been spawned and have not ended.
    pub alive_tasks: u64,
    /// Tasks that wait in the queue that all workers share.
    pub queue_depth: u64,
    /// Time that the workers have spent on tasks, in seconds, all together.
    pub busy_seconds: Option<f64>,
}
