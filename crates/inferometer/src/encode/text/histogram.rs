//! A histogram's lines, which all say the same but for a bound and a count.

use super::Text;
use crate::{
    encode::{
        number::{INTEGER_ROOM, bound, float, integer},
        page::{BLOCK, copy_blocks},
    },
    reading::Reading,
    snapshot::HistogramPoint,
};

/// Room for the longest `le="…"} `: a float has 24 characters at most.
const TAIL: usize = 32;

/// The parts of a family's bucket lines that are the same for all its series.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    /// `name_bucket{`
    head: Vec<u8>,
    /// `le="…"} ` for each bound and for `+Inf`, with the length of each.
    tails: Vec<([u8; TAIL], usize)>,
    /// What stands before `le` in the lines of the series under way, and a block's room.
    line: Vec<u8>,
}

impl Buckets {
    pub(super) fn open(&mut self, name: &str, bounds: &[f64]) {
        self.head.clear();
        self.head.extend_from_slice(name.as_bytes());
        self.head.extend_from_slice(b"_bucket{");
        self.tails.clear();
        for value in bounds.iter().chain(&[f64::INFINITY]) {
            let text = format!("le=\"{}\"}} ", bound(*value));
            let mut tail = [b' '; TAIL];
            tail[..text.len()].copy_from_slice(text.as_bytes());
            self.tails.push((tail, text.len()));
        }
    }

    /// Prepares the lines of a series; returns how long they are before `le`.
    fn series(&mut self, labels: &str) -> usize {
        self.line.clear();
        self.line.extend_from_slice(&self.head);
        if !labels.is_empty() {
            self.line.extend_from_slice(labels.as_bytes());
            self.line.push(b',');
        }
        let length = self.line.len();
        self.line.resize(length + BLOCK, b' ');
        length
    }
}

impl Text<'_> {
    pub(super) fn histogram(&mut self, reading: &Reading<'_>, point: &HistogramPoint) {
        let length = self.buckets.series(reading.labels);
        let mut count = 0;
        // Without bounds of its own a histogram still has the bucket that holds everything.
        let all = [point.count()];
        let counts = if point.counts.is_empty() {
            &all[..]
        } else {
            &point.counts[..]
        };
        for (at, alone) in counts.iter().enumerate() {
            count = alone.saturating_add(count);
            let room = self.page.room(length + TAIL + INTEGER_ROOM + BLOCK);
            copy_blocks(room, 0, &self.buckets.line, 0, length);
            let (tail, tail_length) = &self.buckets.tails[at];
            room[length..length + TAIL].copy_from_slice(tail);
            let end = integer(room, length + tail_length, count);
            self.page.wrote(end);
            self.bucket_exemplar(point, at);
            self.page.put(b"\n");
        }
        if !self.open_metrics || self.has_countable_sum(point) {
            self.suffixed("_sum", reading.labels);
            float(&mut self.page, point.sum);
            self.page.put(b"\n");
            self.suffixed("_count", reading.labels);
            self.integer(count);
            self.page.put(b"\n");
        }
        if self.open_metrics {
            self.created(reading.labels, reading.created);
        }
    }

    /// Whether the sum is a counter, as OpenMetrics has it: neither NaN nor negative, and no bound is negative. `_count` goes with it.
    fn has_countable_sum(&mut self, point: &HistogramPoint) -> bool {
        if self.gate.bounds().first().is_some_and(|bound| *bound < 0.0) {
            return false;
        }
        let countable = point.sum >= 0.0;
        self.gate.dropped += u64::from(!countable);
        countable
    }

    fn bucket_exemplar(&mut self, point: &HistogramPoint, at: usize) {
        let Some(Some(exemplar)) = point.exemplars.get(at).filter(|_| self.open_metrics) else {
            return;
        };
        let bound = self.gate.bounds().get(at).copied();
        if self
            .gate
            .admits_exemplar_of(exemplar, bound.unwrap_or(f64::INFINITY))
        {
            self.exemplar(exemplar);
        }
    }
}
