//! The functions that a monitor calls, and those that tell the library what to do.
//!
//! Each takes pointers as the real library does. Handles are made-up addresses that nobody follows: a device's place plus one.

#![expect(
    unsafe_code,
    reason = "the functions of a C library take pointers and are found by their names"
)]

use std::{
    ffi::{CStr, c_char, c_int, c_uint, c_ulonglong},
    ptr,
    time::Duration,
};

use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlEventData_t, nvmlEventSet_t, nvmlMemory_v2_t, nvmlPciInfo_t,
    nvmlProcessInfo_t, nvmlUtilization_t,
};

use crate::{
    SUCCESS, VERSION_PREFIX,
    state::{ANY, Call, Device, Value, enter, event, with},
};

const INVALID_ARGUMENT: c_uint = 2;
const NOT_FOUND: c_uint = 6;
const INSUFFICIENT_SIZE: c_uint = 7;
const TIMEOUT: c_uint = 10;
const ARGUMENT_VERSION_MISMATCH: c_uint = 25;

/// An XID error.
const XID: c_ulonglong = 8;

fn handle(place: u32) -> nvmlDevice_t {
    ptr::without_provenance_mut(place as usize + 1)
}

fn place(device: nvmlDevice_t) -> u32 {
    u32::try_from(device.addr())
        .ok()
        .and_then(|address| address.checked_sub(1))
        .unwrap_or(ANY - 1)
}

/// Writes `value` to where the caller wants it.
fn put<T>(to: *mut T, value: T) -> c_uint {
    if to.is_null() {
        return INVALID_ARGUMENT;
    }
    // SAFETY: the caller hands a pointer to a value of its own; it isn't null.
    unsafe { to.write(value) };
    SUCCESS
}

/// Writes a text and its 0.
fn put_text(to: *mut c_char, room: c_uint, text: &str) -> c_uint {
    let bytes: Vec<u8> = text.bytes().chain([0]).collect();
    if to.is_null() || bytes.len() > room as usize {
        return INSUFFICIENT_SIZE;
    }
    // SAFETY: the caller has room for that many bytes, and it is no part of `bytes`.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr().cast(), to, bytes.len()) };
    SUCCESS
}

fn text(from: *const c_char) -> String {
    if from.is_null() {
        return String::new();
    }
    // SAFETY: the caller hands a text that ends with 0.
    unsafe { CStr::from_ptr(from) }
        .to_string_lossy()
        .into_owned()
}

/// Answers a call about a device.
fn about<T>(
    device: nvmlDevice_t,
    call: Call,
    to: *mut T,
    read: impl FnOnce(&Device) -> T,
) -> c_uint {
    let place = place(device);
    match enter(place, call) {
        SUCCESS => match with(|state| state.device(place).map(read)) {
            Some(value) => put(to, value),
            None => INVALID_ARGUMENT,
        },
        code => code,
    }
}

fn figure(device: &Device, value: Value) -> u64 {
    device.values.get(&(value as u32)).copied().unwrap_or(0)
}

fn small(device: &Device, value: Value) -> c_uint {
    c_uint::try_from(figure(device, value)).unwrap_or(c_uint::MAX)
}

macro_rules! export {
    ($($name:ident($($argument:ident: $type:ty),*) $body:block)*) => {$(
        // SAFETY: the name is this library's purpose; whatever loads it wants it in the real one's place.
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $name($($argument: $type),*) -> c_uint $body
    )*};
}

export! {
    nvmlInit_v2() {
        let code = enter(ANY - 1, Call::Init);
        if code == SUCCESS {
            with(|state| {
                if state.sessions == 0 {
                    for device in &mut state.devices {
                        device.lost &= !device.restored;
                        device.restored = false;
                        device.listed = true;
                    }
                }
                state.sessions += 1;
            });
        }
        code
    }

    nvmlShutdown() {
        let code = enter(ANY - 1, Call::Shutdown);
        if code == SUCCESS {
            with(|state| state.sessions = state.sessions.saturating_sub(1));
        }
        code
    }

    nvmlSystemGetDriverVersion(version: *mut c_char, length: c_uint) {
        match enter(ANY - 1, Call::DriverVersion) {
            SUCCESS => put_text(version, length, &format!("{VERSION_PREFIX} 999.1")),
            code => code,
        }
    }

    nvmlDeviceGetCount_v2(count: *mut c_uint) {
        match enter(ANY - 1, Call::Count) {
            SUCCESS => put(count, with(|state| c_uint::try_from(state.whole().len()).unwrap_or(0))),
            code => code,
        }
    }

    nvmlDeviceGetHandleByIndex_v2(index: c_uint, device: *mut nvmlDevice_t) {
        let Some(place) = with(|state| state.whole().get(index as usize).copied()) else {
            return INVALID_ARGUMENT;
        };
        match enter(place, Call::HandleByIndex) {
            SUCCESS => put(device, handle(place)),
            code => code,
        }
    }

    nvmlDeviceGetHandleByUUID(uuid: *const c_char, device: *mut nvmlDevice_t) {
        let uuid = text(uuid);
        let found = with(|state| {
            (0..).zip(&state.devices).find(|(_, device)| device.listed && device.uuid == uuid).map(|(place, _)| place)
        });
        let Some(place) = found else { return NOT_FOUND };
        match enter(place, Call::HandleByUuid) {
            SUCCESS => put(device, handle(place)),
            code => code,
        }
    }

    nvmlDeviceGetUUID(device: nvmlDevice_t, uuid: *mut c_char, length: c_uint) {
        let place = place(device);
        match enter(place, Call::Uuid) {
            SUCCESS => match with(|state| state.device(place).map(|device| device.uuid.clone())) {
                Some(found) => put_text(uuid, length, &found),
                None => INVALID_ARGUMENT,
            },
            code => code,
        }
    }

    nvmlDeviceGetName(device: nvmlDevice_t, name: *mut c_char, length: c_uint) {
        let place = place(device);
        match enter(place, Call::Name) {
            SUCCESS => match with(|state| state.device(place).map(|device| device.name.clone())) {
                Some(found) => put_text(name, length, &found),
                None => INVALID_ARGUMENT,
            },
            code => code,
        }
    }

    nvmlDeviceGetPciInfo_v3(device: nvmlDevice_t, info: *mut nvmlPciInfo_t) {
        let bus = place(device);
        let mut bus_id: [c_char; 32] = [0; 32];
        for (to, byte) in bus_id.iter_mut().zip(format!("00000000:{bus:02X}:00.0").bytes()) {
            *to = c_char::try_from(byte).unwrap_or(0);
        }
        about(device, Call::PciInfo, info, |_| nvmlPciInfo_t {
            busIdLegacy: [0; 16],
            domain: 0,
            bus,
            device: 0,
            pciDeviceId: 0,
            pciSubSystemId: 0,
            busId: bus_id,
        })
    }

    nvmlDeviceGetTemperatureThreshold(device: nvmlDevice_t, threshold: c_uint, to: *mut c_uint) {
        let value = if threshold == 0 { Value::Shutdown } else { Value::Slowdown };
        about(device, Call::TemperatureThreshold, to, |device| small(device, value))
    }

    nvmlDeviceGetMigMode(device: nvmlDevice_t, current: *mut c_uint, pending: *mut c_uint) {
        let code = about(device, Call::MigMode, current, |device| c_uint::from(!device.parts.is_empty()));
        if code == SUCCESS { put(pending, 0) } else { code }
    }

    // As the real one: how many there could be, not how many there are.
    nvmlDeviceGetMaxMigDeviceCount(device: nvmlDevice_t, count: *mut c_uint) {
        about(device, Call::MaxMigDeviceCount, count, |_| 7)
    }

    nvmlDeviceGetMigDeviceHandleByIndex(device: nvmlDevice_t, index: c_uint, to: *mut nvmlDevice_t) {
        let whole = place(device);
        match enter(whole, Call::MigDeviceByIndex) {
            SUCCESS => match with(|state| state.device(whole)?.parts.get(index as usize).copied()) {
                Some(part) => put(to, handle(part)),
                None => NOT_FOUND,
            },
            code => code,
        }
    }

    nvmlDeviceGetGpuInstanceId(device: nvmlDevice_t, id: *mut c_uint) {
        about(device, Call::GpuInstanceId, id, |device| device.part_of.map_or(0, |part| part.1))
    }

    nvmlDeviceGetComputeInstanceId(device: nvmlDevice_t, id: *mut c_uint) {
        about(device, Call::ComputeInstanceId, id, |device| device.part_of.map_or(0, |part| part.2))
    }

    nvmlDeviceGetUtilizationRates(device: nvmlDevice_t, to: *mut nvmlUtilization_t) {
        about(device, Call::UtilizationRates, to, |device| nvmlUtilization_t {
            gpu: small(device, Value::Utilization),
            memory: small(device, Value::MemoryUtilization),
        })
    }

    nvmlDeviceGetMemoryInfo_v2(device: nvmlDevice_t, to: *mut nvmlMemory_v2_t) {
        // SAFETY: the caller hands its own structure, whose first word says which it is.
        let version = unsafe { to.cast::<c_uint>().read() };
        if version as usize != size_of::<nvmlMemory_v2_t>() | (2 << 24) {
            return ARGUMENT_VERSION_MISMATCH;
        }
        about(device, Call::MemoryInfo, to, |device| {
            let (total, used) = (figure(device, Value::MemoryTotal), figure(device, Value::MemoryUsed));
            let reserved = figure(device, Value::MemoryReserved);
            nvmlMemory_v2_t { version, total, reserved, free: total.saturating_sub(used + reserved), used }
        })
    }

    nvmlDeviceGetPowerUsage(device: nvmlDevice_t, to: *mut c_uint) {
        about(device, Call::PowerUsage, to, |device| small(device, Value::Power))
    }

    nvmlDeviceGetTotalEnergyConsumption(device: nvmlDevice_t, to: *mut c_ulonglong) {
        about(device, Call::TotalEnergy, to, |device| figure(device, Value::Energy))
    }

    nvmlDeviceGetClockInfo(device: nvmlDevice_t, clock: c_uint, to: *mut c_uint) {
        let value = match clock {
            0 => Value::ClockGraphics,
            1 => Value::ClockSm,
            _ => Value::ClockMemory,
        };
        about(device, Call::ClockInfo, to, |device| small(device, value))
    }

    nvmlDeviceGetCurrentClocksThrottleReasons(device: nvmlDevice_t, to: *mut c_ulonglong) {
        about(device, Call::ThrottleReasons, to, |device| figure(device, Value::Throttle))
    }

    nvmlDeviceGetTemperature(device: nvmlDevice_t, _sensor: c_uint, to: *mut c_uint) {
        about(device, Call::Temperature, to, |device| small(device, Value::Temperature))
    }

    nvmlDeviceGetEnforcedPowerLimit(device: nvmlDevice_t, to: *mut c_uint) {
        about(device, Call::PowerLimit, to, |device| small(device, Value::PowerLimit))
    }

    nvmlDeviceGetTotalEccErrors(device: nvmlDevice_t, kind: c_uint, _counter: c_uint, to: *mut c_ulonglong) {
        let value = if kind == 0 { Value::EccCorrected } else { Value::EccUncorrected };
        about(device, Call::EccErrors, to, |device| figure(device, value))
    }

    nvmlDeviceGetComputeMode(device: nvmlDevice_t, to: *mut c_uint) {
        about(device, Call::ComputeMode, to, |device| small(device, Value::ComputeMode))
    }

    nvmlDeviceGetComputeRunningProcesses_v3(device: nvmlDevice_t, count: *mut c_uint, to: *mut nvmlProcessInfo_t) {
        let place = place(device);
        let code = enter(place, Call::Processes);
        if code != SUCCESS {
            return code;
        }
        let processes = with(|state| state.device(place).map(|device| device.processes.clone())).unwrap_or_default();
        // SAFETY: the caller says in a value of its own for how many it has room.
        let room = unsafe { count.read() } as usize;
        put(count, c_uint::try_from(processes.len()).unwrap_or(0));
        if processes.len() > room {
            return INSUFFICIENT_SIZE;
        }
        for (at, (pid, memory)) in processes.into_iter().enumerate() {
            let process = nvmlProcessInfo_t {
                pid,
                usedGpuMemory: memory,
                gpuInstanceId: c_uint::MAX,
                computeInstanceId: c_uint::MAX,
            };
            // SAFETY: the caller has room for as many as there are.
            put(unsafe { to.add(at) }, process);
        }
        SUCCESS
    }

    nvmlDeviceGetPcieThroughput(device: nvmlDevice_t, counter: c_uint, to: *mut c_uint) {
        let value = if counter == 0 { Value::PcieSent } else { Value::PcieReceived };
        about(device, Call::PcieThroughput, to, |device| small(device, value))
    }

    nvmlDeviceGetNumFans(device: nvmlDevice_t, to: *mut c_uint) {
        about(device, Call::NumFans, to, |device| small(device, Value::Fans))
    }

    nvmlDeviceGetFanSpeed_v2(device: nvmlDevice_t, _fan: c_uint, to: *mut c_uint) {
        about(device, Call::FanSpeed, to, |device| small(device, Value::FanSpeed))
    }

    nvmlDeviceGetSupportedEventTypes(device: nvmlDevice_t, to: *mut c_ulonglong) {
        about(device, Call::SupportedEvents, to, |_| XID)
    }

    nvmlDeviceRegisterEvents(device: nvmlDevice_t, _events: c_ulonglong, _set: nvmlEventSet_t) {
        let place = place(device);
        let code = enter(place, Call::RegisterEvents);
        if code == SUCCESS {
            with(|state| state.watched.push(place));
        }
        code
    }

    nvmlEventSetCreate(set: *mut nvmlEventSet_t) {
        match enter(ANY - 1, Call::EventSetCreate) {
            SUCCESS => put(set, ptr::without_provenance_mut(1)),
            code => code,
        }
    }

    nvmlEventSetWait_v2(_set: nvmlEventSet_t, data: *mut nvmlEventData_t, milliseconds: c_uint) {
        match enter(ANY - 1, Call::EventSetWait) {
            SUCCESS => match event(Duration::from_millis(milliseconds.into())) {
                Some((place, code)) => put(data, nvmlEventData_t {
                    device: handle(place),
                    eventType: XID,
                    eventData: code,
                    gpuInstanceId: c_uint::MAX,
                    computeInstanceId: c_uint::MAX,
                }),
                None => TIMEOUT,
            },
            code => code,
        }
    }

    nvmlEventSetFree(_set: nvmlEventSet_t) {
        with(|state| state.watched.clear());
        enter(ANY - 1, Call::EventSetFree)
    }

    // From here on: what tests say.

    fake_nvml_add(uuid: *const c_char, name: *const c_char) {
        add(text(uuid), text(name), None)
    }

    fake_nvml_add_part(whole: c_uint, uuid: *const c_char, name: *const c_char, gpu: c_uint, compute: c_uint) {
        let place = add(text(uuid), text(name), Some((whole, gpu, compute)));
        with(|state| {
            if let Some(whole) = state.device_mut(whole) {
                whole.parts.push(place);
            }
        });
        place
    }

    fake_nvml_remove_part(place: c_uint) {
        with(|state| {
            for device in &mut state.devices {
                device.parts.retain(|part| *part != place);
            }
        });
        change(place, |device| device.listed = false)
    }

    fake_nvml_set(place: c_uint, value: c_uint, number: c_ulonglong) {
        change(place, |device| {
            device.values.insert(value, number);
        })
    }

    fake_nvml_process(place: c_uint, pid: c_uint, memory: c_ulonglong) {
        change(place, |device| device.processes.push((pid, memory)))
    }

    fake_nvml_answer(place: c_uint, call: c_uint, code: c_uint) {
        with(|state| {
            let answers = match state.device_mut(place) {
                Some(device) => &mut device.answers,
                None => &mut state.answers,
            };
            answers.insert(call, code);
        });
        SUCCESS
    }

    fake_nvml_hang(place: c_uint, call: c_uint) {
        with(|state| state.hangs.push((place, call)));
        SUCCESS
    }

    fake_nvml_release() {
        with(|state| state.hangs.clear());
        SUCCESS
    }

    fake_nvml_hanging() { with(|state| state.hanging) }

    fake_nvml_lose(place: c_uint) {
        change(place, |device| device.lost = true)
    }

    fake_nvml_restore(place: c_uint) {
        change(place, |device| device.restored = true)
    }

    fake_nvml_raise(place: c_uint, xid: c_ulonglong) {
        with(|state| state.events.push_back((place, xid)));
        SUCCESS
    }

    fake_nvml_watched() { with(|state| c_uint::try_from(state.watched.len()).unwrap_or(c_uint::MAX)) }

    fake_nvml_sessions() { with(|state| state.sessions) }

    fake_nvml_calls(call: c_uint) {
        let calls = with(|state| state.calls.get(&call).copied()).unwrap_or(0);
        c_uint::try_from(calls).unwrap_or(c_uint::MAX)
    }

    fake_nvml_forget_calls() {
        with(|state| state.calls.clear());
        SUCCESS
    }
}

fn add(uuid: String, name: String, part_of: Option<(u32, u32, u32)>) -> c_uint {
    let device = Device {
        uuid,
        name,
        part_of,
        ..Device::default()
    };
    with(|state| {
        state.devices.push(device);
        c_uint::try_from(state.devices.len() - 1).unwrap_or(ANY)
    })
}

fn change(place: c_uint, change: impl FnOnce(&mut Device)) -> c_uint {
    with(|state| state.device_mut(place).map(change)).map_or(INVALID_ARGUMENT, |()| SUCCESS)
}

// The types of the interface are plain integers, whatever the header calls them.
const _: () = assert!(size_of::<c_int>() == 4 && size_of::<c_uint>() == 4);
