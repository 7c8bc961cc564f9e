//! What the library remembers: its devices, what was asked, and how it shall answer.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{GPU_LOST, SUCCESS};

macro_rules! numbered {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant),*];
        }
    };
}

numbered! {
    /// A function of the library.
    Call {
        /// `nvmlInit_v2`
        Init,
        /// `nvmlShutdown`
        Shutdown,
        /// `nvmlSystemGetDriverVersion`
        DriverVersion,
        /// `nvmlDeviceGetCount_v2`
        Count,
        /// `nvmlDeviceGetHandleByIndex_v2`
        HandleByIndex,
        /// `nvmlDeviceGetHandleByUUID`
        HandleByUuid,
        /// `nvmlDeviceGetUUID`
        Uuid,
        /// `nvmlDeviceGetName`
        Name,
        /// `nvmlDeviceGetPciInfo_v3`
        PciInfo,
        /// `nvmlDeviceGetTemperatureThreshold`
        TemperatureThreshold,
        /// `nvmlDeviceGetMigMode`
        MigMode,
        /// `nvmlDeviceGetMaxMigDeviceCount`
        MaxMigDeviceCount,
        /// `nvmlDeviceGetMigDeviceHandleByIndex`
        MigDeviceByIndex,
        /// `nvmlDeviceGetGpuInstanceId`
        GpuInstanceId,
        /// `nvmlDeviceGetComputeInstanceId`
        ComputeInstanceId,
        /// `nvmlDeviceGetUtilizationRates`
        UtilizationRates,
        /// `nvmlDeviceGetMemoryInfo_v2`
        MemoryInfo,
        /// `nvmlDeviceGetPowerUsage`
        PowerUsage,
        /// `nvmlDeviceGetTotalEnergyConsumption`
        TotalEnergy,
        /// `nvmlDeviceGetClockInfo`
        ClockInfo,
        /// `nvmlDeviceGetCurrentClocksThrottleReasons`
        ThrottleReasons,
        /// `nvmlDeviceGetTemperature`
        Temperature,
        /// `nvmlDeviceGetEnforcedPowerLimit`
        PowerLimit,
        /// `nvmlDeviceGetTotalEccErrors`
        EccErrors,
        /// `nvmlDeviceGetComputeMode`
        ComputeMode,
        /// `nvmlDeviceGetComputeRunningProcesses_v3`
        Processes,
        /// `nvmlDeviceGetPcieThroughput`
        PcieThroughput,
        /// `nvmlDeviceGetNumFans`
        NumFans,
        /// `nvmlDeviceGetFanSpeed_v2`
        FanSpeed,
        /// `nvmlDeviceGetSupportedEventTypes`
        SupportedEvents,
        /// `nvmlDeviceRegisterEvents`
        RegisterEvents,
        /// `nvmlEventSetCreate`
        EventSetCreate,
        /// `nvmlEventSetWait_v2`
        EventSetWait,
        /// `nvmlEventSetFree`
        EventSetFree,
    }
}

numbered! {
    /// A figure of a device, in the library's own unit.
    Value {
        /// Percent.
        Utilization,
        /// Percent.
        MemoryUtilization,
        /// Bytes.
        MemoryTotal,
        /// Bytes.
        MemoryUsed,
        /// Bytes.
        MemoryReserved,
        /// Milliwatts.
        Power,
        /// Milliwatts.
        PowerLimit,
        /// Millijoules.
        Energy,
        /// Megahertz.
        ClockGraphics,
        /// Megahertz.
        ClockSm,
        /// Megahertz.
        ClockMemory,
        /// Bits.
        Throttle,
        /// Degrees Celsius.
        Temperature,
        /// Degrees Celsius.
        Slowdown,
        /// Degrees Celsius.
        Shutdown,
        /// Errors.
        EccCorrected,
        /// Errors.
        EccUncorrected,
        /// The library's number.
        ComputeMode,
        /// Kilobytes a second.
        PcieReceived,
        /// Kilobytes a second.
        PcieSent,
        /// Fans.
        Fans,
        /// Percent.
        FanSpeed,
    }
}

/// Stands for every device.
pub(crate) const ANY: u32 = u32::MAX;

/// A device, whole or a part.
#[derive(Clone, Debug, Default)]
pub(crate) struct Device {
    pub(crate) uuid: String,
    pub(crate) name: String,
    pub(crate) values: HashMap<u32, u64>,
    pub(crate) answers: HashMap<u32, u32>,
    pub(crate) processes: Vec<(u32, u64)>,
    /// Its whole device, and its instances within, when it is a part.
    pub(crate) part_of: Option<(u32, u32, u32)>,
    pub(crate) parts: Vec<u32>,
    /// Gone from the bus; and whether it comes back at the next initialisation.
    pub(crate) lost: bool,
    pub(crate) restored: bool,
    /// Seen by the driver since its last initialisation.
    pub(crate) listed: bool,
}

/// What the library remembers.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) devices: Vec<Device>,
    pub(crate) answers: HashMap<u32, u32>,
    pub(crate) hangs: Vec<(u32, u32)>,
    pub(crate) hanging: u32,
    pub(crate) calls: HashMap<u32, u64>,
    pub(crate) sessions: u32,
    pub(crate) watched: Vec<u32>,
    pub(crate) events: VecDeque<(u32, u64)>,
}

impl State {
    /// The places of the whole devices that are listed.
    pub(crate) fn whole(&self) -> Vec<u32> {
        (0..)
            .zip(&self.devices)
            .filter(|(_, device)| device.listed && device.part_of.is_none())
            .map(|(place, _)| place)
            .collect()
    }

    pub(crate) fn device(&self, place: u32) -> Option<&Device> {
        self.devices.get(usize::try_from(place).ok()?)
    }

    pub(crate) fn device_mut(&mut self, place: u32) -> Option<&mut Device> {
        self.devices.get_mut(usize::try_from(place).ok()?)
    }

    fn answer(&self, place: u32, call: Call) -> u32 {
        let device = self.device(place);
        let whole = device
            .and_then(|device| device.part_of)
            .and_then(|(whole, ..)| self.device(whole));
        if [device, whole]
            .into_iter()
            .flatten()
            .any(|device| device.lost)
        {
            return GPU_LOST;
        }
        let own = device.and_then(|device| device.answers.get(&(call as u32)));
        let all = self.answers.get(&(call as u32));
        own.or(all).copied().unwrap_or(SUCCESS)
    }
}

static STATE: Mutex<Option<State>> = Mutex::new(None);
static CHANGED: Condvar = Condvar::new();

fn locked() -> MutexGuard<'static, Option<State>> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Changes or reads what is remembered.
pub(crate) fn with<T>(work: impl FnOnce(&mut State) -> T) -> T {
    let result = work(locked().get_or_insert_default());
    CHANGED.notify_all();
    result
}

/// Counts a call, hangs for as long as it is told to, and says with which code it answers.
pub(crate) fn enter(place: u32, call: Call) -> u32 {
    let mut guard = locked();
    let state = guard.get_or_insert_default();
    *state.calls.entry(call as u32).or_default() += 1;
    let hangs = |state: &State| {
        state.hangs.iter().any(|(device, which)| {
            (*device == ANY || *device == place) && (*which == ANY || *which == call as u32)
        })
    };
    if hangs(state) {
        state.hanging += 1;
        guard = CHANGED
            .wait_while(guard, |state| hangs(state.get_or_insert_default()))
            .unwrap_or_else(PoisonError::into_inner);
        guard.get_or_insert_default().hanging -= 1;
    }
    guard.get_or_insert_default().answer(place, call)
}

/// The next event, waited for so long.
pub(crate) fn event(timeout: Duration) -> Option<(u32, u64)> {
    let until = Instant::now() + timeout;
    let mut guard = locked();
    loop {
        let state = guard.get_or_insert_default();
        let watched = state.watched.clone();
        while let Some(event) = state.events.pop_front() {
            if watched.contains(&event.0) {
                return Some(event);
            }
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        guard = CHANGED
            .wait_timeout(guard, left)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
}
