//! Single numbers that are added to.

use super::{
    bank::{Reader, Slot},
    thread::{Words, bank, own_words, words},
};
use crate::sync::{AtomicU64, Relaxed};

/// Adds to a word that only this thread writes.
#[inline(always)]
pub(super) fn add_own(word: &AtomicU64, amount: u64) {
    word.store(word.load(Relaxed).wrapping_add(amount), Relaxed);
}

/// Adds to a float that only this thread writes.
#[inline(always)]
pub(super) fn add_float_own(word: &AtomicU64, amount: f64) {
    word.store(
        (f64::from_bits(word.load(Relaxed)) + amount).to_bits(),
        Relaxed,
    );
}

/// Adds to a float that several threads write.
pub(super) fn add_float_shared(word: &AtomicU64, amount: f64) {
    let mut seen = word.load(Relaxed);
    while let Err(now) = word.compare_exchange_weak(
        seen,
        (f64::from_bits(seen) + amount).to_bits(),
        Relaxed,
        Relaxed,
    ) {
        seen = now;
    }
}

/// Adds to the word of `slot` in this thread's lane.
#[inline(always)]
pub(super) fn add(slot: Slot, amount: u64) {
    match own_words(slot) {
        Some(words) => add_own(&words[0], amount),
        None => add_elsewhere(slot, amount),
    }
}

/// For a thread's first recording, its first of these slots, a shared stripe, or a mute slot.
#[cold]
#[inline(never)]
fn add_elsewhere(slot: Slot, amount: u64) {
    match words(slot) {
        Some(Words::Own(words)) => add_own(&words[0], amount),
        Some(Words::Shared(words)) => {
            words[0].fetch_add(amount, Relaxed);
        }
        None => {}
    }
}

/// As [`add`], for a float.
#[inline(always)]
fn add_float(slot: Slot, amount: f64) {
    match own_words(slot) {
        Some(words) => add_float_own(&words[0], amount),
        None => add_float_elsewhere(slot, amount),
    }
}

#[cold]
#[inline(never)]
fn add_float_elsewhere(slot: Slot, amount: f64) {
    match words(slot) {
        Some(Words::Own(words)) => add_float_own(&words[0], amount),
        Some(Words::Shared(words)) => add_float_shared(&words[0], amount),
        None => {}
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name(Slot);

        impl $name {
            /// One, at 0.
            pub(crate) fn new() -> Self {
                Self(bank().take(1))
            }

            /// `count` of them, at 0, one after another; mute where there is no room.
            pub(crate) fn many(count: usize) -> Box<[Self]> {
                let first = Self(bank().take_run(count));
                (0..count).map(|at| first.nth(at)).collect()
            }

            /// The one `index` places after this one, of [`many`](Self::many).
            #[inline(always)]
            pub(crate) fn nth(self, index: usize) -> Self {
                Self(self.0.plus(index))
            }

            /// One that takes in anything and stays at 0.
            pub(crate) const fn mute() -> Self {
                Self(Slot::MUTE)
            }

            /// Gives its memory back. No copy of it may be used after.
            pub(crate) fn free(self) {
                bank().give_back(self.0, 1);
            }
        }
    };
}

number!(
    /// A whole number that only grows; it wraps at `u64::MAX`.
    Count
);
number!(
    /// A whole number that rises and falls.
    Level
);
number!(
    /// A floating sum.
    Sum
);

impl Count {
    #[inline(always)]
    pub(crate) fn add(self, amount: u64) {
        add(self.0, amount);
    }

    pub(crate) fn get(self, reader: &Reader<'_>) -> u64 {
        reader.whole(self.0)
    }

    /// Reads neighbours together, when all of `counts` are.
    pub(crate) fn get_run(counts: &[Self], reader: &Reader<'_>, sums: &mut [u64]) -> bool {
        let (Some(first), Some(last)) = (counts.first(), counts.last()) else {
            return true;
        };
        if first.0.plus(counts.len() - 1) != last.0 {
            return false;
        }
        sums.fill(0);
        reader.run(first.0, sums);
        true
    }
}

macro_rules! live_slot {
    ($($name:ident),*) => {$(
        impl $name {
            /// Where it is, if it isn't mute.
            pub(crate) fn live_slot(self) -> Option<Slot> {
                (self.0 != Slot::MUTE).then_some(self.0)
            }
        }
    )*};
}
live_slot!(Count, Sum);

impl Level {
    #[inline(always)]
    pub(crate) fn add(self, amount: i64) {
        add(self.0, amount.cast_unsigned());
    }

    pub(crate) fn get(self, reader: &Reader<'_>) -> i64 {
        reader.whole(self.0).cast_signed()
    }
}

impl Sum {
    #[inline(always)]
    pub(crate) fn add(self, amount: f64) {
        add_float(self.0, amount);
    }

    pub(crate) fn get(self, reader: &Reader<'_>) -> f64 {
        reader.float(self.0)
    }
}
