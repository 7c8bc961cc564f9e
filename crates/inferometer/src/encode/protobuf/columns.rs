//! Many whole numbers at a time, whose labels are all built alike.
//!
//! A label `name="value"` becomes two tags, three lengths, the name and the value. As long as every length stays below 128 and
//! nothing is escaped, each label is three bytes longer than its text, whatever it says. So the length of a series' message is
//! known before the text is read, and the values are copied while their ends are looked for. What doesn't fit goes the long way,
//! series by series.

use std::time::SystemTime;

use super::{Protobuf, created, field, wire};
use crate::{
    descriptor::Kind,
    encode::labels::Pairs,
    reading::{LabelColumn, Reading, Sink, Value, one_by_one},
};

/// The step in which values are searched and copied.
const STEP: usize = 16;

/// The longest name's bytes that are copied and compared at once, with what stands around it.
const HEAD: usize = 32;

/// The longest labels of a series, as text: with what is added, a message's length stays below 2¹⁴ and a label's below 128.
const LONGEST: usize = 120;

/// [`field::FAMILY_METRIC`], length-delimited.
const METRIC_TAG: u8 = 0x22;

/// The longest value, tag and times included.
const VALUE: usize = 32;

/// How the labels of a family are built.
#[derive(Debug)]
pub(super) struct Shape {
    labels: Vec<Label>,
}

/// What is the same in a label for every series.
#[derive(Debug)]
struct Label {
    /// `name="`, as it stands in the text, and a mask of its length.
    text: [u128; 2],
    mask: [u128; 2],
    /// The tag and length of the label, those of the name, the name, the tag and length of the value; the lengths still to be set.
    message: [u8; HEAD],
    name_length: usize,
}

impl Shape {
    /// The shape of the labels in `text`; `None` when they are of another kind than the short way can build.
    fn of(text: &str) -> Option<Self> {
        let mut pairs = Pairs::default();
        if !pairs.read(text) {
            return None;
        }
        let labels: Option<Vec<_>> = pairs
            .iter()
            .map(|pair| Label::new(&text.as_bytes()[pair.name.clone()]))
            .collect();
        labels
            .filter(|labels| !labels.is_empty() && labels.len() < LONGEST / 4)
            .map(|labels| Self { labels })
    }

    /// Writes the labels at `at`, taken from `text` between `start` and `end`; returns where they end, or `None` when they
    /// aren't of this shape.
    #[inline]
    fn write(
        &self,
        room: &mut [u8],
        mut at: usize,
        text: &[u8],
        start: usize,
        end: usize,
    ) -> Option<usize> {
        let mut from = start;
        for (number, label) in self.labels.iter().enumerate() {
            if number > 0 {
                if text[from] != b',' {
                    return None;
                }
                from += 1;
            }
            if !label.opens(text, from) {
                return None;
            }
            from += label.name_length + 2;
            room[at..at + HEAD].copy_from_slice(&label.message);
            let value_at = at + label.name_length + 6;
            let mut length = 0;
            loop {
                let step: [u8; STEP] = text[from + length..from + length + STEP]
                    .try_into()
                    .expect("the length is that of the array");
                room[value_at + length..value_at + length + STEP].copy_from_slice(&step);
                let step = u128::from_le_bytes(step);
                let marks = marks(step, b'"') | marks(step, b'\\');
                length += (marks.trailing_zeros() / 8) as usize;
                if marks != 0 {
                    break;
                }
                if from + length >= end {
                    return None;
                }
            }
            if from + length >= end || text[from + length] != b'"' {
                return None;
            }
            room[at + 1] = byte(label.name_length + 4 + length);
            room[value_at - 1] = byte(length);
            at = value_at + length;
            from += length + 1;
        }
        (from == end).then_some(at)
    }
}

impl Label {
    fn new(name: &[u8]) -> Option<Self> {
        if name.len() + 6 > HEAD {
            return None;
        }
        let mut text = [0; HEAD];
        let mut mask = [0; HEAD];
        text[..name.len()].copy_from_slice(name);
        text[name.len()..name.len() + 2].copy_from_slice(b"=\"");
        mask[..name.len() + 2].fill(0xff);
        let mut message = Vec::with_capacity(HEAD);
        wire::tag(&mut message, field::METRIC_LABEL, wire::LENGTH_DELIMITED);
        message.push(0);
        wire::bytes(&mut message, field::LABEL_NAME, name);
        wire::tag(&mut message, field::LABEL_VALUE, wire::LENGTH_DELIMITED);
        message.resize(HEAD, 0);
        Some(Self {
            text: halves(&text, 0),
            mask: halves(&mask, 0),
            message: message.try_into().ok()?,
            name_length: name.len(),
        })
    }

    /// Whether the label stands in `text` at `from`.
    #[inline]
    fn opens(&self, text: &[u8], from: usize) -> bool {
        let found = halves(text, from);
        ((found[0] ^ self.text[0]) & self.mask[0]) | ((found[1] ^ self.text[1]) & self.mask[1]) == 0
    }
}

#[inline]
fn halves(text: &[u8], from: usize) -> [u128; 2] {
    let text: &[u8; HEAD] = text[from..from + HEAD]
        .try_into()
        .expect("the length is that of the array");
    let (low, high) = text.split_at(HEAD / 2);
    [low, high]
        .map(|half| u128::from_le_bytes(half.try_into().expect("the length is that of the array")))
}

/// A bit at each byte that is `byte`, up to the first; what stands above the first means nothing.
#[inline]
fn marks(text: u128, byte: u8) -> u128 {
    const LOW: u128 = u128::from_le_bytes([0x01; 16]);
    const HIGH: u128 = u128::from_le_bytes([0x80; 16]);
    let zero_where_equal = text ^ (LOW * u128::from(byte));
    zero_where_equal.wrapping_sub(LOW) & !zero_where_equal & HIGH
}

/// A length that is known to be below 128.
#[inline]
fn byte(length: usize) -> u8 {
    length.to_le_bytes()[0]
}

impl Protobuf<'_> {
    pub(super) fn column(
        &mut self,
        labels: &LabelColumn,
        first: usize,
        values: &[u64],
        since: Option<SystemTime>,
    ) {
        let plain = matches!(self.gate.kind(), Kind::Counter | Kind::Gauge) && self.gate.is_open();
        if plain && self.shape.is_none() && !values.is_empty() {
            self.shape = Shape::of(labels.get(first));
        }
        let Some(shape) = self.shape.take_if(|_| plain) else {
            return one_by_one(self, labels, first, values, since);
        };
        let (tail, tail_length) = self.tail(since);
        let text = labels.bytes();
        let ends = labels.ends(first, values.len());
        // Three bytes more a label, but for the commas between them.
        let added = 2 * shape.labels.len() + 1 + tail_length;
        for (at, value) in values.iter().enumerate() {
            let (start, end) = (ends[at] as usize, ends[at + 1] as usize);
            if end - start <= LONGEST {
                let room = self.page.room(LONGEST * 3 + HEAD + STEP + VALUE);
                let length = end - start + added;
                room[0] = METRIC_TAG;
                let head = if length < 128 {
                    room[1] = byte(length);
                    2
                } else {
                    room[1] = byte(length & 0x7f) | 0x80;
                    room[2] = byte(length >> 7);
                    3
                };
                if let Some(at) = shape.write(room, head, text, start, end) {
                    room[at..at + VALUE].copy_from_slice(&tail);
                    room[at + 3..at + 11].copy_from_slice(&(*value as f64).to_le_bytes());
                    self.page.wrote(at + tail_length);
                    continue;
                }
            }
            self.series(&Reading {
                labels: labels.get(first + at),
                value: Value::Integer(*value),
                created: since,
                exemplar: None,
            });
        }
        self.shape = Some(shape);
    }

    /// The value's message with its tag and length, the value itself still to be set.
    fn tail(&self, since: Option<SystemTime>) -> ([u8; VALUE], usize) {
        let mut message = Vec::with_capacity(VALUE);
        wire::double(&mut message, field::VALUE, 0.0);
        let number = if self.gate.kind() == Kind::Counter {
            created(&mut message, field::COUNTER_CREATED, since);
            field::METRIC_COUNTER
        } else {
            field::METRIC_GAUGE
        };
        let mut whole = Vec::with_capacity(VALUE);
        wire::bytes(&mut whole, number, &message);
        let length = whole.len();
        whole.resize(VALUE, 0);
        let tail = whole.try_into();
        (tail.expect("it was made that long"), length)
    }
}
