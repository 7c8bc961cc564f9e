//! The Prometheus protobuf format: one `io.prometheus.client.MetricFamily` after another, each after its length.
//!
//! The schema is github.com/prometheus/client_model, *io/prometheus/client/metrics.proto*. It has neither info nor state set; both
//! are gauges here, as in the older text format, and names are those of that format too.

mod columns;
mod histogram;
mod wire;

use std::time::SystemTime;

use super::{
    gate::Gate,
    labels::{Pairs, unescape},
    number::unix,
    page::Page,
};
use crate::{
    descriptor::{Descriptor, Kind},
    reading::{LabelColumn, Reading, Sink, Value},
    snapshot::Exemplar,
};
use columns::Shape;

/// The numbers of the fields.
mod field {
    pub(super) const FAMILY_NAME: u64 = 1;
    pub(super) const FAMILY_HELP: u64 = 2;
    pub(super) const FAMILY_TYPE: u64 = 3;
    pub(super) const FAMILY_METRIC: u64 = 4;
    pub(super) const FAMILY_UNIT: u64 = 5;
    pub(super) const METRIC_LABEL: u64 = 1;
    pub(super) const METRIC_GAUGE: u64 = 2;
    pub(super) const METRIC_COUNTER: u64 = 3;
    pub(super) const METRIC_HISTOGRAM: u64 = 7;
    pub(super) const LABEL_NAME: u64 = 1;
    pub(super) const LABEL_VALUE: u64 = 2;
    /// Of a gauge and of a counter.
    pub(super) const VALUE: u64 = 1;
    pub(super) const COUNTER_EXEMPLAR: u64 = 2;
    pub(super) const COUNTER_CREATED: u64 = 3;
    pub(super) const EXEMPLAR_LABEL: u64 = 1;
    pub(super) const EXEMPLAR_VALUE: u64 = 2;
    pub(super) const EXEMPLAR_TIME: u64 = 3;
    pub(super) const TIME_SECONDS: u64 = 1;
    pub(super) const TIME_NANOS: u64 = 2;
}

/// How many bytes the length of a family takes. It is known only at the end, so there is room for any: a varint may have leading
/// zeros, and readers take up to five bytes for 32 bits.
const LENGTH_ROOM: usize = 5;

/// A page in protobuf.
#[derive(Debug)]
pub(crate) struct Protobuf<'p> {
    page: Page<'p>,
    gate: Gate,
    /// Where the family under way begins, after its length.
    start: Option<usize>,
    /// How the labels of the family's columns are built, once one was seen.
    shape: Option<Shape>,
    /// The parts of a message that is put together, kept for their memory.
    labels: Vec<u8>,
    value: Vec<u8>,
}

impl<'p> Protobuf<'p> {
    pub(super) fn new(page: Page<'p>) -> Self {
        Self {
            page,
            gate: Gate::new(),
            start: None,
            shape: None,
            labels: Vec::new(),
            value: Vec::new(),
        }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.gate.dropped
    }

    pub(super) fn finish(mut self) {
        self.close();
        self.page.finish();
    }

    /// Ends the family under way: its length can now be written.
    fn close(&mut self) {
        if let Some(start) = self.start.take() {
            let length = (self.page.position() - start) as u64;
            self.page
                .patch(start - LENGTH_ROOM, &wire::padded_varint(length));
        }
    }
}

/// The message of a time, in the field `number`.
fn time(into: &mut Vec<u8>, number: u64, (seconds, nanoseconds): (u64, u32)) {
    let mut message = Vec::with_capacity(16);
    wire::integer(&mut message, field::TIME_SECONDS, seconds);
    wire::integer(&mut message, field::TIME_NANOS, nanoseconds.into());
    wire::bytes(into, number, &message);
}

fn created(into: &mut Vec<u8>, number: u64, created: Option<SystemTime>) {
    if let Some(created) = created.and_then(unix) {
        time(into, number, created);
    }
}

/// The labels that `pairs` has read in `text`, each in the field `number`.
fn labels(into: &mut Vec<u8>, number: u64, pairs: &Pairs, text: &str) {
    let mut unescaped = Vec::new();
    for pair in pairs.iter() {
        let name = &text.as_bytes()[pair.name.clone()];
        let mut value = &text.as_bytes()[pair.value.clone()];
        if pair.escapes > 0 {
            unescaped.clear();
            unescape(&mut unescaped, value);
            value = &unescaped;
        }
        wire::tag(into, number, wire::LENGTH_DELIMITED);
        wire::varint(
            into,
            wire::bytes_length(field::LABEL_NAME, name.len())
                + wire::bytes_length(field::LABEL_VALUE, value.len()),
        );
        wire::bytes(into, field::LABEL_NAME, name);
        wire::bytes(into, field::LABEL_VALUE, value);
    }
}

/// An exemplar whose labels are read in `pairs`, in the field `number`.
fn exemplar(into: &mut Vec<u8>, number: u64, pairs: &Pairs, exemplar: &Exemplar) {
    let mut message = Vec::with_capacity(64);
    labels(&mut message, field::EXEMPLAR_LABEL, pairs, &exemplar.labels);
    wire::double(&mut message, field::EXEMPLAR_VALUE, exemplar.value);
    if let Some(at) = unix(exemplar.at) {
        time(&mut message, field::EXEMPLAR_TIME, at);
    }
    wire::bytes(into, number, &message);
}

impl Sink for Protobuf<'_> {
    fn family(&mut self, descriptor: &Descriptor) {
        self.close();
        self.shape = None;
        if !self.gate.opens(descriptor) {
            return;
        }
        self.page.put(&[0; LENGTH_ROOM]);
        self.start = Some(self.page.position());
        let mut head = Vec::with_capacity(64 + descriptor.help.len());
        wire::bytes(&mut head, field::FAMILY_NAME, descriptor.name.as_bytes());
        wire::bytes(&mut head, field::FAMILY_HELP, descriptor.help.as_bytes());
        let kind = match descriptor.kind {
            Kind::Counter => 0,
            Kind::Gauge | Kind::Info | Kind::StateSet => 1,
            Kind::Histogram => 4,
        };
        wire::integer(&mut head, field::FAMILY_TYPE, kind);
        // Prometheus refuses the page when a name doesn't end in its unit.
        if let Some(unit) = descriptor.unit_in_name() {
            wire::bytes(&mut head, field::FAMILY_UNIT, unit.as_bytes());
        }
        self.page.put(&head);
    }

    fn integers(
        &mut self,
        labels: &LabelColumn,
        first: usize,
        values: &[u64],
        created: Option<SystemTime>,
    ) {
        self.column(labels, first, values, created);
    }

    fn series(&mut self, reading: &Reading<'_>) {
        if !self.gate.admits(reading) {
            return;
        }
        self.value.clear();
        let number = match reading.value {
            Value::Histogram(point) => {
                self.histogram(point, reading.created);
                field::METRIC_HISTOGRAM
            }
            Value::Integer(value) => self.number(value as f64, reading),
            Value::Signed(value) => self.number(value as f64, reading),
            Value::Float(value) => self.number(value, reading),
        };
        self.labels.clear();
        labels(
            &mut self.labels,
            field::METRIC_LABEL,
            &self.gate.pairs,
            reading.labels,
        );
        let value_length = wire::bytes_length(number, self.value.len());
        let mut head = Vec::with_capacity(16);
        wire::tag(&mut head, field::FAMILY_METRIC, wire::LENGTH_DELIMITED);
        wire::varint(&mut head, self.labels.len() as u64 + value_length);
        self.page.put(&head);
        self.page.put(&self.labels);
        head.clear();
        wire::tag(&mut head, number, wire::LENGTH_DELIMITED);
        wire::varint(&mut head, self.value.len() as u64);
        self.page.put(&head);
        self.page.put(&self.value);
    }
}

impl Protobuf<'_> {
    /// The value's message of a counter or gauge; returns its field.
    fn number(&mut self, value: f64, reading: &Reading<'_>) -> u64 {
        wire::double(&mut self.value, field::VALUE, value);
        if self.gate.kind() != Kind::Counter {
            return field::METRIC_GAUGE;
        }
        if let Some(found) = reading.exemplar
            && self.gate.admits_exemplar(found)
        {
            let pairs = &self.gate.exemplar_pairs;
            exemplar(&mut self.value, field::COUNTER_EXEMPLAR, pairs, found);
        }
        created(&mut self.value, field::COUNTER_CREATED, reading.created);
        field::METRIC_COUNTER
    }
}
