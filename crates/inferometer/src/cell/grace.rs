//! When memory that others may be reading can go.
//!
//! Who follows a pointer that may be retired does so while **pinned**: it has said so in its own lane. Who retires something first makes it
//! unreachable, then asks every lane; a lane that isn't pinned now, or was unpinned since, can't have a reference.
//!
//! A pin is a plain store and a barrier, and the barrier must keep the store before the loads that follow. That is a full fence, or,
//! where Linux can run one on every core for the one who waits, only the compiler's: see [`barrier`].

use super::{bank::Bank, barrier, lane::Lane};
use crate::sync::{Acquire, Relaxed, Release};

/// The low bits of a lane's pins count how deep its thread is pinned; the rest, how often it has been unpinned.
const TURN: u64 = 1 << 16;

/// Pins the thread that owns `lane`.
#[inline]
pub(super) fn enter(lane: &Lane) {
    lane.pins.store(lane.pins.load(Relaxed) + 1, Relaxed);
    barrier::light();
}

/// Undoes one [`enter`].
#[inline]
pub(super) fn leave(lane: &Lane) {
    lane.pins.store(left(lane.pins.load(Relaxed)), Release);
}

/// Pins one of the threads that share a stripe.
pub(super) fn enter_shared(lane: &Lane) {
    lane.pins.fetch_add(1, Relaxed);
    barrier::light();
}

/// Undoes one [`enter_shared`].
pub(super) fn leave_shared(lane: &Lane) {
    let mut pins = lane.pins.load(Relaxed);
    while let Err(now) = lane
        .pins
        .compare_exchange_weak(pins, left(pins), Release, Relaxed)
    {
        pins = now;
    }
}

/// One pin less; a turn more when it was the last.
#[inline]
fn left(pins: u64) -> u64 {
    let pins = pins - 1;
    if pins % TURN == 0 {
        pins.wrapping_add(TURN)
    } else {
        pins
    }
}

/// What was retired, and the lanes that may still see it.
pub(super) struct Retired<T> {
    what: T,
    /// Whether the lanes were asked.
    fenced: bool,
    /// Lanes that were pinned when it was retired, with their pins then. By address: lanes live as long as their bank.
    waiting: Vec<(usize, u64)>,
}

impl<T> Retired<T> {
    /// Retires what nobody can find any more.
    pub(super) fn new(what: T, bank: &Bank) -> Self {
        let mut retired = Self {
            what,
            fenced: false,
            waiting: Vec::new(),
        };
        retired.fence(bank);
        retired
    }

    /// Asks who is pinned. In vain where the barrier fails, which it has no reason to; then nothing is ever freed.
    fn fence(&mut self, bank: &Bank) {
        if barrier::heavy() {
            self.fenced = true;
            let pinned = bank.lanes().filter_map(|lane| {
                let pins = lane.pins.load(Acquire);
                (pins % TURN != 0).then_some((address(lane), pins))
            });
            self.waiting = pinned.collect();
        }
    }

    /// Whether nobody can have a reference any more.
    pub(super) fn is_over(&mut self, bank: &Bank) -> bool {
        if !self.fenced {
            self.fence(bank);
            return false;
        }
        if !self.waiting.is_empty() {
            for lane in bank.lanes() {
                let pins = lane.pins.load(Acquire);
                self.waiting.retain(|(at, then)| {
                    *at != address(lane) || (pins % TURN != 0 && pins / TURN == then / TURN)
                });
            }
        }
        self.waiting.is_empty()
    }

    pub(super) fn get(&self) -> &T {
        &self.what
    }
}

fn address(lane: &Lane) -> usize {
    std::ptr::from_ref(lane).addr()
}
