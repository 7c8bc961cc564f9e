//! What of a family or a reading can be written at all, whatever the format.
//!
//! What the cells deliver passes; a [`Snapshot`](crate::Snapshot) can be made by hand, and then hold anything.

use std::sync::Arc;

use super::labels::{Pairs, is_metric_name};
use crate::{
    descriptor::{Descriptor, Kind},
    reading::{Reading, Value},
    snapshot::{Exemplar, HistogramPoint, NativePoint},
};

/// The most characters that the labels of an exemplar may have: OpenMetrics 1.0, *Exemplars*.
const EXEMPLAR_CHARACTERS: usize = 128;

/// The largest magnitude of a native bucket's index: more than any float falls into, at the highest resolution.
const MAX_INDEX: i32 = 1 << 20;

/// What is known of the family under way.
#[derive(Debug)]
pub(super) struct Gate {
    kind: Kind,
    name: String,
    bounds: Arc<[f64]>,
    sound: bool,
    /// The labels of the reading that passed last.
    pub(super) pairs: Pairs,
    /// The labels of the exemplar that passed last.
    pub(super) exemplar_pairs: Pairs,
    pub(super) dropped: u64,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            kind: Kind::Gauge,
            name: String::new(),
            bounds: Arc::new([]),
            sound: false,
            pairs: Pairs::default(),
            exemplar_pairs: Pairs::default(),
            dropped: 0,
        }
    }

    /// A family begins. Returns whether anything of it can be written.
    pub(super) fn opens(&mut self, descriptor: &Descriptor) -> bool {
        self.kind = descriptor.kind;
        self.name.clone_from(&descriptor.name);
        self.bounds = Arc::clone(&descriptor.buckets);
        let bounds = &self.bounds;
        self.sound = is_metric_name(&self.name)
            && bounds.iter().all(|bound| bound.is_finite())
            && bounds.is_sorted_by(|one, other| one < other);
        self.sound
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the series of the family can be written, as long as each is sound itself.
    pub(super) fn is_open(&self) -> bool {
        self.sound
    }

    /// The upper bounds of the buckets, without `+Inf`.
    pub(super) fn bounds(&self) -> &[f64] {
        &self.bounds
    }

    /// Whether the reading can be written; one that can't is counted.
    pub(super) fn admits(&mut self, reading: &Reading<'_>) -> bool {
        let sound = self.sound
            && self.pairs.read(reading.labels)
            && self.fits(reading.value)
            && match self.kind {
                Kind::Histogram => !self.pairs.has(reading.labels, "le"),
                Kind::StateSet => self.pairs.has(reading.labels, &self.name),
                Kind::Counter | Kind::Gauge | Kind::Info => true,
            };
        self.dropped += u64::from(!sound);
        sound
    }

    fn fits(&self, value: Value<'_>) -> bool {
        let number = match value {
            Value::Integer(value) => value as f64,
            Value::Signed(value) => value as f64,
            Value::Float(value) => value,
            Value::Histogram(point) => {
                return self.kind == Kind::Histogram && self.fits_histogram(point);
            }
        };
        match self.kind {
            // NaN is not at or above anything.
            Kind::Counter => number >= 0.0,
            Kind::Gauge => true,
            Kind::Info => number == 1.0,
            Kind::StateSet => number == 0.0 || number == 1.0,
            Kind::Histogram => false,
        }
    }

    fn fits_histogram(&self, point: &HistogramPoint) -> bool {
        let counts = if point.counts.is_empty() {
            self.bounds.is_empty() && point.native.is_some()
        } else {
            point.counts.len() == self.bounds.len() + 1
        };
        counts && point.native.as_ref().is_none_or(is_sound_native)
    }

    /// Whether the exemplar can be written; one that can't is counted.
    pub(super) fn admits_exemplar(&mut self, exemplar: &Exemplar) -> bool {
        let labels = &*exemplar.labels;
        let sound = self.exemplar_pairs.read(labels)
            && self.exemplar_pairs.characters(labels) <= EXEMPLAR_CHARACTERS;
        self.dropped += u64::from(!sound);
        sound
    }

    /// The same for an exemplar of the bucket up to `bound`, whose value must be in it: OpenMetrics 1.0, *Histogram*.
    pub(super) fn admits_exemplar_of(&mut self, exemplar: &Exemplar, bound: f64) -> bool {
        if exemplar.value <= bound {
            return self.admits_exemplar(exemplar);
        }
        self.dropped += 1;
        false
    }
}

fn is_sound_native(native: &NativePoint) -> bool {
    let are_sound = |buckets: &[(i32, u64)]| {
        buckets
            .iter()
            .all(|(index, _)| (-MAX_INDEX..=MAX_INDEX).contains(index))
            && buckets.is_sorted_by(|(one, _), (other, _)| one < other)
    };
    (-4..=8).contains(&native.schema)
        && native.zero_threshold.is_finite()
        && native.zero_threshold >= 0.0
        && are_sound(&native.positive)
        && are_sound(&native.negative)
}
