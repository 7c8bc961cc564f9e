//! A histogram's message: classic buckets, native buckets, or both.

use std::time::SystemTime;

use super::{Protobuf, created, exemplar, wire};
use crate::{
    encode::number::unix,
    snapshot::{Exemplar, HistogramPoint, NativePoint},
};

mod field {
    pub(super) const COUNT: u64 = 1;
    pub(super) const SUM: u64 = 2;
    pub(super) const BUCKET: u64 = 3;
    pub(super) const SCHEMA: u64 = 5;
    pub(super) const ZERO_THRESHOLD: u64 = 6;
    pub(super) const ZERO_COUNT: u64 = 7;
    pub(super) const NEGATIVE_SPAN: u64 = 9;
    pub(super) const NEGATIVE_DELTA: u64 = 10;
    pub(super) const POSITIVE_SPAN: u64 = 12;
    pub(super) const POSITIVE_DELTA: u64 = 13;
    pub(super) const CREATED: u64 = 15;
    pub(super) const EXEMPLAR: u64 = 16;
    pub(super) const BUCKET_COUNT: u64 = 1;
    pub(super) const BUCKET_BOUND: u64 = 2;
    pub(super) const BUCKET_EXEMPLAR: u64 = 3;
    pub(super) const SPAN_OFFSET: u64 = 1;
    pub(super) const SPAN_LENGTH: u64 = 2;
}

/// Up to so many empty buckets between two others are written as such: a span of their own would take more bytes.
const GAP: i32 = 2;

impl Protobuf<'_> {
    /// Writes the message into `value`.
    pub(super) fn histogram(&mut self, point: &HistogramPoint, since: Option<SystemTime>) {
        // Prometheus refuses native buckets that don't add up to the count. The classic ones were read a moment apart.
        let count = point
            .native
            .as_ref()
            .map_or(point.count(), NativePoint::count);
        wire::integer(&mut self.value, field::COUNT, count);
        wire::double(&mut self.value, field::SUM, point.sum);
        self.buckets(point, count);
        created(&mut self.value, field::CREATED, since);
        if let Some(native) = &point.native {
            self.native(native);
            if point.counts.is_empty() {
                self.native_exemplars(&point.exemplars);
            }
        }
    }

    fn buckets(&mut self, point: &HistogramPoint, count: u64) {
        for (at, cumulative) in point.cumulative().enumerate() {
            let bound = self.gate.bounds().get(at).copied();
            let found = self.bucket_exemplar(point, at, bound.unwrap_or(f64::INFINITY));
            let cumulative = match bound {
                Some(_) => cumulative.min(count),
                // The last bucket is known from the count, and only there to hold an exemplar.
                None if found.is_none() => continue,
                None => count,
            };
            let mut last = Vec::new();
            if let Some(found) = found {
                let pairs = &self.gate.exemplar_pairs;
                exemplar(&mut last, field::BUCKET_EXEMPLAR, pairs, found);
            }
            let into = &mut self.value;
            wire::tag(into, field::BUCKET, wire::LENGTH_DELIMITED);
            wire::varint(
                into,
                1 + wire::varint_length(cumulative) + 1 + 8 + last.len() as u64,
            );
            wire::integer(into, field::BUCKET_COUNT, cumulative);
            wire::double(into, field::BUCKET_BOUND, bound.unwrap_or(f64::INFINITY));
            into.extend_from_slice(&last);
        }
    }

    fn bucket_exemplar<'a>(
        &mut self,
        point: &'a HistogramPoint,
        at: usize,
        bound: f64,
    ) -> Option<&'a Exemplar> {
        let found = point.exemplars.get(at)?.as_ref()?;
        self.gate.admits_exemplar_of(found, bound).then_some(found)
    }

    fn native(&mut self, native: &NativePoint) {
        let into = &mut self.value;
        wire::integer(into, field::SCHEMA, wire::zigzag(native.schema.into()));
        wire::double(into, field::ZERO_THRESHOLD, native.zero_threshold);
        wire::integer(into, field::ZERO_COUNT, native.zero_count);
        let (spans, deltas) = (field::NEGATIVE_SPAN, field::NEGATIVE_DELTA);
        side(into, spans, deltas, &native.negative);
        let (spans, deltas) = (field::POSITIVE_SPAN, field::POSITIVE_DELTA);
        side(into, spans, deltas, &native.positive);
        let buckets = native.negative.len() + native.positive.len();
        if buckets == 0 && native.zero_count == 0 && native.zero_threshold == 0.0 {
            // Nothing else would show that it is native.
            span(into, field::POSITIVE_SPAN, 0, 0);
        }
    }

    /// Those of a histogram without classic buckets. They need a time.
    fn native_exemplars(&mut self, exemplars: &[Option<Exemplar>]) {
        for found in exemplars.iter().flatten() {
            if unix(found.at).is_none() {
                self.gate.dropped += 1;
            } else if self.gate.admits_exemplar(found) {
                let pairs = &self.gate.exemplar_pairs;
                exemplar(&mut self.value, field::EXEMPLAR, pairs, found);
            }
        }
    }
}

fn span(into: &mut Vec<u8>, number: u64, offset: i32, length: u64) {
    let mut message = Vec::with_capacity(16);
    wire::integer(
        &mut message,
        field::SPAN_OFFSET,
        wire::zigzag(offset.into()),
    );
    wire::integer(&mut message, field::SPAN_LENGTH, length);
    wire::bytes(into, number, &message);
}

/// The buckets of one sign: spans of indices, and each count's difference to the one before.
fn side(into: &mut Vec<u8>, spans: u64, deltas: u64, buckets: &[(i32, u64)]) {
    let Some((first, _)) = buckets.first() else {
        return;
    };
    let mut differences = Vec::new();
    let mut before = 0_u64;
    let mut push = |count: u64| {
        // Counts beyond 2⁶³ wrap, as they do for whoever adds the differences up.
        let difference = count.wrapping_sub(before).cast_signed();
        wire::varint(&mut differences, wire::zigzag(difference));
        before = count;
    };
    let (mut offset, mut length, mut next) = (*first, 0, *first);
    for (index, count) in buckets {
        let gap = index - next;
        if gap > GAP {
            span(into, spans, offset, length);
            (offset, length) = (gap, 0);
        } else {
            (0..gap).for_each(|_| push(0));
            length += u64::from(gap.unsigned_abs());
        }
        push(*count);
        length += 1;
        next = index + 1;
    }
    span(into, spans, offset, length);
    wire::bytes(into, deltas, &differences);
}
