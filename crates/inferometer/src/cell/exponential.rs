//! Distributions over native (exponential) buckets.
//!
//! Each octave, the range between two powers of two, that a value has fallen into has a block of words, one for each of its
//! buckets. Blocks are made when they are first needed and stay, so a value goes where the same value went before. How fine new blocks are
//! declines as more are made; a scrape joins them, at the resolution of the coarsest and within the limit of buckets. Both only
//! ever go down, as Prometheus wants of a histogram that keeps counting.

use super::{
    bank::{Reader, Slot},
    number::add,
    thread::bank,
};
use crate::{
    native::{self, Block, INFINITE_OCTAVE, LOWEST_OCTAVE, NativeBuckets, join},
    snapshot::NativePoint,
    sync::{AcqRel, Acquire, AtomicU8, AtomicU32, Relaxed},
};

use std::sync::OnceLock;

/// Octaves of a group; a group takes memory when one of its octaves is first seen.
const GROUP: usize = if cfg!(loom) { 4 } else { 64 };

/// Groups of a side: the octaves from the smallest number's to infinity's.
const GROUPS: usize = (INFINITE_OCTAVE - LOWEST_OCTAVE) as usize / GROUP + 1;

/// How many words the blocks of one resolution may take, as a multiple of the limit of buckets. Most buckets of a block stay empty.
const GENEROSITY: u32 = 16;

/// Counts of native buckets. Their sum is kept elsewhere.
pub(crate) struct Exponential {
    layout: NativeBuckets,
    zero: Slot,
    positive: OnceLock<Box<Side>>,
    negative: OnceLock<Box<Side>>,
    /// How fine the next block is.
    resolution: AtomicU8,
    /// Words that the blocks of this resolution have taken.
    taken: AtomicU32,
}

struct Side([OnceLock<Box<Group>>; GROUPS]);

/// For each octave the block's place: 0 while there is none, else its resolution and its slot.
struct Group([AtomicU32; GROUP]);

/// Bits of a slot's number in a block's place.
const SLOT_BITS: u32 = 24;
const _: () = assert!(Slot::MUTE.number() < 1 << SLOT_BITS);

fn pack(slot: Slot, resolution: u8) -> u32 {
    (u32::from(resolution) + 1) << SLOT_BITS | slot.number()
}

fn unpack(place: u32) -> Option<(Slot, u8)> {
    let resolution = u8::try_from((place >> SLOT_BITS).checked_sub(1)?).ok()?;
    Some((Slot::numbered(place & ((1 << SLOT_BITS) - 1)), resolution))
}

impl std::fmt::Debug for Exponential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.layout.fmt(f)
    }
}

impl Exponential {
    pub(crate) fn new(layout: NativeBuckets) -> Self {
        Self {
            zero: bank().take(1),
            positive: OnceLock::new(),
            negative: OnceLock::new(),
            resolution: AtomicU8::new(layout.resolution()),
            taken: AtomicU32::new(0),
            layout,
        }
    }

    /// Counts `times` values of `value`, which isn't NaN.
    #[inline(never)]
    pub(crate) fn add(&self, value: f64, times: u64) {
        let magnitude = value.abs();
        if magnitude <= self.layout.zero_threshold {
            add(self.zero, times);
            return;
        }
        let side = if value > 0.0 {
            &self.positive
        } else {
            &self.negative
        };
        let resolution = self.resolution.load(Relaxed);
        let (octave, within) = native::place(magnitude, resolution);
        let (slot, own) = block(side, octave).unwrap_or_else(|| self.make(side, octave));
        let within = if own == resolution {
            within
        } else {
            native::place(magnitude, own).1
        };
        if !slot.is_mute() {
            add(slot.plus(within as usize), times);
        }
    }

    /// The block of an octave that had none. Of several threads' blocks, one stays.
    #[cold]
    #[inline(never)]
    fn make(&self, side: &OnceLock<Box<Side>>, octave: i32) -> (Slot, u8) {
        let (group, at) = position(octave);
        let side = side.get_or_init(|| Box::new(Side([const { OnceLock::new() }; GROUPS])));
        let group = side.0[group]
            .get_or_init(|| Box::new(Group(std::array::from_fn(|_| AtomicU32::new(0)))));
        // Infinity has one bucket, however fine the others are.
        let resolution = if octave == INFINITE_OCTAVE {
            0
        } else {
            self.next_resolution()
        };
        let slot = bank().take(1 << resolution);
        match group.0[at].compare_exchange(0, pack(slot, resolution), AcqRel, Acquire) {
            Ok(_) => (slot, resolution),
            Err(theirs) => {
                bank().give_back(slot, 1 << resolution);
                unpack(theirs).unwrap_or((Slot::MUTE, 0))
            }
        }
    }

    /// The resolution of the next block: one less when those of this one have taken what they may.
    fn next_resolution(&self) -> u8 {
        let resolution = self.resolution.load(Relaxed);
        let taken = self.taken.fetch_add(1 << resolution, Relaxed);
        let budget = GENEROSITY * u32::from(self.layout.max_buckets);
        if resolution == 0 || taken + (1 << resolution) <= budget {
            return resolution;
        }
        self.taken.store(0, Relaxed);
        self.resolution.fetch_min(resolution - 1, Relaxed);
        resolution - 1
    }

    fn blocks(side: &OnceLock<Box<Side>>) -> impl Iterator<Item = (i32, Slot, u8)> {
        let groups = side.get().into_iter().flat_map(|side| &side.0);
        let places = groups.zip(0..).flat_map(|(group, number)| {
            let places = group.get().into_iter().flat_map(|group| &group.0);
            places.zip(0..).map(move |(place, at)| (place, number, at))
        });
        places.filter_map(|(place, group, at): (_, i32, i32)| {
            let (slot, resolution) = unpack(place.load(Acquire))?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_possible_wrap,
                reason = "it is 64 at most"
            )]
            let octave = LOWEST_OCTAVE + group * GROUP as i32 + at;
            Some((octave, slot, resolution))
        })
    }

    /// What has been counted.
    pub(crate) fn get(&self, reader: &Reader<'_>) -> NativePoint {
        let zero = reader.whole(self.zero);
        let [positive, negative] = [&self.positive, &self.negative].map(|side| {
            Self::blocks(side)
                .filter(|(_, slot, _)| !slot.is_mute())
                .map(|(octave, slot, resolution)| {
                    let mut counts = vec![0; 1 << resolution];
                    reader.range(slot, &mut counts);
                    (octave, resolution, counts)
                })
                .collect::<Vec<_>>()
        });
        join(
            &self.layout,
            zero,
            &as_blocks(&positive),
            &as_blocks(&negative),
        )
    }

    /// Gives the memory back: nobody may record any more.
    pub(crate) fn free(&self) {
        bank().give_back(self.zero, 1);
        for side in [&self.positive, &self.negative] {
            for (_, slot, resolution) in Self::blocks(side) {
                bank().give_back(slot, 1 << resolution);
            }
        }
    }
}

fn as_blocks(blocks: &[(i32, u8, Vec<u64>)]) -> Vec<Block<'_>> {
    blocks
        .iter()
        .map(|(octave, resolution, counts)| Block {
            octave: *octave,
            resolution: *resolution,
            counts,
        })
        .collect()
}

/// Group and place within it.
#[inline]
fn position(octave: i32) -> (usize, usize) {
    let at = usize::try_from(octave - LOWEST_OCTAVE).unwrap_or(0);
    (at / GROUP % GROUPS, at % GROUP)
}

#[inline]
fn block(side: &OnceLock<Box<Side>>, octave: i32) -> Option<(Slot, u8)> {
    let (group, at) = position(octave);
    unpack(side.get()?.0[group].get()?.0[at].load(Acquire))
}
