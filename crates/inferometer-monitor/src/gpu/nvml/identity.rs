//! Which GPUs there are, and what each is.

use std::sync::Arc;

use inferometer::sample::gpu::{GpuDevice, MigInstance, Simulation};
use nvml_wrapper::{Device, Nvml, enum_wrappers::device::TemperatureThreshold, error::NvmlError};

use super::{Failure, Seat, failure};

/// The GPUs and their instances.
pub(super) fn list(nvml: &Nvml) -> Result<Vec<Result<Seat, Failure>>, Failure> {
    let count = nvml
        .device_count()
        .map_err(|error| failure("nvmlDeviceGetCount_v2", "the machine", &error))?;
    let mut seats = Vec::new();
    for index in 0..count {
        let named = |error: NvmlError| failure("the identity", &format!("GPU {index}"), &error);
        let found = nvml
            .device_by_index(index)
            .and_then(|device| device.uuid().map(|uuid| (device, Arc::from(uuid))));
        match found {
            Ok((device, uuid)) => {
                seats.push(Ok(Seat::whole(index, Arc::clone(&uuid))));
                seats.extend(parts(&device, index, &uuid).map(Ok));
            }
            Err(error) => seats.push(Err(named(error))),
        }
    }
    Ok(seats)
}

/// The instances of a GPU. One that has none, or can't be asked, has none to show.
fn parts(device: &Device<'_>, index: u32, parent: &Arc<str>) -> impl Iterator<Item = Seat> {
    let on = device.mig_mode().is_ok_and(|mode| mode.current == 1);
    // The most there could be: their places have gaps.
    let most = if on {
        device.mig_device_count().unwrap_or(0)
    } else {
        0
    };
    (0..most).filter_map(move |position| {
        let uuid = device.mig_device_by_index(position).ok()?.uuid().ok()?;
        Some(Seat::part(index, Arc::clone(parent), position, uuid))
    })
}

/// What doesn't change about a GPU.
pub(super) fn of(
    device: &Device<'_>,
    seat: &Seat,
    driver_version: Option<&Arc<str>>,
    simulated: Option<Simulation>,
) -> Result<GpuDevice, Failure> {
    let name = device
        .name()
        .map_err(|error| failure("nvmlDeviceGetName", &seat.uuid, &error))?;
    let threshold = |which| device.temperature_threshold(which).ok().map(f64::from);
    Ok(GpuDevice {
        uuid: Arc::clone(&seat.uuid),
        id: seat.id().into(),
        index: seat.index,
        name: name.into(),
        pci_bus_id: device.pci_info().ok().map(|info| info.bus_id.into()),
        memory_total: device.memory_info().ok().map(|memory| memory.total),
        slowdown_celsius: threshold(TemperatureThreshold::Slowdown),
        shutdown_celsius: threshold(TemperatureThreshold::Shutdown),
        driver_version: driver_version.cloned(),
        instance: seat.instance.as_ref().map(|(position, parent)| {
            let (gpu_instance, compute_instance) = instance_ids(device);
            MigInstance {
                parent: Arc::clone(parent),
                position: *position,
                gpu_instance,
                compute_instance,
            }
        }),
        simulated,
    })
}

/// The GPU instance and the compute instance that a MIG device is, which the wrapper has no methods for.
#[expect(
    unsafe_code,
    reason = "two functions of the library that the wrapper loads but doesn't wrap"
)]
fn instance_ids(device: &Device<'_>) -> (Option<u32>, Option<u32>) {
    let library = device.nvml().lib();
    // SAFETY: the handle is used within the device's life.
    let handle = unsafe { device.handle() };
    let (mut gpu, mut compute) = (0, 0);
    let gpu_code = library
        .nvmlDeviceGetGpuInstanceId
        .as_ref()
        .ok()
        // SAFETY: the handle is valid, and the number is ours until the call returns.
        .map(|get| unsafe { get(handle, &raw mut gpu) });
    let compute_code = library
        .nvmlDeviceGetComputeInstanceId
        .as_ref()
        .ok()
        // SAFETY: as above.
        .map(|get| unsafe { get(handle, &raw mut compute) });
    (
        (gpu_code == Some(0)).then_some(gpu),
        (compute_code == Some(0)).then_some(compute),
    )
}
