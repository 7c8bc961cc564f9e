//! The two text formats, which differ in names, escapes, the metadata of a family, exemplars and times of creation.
//!
//! - Prometheus text 0.0.4: prometheus.io, *Exposition formats*.
//! - OpenMetrics 1.0: github.com/prometheus/OpenMetrics, *specification/OpenMetrics.md*.

mod histogram;
mod naming;

use std::time::SystemTime;

use super::{
    gate::Gate,
    number::{INTEGER_ROOM, float, integer, seconds, unix},
    page::{BLOCK, Page, array, copy_blocks},
};
use crate::{
    descriptor::{Descriptor, Kind},
    reading::{LabelColumn, Reading, Sink, Value, one_by_one},
    snapshot::Exemplar,
};
use histogram::Buckets;
use naming::Naming;

/// How many series are written between two looks at the room that is left.
const CHUNK: usize = 64;

/// A page in a text format.
#[derive(Debug)]
pub(crate) struct Text<'p> {
    page: Page<'p>,
    open_metrics: bool,
    created: bool,
    gate: Gate,
    /// The name of the family under way, before any suffix.
    family: String,
    /// The name of its samples, `{`, and a block's room: what stands before a sample's labels.
    head: Vec<u8>,
    head_length: usize,
    /// Whether its samples are those of an OpenMetrics counter, which may have exemplars and times of creation.
    is_open_counter: bool,
    buckets: Buckets,
}

impl<'p> Text<'p> {
    pub(super) fn prometheus(page: Page<'p>) -> Self {
        Self::new(page, false, false)
    }

    pub(super) fn open_metrics(page: Page<'p>, created: bool) -> Self {
        Self::new(page, true, created)
    }

    fn new(page: Page<'p>, open_metrics: bool, created: bool) -> Self {
        Self {
            page,
            open_metrics,
            created,
            gate: Gate::new(),
            family: String::new(),
            head: Vec::new(),
            head_length: 0,
            is_open_counter: false,
            buckets: Buckets::default(),
        }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.gate.dropped
    }

    pub(super) fn finish(mut self) {
        if self.open_metrics {
            self.page.put(b"# EOF\n");
        }
        self.page.finish();
    }

    fn labels(&mut self, labels: &str) {
        if !labels.is_empty() {
            self.page.put(b"{");
            self.page.put(labels.as_bytes());
            self.page.put(b"}");
        }
        self.page.put(b" ");
    }

    fn integer(&mut self, value: u64) {
        let length = integer(array(self.page.room(INTEGER_ROOM)), 0, value);
        self.page.wrote(length);
    }

    fn number(&mut self, value: Value<'_>) {
        match value {
            Value::Integer(value) => self.integer(value),
            Value::Signed(value) => {
                if value < 0 {
                    self.page.put(b"-");
                }
                self.integer(value.unsigned_abs());
            }
            Value::Float(value) => float(&mut self.page, value),
            Value::Histogram(_) => unreachable!("the gate lets no histogram into another family"),
        }
    }

    fn exemplar(&mut self, exemplar: &Exemplar) {
        self.page.put(b" # {");
        self.page.put(exemplar.labels.as_bytes());
        self.page.put(b"} ");
        float(&mut self.page, exemplar.value);
        if let Some(at) = unix(exemplar.at) {
            self.page.put(b" ");
            seconds(&mut self.page, at);
        }
    }

    /// The line of the family's name and `suffix`, up to its value.
    fn suffixed(&mut self, suffix: &str, labels: &str) {
        self.page.put(self.family.as_bytes());
        self.page.put(suffix.as_bytes());
        self.labels(labels);
    }

    fn created(&mut self, labels: &str, created: Option<SystemTime>) {
        if let Some(created) = created.filter(|_| self.created).and_then(unix) {
            self.suffixed("_created", labels);
            seconds(&mut self.page, created);
            self.page.put(b"\n");
        }
    }
}

impl Sink for Text<'_> {
    fn family(&mut self, descriptor: &Descriptor) {
        if !self.gate.opens(descriptor) {
            return;
        }
        let naming = if self.open_metrics {
            Naming::open_metrics(descriptor)
        } else {
            Naming::prometheus(descriptor)
        };
        naming.write(&mut self.page, &descriptor.help);
        self.is_open_counter = self.open_metrics && naming.kind == "counter";
        self.family.clear();
        self.family.push_str(naming.name);
        self.head.clear();
        self.head.extend_from_slice(descriptor.name.as_bytes());
        self.head.push(b'{');
        self.head_length = self.head.len();
        self.head.resize(self.head_length + BLOCK, b' ');
        if descriptor.kind == Kind::Histogram {
            self.buckets.open(&descriptor.name, &descriptor.buckets);
        }
    }

    fn integers(
        &mut self,
        labels: &LabelColumn,
        first: usize,
        values: &[u64],
        created: Option<SystemTime>,
    ) {
        let ends = labels.ends(first, values.len());
        let plain = matches!(self.gate.kind(), Kind::Counter | Kind::Gauge)
            && self.gate.is_open()
            // Without labels there are no braces.
            && !labels.has_bare()
            && !(self.created && self.is_open_counter && created.is_some());
        if !plain {
            return one_by_one(self, labels, first, values, created);
        }
        let text = labels.bytes();
        let (head, head_length) = (&self.head[..], self.head_length);
        for (at, values) in (0..).step_by(CHUNK).zip(values.chunks(CHUNK)) {
            let ends = &ends[at..=at + values.len()];
            let (mut start, last) = (ends[0] as usize, ends[values.len()] as usize);
            // Every line whole, and what the last copy writes beyond its own.
            let need = values.len() * (head_length + 2 + INTEGER_ROOM + 1) + last - start + BLOCK;
            let room = &mut self.page.room(need)[..need];
            let mut rest = &mut *room;
            for (value, end) in values.iter().zip(&ends[1..]) {
                let end = *end as usize;
                copy_blocks(rest, head, head_length);
                rest = &mut rest[head_length..];
                copy_blocks(rest, &text[start..], end - start);
                rest = &mut rest[end - start..];
                let tail = array::<INTEGER_ROOM>(rest);
                tail[..2].copy_from_slice(b"} ");
                let tail_end = integer(tail, 2, *value);
                tail[tail_end % INTEGER_ROOM] = b'\n';
                rest = &mut rest[tail_end + 1..];
                start = end;
            }
            let left = rest.len();
            self.page.wrote(need - left);
        }
    }

    fn series(&mut self, reading: &Reading<'_>) {
        if !self.gate.admits(reading) {
            return;
        }
        if let Value::Histogram(point) = reading.value {
            self.histogram(reading, point);
        } else {
            self.page.put(&self.head[..self.head_length - 1]);
            self.labels(reading.labels);
            self.number(reading.value);
            if let Some(exemplar) = reading.exemplar.filter(|_| self.is_open_counter)
                && self.gate.admits_exemplar(exemplar)
            {
                self.exemplar(exemplar);
            }
            self.page.put(b"\n");
            if self.is_open_counter {
                self.created(reading.labels, reading.created);
            }
        }
    }
}
