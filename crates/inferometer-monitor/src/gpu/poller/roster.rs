//! Which GPUs there are: who came, who went, who is missing.

use std::sync::Arc;

use inferometer::sample::gpu::GpuSample;

use super::{
    super::{
        board::DeviceStatus,
        metrics::{DriverPhase, UNKNOWN},
        source::{Failure, Reason, Seat},
        visible::select,
    },
    Known, Poller,
};

impl Poller {
    /// Finds out which GPUs there are, when it is time.
    pub(super) fn look_around(&mut self) {
        if self.is_waiting() {
            // Neither can the driver be closed now, nor would a list be had.
            return;
        }
        // A driver sees what came back only when it is opened anew.
        if self.slow_at.is_some() && self.is_missing_one() && self.may_try() {
            let tries = self.in_vain + 1;
            self.close();
            self.tried_at = None;
            if self.driver_answers() {
                self.list();
            }
            self.in_vain = if self.is_missing_one() { tries } else { 0 };
        } else if self.slow_is_due() {
            self.list();
        }
    }

    /// Whether a GPU should be there and isn't. Instances come and go as people like.
    fn is_missing_one(&self) -> bool {
        let gone =
            |entry: &DeviceStatus| entry.failure.is_some() && entry.device.instance.is_none();
        self.incomplete || self.audience.board.read().devices.iter().any(gone)
    }

    /// Whether a call hangs that needs the driver as it is.
    pub(super) fn is_waiting(&mut self) -> bool {
        self.listing.take_if(|pending| pending.returned());
        self.strangers.retain(|pending| !pending.returned());
        let hangs = |known: &Known| {
            let pending = known.pending.as_ref();
            pending.is_some_and(|pending| !pending.returned())
        };
        self.listing.is_some() || !self.strangers.is_empty() || self.known.iter().any(hangs)
    }

    /// The GPUs that answer.
    pub(super) fn answering(&self) -> Vec<Arc<Seat>> {
        let up = self.known.iter().filter(|known| known.down.is_none());
        up.map(|known| Arc::clone(&known.seat)).collect()
    }

    fn list(&mut self) {
        let Some(driver) = self.driver.clone() else {
            return;
        };
        let failure = match self.call("the list of GPUs", move || driver.list()) {
            Ok(Ok(listed)) => return self.meet(listed),
            Ok(Err(failure)) => failure,
            Err((failure, pending)) => {
                self.listing = pending;
                failure
            }
        };
        self.audience.shown.failed(UNKNOWN, failure.reason);
        if self.known.is_empty() || failure.reason == Reason::DriverGone {
            self.driver_failed(failure);
        } else {
            // Those that are known are asked all the same: one that hangs hides no other.
            tracing::warn!(%failure, "the list of GPUs can't be had");
        }
    }

    /// Compares who is there with who was.
    fn meet(&mut self, listed: Vec<Result<Seat, Failure>>) {
        self.incomplete = listed.is_empty() || listed.iter().any(Result::is_err);
        let mut seats = Vec::new();
        for found in listed {
            match found {
                Ok(seat) => seats.push(seat),
                Err(failure) => {
                    tracing::warn!(%failure, "a GPU does not tell who it is");
                    self.audience.shown.failed(UNKNOWN, failure.reason);
                }
            }
        }
        let shown = match &self.settings.visible {
            Some(list) => {
                let selection = select(list, &seats.iter().collect::<Vec<_>>());
                self.audience.complain(selection.complaint);
                selection.shown
            }
            None => vec![true; seats.len()],
        };
        let whole: Vec<_> = seats.iter().map(|seat| Arc::clone(&seat.uuid)).collect();
        let fresh = std::mem::take(&mut self.fresh);
        let mut before = std::mem::take(&mut self.known);
        for (seat, _) in seats.into_iter().zip(shown).filter(|(_, shown)| *shown) {
            let same = |known: &Known| *known.seat.uuid == *seat.uuid;
            let known = before
                .iter()
                .position(same)
                .map(|at| before.swap_remove(at));
            match known {
                // It is where it was.
                Some(known) if !fresh && known.seat.is_at(&seat) => self.known.push(known),
                Some(_) | None => self.identify(seat),
            }
        }
        for gone in before {
            let of_one_that_is_there = |part: &(u32, Arc<str>)| whole.contains(&part.1);
            if gone
                .seat
                .instance
                .as_ref()
                .is_some_and(of_one_that_is_there)
            {
                self.audience.removed(&gone.device);
            } else {
                let message = format!("{} is not listed any more", gone.device.uuid);
                let failure = Failure::new(Reason::Lost, message);
                self.audience.lost(&gone.device, &failure);
            }
        }
        self.phase(DriverPhase::Loaded, None);
    }

    fn identify(&mut self, seat: Seat) {
        let Some(driver) = self.driver.clone() else {
            return;
        };
        let seat = Arc::new(seat);
        let asked = Arc::clone(&seat);
        let failure = match self.call(&seat.uuid, move || driver.identify(&asked)) {
            Ok(Ok(device)) => {
                let device = Arc::new(device);
                self.audience.found(&device);
                self.known.push(Known {
                    seat,
                    sample: GpuSample::empty(Arc::clone(&device)),
                    device,
                    // Its slow figures are read, too.
                    down: Some(Reason::Other),
                    pending: None,
                });
                return;
            }
            Ok(Err(failure)) => failure,
            Err((failure, pending)) => {
                self.strangers.extend(pending);
                failure
            }
        };
        self.incomplete = true;
        self.audience.shown.failed(&seat.uuid, failure.reason);
        let mut board = self.audience.board.read();
        let known = board
            .entry(&seat.uuid)
            .map(|entry| Arc::clone(&entry.device));
        drop(board);
        match known {
            Some(device) => self.audience.lost(&device, &failure),
            None => tracing::warn!(%failure, "a GPU can't be identified"),
        }
    }
}
