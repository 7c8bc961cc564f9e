//! What a GPU does now.

use std::time::SystemTime;

use inferometer::sample::gpu::{
    ComputeMode, GpuMemory, GpuProcess, GpuSample, OtherProcesses, PcieThroughput, ThrottleReason,
    ThrottleReasons,
};
use nvml_wrapper::{
    Device, bitmasks::device::ThrottleReasons as Bits, enum_wrappers::device as nvml,
    enums::device::UsedGpuMemory, error::NvmlError, struct_wrappers::device as raw,
};

use super::{Failure, Reason, Seat, Tiers, failure, is_not_offered};

/// One reading of a device: asks for figures, and remembers what went wrong.
struct Asking<'a> {
    seat: &'a Seat,
    answered: bool,
    failures: Vec<Failure>,
}

/// A figure's place among those that a device may not offer.
#[derive(Clone, Copy)]
enum Figure {
    Utilization,
    Memory,
    Power,
    Energy,
    ClockGraphics,
    ClockSm,
    ClockMemory,
    Throttle,
    Temperature,
    PowerLimit,
    EccCorrected,
    EccUncorrected,
    ComputeMode,
    Processes,
    PcieReceived,
    PcieSent,
    Fans,
}

impl Asking<'_> {
    /// A figure, or nothing.
    ///
    /// # Errors
    /// The device can't be asked at all.
    fn figure<T>(
        &mut self,
        figure: Figure,
        call: &str,
        get: impl FnOnce() -> Result<T, NvmlError>,
    ) -> Result<Option<T>, Failure> {
        if !self.seat.offers(figure as u32) {
            return Ok(None);
        }
        match get() {
            Ok(value) => {
                self.answered = true;
                Ok(Some(value))
            }
            Err(error) if is_not_offered(&error) => {
                self.answered = true;
                self.seat.forgo(figure as u32);
                Ok(None)
            }
            Err(error) => {
                let failure = failure(call, &self.seat.uuid, &error);
                if failure.reason.ends_the_reading() {
                    return Err(failure);
                }
                if failure.reason == Reason::NoPermission {
                    // It won't change for this process: said once.
                    self.seat.forgo(figure as u32);
                }
                self.failures.push(failure);
                Ok(None)
            }
        }
    }
}

/// Reads what `tiers` name.
pub(super) fn read(
    device: &Device<'_>,
    seat: &Seat,
    tiers: Tiers,
    pid: u32,
    sample: &mut GpuSample,
) -> Result<Vec<Failure>, Failure> {
    let mut asking = Asking {
        seat,
        answered: false,
        failures: Vec::new(),
    };
    if tiers.fast {
        fast(device, &mut asking, sample)?;
    }
    if tiers.slow {
        slow(device, &mut asking, pid, sample)?;
    }
    if tiers.costly {
        costly(device, &mut asking, sample)?;
    }
    sample.at = SystemTime::now();
    match asking.failures.pop() {
        // Not one answer: the device is there in name only.
        Some(failure) if !asking.answered => Err(failure),
        Some(failure) => {
            asking.failures.push(failure);
            Ok(asking.failures)
        }
        None => Ok(Vec::new()),
    }
}

fn fast(
    device: &Device<'_>,
    asking: &mut Asking<'_>,
    sample: &mut GpuSample,
) -> Result<(), Failure> {
    let utilization =
        asking.figure(Figure::Utilization, "nvmlDeviceGetUtilizationRates", || {
            device.utilization_rates()
        })?;
    sample.utilization = utilization.as_ref().map(|rates| share(rates.gpu));
    sample.memory_utilization = utilization.as_ref().map(|rates| share(rates.memory));
    sample.memory = asking
        .figure(Figure::Memory, "nvmlDeviceGetMemoryInfo_v2", || {
            device.memory_info()
        })?
        .map(|info| memory(&info));
    sample.power = asking
        .figure(Figure::Power, "nvmlDeviceGetPowerUsage", || {
            device.power_usage()
        })?
        .map(thousandth);
    sample.energy = asking
        .figure(
            Figure::Energy,
            "nvmlDeviceGetTotalEnergyConsumption",
            || device.total_energy_consumption(),
        )?
        .map(|millijoules| millijoules as f64 / 1e3);
    let mut clock = |figure, which| {
        asking
            .figure(figure, "nvmlDeviceGetClockInfo", || {
                device.clock_info(which)
            })
            .map(|clock| clock.map(|megahertz| f64::from(megahertz) * 1e6))
    };
    sample.clocks.graphics = clock(Figure::ClockGraphics, nvml::Clock::Graphics)?;
    sample.clocks.sm = clock(Figure::ClockSm, nvml::Clock::SM)?;
    sample.clocks.memory = clock(Figure::ClockMemory, nvml::Clock::Memory)?;
    sample.throttle = asking
        .figure(
            Figure::Throttle,
            "nvmlDeviceGetCurrentClocksThrottleReasons",
            || device.current_throttle_reasons(),
        )?
        .map(reasons);
    Ok(())
}

fn slow(
    device: &Device<'_>,
    asking: &mut Asking<'_>,
    pid: u32,
    sample: &mut GpuSample,
) -> Result<(), Failure> {
    sample.temperature = asking
        .figure(Figure::Temperature, "nvmlDeviceGetTemperature", || {
            device.temperature(nvml::TemperatureSensor::Gpu)
        })?
        .map(f64::from);
    sample.power_limit = asking
        .figure(
            Figure::PowerLimit,
            "nvmlDeviceGetEnforcedPowerLimit",
            || device.enforced_power_limit(),
        )?
        .map(thousandth);
    let mut errors = |figure, which| {
        asking.figure(figure, "nvmlDeviceGetTotalEccErrors", || {
            device.total_ecc_errors(which, nvml::EccCounter::Volatile)
        })
    };
    sample.ecc.corrected = errors(Figure::EccCorrected, nvml::MemoryError::Corrected)?;
    sample.ecc.uncorrected = errors(Figure::EccUncorrected, nvml::MemoryError::Uncorrected)?;
    sample.compute_mode = asking
        .figure(Figure::ComputeMode, "nvmlDeviceGetComputeMode", || {
            device.compute_mode()
        })?
        .map(compute_mode);
    let processes = asking.figure(
        Figure::Processes,
        "nvmlDeviceGetComputeRunningProcesses_v3",
        || device.running_compute_processes(),
    )?;
    let (own, others) = processes.map(|all| split(&all, pid)).unzip();
    sample.own_memory = own.flatten();
    sample.others = others;
    Ok(())
}

fn costly(
    device: &Device<'_>,
    asking: &mut Asking<'_>,
    sample: &mut GpuSample,
) -> Result<(), Failure> {
    let mut throughput = |figure, which| {
        asking
            .figure(figure, "nvmlDeviceGetPcieThroughput", || {
                device.pcie_throughput(which)
            })
            // In units of 1,000 bytes, by nvidia-smi's own reckoning.
            .map(|kilobytes| kilobytes.map(|kilobytes| f64::from(kilobytes) * 1e3))
    };
    let received = throughput(Figure::PcieReceived, nvml::PcieUtilCounter::Receive)?;
    let sent = throughput(Figure::PcieSent, nvml::PcieUtilCounter::Send)?;
    sample.pcie =
        (received.is_some() || sent.is_some()).then_some(PcieThroughput { received, sent });
    sample.fan_speed = asking
        .figure(Figure::Fans, "nvmlDeviceGetFanSpeed_v2", || {
            let fans = device.num_fans()?;
            let mut fastest = None;
            for fan in 0..fans {
                fastest = fastest.max(Some(device.fan_speed(fan)?));
            }
            fastest.ok_or(NvmlError::NotSupported)
        })?
        .map(share);
    Ok(())
}

pub(super) fn memory(info: &raw::MemoryInfo) -> GpuMemory {
    GpuMemory {
        used: info.used,
        reserved: info.reserved,
        free: info.free,
        total: info.total,
    }
}

fn share(percent: u32) -> f64 {
    f64::from(percent) / 100.0
}

fn thousandth(number: u32) -> f64 {
    f64::from(number) / 1e3
}

fn reasons(bits: Bits) -> ThrottleReasons {
    [
        (Bits::GPU_IDLE, ThrottleReason::Idle),
        (
            Bits::APPLICATIONS_CLOCKS_SETTING,
            ThrottleReason::ApplicationsClocks,
        ),
        (Bits::SW_POWER_CAP, ThrottleReason::PowerCap),
        (Bits::HW_SLOWDOWN, ThrottleReason::HardwareSlowdown),
        (Bits::SYNC_BOOST, ThrottleReason::SyncBoost),
        (Bits::SW_THERMAL_SLOWDOWN, ThrottleReason::SoftwareThermal),
        (Bits::HW_THERMAL_SLOWDOWN, ThrottleReason::HardwareThermal),
        (
            Bits::HW_POWER_BRAKE_SLOWDOWN,
            ThrottleReason::HardwarePowerBrake,
        ),
        (Bits::DISPLAY_CLOCK_SETTING, ThrottleReason::DisplayClocks),
    ]
    .into_iter()
    .filter(|(bit, _)| bits.contains(*bit))
    .map(|(_, reason)| reason)
    .collect()
}

fn compute_mode(mode: nvml::ComputeMode) -> ComputeMode {
    match mode {
        nvml::ComputeMode::Default => ComputeMode::Default,
        nvml::ComputeMode::ExclusiveThread => ComputeMode::ExclusiveThread,
        nvml::ComputeMode::Prohibited => ComputeMode::Prohibited,
        nvml::ComputeMode::ExclusiveProcess => ComputeMode::ExclusiveProcess,
    }
}

/// This process's memory, and the other processes.
fn split(all: &[raw::ProcessInfo], pid: u32) -> (Option<u64>, OtherProcesses) {
    let bytes = |process: &raw::ProcessInfo| match process.used_gpu_memory {
        UsedGpuMemory::Used(bytes) => Some(bytes),
        UsedGpuMemory::Unavailable => None,
    };
    let own = all
        .iter()
        .find(|process| process.pid == pid)
        .and_then(bytes);
    let mut largest: Vec<_> = all
        .iter()
        .filter(|process| process.pid != pid)
        .map(|process| GpuProcess {
            pid: process.pid,
            memory: bytes(process),
        })
        .collect();
    let count = largest.len() as u64;
    let memory = largest.iter().map(|process| process.memory).sum();
    largest.sort_by_key(|process| (std::cmp::Reverse(process.memory), process.pid));
    largest.truncate(OtherProcesses::LARGEST);
    let others = OtherProcesses {
        count,
        memory,
        largest,
    };
    (own, others)
}
