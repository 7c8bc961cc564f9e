//! Whole pages, byte for byte.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use inferometer::{
    AdditiveGauge, Counter, Descriptor, EncodeOptions, Exemplar, FamilySnapshot, FloatCounter,
    Format, Gauge, Histogram, HistogramPoint, Info, Kind, LabelSet, LabelValue, MetricSet,
    NativePoint, Point, Registry, SeriesSnapshot, Snapshot, StateSet, encode, encode_with,
};

use crate::page;

#[derive(Clone, Copy, LabelValue)]
enum Verdict {
    Fine,
    #[label(value = "not-fine")]
    NotFine,
}

#[derive(LabelSet)]
struct ByVerdict {
    verdict: Verdict,
    #[label(name = "again")]
    repeated: bool,
}

#[derive(LabelSet)]
struct Build<'a> {
    version: &'a str,
}

#[derive(LabelSet)]
struct BySlot {
    slot: u8,
}

/// One of every kind.
#[derive(MetricSet)]
#[metrics(namespace = "zoo")]
struct Zoo {
    /// Visits, with a "quoted" word and a back\slash.
    visits: Counter<ByVerdict>,
    /// Power drawn.
    #[metric(unit = "joules")]
    energy: FloatCounter,
    /// Air temperature.
    #[metric(unit = "celsius")]
    temperature: Gauge<BySlot>,
    /// Visitors inside.
    inside: AdditiveGauge,
    /// Time of a visit.
    #[metric(unit = "seconds", buckets = [0.5, 1.0, 2.5])]
    visit: Histogram,
    /// What is running.
    build: Info<Build<'static>>,
    /// What the keeper thinks.
    mood: StateSet<Verdict>,
}

fn zoo(registry: &Registry) -> Zoo {
    let zoo: Zoo = registry.register().expect("the set keeps the rules");
    zoo.visits
        .with(ByVerdict {
            verdict: Verdict::NotFine,
            repeated: true,
        })
        .add(3);
    zoo.energy.add(0.75);
    zoo.temperature.with(BySlot { slot: 7 }).set(-1.5);
    zoo.temperature.with(BySlot { slot: 0 }).set(f64::NAN);
    zoo.inside.add(-2);
    for value in [0.5, 0.625, 7.0] {
        zoo.visit.observe(value);
    }
    zoo.build.set(Build {
        version: "1.0 \"beta\"\\\n",
    });
    zoo.mood.set(Verdict::Fine);
    zoo
}

#[test]
fn every_kind_is_printed_in_prometheus_text() {
    let registry = Registry::new();
    let _zoo = zoo(&registry);
    assert_eq!(
        page::without_own(&registry.encode_text()),
        r#"# HELP zoo_visits_total Visits, with a "quoted" word and a back\\slash.
# TYPE zoo_visits_total counter
zoo_visits_total{verdict="fine",again="false"} 0
zoo_visits_total{verdict="fine",again="true"} 0
zoo_visits_total{verdict="not-fine",again="false"} 0
zoo_visits_total{verdict="not-fine",again="true"} 3
# HELP zoo_energy_joules_total Power drawn.
# TYPE zoo_energy_joules_total counter
zoo_energy_joules_total 0.75
# HELP zoo_temperature_celsius Air temperature.
# TYPE zoo_temperature_celsius gauge
zoo_temperature_celsius{slot="7"} -1.5
zoo_temperature_celsius{slot="0"} NaN
# HELP zoo_inside Visitors inside.
# TYPE zoo_inside gauge
zoo_inside -2
# HELP zoo_visit_seconds Time of a visit.
# TYPE zoo_visit_seconds histogram
zoo_visit_seconds_bucket{le="0.5"} 1
zoo_visit_seconds_bucket{le="1.0"} 2
zoo_visit_seconds_bucket{le="2.5"} 2
zoo_visit_seconds_bucket{le="+Inf"} 3
zoo_visit_seconds_sum 8.125
zoo_visit_seconds_count 3
# HELP zoo_build_info What is running.
# TYPE zoo_build_info gauge
zoo_build_info{version="1.0 \"beta\"\\\n"} 1
# HELP zoo_mood What the keeper thinks.
# TYPE zoo_mood gauge
zoo_mood{zoo_mood="fine"} 1
zoo_mood{zoo_mood="not-fine"} 0
"#
    );
}

#[test]
fn every_kind_is_printed_in_openmetrics() {
    let registry = Registry::new();
    let _zoo = zoo(&registry);
    assert_eq!(
        page::without_own(&page::of(&registry, Format::OpenMetricsText)),
        r#"# TYPE zoo_visits counter
# HELP zoo_visits Visits, with a \"quoted\" word and a back\\slash.
zoo_visits_total{verdict="fine",again="false"} 0
zoo_visits_total{verdict="fine",again="true"} 0
zoo_visits_total{verdict="not-fine",again="false"} 0
zoo_visits_total{verdict="not-fine",again="true"} 3
# TYPE zoo_energy_joules counter
# UNIT zoo_energy_joules joules
# HELP zoo_energy_joules Power drawn.
zoo_energy_joules_total 0.75
# TYPE zoo_temperature_celsius gauge
# UNIT zoo_temperature_celsius celsius
# HELP zoo_temperature_celsius Air temperature.
zoo_temperature_celsius{slot="7"} -1.5
zoo_temperature_celsius{slot="0"} NaN
# TYPE zoo_inside gauge
# HELP zoo_inside Visitors inside.
zoo_inside -2
# TYPE zoo_visit_seconds histogram
# UNIT zoo_visit_seconds seconds
# HELP zoo_visit_seconds Time of a visit.
zoo_visit_seconds_bucket{le="0.5"} 1
zoo_visit_seconds_bucket{le="1.0"} 2
zoo_visit_seconds_bucket{le="2.5"} 2
zoo_visit_seconds_bucket{le="+Inf"} 3
zoo_visit_seconds_sum 8.125
zoo_visit_seconds_count 3
# TYPE zoo_build info
# HELP zoo_build What is running.
zoo_build_info{version="1.0 \"beta\"\\\n"} 1
# TYPE zoo_mood stateset
# HELP zoo_mood What the keeper thinks.
zoo_mood{zoo_mood="fine"} 1
zoo_mood{zoo_mood="not-fine"} 0
# EOF
"#
    );
}

#[test]
fn an_empty_registry_prints_the_metadata_of_its_own_metrics() {
    let page = page::of(&Registry::new(), Format::OpenMetricsText);
    let samples = page::samples(&page);
    assert_eq!(samples.len(), 1, "what belongs to no family");
    assert_eq!(samples[0].name, "inferometer_unwritten_samples_total");
    assert_eq!(
        page.lines()
            .filter(|line| line.starts_with("# TYPE "))
            .collect::<Vec<_>>(),
        [
            "# TYPE inferometer_series gauge",
            "# TYPE inferometer_label_values_dropped counter",
            "# TYPE inferometer_labels_dropped counter",
            "# TYPE inferometer_recordings_refused counter",
            "# TYPE inferometer_scrape_failures counter",
            "# TYPE inferometer_exemplars_refused counter",
            "# TYPE inferometer_unwritten_samples counter",
        ]
    );
    assert!(page.ends_with("\n# EOF\n"));
}

#[test]
fn the_registrys_own_metrics_say_what_it_holds() {
    let registry = Registry::new();
    let _zoo = zoo(&registry);
    let page = registry.encode_text();
    let series = |family| page::value(&page, "inferometer_series", &[("family", family)]);
    assert_eq!(series("zoo_visits_total"), Some(4.0));
    assert_eq!(series("zoo_temperature_celsius"), Some(2.0));
    assert_eq!(series("zoo_visit_seconds"), Some(1.0));
    assert_eq!(series("zoo_build_info"), Some(1.0));
    assert_eq!(series("zoo_mood"), Some(2.0));
    let dropped = [("family", "zoo_temperature_celsius"), ("label", "slot")];
    assert_eq!(
        page::value(&page, "inferometer_label_values_dropped_total", &dropped),
        Some(0.0)
    );
}

#[test]
fn equal_histories_give_equal_bytes() {
    // Protobuf says when each series began to count, which differs.
    for format in [Format::PrometheusText, Format::OpenMetricsText] {
        let pages = [0, 1].map(|_| {
            let registry = Registry::new();
            let zoo = zoo(&registry);
            for slot in (0..200).rev() {
                zoo.temperature.with(BySlot { slot }).set(slot.into());
            }
            page::of(&registry, format)
        });
        assert_eq!(pages[0], pages[1]);
    }
}

#[test]
fn a_scrape_changes_nothing() {
    let registry = Registry::new();
    let _zoo = zoo(&registry);
    assert_eq!(registry.encode_text(), registry.encode_text());
}

#[test]
fn negative_bounds_leave_the_sum_out_of_openmetrics_only() {
    #[derive(MetricSet)]
    struct Change {
        /// Change of level.
        #[metric(buckets = [-1.0, 0.0])]
        change: Histogram,
    }
    let registry = Registry::new();
    let set: Change = registry.register().unwrap();
    set.change.observe(-3.0);
    let text = registry.encode_text();
    assert_eq!(page::value(&text, "change_sum", &[]), Some(-3.0));
    assert_eq!(page::value(&text, "change_count", &[]), Some(1.0));
    let open = page::of(&registry, Format::OpenMetricsText);
    assert_eq!(
        page::value(&open, "change_bucket", &[("le", "-1.0")]),
        Some(1.0)
    );
    assert_eq!(page::value(&open, "change_sum", &[]), None);
    assert_eq!(page::value(&open, "change_count", &[]), None);
}

fn family(name: &str, kind: Kind, buckets: &[f64], series: Vec<SeriesSnapshot>) -> FamilySnapshot {
    FamilySnapshot {
        descriptor: Arc::new(Descriptor {
            name: name.into(),
            kind,
            unit: name.contains("seconds").then_some("seconds".into()),
            help: "Help.".into(),
            labels: Vec::new(),
            buckets: buckets.into(),
            native: None,
            max_series: 10_000,
            idle: None,
        }),
        series,
    }
}

fn series(labels: &str, point: Point) -> SeriesSnapshot {
    SeriesSnapshot {
        labels: labels.into(),
        point,
        created: Some(moment(1_600_000_000_125)),
        exemplar: None,
    }
}

fn moment(milliseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(milliseconds)
}

fn exemplar(labels: &str, value: f64) -> Exemplar {
    Exemplar {
        labels: labels.into(),
        value,
        at: moment(1_700_000_000_250),
    }
}

/// What counts: with times of creation, exemplars, and native buckets beside classic ones and alone.
fn counting() -> Snapshot {
    let both = HistogramPoint {
        counts: vec![1, 2, 0],
        sum: 7.75,
        exemplars: vec![None, Some(exemplar("trace_id=\"\\\"7\\\"\"", 7.0)), None],
        native: Some(NativePoint {
            schema: 0,
            zero_threshold: 0.0,
            zero_count: 0,
            positive: vec![(-1, 1), (0, 0), (3, 2), (9, 1)],
            negative: vec![(2, 5)],
        }),
    };
    let native = HistogramPoint {
        sum: 1.5,
        exemplars: vec![Some(exemplar("", 1.5))],
        native: Some(NativePoint {
            schema: 3,
            zero_threshold: 0.0,
            zero_count: 0,
            positive: vec![(5, 1)],
            negative: vec![],
        }),
        ..HistogramPoint::default()
    };
    let empty = HistogramPoint {
        native: Some(NativePoint::default()),
        ..HistogramPoint::default()
    };
    let histogram = |point: &HistogramPoint| Point::Histogram(Box::new(point.clone()));
    Snapshot {
        families: vec![
            family(
                "calls_total",
                Kind::Counter,
                &[],
                vec![SeriesSnapshot {
                    exemplar: Some(exemplar("trace_id=\"ab12\"", 1.0)),
                    ..series("route=\"a\"", Point::Integer(3))
                }],
            ),
            family(
                "both_seconds",
                Kind::Histogram,
                &[0.5, 1e6],
                vec![series("a=\"b\"", histogram(&both))],
            ),
            family(
                "native",
                Kind::Histogram,
                &[],
                vec![
                    series("at=\"work\"", histogram(&native)),
                    series("at=\"rest\"", histogram(&empty)),
                ],
            ),
        ],
    }
}

#[test]
fn what_counts_is_printed_in_prometheus_text() {
    let page = encode_with(
        &counting(),
        Format::PrometheusText,
        EncodeOptions { created: true },
    );
    assert_eq!(
        String::from_utf8(page).unwrap(),
        r#"# HELP calls_total Help.
# TYPE calls_total counter
calls_total{route="a"} 3
# HELP both_seconds Help.
# TYPE both_seconds histogram
both_seconds_bucket{a="b",le="0.5"} 1
both_seconds_bucket{a="b",le="1e+06"} 3
both_seconds_bucket{a="b",le="+Inf"} 3
both_seconds_sum{a="b"} 7.75
both_seconds_count{a="b"} 3
# HELP native Help.
# TYPE native histogram
native_bucket{at="work",le="+Inf"} 1
native_sum{at="work"} 1.5
native_count{at="work"} 1
native_bucket{at="rest",le="+Inf"} 0
native_sum{at="rest"} 0.0
native_count{at="rest"} 0
"#
    );
}

#[test]
fn what_counts_is_printed_in_openmetrics_with_exemplars() {
    let page = encode(&counting(), Format::OpenMetricsText);
    assert_eq!(
        String::from_utf8(page).unwrap(),
        r#"# TYPE calls counter
# HELP calls Help.
calls_total{route="a"} 3 # {trace_id="ab12"} 1.0 1700000000.250
# TYPE both_seconds histogram
# UNIT both_seconds seconds
# HELP both_seconds Help.
both_seconds_bucket{a="b",le="0.5"} 1
both_seconds_bucket{a="b",le="1e+06"} 3 # {trace_id="\"7\""} 7.0 1700000000.250
both_seconds_bucket{a="b",le="+Inf"} 3
both_seconds_sum{a="b"} 7.75
both_seconds_count{a="b"} 3
# TYPE native histogram
# HELP native Help.
native_bucket{at="work",le="+Inf"} 1 # {} 1.5 1700000000.250
native_sum{at="work"} 1.5
native_count{at="work"} 1
native_bucket{at="rest",le="+Inf"} 0
native_sum{at="rest"} 0.0
native_count{at="rest"} 0
# EOF
"#
    );
}

#[test]
fn times_of_creation_are_printed_in_openmetrics_when_asked_for() {
    let page = encode_with(
        &counting(),
        Format::OpenMetricsText,
        EncodeOptions { created: true },
    );
    let page = String::from_utf8(page).unwrap();
    let (created, others): (Vec<_>, Vec<_>) = page
        .split_inclusive('\n')
        .partition(|line| line.contains("_created"));
    assert_eq!(
        created,
        [
            "calls_created{route=\"a\"} 1600000000.125\n",
            "both_seconds_created{a=\"b\"} 1600000000.125\n",
            "native_created{at=\"work\"} 1600000000.125\n",
            "native_created{at=\"rest\"} 1600000000.125\n",
        ]
    );
    let without = encode(&counting(), Format::OpenMetricsText);
    assert_eq!(others.concat().as_bytes(), without);
}

/// Written out by hand from the schema and from protobuf.dev's *Encoding*.
#[test]
fn what_counts_is_written_in_protobuf_byte_for_byte() {
    let page = encode(&counting(), Format::Protobuf);
    let created = b"\x08\x80\xa0\xf8\xfa\x05\x10\xc0\xb2\xcd\x3b";
    let taken = b"\x08\x80\xe2\xcf\xaa\x06\x10\x80\xe5\x9a\x77";
    let calls: &[&[u8]] = &[
        // The length comes in five bytes, whatever it is.
        b"\xe6\x80\x80\x80\x00",
        b"\x0a\x0bcalls_total",
        b"\x12\x05Help.",
        b"\x18\x00",
        b"\x22\x4e",
        b"\x0a\x0a\x0a\x05route\x12\x01a",
        b"\x1a\x40\x09\x00\x00\x00\x00\x00\x00\x08\x40",
        b"\x12\x28\x0a\x10\x0a\x08trace_id\x12\x04ab12",
        b"\x11\x00\x00\x00\x00\x00\x00\xf0\x3f\x1a\x0b",
        taken,
        b"\x1a\x0b",
        created,
    ];
    let both: &[&[u8]] = &[
        b"\xb3\x81\x80\x80\x00",
        b"\x0a\x0cboth_seconds",
        b"\x12\x05Help.",
        b"\x18\x04",
        b"\x2a\x07seconds",
        b"\x22\x90\x01",
        b"\x0a\x06\x0a\x01a\x12\x01b",
        // The count is that of the native buckets, 9, though the classic ones hold 3.
        b"\x3a\x85\x01\x08\x09\x11\x00\x00\x00\x00\x00\x00\x1f\x40",
        b"\x1a\x0b\x08\x01\x11\x00\x00\x00\x00\x00\x00\xe0\x3f",
        b"\x1a\x34\x08\x03\x11\x00\x00\x00\x00\x80\x84\x2e\x41",
        b"\x1a\x27\x0a\x0f\x0a\x08trace_id\x12\x03\"7\"",
        b"\x11\x00\x00\x00\x00\x00\x00\x1c\x40\x1a\x0b",
        taken,
        b"\x7a\x0b",
        created,
        b"\x28\x00\x31\x00\x00\x00\x00\x00\x00\x00\x00\x38\x00",
        b"\x4a\x04\x08\x04\x10\x01\x52\x01\x0a",
        // From -1 five buckets, the two that are missing between 0 and 3 among them; after five more, one.
        b"\x62\x04\x08\x01\x10\x05\x62\x04\x08\x0a\x10\x01",
        b"\x6a\x06\x02\x01\x00\x00\x04\x01",
    ];
    let native: &[&[u8]] = &[
        b"\xa3\x81\x80\x80\x00",
        b"\x0a\x06native",
        b"\x12\x05Help.",
        b"\x18\x04",
        b"\x22\x55",
        b"\x0a\x0a\x0a\x02at\x12\x04work",
        b"\x3a\x47\x08\x01\x11\x00\x00\x00\x00\x00\x00\xf8\x3f\x7a\x0b",
        created,
        b"\x28\x06\x31\x00\x00\x00\x00\x00\x00\x00\x00\x38\x00",
        b"\x62\x04\x08\x0a\x10\x01\x6a\x01\x02",
        b"\x82\x01\x16\x11\x00\x00\x00\x00\x00\x00\xf8\x3f\x1a\x0b",
        taken,
        b"\x22\x39",
        b"\x0a\x0a\x0a\x02at\x12\x04rest",
        b"\x3a\x2b\x08\x00\x11\x00\x00\x00\x00\x00\x00\x00\x00\x7a\x0b",
        created,
        b"\x28\x00\x31\x00\x00\x00\x00\x00\x00\x00\x00\x38\x00",
        // A span of nothing shows that it is native.
        b"\x62\x04\x08\x00\x10\x00",
    ];
    let expected = [calls, both, native].concat().concat();
    assert_eq!(
        page.escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
}

#[test]
fn content_types_name_format_and_version() {
    assert_eq!(
        Format::PrometheusText.content_type(),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert_eq!(
        Format::OpenMetricsText.content_type(),
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert_eq!(
        Format::Protobuf.content_type(),
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
    );
}
