//! Values that are set.

use crate::sync::{Acquire, AtomicU8, AtomicU64, Relaxed, Release};

/// 64 bits that one thread sets for all to see, or that are absent.
///
/// **Consistency.** The last set wins. A set and a clear at the same time may come in either order. While it is absent its bits are 0, but for
/// those of a recording that a clear has overtaken: nobody reads them, only an update may begin from them.
#[derive(Debug)]
pub(crate) struct Setting {
    bits: AtomicU64,
    state: AtomicU8,
}

const ABSENT: u8 = 0;
const PRESENT: u8 = 1;
const CLOSED: u8 = 2;
const MUTE: u8 = 3;
/// Present, and not set since it was last asked whether it was.
const UNTOUCHED: u8 = 4;
/// On its way to absent: what is recorded now comes before.
const CLEARING: u8 = 5;

impl Setting {
    pub(crate) fn absent() -> Self {
        Self {
            bits: AtomicU64::new(0),
            state: AtomicU8::new(ABSENT),
        }
    }

    /// One that takes in anything and stays absent.
    pub(crate) fn mute() -> Self {
        Self {
            bits: AtomicU64::new(0),
            state: AtomicU8::new(MUTE),
        }
    }

    /// Sets it; `false` when it is [closed](Self::close).
    #[inline(always)]
    pub(crate) fn set(&self, bits: u64) -> bool {
        if self.state.load(Relaxed) == PRESENT {
            self.bits.store(bits, Relaxed);
            true
        } else {
            self.set_first(bits)
        }
    }

    #[cold]
    #[inline(never)]
    fn set_first(&self, bits: u64) -> bool {
        match self.state.load(Relaxed) {
            CLOSED => return false,
            MUTE | CLEARING => return true,
            _ => {}
        }
        self.bits.store(bits, Relaxed);
        self.turn(&[ABSENT, UNTOUCHED], PRESENT);
        true
    }

    /// Changes it in one step, from 0 where it is absent; `false` when it is [closed](Self::close).
    #[inline]
    pub(crate) fn update(&self, change: impl Fn(u64) -> u64) -> bool {
        let state = self.state.load(Relaxed);
        match state {
            CLOSED => return false,
            MUTE | CLEARING => return true,
            _ => {}
        }
        let mut seen = self.bits.load(Relaxed);
        while let Err(now) = self
            .bits
            .compare_exchange_weak(seen, change(seen), Relaxed, Relaxed)
        {
            seen = now;
        }
        if state != PRESENT {
            self.turn(&[ABSENT, UNTOUCHED], PRESENT);
        }
        true
    }

    /// Makes it absent.
    pub(crate) fn clear(&self) {
        if self.turn(&[PRESENT, UNTOUCHED], CLEARING) {
            self.bits.store(0, Relaxed);
            self.turn(&[CLEARING], ABSENT);
        }
    }

    /// Whether it was set since the last time this was asked, or is closed.
    pub(crate) fn touched(&self) -> bool {
        self.turn(&[PRESENT], UNTOUCHED) || self.state.load(Relaxed) == CLOSED
    }

    /// Changes the state, if it is one of these.
    fn turn(&self, from: &[u8], to: u8) -> bool {
        from.iter().any(|from| {
            self.state
                .compare_exchange(*from, to, Release, Relaxed)
                .is_ok()
        })
    }

    /// Makes it absent, and refuses what is set until it is opened again.
    pub(crate) fn close(&self) {
        if self.state.load(Relaxed) != MUTE {
            self.state.swap(CLOSED, Relaxed);
        }
    }

    /// Absent, and to be set again.
    pub(crate) fn open(&self) {
        self.bits.store(0, Relaxed);
        self.turn(&[CLOSED], ABSENT);
    }

    pub(crate) fn get(&self) -> Option<u64> {
        matches!(self.state.load(Acquire), PRESENT | UNTOUCHED).then(|| self.bits.load(Relaxed))
    }
}
