//! What is known of a metric before anything is recorded.

use std::{borrow::Cow, sync::Arc, time::Duration};

use crate::{label::LabelSpec, native::NativeBuckets};

/// What kind of metric it is. Serialised as its name in OpenMetrics: see [`as_str`](Self::as_str).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "lowercase")
)]
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
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct LabelDescriptor {
    /// Its name.
    pub name: Cow<'static, str>,
    /// The values it may take. Serialised as `values`, a list, or as `limit`, a number.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub bound: LabelBound,
}

/// How many values a label may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum LabelBound {
    /// These and no others. Serialised as `values`.
    #[cfg_attr(feature = "serde", serde(rename = "values"))]
    Closed(&'static [&'static str]),
    /// At most this many, and `other` for the rest. Serialised as `limit`: `null` where the program's own text is the limit.
    #[cfg_attr(
        feature = "serde",
        serde(rename = "limit", serialize_with = "serialized::limit")
    )]
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
///
/// **As JSON.** With the feature `serde` it can be serialised. The keys are the fields' names, and `idle_seconds` for
/// [`idle`](Self::idle); all are always there, `null` where there is nothing.
///
/// # Examples
#[cfg_attr(not(feature = "serde"), doc = "```ignore")]
#[cfg_attr(feature = "serde", doc = "```")]
/// use inferometer::{Counter, MetricSet, descriptors};
///
/// #[derive(MetricSet)]
/// struct Shop {
///     /// Orders taken.
///     orders: Counter,
/// }
///
/// assert_eq!(
///     serde_json::to_string(&descriptors::<Shop>())?,
///     r#"[{"name":"orders_total","kind":"counter","unit":null,"help":"Orders taken.","labels":[],"buckets":[],"native":null,"max_series":10000,"idle_seconds":null}]"#
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
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
    ///
    /// Serialised as `null` where the program's own text is the limit.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialized::limit"))]
    pub max_series: usize,
    /// How long a series of an open set may be idle before it is removed. Serialised as `idle_seconds`, a number.
    #[cfg_attr(
        feature = "serde",
        serde(rename = "idle_seconds", serialize_with = "serialized::seconds")
    )]
    pub idle: Option<Duration>,
}

#[cfg(feature = "serde")]
mod serialized {
    use std::time::Duration;

    use serde::{Serialize as _, Serializer};

    pub(super) fn limit<S: Serializer>(limit: &usize, serializer: S) -> Result<S::Ok, S::Error> {
        let limit = Some(*limit).filter(|limit| *limit < usize::MAX);
        limit.serialize(serializer)
    }

    pub(super) fn seconds<S: Serializer>(
        idle: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let seconds = idle.map(|idle| idle.as_secs_f64());
        seconds.serialize(serializer)
    }
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
            // What is declared at run time may lack the ending, and is no counter in OpenMetrics then.
            Kind::Counter if family == self.name => vec![self.name.clone()],
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

#[cfg(all(test, feature = "serde"))]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_descriptor_is_serialised_with_all_that_is_known() {
        let descriptor = Descriptor {
            name: "wait_seconds".into(),
            kind: Kind::Histogram,
            unit: Some("seconds".into()),
            help: "Time that was waited.".into(),
            labels: vec![
                LabelDescriptor {
                    name: "phase".into(),
                    bound: LabelBound::Closed(&["one", "two"]),
                },
                LabelDescriptor {
                    name: "node".into(),
                    bound: LabelBound::Open(7),
                },
                LabelDescriptor {
                    name: "family".into(),
                    bound: LabelBound::Open(usize::MAX),
                },
            ],
            buckets: Arc::new([0.5, 1.0]),
            native: Some(NativeBuckets::new().zero_threshold(0.5)),
            max_series: 14,
            idle: Some(Duration::from_millis(1_500)),
        };
        let expected = json!({
            "name": "wait_seconds",
            "kind": "histogram",
            "unit": "seconds",
            "help": "Time that was waited.",
            "labels": [
                {"name": "phase", "values": ["one", "two"]},
                {"name": "node", "limit": 7},
                {"name": "family", "limit": null},
            ],
            "buckets": [0.5, 1.0],
            "native": {"schema": 3, "zero_threshold": 0.5, "max_buckets": 160},
            "max_series": 14,
            "idle_seconds": 1.5,
        });
        assert_eq!(serde_json::to_value(&descriptor).unwrap(), expected);
        for kind in [
            Kind::Counter,
            Kind::Gauge,
            Kind::Histogram,
            Kind::Info,
            Kind::StateSet,
        ] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
