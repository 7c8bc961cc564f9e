//! A histogram's lines, which all say the same but for a bound and a count.

use super::Text;
use crate::{
    encode::{
        number::{INTEGER_ROOM, bound, float, integer},
        page::{BLOCK, array, copy_blocks},
    },
    reading::Reading,
    snapshot::{Exemplar, HistogramPoint},
};

/// Room for the longest `le="…"} `: a float has 24 characters at most.
const TAIL: usize = 32;

/// The parts of a family's bucket lines that are the same for all its series.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    /// `name_bucket{`
    head: Vec<u8>,
    /// For each bound and for `+Inf`.
    tails: Vec<Tail>,
    /// What stands before `le` in the lines of the series under way, and a block's room.
    line: Vec<u8>,
}

/// What stands between a bucket line's labels and its count: `le="…"} `.
#[derive(Debug)]
struct Tail {
    text: [u8; TAIL],
    length: usize,
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
            self.tails.push(Tail {
                text: tail,
                length: text.len(),
            });
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
        // Without bounds of its own a histogram still has the bucket that holds everything.
        let count = if point.counts.is_empty() {
            self.lines(length, &[point.count()], &point.exemplars)
        } else {
            self.lines(length, &point.counts, &point.exemplars)
        };
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

    /// The lines of the buckets that hold so many each; returns how many all hold.
    fn lines(&mut self, length: usize, counts: &[u64], exemplars: &[Option<Exemplar>]) -> u64 {
        let mut total = 0_u64;
        // Between lines without exemplars nothing else is written, so their room can be had at once.
        let has_exemplars = self.open_metrics && !exemplars.is_empty();
        let step = if has_exemplars { 1 } else { counts.len() };
        for (at, counts) in (0..).step_by(step).zip(counts.chunks(step)) {
            let need = counts.len() * (length + TAIL + INTEGER_ROOM + 1) + BLOCK;
            let room = &mut self.page.room(need)[..need];
            let mut rest = &mut *room;
            for (alone, tail) in counts.iter().zip(&self.buckets.tails[at..]) {
                total = alone.saturating_add(total);
                copy_blocks(rest, &self.buckets.line, length);
                rest = &mut rest[length..];
                rest[..TAIL].copy_from_slice(&tail.text);
                rest = &mut rest[tail.length..];
                let number = array::<INTEGER_ROOM>(rest);
                let end = integer(number, 0, total);
                number[end % INTEGER_ROOM] = b'\n';
                rest = &mut rest[end + 1..];
            }
            let written = need - rest.len();
            if has_exemplars {
                // In place of the line feed.
                self.page.wrote(written - 1);
                self.bucket_exemplar(exemplars.get(at), at);
                self.page.put(b"\n");
            } else {
                self.page.wrote(written);
            }
        }
        total
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

    fn bucket_exemplar(&mut self, exemplar: Option<&Option<Exemplar>>, at: usize) {
        let bound = self.gate.bounds().get(at).copied();
        if let Some(Some(exemplar)) = exemplar
            && self
                .gate
                .admits_exemplar_of(exemplar, bound.unwrap_or(f64::INFINITY))
        {
            self.exemplar(exemplar);
        }
    }
}
