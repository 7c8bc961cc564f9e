//! All lanes, the slots in them, and their sums.
#![expect(
    unsafe_code,
    reason = "lanes are made once, published by pointer and never freed while the bank lives"
)]

use std::{collections::BTreeMap, ptr, sync::PoisonError};

use super::lane::Lane;
use crate::sync::{AcqRel, Acquire, AtomicPtr, AtomicUsize, Mutex, Relaxed};

/// Words in a chunk: 16 KiB.
#[cfg(not(loom))]
pub(super) const CHUNK: usize = 2048;
#[cfg(loom)]
pub(super) const CHUNK: usize = 8;

/// Chunks in a lane: 15.7 million words in all, beside the mute ones.
#[cfg(not(loom))]
pub(super) const DIRECTORY: usize = 8192;
#[cfg(loom)]
pub(super) const DIRECTORY: usize = 4;

/// Chunks at the end of each lane that are never made.
#[cfg(not(loom))]
const MUTE_CHUNKS: usize = 512;
#[cfg(loom)]
const MUTE_CHUNKS: usize = 1;

/// The most lanes that threads can own, whatever is asked for.
#[cfg(not(loom))]
pub(super) const MAX_LANES: usize = 1024;
#[cfg(loom)]
pub(super) const MAX_LANES: usize = 2;

/// The most stripes that further threads share.
#[cfg(not(loom))]
const MAX_STRIPES: usize = 8;
#[cfg(loom)]
const MAX_STRIPES: usize = 1;

/// A place for one word, or the first of a range, in every lane.
///
/// It is below `CHUNK * DIRECTORY`, always. From [`MUTE`](Self::MUTE) on, chunks are never made: what is recorded there goes nowhere, and a slot
/// up to [`MOST_SIDE_BY_SIDE`](Self::MOST_SIDE_BY_SIDE) further on is as mute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(u32);

#[expect(
    clippy::cast_possible_truncation,
    reason = "there are fewer words than 2^32, which is checked when the constants are"
)]
impl Slot {
    pub(crate) const MUTE: Self = Self((CHUNK * (DIRECTORY - MUTE_CHUNKS)) as u32);

    /// The most slots that [`plus`](Self::plus) may go on.
    pub(crate) const MOST_SIDE_BY_SIDE: usize = CHUNK * MUTE_CHUNKS;

    /// The most words that one range can have.
    pub(crate) const WIDEST: usize = CHUNK;

    #[inline(always)]
    pub(super) fn chunk(self) -> usize {
        self.0 as usize / CHUNK % DIRECTORY
    }

    #[inline(always)]
    pub(super) fn offset(self) -> usize {
        self.0 as usize % CHUNK
    }

    /// The slot `by` words on, fewer than [`MOST_SIDE_BY_SIDE`](Self::MOST_SIDE_BY_SIDE).
    #[inline(always)]
    pub(crate) fn plus(self, by: usize) -> Self {
        Self(self.0 + by as u32)
    }

    /// Whether what is recorded there goes nowhere.
    pub(crate) fn is_mute(self) -> bool {
        self.0 >= Self::MUTE.0
    }

    /// Its number, which no other slot in use has.
    pub(crate) const fn number(self) -> u32 {
        self.0
    }

    /// The slot of a [`number`](Self::number).
    pub(super) fn numbered(number: u32) -> Self {
        Self(number)
    }
}

const _: () = assert!(CHUNK * DIRECTORY < u32::MAX as usize);

/// The lanes of a process. There is one bank; the models make their own.
pub(super) struct Bank {
    stripes: [AtomicPtr<Lane>; MAX_STRIPES],
    /// Filled from the front; a lane that is there stays.
    lanes: [AtomicPtr<Lane>; MAX_LANES],
    /// How many lanes threads may own.
    bound: AtomicUsize,
    slots: Mutex<Slots>,
}

/// Which slots are free.
struct Slots {
    /// The first word that was never given out.
    next: usize,
    /// Ranges given back, by width.
    free: BTreeMap<usize, Vec<Slot>>,
}

impl Bank {
    #[cfg(not(loom))]
    pub(super) const fn new() -> Self {
        Self {
            stripes: [const { AtomicPtr::new(ptr::null_mut()) }; MAX_STRIPES],
            lanes: [const { AtomicPtr::new(ptr::null_mut()) }; MAX_LANES],
            bound: AtomicUsize::new(0),
            slots: Mutex::new(Slots {
                next: 0,
                free: BTreeMap::new(),
            }),
        }
    }

    #[cfg(loom)]
    pub(super) fn new() -> Self {
        Self {
            stripes: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            lanes: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            bound: AtomicUsize::new(0),
            slots: Mutex::new(Slots {
                next: 0,
                free: BTreeMap::new(),
            }),
        }
    }

    /// From now on, threads that come own a lane only while fewer than `bound` are owned; 0 is the default for this machine.
    pub(super) fn set_bound(&self, bound: usize) {
        self.bound.store(bound.min(MAX_LANES), Relaxed);
    }

    /// A lane for this thread alone: one that a former thread has left, else a new one. `None` past the bound.
    pub(super) fn claim(&self) -> Option<&Lane> {
        let bound = match self.bound.load(Relaxed) {
            0 => super::thread::default_bound(),
            bound => bound,
        };
        for place in &self.lanes[..bound] {
            match published(place) {
                Some(lane) if lane.claim() => return Some(lane),
                Some(_) => {}
                None => {
                    let (lane, made) = publish(place);
                    if made || lane.claim() {
                        return Some(lane);
                    }
                }
            }
        }
        None
    }

    /// The stripe that a thread of this number shares.
    pub(super) fn stripe(&self, number: usize) -> &Lane {
        let place = &self.stripes[number % MAX_STRIPES];
        published(place).unwrap_or_else(|| publish(place).0)
    }

    /// Every lane there is, stripes first.
    pub(super) fn lanes(&self) -> impl Iterator<Item = &Lane> {
        let owned = self.lanes.iter().map_while(published);
        self.stripes.iter().filter_map(published).chain(owned)
    }

    /// All lanes, to be summed.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader {
            lanes: self.lanes().collect(),
        }
    }

    /// A range of `width` words, all 0, in one chunk. [`Slot::MUTE`] when there are none left, or none so wide.
    pub(super) fn take(&self, width: usize) -> Slot {
        if width > CHUNK {
            return Slot::MUTE;
        }
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.free.get_mut(&width).and_then(Vec::pop) {
            return slot;
        }
        let left = CHUNK - slots.next % CHUNK;
        if left < width {
            let rest = slots.next..slots.next + left;
            slots.next += left;
            slots
                .free
                .entry(1)
                .or_default()
                .extend(rest.rev().map(slot));
        }
        slots.bump(width)
    }

    /// `count` words one after another, all 0, each to be given back alone; [`Slot::MUTE`] when there aren't so many left. A run may
    /// go on in the next chunk.
    pub(super) fn take_run(&self, count: usize) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.bump(count)
    }

    /// Clears a range and gives it back. No handle to it may be left: whoever had one has let go of it before.
    pub(super) fn give_back(&self, slot: Slot, width: usize) {
        if slot.is_mute() {
            return;
        }
        for lane in self.lanes() {
            lane.clear(slot, width);
        }
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.free.entry(width).or_default().push(slot);
    }
}

impl Slots {
    fn bump(&mut self, count: usize) -> Slot {
        if self.next + count > CHUNK * (DIRECTORY - MUTE_CHUNKS) {
            return Slot::MUTE;
        }
        let first = slot(self.next);
        self.next += count;
        first
    }
}

fn slot(word: usize) -> Slot {
    Slot(u32::try_from(word).expect("words are fewer than 2^32"))
}

fn published(place: &AtomicPtr<Lane>) -> Option<&Lane> {
    // SAFETY: a pointer that isn't null was published by `publish`, and its lane lives as long as the bank.
    unsafe { place.load(Acquire).as_ref() }
}

/// The lane at `place`, and whether this call has made it.
fn publish(place: &AtomicPtr<Lane>) -> (&Lane, bool) {
    let fresh = Box::into_raw(Lane::new());
    match place.compare_exchange(ptr::null_mut(), fresh, AcqRel, Acquire) {
        // SAFETY: it was published just now and lives as long as the bank.
        Ok(_) => (unsafe { &*fresh }, true),
        Err(theirs) => {
            // SAFETY: it came from `Box::into_raw` just now, and nobody else has seen it.
            drop(unsafe { Box::from_raw(fresh) });
            // SAFETY: another thread has published it, and it lives as long as the bank.
            (unsafe { &*theirs }, false)
        }
    }
}

impl Drop for Bank {
    fn drop(&mut self) {
        // A model that fails has come to its end already, and its atomics can't be read.
        if cfg!(loom) && std::thread::panicking() {
            return;
        }
        for place in self.stripes.iter_mut().chain(&mut self.lanes) {
            let lane = place.load(Relaxed);
            if !lane.is_null() {
                // SAFETY: it came from `Box::into_raw`, and with the bank go all who could read it.
                drop(unsafe { Box::from_raw(lane) });
            }
        }
    }
}

/// The lanes of one scrape.
///
/// **Consistency.** Lanes that appear later are missed, as is what is written after a word has been read; the next scrape sees both.
pub(crate) struct Reader<'a> {
    lanes: Vec<&'a Lane>,
}

impl Reader<'_> {
    /// The sum over all lanes, wrapping.
    #[inline]
    pub(crate) fn whole(&self, slot: Slot) -> u64 {
        self.lanes
            .iter()
            .fold(0, |sum, lane| sum.wrapping_add(lane.read(slot)))
    }

    /// The sum over all lanes of words that hold floats.
    #[inline]
    pub(crate) fn float(&self, slot: Slot) -> f64 {
        self.lanes
            .iter()
            .fold(0.0, |sum, lane| sum + f64::from_bits(lane.read(slot)))
    }

    /// Adds the sums of the range that starts at `slot`, and lies in one chunk, to `sums`.
    pub(crate) fn range(&self, slot: Slot, sums: &mut [u64]) {
        for lane in &self.lanes {
            if let Some(words) = lane.words(slot, Acquire) {
                for (sum, word) in sums.iter_mut().zip(words) {
                    *sum = sum.wrapping_add(word.load(Relaxed));
                }
            }
        }
    }

    /// As [`range`](Self::range), for a run that may go on in the next chunk.
    pub(crate) fn run(&self, mut slot: Slot, mut sums: &mut [u64]) {
        while !sums.is_empty() {
            let here = (CHUNK - slot.offset()).min(sums.len());
            let (now, rest) = sums.split_at_mut(here);
            self.range(slot, now);
            slot = slot.plus(here);
            sums = rest;
        }
    }
}
