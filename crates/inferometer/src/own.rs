//! The metrics that a registry keeps of itself.

use std::{borrow::Cow, sync::Arc};

use crate::{
    descriptor::{Descriptor, Kind, LabelBound, LabelDescriptor},
    family::render,
    metric::Source,
    snapshot::{FamilySnapshot, Point, SeriesSnapshot},
};

const SERIES: &str = "inferometer_series";
const DROPPED: &str = "inferometer_label_values_dropped_total";
const REFUSED: &str = "inferometer_recordings_refused_total";
const FAILURES: &str = "inferometer_scrape_failures_total";

pub(crate) fn is_own(wire: &str) -> bool {
    descriptors()
        .iter()
        .any(|own| own.wire_names().iter().any(|name| name == wire))
}

fn descriptor(name: &str, kind: Kind, help: &'static str, labels: &[&'static str]) -> Descriptor {
    // Families are declared in code and labels with them, so their number is bounded by the program's text.
    let label = |name: &&'static str| LabelDescriptor {
        name: Cow::Borrowed(*name),
        bound: LabelBound::Open(usize::MAX),
    };
    Descriptor {
        name: name.into(),
        kind,
        unit: None,
        help: help.into(),
        labels: labels.iter().map(label).collect(),
        buckets: Arc::new([]),
    }
}

/// The descriptors of the registry's own metrics.
pub(crate) fn descriptors() -> [Descriptor; 4] {
    [
        descriptor(
            SERIES,
            Kind::Gauge,
            "Series in this scrape, by family.",
            &["family"],
        ),
        descriptor(
            DROPPED,
            Kind::Counter,
            "Times that a value of a label became `other`, because the label or the family was at its limit, or the value too long.",
            &["family", "label"],
        ),
        descriptor(
            REFUSED,
            Kind::Counter,
            "Recordings refused: NaN, a negative amount, or a value set by hand on a series that is computed.",
            &["family"],
        ),
        descriptor(
            FAILURES,
            Kind::Counter,
            "Series left out of a scrape because the code that computes them panicked, by family.",
            &["family"],
        ),
    ]
}

/// The registry's own families, for a scrape that has read `read` from `sources`.
pub(crate) fn families(
    sources: &[Arc<dyn Source>],
    read: &[FamilySnapshot],
) -> [FamilySnapshot; 4] {
    let point = |family: &str, label: Option<&str>, value: u64| {
        let mut labels = String::new();
        render(&mut labels, "family", family);
        if let Some(label) = label {
            render(&mut labels, "label", label);
        }
        SeriesSnapshot {
            labels: labels.into(),
            point: Point::Integer(value),
        }
    };
    let mut points: [Vec<SeriesSnapshot>; 4] = Default::default();
    let [series, dropped, refused, failures] = &mut points;
    for (source, family) in sources.iter().zip(read) {
        let descriptor = source.descriptor();
        let own = source.own();
        series.push(point(&descriptor.name, None, family.series.len() as u64));
        for (label, count) in descriptor.labels.iter().zip(&own.dropped) {
            if matches!(label.bound, LabelBound::Open(_)) && descriptor.kind != Kind::Info {
                dropped.push(point(&descriptor.name, Some(&label.name), count.get()));
            }
        }
        refused.push(point(&descriptor.name, None, own.refused.get()));
        failures.push(point(&descriptor.name, None, own.failed.get()));
    }
    let mut points = points.into_iter();
    descriptors().map(|descriptor| FamilySnapshot {
        descriptor: descriptor.into(),
        series: points.next().unwrap_or_default(),
    })
}
