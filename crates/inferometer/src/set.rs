//! Sets: structs whose fields are metrics.

use std::time::Duration;

use crate::{descriptor::Descriptor, metric::Metric, native::NativeBuckets, registry::Registrar};

/// What a field's declaration says of its metric. The derive writes it.
#[derive(Clone, Debug, Default)]
pub struct FieldSpec {
    /// The field's name, from which the metric's is made.
    pub field: &'static str,
    /// The metric's whole name, where the declaration sets it.
    pub name: Option<&'static str>,
    /// The unit.
    pub unit: Option<&'static str>,
    /// The field's documentation.
    pub help: &'static str,
    /// A histogram's bounds.
    pub buckets: Option<Vec<f64>>,
    /// A histogram's native buckets.
    pub native: Option<NativeBuckets>,
    /// The most series it may have.
    pub max_series: Option<usize>,
    /// How long a series of an open set may be idle before it is removed.
    pub idle: Option<Duration>,
}

impl FieldSpec {
    /// The name on the wire: the one set, or `namespace_field_unit` and the kind's suffix, none of them twice.
    pub(crate) fn full_name(&self, namespace: &str, suffix: &str) -> String {
        if let Some(name) = self.name {
            return name.into();
        }
        let mut name = String::new();
        if !namespace.is_empty() {
            name.push_str(namespace);
            name.push('_');
        }
        name.push_str(self.field.strip_suffix(suffix).unwrap_or(self.field));
        if let Some(unit) = self.unit
            && !name.ends_with(&format!("_{unit}"))
        {
            name.push('_');
            name.push_str(unit);
        }
        name.push_str(suffix);
        name
    }
}

/// A struct whose fields are metrics, or other sets. Derive it.
///
/// | attribute | on | says |
/// |---|---|---|
/// | `#[metrics(namespace = "…")]` | the struct | what every name starts with; without it, the set takes the namespace of the set it is in |
/// | the doc comment | a field | the HELP, up to its first empty line; required |
/// | `#[metric(unit = "…")]` | a field | the unit in `a-z` and `_`, in base units and the plural; it ends the name |
/// | `#[metric(buckets = …)]` | a histogram | the bounds: an array, a slice or a `Vec` of `f64`, the same each time it is evaluated |
/// | `#[metric(native)]`, `#[metric(native = …)]` | a histogram | native buckets, the usual or [`NativeBuckets`]; beside bounds, if there are any |
/// | `#[metric(max_series = …)]` | a field with open labels | how many series it may have; 10,000 without it |
/// | `#[metric(idle = …)]` | a field with open labels | a `Duration`: a series that nothing was recorded to for so long, and to which there is no handle, is removed by a scrape |
/// | `#[metric(name = "…")]` | a field | the whole name on the wire, when a contract fixes it |
/// | `#[metric(flatten)]` | a field | the field is a set itself |
///
/// # Examples
/// ```
/// use inferometer::{Counter, Histogram, LabelSet, LabelValue, MetricSet, Registry, buckets};
///
/// #[derive(Clone, Copy, LabelValue)]
/// enum Direction { Request, Answer }
///
/// #[derive(LabelSet)]
/// struct ByDirection { direction: Direction }
///
/// /// Bytes on the wire.
/// #[derive(MetricSet)]
/// struct Wire {
///     /// Bytes sent, by direction.
///     #[metric(unit = "bytes")]
///     sent: Counter<ByDirection>,
/// }
///
/// #[derive(MetricSet)]
/// #[metrics(namespace = "translator")]
/// struct Translator {
///     /// Time from arrival to answer.
///     #[metric(unit = "seconds", buckets = buckets::LATENCY)]
///     latency: Histogram,
///     #[metric(flatten)]
///     wire: Wire,
/// }
///
/// let names: Vec<_> = inferometer::descriptors::<Translator>().into_iter().map(|d| d.name).collect();
/// assert_eq!(names, ["translator_latency_seconds", "translator_sent_bytes_total"]);
/// ```
pub trait MetricSet: Sized {
    /// Adds the descriptor of every metric to `into`, in declared order.
    fn describe(namespace: &str, into: &mut Vec<Descriptor>);

    /// Makes every metric.
    fn create(namespace: &str, registrar: &mut Registrar<'_>) -> Self;
}

/// The descriptors of a set, without an instance, in declared order.
pub fn descriptors<S: MetricSet>() -> Vec<Descriptor> {
    let mut descriptors = Vec::new();
    S::describe("", &mut descriptors);
    descriptors
}

/// Makes one field. The derive calls it.
#[doc(hidden)]
pub fn create_field<M: Metric>(
    spec: &FieldSpec,
    namespace: &str,
    registrar: &mut Registrar<'_>,
) -> M {
    M::create(M::describe(spec, namespace), registrar)
}
