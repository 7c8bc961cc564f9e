//! Counts by octave, joined to what a scrape shows.

use super::{
    INFINITE_OCTAVE, MAX_RESOLUTION, MAX_SCHEMA, MIN_SCHEMA, NativeBuckets, coarsen, index,
};
use crate::snapshot::NativePoint;

/// The counts of one octave. Octaves come in any order and may come more than once, at different resolutions too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    /// Which one.
    pub(crate) octave: i32,
    /// How fine it was recorded.
    pub(crate) resolution: u8,
    /// A count for each of its `2^resolution` buckets; those missing at the end are 0. Of infinity's octave, all mean infinity.
    pub(crate) counts: &'a [u64],
}

impl Block<'_> {
    /// The finest schema that it can be shown in. Infinity has one place in each, however it was recorded, and nothing is nowhere.
    fn finest(&self) -> i8 {
        let anywhere =
            self.octave == INFINITE_OCTAVE || self.counts.iter().all(|count| *count == 0);
        if anywhere {
            MAX_SCHEMA
        } else {
            self.resolution.cast_signed()
        }
    }

    fn buckets(&self, schema: i8) -> impl Iterator<Item = (i32, u64)> {
        debug_assert!(self.counts.len() <= 1 << self.resolution);
        let (octave, infinite) = (self.octave, self.octave == INFINITE_OCTAVE);
        let resolution = if infinite {
            MAX_RESOLUTION
        } else {
            self.resolution
        };
        (0..)
            .zip(self.counts)
            .filter(|(_, count)| **count > 0)
            .map(move |(within, count)| {
                let within = if infinite { 0 } else { within };
                let index = index(octave, within, resolution);
                (coarsen(index, resolution.cast_signed(), schema), *count)
            })
    }
}

/// Joins blocks of positive and of negative values, by magnitude, in the finest schema that is no finer than asked for, that every
/// block has the resolution for, and in which no more buckets hold something than allowed. No count is lost.
pub(crate) fn join(
    layout: &NativeBuckets,
    zero_count: u64,
    positive: &[Block<'_>],
    negative: &[Block<'_>],
) -> NativePoint {
    let mut schema = positive
        .iter()
        .chain(negative)
        .map(Block::finest)
        .fold(layout.schema, i8::min);
    let gather = |blocks: &[Block<'_>]| {
        let mut buckets = blocks
            .iter()
            .flat_map(|block| block.buckets(schema))
            .collect::<Vec<_>>();
        buckets.sort_unstable_by_key(|(index, _)| *index);
        add_up_neighbours(&mut buckets);
        buckets
    };
    let (mut positive, mut negative) = (gather(positive), gather(negative));
    while positive.len() + negative.len() > usize::from(layout.max_buckets) && schema > MIN_SCHEMA {
        for buckets in [&mut positive, &mut negative] {
            for (index, _) in buckets.iter_mut() {
                *index = coarsen(*index, schema, schema - 1);
            }
            add_up_neighbours(buckets);
        }
        schema -= 1;
    }
    NativePoint {
        schema: schema.into(),
        zero_threshold: layout.zero_threshold,
        zero_count,
        positive,
        negative,
    }
}

/// Makes one bucket of those that follow each other with the same index.
fn add_up_neighbours(buckets: &mut Vec<(i32, u64)>) {
    buckets.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 = kept.1.saturating_add(next.1);
        }
        same
    });
}

#[cfg(test)]
mod tests;
