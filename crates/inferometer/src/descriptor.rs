//! What is known of a metric before anything is recorded.

use std::{borrow::Cow, sync::Arc, time::Duration};

use crate::{label::LabelSpec, native::NativeBuckets};

/// What kind of metric it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A count that only grows.
    Counter,
    /// A value that is set, or rises and falls.
    Gauge,
    /// A distribution over buckets.
    Histogram,
    /// Facts in labels; the value is always 1.
    Info,
    /// One state of a closed set at a time.
    StateSet,
}

impl Kind {
    /// The kind's name as OpenMetrics spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
            Self::StateSet => "stateset",
        }
    }
}

/// A label of a metric, and how many values it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelDescriptor {
    /// Its name.
    pub name: Cow<'static, str>,
    /// The values it may take.
    pub bound: LabelBound,
}

/// How many values a label may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelBound {
    /// These and no others.
    Closed(&'static [&'static str]),
    /// At most this many, and `other` for the rest.
    Open(usize),
}

impl From<&LabelSpec> for LabelDescriptor {
    fn from(spec: &LabelSpec) -> Self {
        Self {
            name: Cow::Borrowed(spec.name),
            bound: spec
                .values
                .map_or(LabelBound::Open(spec.limit), LabelBound::Closed),
        }
    }
}

/// A metric's name, kind, unit, help, labels and buckets: all that dashboards, rules and reference derive from.
///
/// It is available without an instance, through [`descriptors`](crate::descriptors).
#[derive(Clone, Debug, PartialEq)]
pub struct Descriptor {
    /// The name on the wire; a counter's ends in `_total`.
    pub name: String,
    /// What kind of metric it is.
    pub kind: Kind,
    /// The unit, in the plural and in base units where the contract allows it (`seconds`, `bytes`, `tokens`).
    pub unit: Option<Cow<'static, str>>,
    /// One sentence or two on what it counts or measures.
    pub help: Cow<'static, str>,
    /// Its labels, in the order in which they are printed.
    pub labels: Vec<LabelDescriptor>,
    /// The upper bounds of a histogram's buckets, `+Inf` left out; empty for other kinds.
    pub buckets: Arc<[f64]>,
    /// A histogram's native buckets, if it has them.
    pub native: Option<NativeBuckets>,
    /// The most series that it may have; values of open labels beyond it become `other`.
    pub max_series: usize,
    /// How long a series of an open set may be idle before it is removed.
    pub idle: Option<Duration>,
}

impl Descriptor {
    /// The name of the family in OpenMetrics: a counter without `_total`, an info without `_info`.
    pub fn family(&self) -> &str {
        let suffix = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram | Kind::StateSet => return &self.name,
        };
        self.name.strip_suffix(suffix).unwrap_or(&self.name)
    }

    /// The unit, when OpenMetrics lets it be named: the family's name ends in it, and the kind has a unit at all.
    pub fn unit_in_name(&self) -> Option<&str> {
        if matches!(self.kind, Kind::Info | Kind::StateSet) {
            return None;
        }
        let unit = self.unit.as_deref()?;
        let stem = self.family().strip_suffix(unit)?;
        stem.ends_with('_').then_some(unit)
    }

    /// Every sample name that this metric puts on the wire, in any format; its own first.
    pub(crate) fn wire_names(&self) -> Vec<String> {
        let family = self.family();
        match self.kind {
            Kind::Gauge | Kind::StateSet => vec![self.name.clone()],
            Kind::Counter => vec![
                self.name.clone(),
                family.into(),
                format!("{family}_created"),
            ],
            Kind::Info => vec![self.name.clone(), family.into()],
            Kind::Histogram => ["", "_bucket", "_count", "_sum", "_created"]
                .iter()
                .map(|suffix| format!("{family}{suffix}"))
                .collect(),
        }
    }
}
