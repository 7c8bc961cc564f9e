//! The memory of one thread, or of the several that share a stripe.
#![expect(
    unsafe_code,
    reason = "chunks are made once, published by pointer and never freed while their lane lives"
)]

use std::ptr::{self, NonNull};

use super::bank::{CHUNK, DIRECTORY, Slot};
use crate::sync::{Acquire, AtomicBool, AtomicPtr, AtomicU64, Ordering, Relaxed, Release};

/// Words of neighbouring slots, on cache lines that belong to one lane alone.
#[repr(align(64))]
pub(super) struct Chunk([AtomicU64; CHUNK]);

impl Chunk {
    fn new() -> Box<Self> {
        Box::new(Self(std::array::from_fn(|_| AtomicU64::new(0))))
    }
}

/// Makes a branch one that is seldom taken.
#[cold]
#[inline]
pub(super) fn seldom() {}

/// One word for every slot, in chunks that appear when they are first written to.
///
/// **Consistency.** A word reads 0 until its chunk is published. Whoever owns a lane is the only writer of its words; a stripe has many.
pub(super) struct Lane {
    /// Turns and depth of its thread's pins: see [`grace`](super::grace).
    pub(super) pins: AtomicU64,
    /// Whether a thread has it.
    claimed: AtomicBool,
    #[cfg(not(loom))]
    chunks: [AtomicPtr<Chunk>; DIRECTORY],
    #[cfg(loom)]
    chunks: Vec<AtomicPtr<Chunk>>,
}

impl Lane {
    /// A lane that nobody has, and in which nobody makes anything.
    #[cfg(not(loom))]
    pub(super) const fn of_nobody() -> Self {
        Self {
            pins: AtomicU64::new(0),
            claimed: AtomicBool::new(false),
            chunks: [const { AtomicPtr::new(ptr::null_mut()) }; DIRECTORY],
        }
    }

    /// A lane that a thread has.
    #[cfg(not(loom))]
    pub(super) fn new() -> Box<Self> {
        let layout = std::alloc::Layout::new::<Self>();
        // SAFETY: the layout isn't empty.
        let lane = unsafe { std::alloc::alloc_zeroed(layout) }.cast::<Self>();
        if lane.is_null() {
            std::alloc::handle_alloc_error(layout);
        }
        // SAFETY: every field is an atomic of an integer, a boolean or a pointer, for which zeros are the valid 0, false and null;
        // the memory was allocated by the global allocator with this type's layout. Zeroed pages cost nothing until they are touched.
        let lane = unsafe { Box::from_raw(lane) };
        lane.claimed.store(true, Relaxed);
        lane
    }

    #[cfg(loom)]
    pub(super) fn new() -> Box<Self> {
        Box::new(Self {
            pins: AtomicU64::new(0),
            claimed: AtomicBool::new(true),
            chunks: (0..DIRECTORY)
                .map(|_| AtomicPtr::new(ptr::null_mut()))
                .collect(),
        })
    }

    /// Takes the lane over, if no thread has it. What its former owner wrote happened before.
    pub(super) fn claim(&self) -> bool {
        !self.claimed.load(Relaxed)
            && self
                .claimed
                .compare_exchange(false, true, Acquire, Relaxed)
                .is_ok()
    }

    /// Leaves the lane, its words as they are, to the next thread.
    pub(super) fn leave(&self) {
        self.claimed.store(false, Release);
    }

    /// The words of `slot` and those after it in its chunk; `None` where nothing has been written yet.
    #[inline(always)]
    pub(super) fn words(&self, slot: Slot, order: Ordering) -> Option<&[AtomicU64]> {
        let chunk = self.chunks[slot.chunk()].load(order);
        if chunk.is_null() {
            seldom();
            return None;
        }
        // SAFETY: a pointer that isn't null was published by `make` and its chunk lives as long as this lane.
        let chunk = unsafe { &*chunk };
        Some(&chunk.0[slot.offset()..])
    }

    /// The words of `slot`, the chunk made if it isn't there. Several threads may do so at once; one chunk stays.
    pub(super) fn make(&self, slot: Slot) -> &[AtomicU64] {
        let place = &self.chunks[slot.chunk()];
        if place.load(Acquire).is_null() {
            let chunk = Box::into_raw(Chunk::new());
            if place
                .compare_exchange(ptr::null_mut(), chunk, Release, Relaxed)
                .is_err()
            {
                // SAFETY: it came from `Box::into_raw` just now, and nobody else has seen it.
                drop(unsafe { Box::from_raw(chunk) });
            }
        }
        self.words(slot, Acquire)
            .expect("the chunk was made, by this thread or by another")
    }

    /// What the word of `slot` holds.
    #[inline]
    pub(super) fn read(&self, slot: Slot) -> u64 {
        self.words(slot, Acquire)
            .map_or(0, |words| words[0].load(Relaxed))
    }

    /// Sets the words of a range to 0. Nobody must be able to write them meanwhile.
    pub(super) fn clear(&self, slot: Slot, width: usize) {
        if let Some(words) = self.words(slot, Acquire) {
            for word in &words[..width] {
                word.store(0, Relaxed);
            }
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        for chunk in &mut self.chunks {
            if let Some(chunk) = NonNull::new(chunk.load(Relaxed)) {
                // SAFETY: it came from `Box::into_raw`, and with the lane go all who could read it.
                drop(unsafe { Box::from_raw(chunk.as_ptr()) });
            }
        }
    }
}
