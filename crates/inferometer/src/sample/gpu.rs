//! A GPU, and what it was found to do at one moment.
//!
//! Everything is in base units: bytes, seconds, watts, joules, hertz, degrees Celsius, and shares from 0 to 1. What a driver does not
//! tell is `None`; no number stands for "unknown".

use std::{sync::Arc, time::SystemTime};

use crate::LabelValue;

/// What a GPU is, and never changes while it is known.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct GpuDevice {
    /// What the driver calls it for ever, such as `GPU-5fd4f087-…`; a MIG instance has one of its own.
    pub uuid: Arc<str>,
    /// What people call it: its place among the machine's GPUs, such as `1`; a MIG instance adds its place within, as `1:0`.
    pub id: Arc<str>,
    /// Its place among the machine's GPUs, from 0, in the order of the PCI bus.
    pub index: u32,
    /// Its product name.
    pub name: Arc<str>,
    /// Where it is on the PCI bus.
    pub pci_bus_id: Option<Arc<str>>,
    /// Memory, in bytes.
    pub memory_total: Option<u64>,
    /// Degrees Celsius at which the hardware slows down.
    pub slowdown_celsius: Option<f64>,
    /// Degrees Celsius at which the hardware shuts down.
    pub shutdown_celsius: Option<f64>,
    /// The driver's version.
    pub driver_version: Option<Arc<str>>,
    /// Of which GPU it is a part, when it is a MIG instance.
    pub instance: Option<MigInstance>,
    /// How it came about, when no hardware is behind it.
    pub simulated: Option<Simulation>,
}

/// A part of a GPU that works as a GPU of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MigInstance {
    /// The whole GPU's UUID.
    pub parent: Arc<str>,
    /// Its place among the GPU's instances.
    pub position: u32,
    /// The GPU instance.
    pub gpu_instance: Option<u32>,
    /// The compute instance within.
    pub compute_instance: Option<u32>,
}

/// Where the figures of a GPU come from that isn't there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Simulation {
    /// They were recorded earlier, perhaps elsewhere.
    Replayed,
    /// A test's driver made them up.
    Faked,
}

impl Simulation {
    /// Its name, as labels have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replayed => "replayed",
            Self::Faked => "faked",
        }
    }
}

/// What a GPU was found to do.
///
/// **Consistency.** The driver is asked value by value: what is here was read within milliseconds, not at one instant, and what changes slowly
/// (temperature, limits, errors, processes) may be from an earlier poll.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct GpuSample {
    /// Of what.
    pub device: Arc<GpuDevice>,
    /// When the reading ended.
    #[cfg_attr(feature = "serde", serde(default = "never"))]
    pub at: SystemTime,
    /// The share of the driver's last window, a sixth of a second to a second, in which at least one kernel ran.
    pub utilization: Option<f64>,
    /// The share of the same window in which memory was read or written.
    pub memory_utilization: Option<f64>,
    /// Its memory.
    pub memory: Option<GpuMemory>,
    /// Degrees Celsius.
    pub temperature: Option<f64>,
    /// Watts drawn.
    pub power: Option<f64>,
    /// Watts that it may draw.
    pub power_limit: Option<f64>,
    /// Joules since the driver was loaded.
    pub energy: Option<f64>,
    /// Its clocks.
    #[cfg_attr(feature = "serde", serde(default))]
    pub clocks: GpuClocks,
    /// Why its clocks are lower than they could be.
    pub throttle: Option<ThrottleReasons>,
    /// Memory errors.
    #[cfg_attr(feature = "serde", serde(default))]
    pub ecc: EccErrors,
    /// Who may use it.
    pub compute_mode: Option<ComputeMode>,
    /// What goes over its bus, where that is asked for: it costs 40 ms.
    pub pcie: Option<PcieThroughput>,
    /// How fast its fastest fan should turn, as a share of the most it can, where that is asked for.
    pub fan_speed: Option<f64>,
    /// Bytes that this process holds; `None` also when the driver knows it by another number, as it does in containers.
    pub own_memory: Option<u64>,
    /// The other processes that use it.
    pub others: Option<OtherProcesses>,
}

#[cfg(feature = "serde")]
fn never() -> SystemTime {
    SystemTime::UNIX_EPOCH
}

impl GpuSample {
    /// Nothing known of `device` yet.
    pub fn empty(device: Arc<GpuDevice>) -> Self {
        Self {
            device,
            at: SystemTime::UNIX_EPOCH,
            utilization: None,
            memory_utilization: None,
            memory: None,
            temperature: None,
            power: None,
            power_limit: None,
            energy: None,
            clocks: GpuClocks::default(),
            throttle: None,
            ecc: EccErrors::default(),
            compute_mode: None,
            pcie: None,
            fan_speed: None,
            own_memory: None,
            others: None,
        }
    }
}

impl GpuSample {
    /// The utilization from 0 to 100, for those who name it so.
    pub fn utilization_percent(&self) -> Option<f64> {
        self.utilization.map(percent)
    }
}

/// A share of 1 as one of 100: 0.29 is 29, where the product is 28.999999999999996.
pub fn percent(share: f64) -> f64 {
    (share * 1e11).round() / 1e9
}

/// A GPU's memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct GpuMemory {
    /// Held by processes.
    pub used: u64,
    /// Kept by the driver and the firmware for themselves; not part of [`used`](Self::used).
    pub reserved: u64,
    /// Free.
    pub free: u64,
    /// All.
    pub total: u64,
}

/// A GPU's clocks, in hertz.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct GpuClocks {
    /// The graphics clock.
    pub graphics: Option<f64>,
    /// The clock of the multiprocessors.
    pub sm: Option<f64>,
    /// The memory's clock.
    pub memory: Option<f64>,
}

/// Memory errors since the driver was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct EccErrors {
    /// Corrected ones.
    pub corrected: Option<u64>,
    /// Ones that lost data.
    pub uncorrected: Option<u64>,
}

/// What goes over a GPU's bus, in bytes a second.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PcieThroughput {
    /// To the GPU.
    pub received: Option<f64>,
    /// From the GPU.
    pub sent: Option<f64>,
}

/// Who may use a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum ComputeMode {
    /// Any number of processes.
    Default,
    /// One thread; drivers of today don't offer it.
    ExclusiveThread,
    /// Nobody.
    Prohibited,
    /// One process.
    ExclusiveProcess,
}

impl ComputeMode {
    /// The driver's number for it.
    pub const fn number(self) -> u8 {
        match self {
            Self::Default => 0,
            Self::ExclusiveThread => 1,
            Self::Prohibited => 2,
            Self::ExclusiveProcess => 3,
        }
    }
}

/// Why a GPU's clocks are lower than they could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum ThrottleReason {
    /// There is nothing to do.
    Idle,
    /// Somebody set a lower clock for applications.
    ApplicationsClocks,
    /// It draws as much power as it may.
    PowerCap,
    /// The hardware halves its clocks: too hot, or too little power.
    HardwareSlowdown,
    /// Another GPU of its group is slower.
    SyncBoost,
    /// The driver finds it too hot.
    SoftwareThermal,
    /// The hardware finds it too hot.
    HardwareThermal,
    /// The power supply asks for less.
    HardwarePowerBrake,
    /// Somebody set a lower clock for displays.
    DisplayClocks,
}

impl ThrottleReason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::Idle,
        Self::ApplicationsClocks,
        Self::PowerCap,
        Self::HardwareSlowdown,
        Self::SyncBoost,
        Self::SoftwareThermal,
        Self::HardwareThermal,
        Self::HardwarePowerBrake,
        Self::DisplayClocks,
    ];
}

/// The reasons that hold at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(from = "Vec<ThrottleReason>", into = "Vec<ThrottleReason>")
)]
pub struct ThrottleReasons(u16);

impl ThrottleReasons {
    /// Whether `reason` holds.
    pub const fn contains(self, reason: ThrottleReason) -> bool {
        self.0 & (1 << reason as u16) != 0
    }

    /// The reasons that hold, in the order of [`ThrottleReason::ALL`].
    pub fn iter(self) -> impl Iterator<Item = ThrottleReason> {
        ThrottleReason::ALL
            .into_iter()
            .filter(move |reason| self.contains(*reason))
    }
}

impl FromIterator<ThrottleReason> for ThrottleReasons {
    fn from_iter<I: IntoIterator<Item = ThrottleReason>>(reasons: I) -> Self {
        Self(
            reasons
                .into_iter()
                .fold(0, |all, reason| all | (1 << reason as u16)),
        )
    }
}

impl From<Vec<ThrottleReason>> for ThrottleReasons {
    fn from(reasons: Vec<ThrottleReason>) -> Self {
        reasons.into_iter().collect()
    }
}

impl From<ThrottleReasons> for Vec<ThrottleReason> {
    fn from(reasons: ThrottleReasons) -> Self {
        reasons.iter().collect()
    }
}

/// The processes beside this one that use a GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct OtherProcesses {
    /// How many.
    pub count: u64,
    /// Bytes that they hold together; `None` when the driver doesn't say it of all.
    pub memory: Option<u64>,
    /// Those that hold the most: at most [`LARGEST`](Self::LARGEST).
    pub largest: Vec<GpuProcess>,
}

impl OtherProcesses {
    /// How many processes are told apart.
    pub const LARGEST: usize = 16;
}

/// A process that uses a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct GpuProcess {
    /// Its number, as the driver knows it.
    pub pid: u32,
    /// Bytes that it holds.
    pub memory: Option<u64>,
}

/// Whoever wants to be told of GPUs: a set of metrics, for one.
///
/// A monitor calls it from the thread that polls, one call after another. It must not wait.
pub trait GpuView: Send + Sync {
    /// A GPU was read. Values that are absent now are absent from the view, too.
    fn sampled(&self, sample: &GpuSample);

    /// A GPU can't be read any more: nothing that was said of it holds.
    fn lost(&self, device: &GpuDevice);

    /// A poll ended, or a GPU was lost: these are all that are known now, in the order of their ids.
    fn polled(&self, samples: &[Arc<GpuSample>]) {
        let _ = samples;
    }

    /// The driver was given back: nothing is known any more until a poll says otherwise.
    fn released(&self) {
        self.polled(&[]);
    }

    /// One inference of `model` changed the memory in use on `device` by so many bytes.
    fn inference_memory(&self, model: &str, device: &GpuDevice, delta: i64) {
        let _ = (model, device, delta);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_whole_percentage_survives_as_a_share() {
        for whole in 0..=100 {
            let whole = f64::from(whole);
            assert_eq!(percent(whole / 100.0), whole);
        }
    }

    #[test]
    fn a_set_of_reasons_holds_what_was_put_in_and_nothing_else() {
        for reason in ThrottleReason::ALL {
            let reasons = ThrottleReasons::from_iter([reason]);
            assert_eq!(reasons.iter().collect::<Vec<_>>(), [reason]);
        }
        let two = [ThrottleReason::PowerCap, ThrottleReason::HardwareThermal];
        let reasons: ThrottleReasons = two.into_iter().collect();
        assert_eq!(Vec::from(reasons), two);
        assert_eq!(ThrottleReasons::default().iter().count(), 0);
    }
}
