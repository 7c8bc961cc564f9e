//! XID errors: what a GPU reports of its own faults.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use nvml_wrapper::{
    EventSet, bitmasks::event::EventTypes, enums::event::XidError, error::NvmlError,
};

use super::{Failure, Opened, Seat, failure};

/// How long one wait lasts, and with it the longest that a stop takes.
const WAIT_MILLISECONDS: u32 = 250;

/// The number that stands for an error without one.
const UNKNOWN: u64 = 999;

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
        .filter(|seat| seat.instance.is_none())
        .collect();
    let set = loop {
        match register(opened, &whole) {
            Ok(Some(set)) => break set,
            Ok(None) => return Ok(()),
            // The set is gone with the GPU that refused: the others get a new one.
            Err((refused, error)) if !whole.is_empty() => {
                tracing::debug!(gpu = %whole[refused].uuid, %error, "this GPU's XID errors can't be seen");
                whole.remove(refused);
            }
            Err((_, error)) => return Err(failure("nvmlEventSetCreate", "the driver", &error)),
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
                // A GPU that just failed may not tell who it is: its place does then.
                let uuid = event.device.uuid().ok();
                let index = event.device.index().ok();
                let seat = whole
                    .iter()
                    .find(|seat| uuid.as_deref() == Some(&*seat.uuid) || index == Some(seat.index));
                if let Some(seat) = seat {
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
fn register<'a>(
    opened: &'a Opened,
    seats: &[&Arc<Seat>],
) -> Result<Option<EventSet<'a>>, (usize, NvmlError)> {
    let mut set = None;
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
        set = Some(registered);
    }
    Ok(set)
}
