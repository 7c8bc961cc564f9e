//! When memory that others may be reading can go.
//!
//! Who follows a pointer that may be retired does so while **pinned**: it has said so in its own lane. Who retires something first makes it
//! unreachable, then asks every lane; a lane that isn't pinned now, or was unpinned since, can't have a reference.
//!
//! A pin is a plain store and a barrier, and the barrier must keep the store before the loads that follow. That is a full fence, or,
//! where Linux can run one on every core for the one who waits, only the compiler's: see [`barrier`].

use super::{bank::Bank, barrier, lane::Lane};
use crate::sync::{Acquire, Relaxed, Release};

/// The low bits of a lane's pins count how deep its thread is pinned, which even references that are forgotten by the billion don't
/// overflow; the rest, how often it has been unpinned. That may come round: whoever waits then looks once more.
const TURN: u64 = 1 << 48;

/// Set where a thread has ended and is pinned still.
const ORPHAN: u64 = 1 << 47;

/// How deep; with [`ORPHAN`] where that is set.
#[inline(always)]
fn depth(pins: u64) -> u64 {
    pins & (TURN - 1)
}

/// Pins the thread that owns `lane`.
///
/// The store is a release, so that whoever sees it also sees that all looking of the turns before is done.
#[inline]
pub(super) fn enter(lane: &Lane) {
    lane.pins.store(lane.pins.load(Relaxed) + 1, Release);
    barrier::light();
}

/// Undoes one [`enter`].
#[inline]
pub(super) fn leave(lane: &Lane) {
    let pins = lane.pins.load(Relaxed) - 1;
    if depth(pins) == 0 {
        lane.pins.store(pins.wrapping_add(TURN), Release);
    } else {
        leave_one_of_many(lane, pins);
    }
}

#[inline(never)]
fn leave_one_of_many(lane: &Lane, pins: u64) {
    if depth(pins) == ORPHAN {
        lane.pins.store((pins - ORPHAN).wrapping_add(TURN), Release);
        lane.leave();
    } else {
        lane.pins.store(pins, Release);
    }
}

/// Leaves the lane of a thread that ends: now, or with the last of the pins that other destructors of the thread still hold.
///
/// Until then the lane is no other thread's, because a pin is undone by a plain store.
pub(super) fn abandon(lane: &Lane) {
    let pins = lane.pins.load(Relaxed);
    if depth(pins) == 0 {
        lane.leave();
    } else {
        lane.pins.store(pins | ORPHAN, Release);
    }
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

/// Undoes all pins of a lane whose threads are gone for good, and leaves it.
#[cfg(all(target_os = "linux", not(loom)))]
pub(super) fn forsake(lane: &Lane) {
    let pins = lane.pins.load(Relaxed);
    lane.pins
        .store((pins - depth(pins)).wrapping_add(TURN), Release);
    lane.leave();
}

/// One pin less; a turn more when it was the last.
#[inline]
fn left(pins: u64) -> u64 {
    let pins = pins - 1;
    if depth(pins) == 0 {
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
                (depth(pins) != 0).then_some((address(lane), pins))
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
                    *at != address(lane) || (depth(pins) != 0 && pins / TURN == then / TURN)
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
