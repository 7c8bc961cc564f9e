//! XID errors: what a GPU reports of its own faults.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use nvml_wrapper::{
    Device, EventSet, bitmasks::event::EventTypes, enums::event::XidError, error::NvmlError,
};

use super::{Failure, Opened, Seat, failure};

/// How long one wait lasts, and with it the longest that a stop takes.
const WAIT_MILLISECONDS: u32 = 250;

/// The number that stands for an error without one.
const UNKNOWN: u64 = 999;

/// The GPUs that report, by the address that stands for each in the library: one that fell off the bus can't tell who it is.
type Addresses<'a> = Vec<(usize, &'a Seat)>;

/// Hands every XID error to `take` until `stop` is set.
pub(super) fn watch(
    opened: &Opened,
    seats: &[Arc<Seat>],
    stop: &AtomicBool,
    take: &mut dyn FnMut(&Seat, u64),
) -> Result<(), Failure> {
    // Instances report through the whole GPU.
    let mut whole: Vec<_> = seats
        .iter()
        .map(|seat| &**seat)
        .filter(|seat| seat.instance.is_none())
        .collect();
    let (set, addresses) = loop {
        match register(opened, &whole) {
            Ok(Some(registered)) => break registered,
            Ok(None) => return Ok(()),
            // The set is gone with the GPU that refused: the others get a new one.
            Err((refused, error)) => {
                tracing::debug!(gpu = %whole[refused].uuid, %error, "this GPU's XID errors can't be seen");
                whole.remove(refused);
            }
        }
    };
    while !stop.load(Relaxed) {
        match set.wait(WAIT_MILLISECONDS) {
            Ok(event) => {
                let code = match event.event_data {
                    Some(XidError::Value(code)) => code,
                    Some(XidError::Unknown) => UNKNOWN,
                    None => continue,
                };
                let address = address(&event.device);
                if let Some((_, seat)) = addresses.iter().find(|(at, _)| *at == address) {
                    take(seat, code);
                }
            }
            Err(NvmlError::Timeout) => {}
            Err(error) => return Err(failure("nvmlEventSetWait_v2", "the driver", &error)),
        }
    }
    Ok(())
}

/// A set that waits for the XID errors of every GPU that reports them; `None` when none does.
///
/// # Errors
/// The place of a GPU that refuses, and why.
fn register<'a, 's>(
    opened: &'a Opened,
    seats: &[&'s Seat],
) -> Result<Option<(EventSet<'a>, Addresses<'s>)>, (usize, NvmlError)> {
    let (mut set, mut addresses) = (None, Vec::new());
    for (at, seat) in seats.iter().enumerate() {
        let Ok(device) = opened.nvml.device_by_index(seat.index) else {
            continue;
        };
        let reports = device
            .supported_event_types()
            .is_ok_and(|types| types.contains(EventTypes::CRITICAL_XID_ERROR));
        if !reports {
            continue;
        }
        let current = match set.take() {
            Some(set) => set,
            None => opened
                .nvml
                .create_event_set()
                .map_err(|error| (at, error))?,
        };
        let registered = device
            .register_events(EventTypes::CRITICAL_XID_ERROR, current)
            .map_err(|error| (at, error.error))?;
        addresses.push((address(&device), *seat));
        set = Some(registered);
    }
    Ok(set.map(|set| (set, addresses)))
}

/// What stands for a device in the library: the same for as long as it is initialised.
#[expect(
    unsafe_code,
    reason = "the wrapper hands out a handle only so, lest it be used after the library is gone"
)]
fn address(device: &Device<'_>) -> usize {
    // SAFETY: only its address is looked at.
    unsafe { device.handle() }.addr()
}
