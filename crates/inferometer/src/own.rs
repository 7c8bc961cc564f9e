//! The metrics that a registry keeps of itself.

use std::{
    borrow::Cow,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use crate::{
    descriptor::{Descriptor, Kind, LabelBound, LabelDescriptor},
    family::render,
    metric::Source,
    reading::{Reading, Sink, Value},
};

const SERIES: &str = "inferometer_series";
const DROPPED: &str = "inferometer_label_values_dropped_total";
const LEFT_OUT: &str = "inferometer_labels_dropped_total";
const REFUSED: &str = "inferometer_recordings_refused_total";
const FAILURES: &str = "inferometer_scrape_failures_total";
const UNWRITTEN: &str = "inferometer_unwritten_samples_total";
const EXEMPLARS: &str = "inferometer_exemplars_refused_total";

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
        native: None,
        max_series: usize::MAX,
        idle: None,
    }
}

/// The descriptors of the registry's own metrics.
pub(crate) fn descriptors() -> [Descriptor; 7] {
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
            LEFT_OUT,
            Kind::Counter,
            "Times that a label was left out of a family whose labels are known at run time: its name isn't one, or one too many.",
            &["family"],
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
        descriptor(
            EXEMPLARS,
            Kind::Counter,
            "Exemplars refused for their labels: too long, or a name that isn't one.",
            &["family"],
        ),
        descriptor(
            UNWRITTEN,
            Kind::Counter,
            "Samples and exemplars left out of earlier scrapes because the format has no way to write them.",
            &[],
        ),
    ]
}

/// Hands the registry's own families to `sink`, for a scrape that has read so many `series` of each of `sources`.
pub(crate) fn collect(
    sources: &[Arc<dyn Source>],
    series: &[u64],
    unwritten: u64,
    sink: &mut dyn Sink,
) {
    let [
        of_series,
        of_dropped,
        of_left_out,
        of_refused,
        of_failures,
        of_exemplars,
        of_unwritten,
    ] = descriptors();
    let descriptors: Vec<_> = sources.iter().map(|source| source.descriptor()).collect();
    let all = || {
        descriptors
            .iter()
            .zip(sources.iter().map(|source| source.own()))
    };
    sink.family(&of_series);
    for ((descriptor, _), series) in all().zip(series) {
        sample(sink, &descriptor.name, None, *series);
    }
    sink.family(&of_dropped);
    for (descriptor, source) in descriptors.iter().zip(sources) {
        source.dropped(&mut |label, count| sample(sink, &descriptor.name, Some(label), count));
    }
    sink.family(&of_left_out);
    for (descriptor, source) in descriptors.iter().zip(sources) {
        if let Some(count) = source.left_out() {
            sample(sink, &descriptor.name, None, count);
        }
    }
    sink.family(&of_refused);
    for (descriptor, own) in all() {
        sample(sink, &descriptor.name, None, own.refused.load(Relaxed));
    }
    sink.family(&of_failures);
    for (descriptor, own) in all() {
        sample(sink, &descriptor.name, None, own.failed.load(Relaxed));
    }
    sink.family(&of_exemplars);
    for (descriptor, own) in all() {
        if let Some(refused) = own.exemplars.refused() {
            sample(sink, &descriptor.name, None, refused);
        }
    }
    sink.family(&of_unwritten);
    write(sink, "", unwritten);
}

fn sample(sink: &mut dyn Sink, family: &str, label: Option<&str>, value: u64) {
    let mut labels = String::new();
    render(&mut labels, "family", family);
    if let Some(label) = label {
        render(&mut labels, "label", label);
    }
    write(sink, &labels, value);
}

fn write(sink: &mut dyn Sink, labels: &str, value: u64) {
    sink.series(&Reading {
        labels,
        value: Value::Integer(value),
        created: None,
        exemplar: None,
    });
}
