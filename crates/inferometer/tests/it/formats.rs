//! Whole pages, byte for byte.

use inferometer::{
    AdditiveGauge, Counter, FloatCounter, Format, Gauge, Histogram, Info, LabelSet, LabelValue,
    MetricSet, Registry, StateSet,
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
        page::without_own(&page::encoded(&registry, Format::OpenMetricsText)),
        r#"# HELP zoo_visits Visits, with a \"quoted\" word and a back\\slash.
# TYPE zoo_visits counter
zoo_visits_total{verdict="fine",again="false"} 0
zoo_visits_total{verdict="fine",again="true"} 0
zoo_visits_total{verdict="not-fine",again="false"} 0
zoo_visits_total{verdict="not-fine",again="true"} 3
# HELP zoo_energy_joules Power drawn.
# TYPE zoo_energy_joules counter
# UNIT zoo_energy_joules joules
zoo_energy_joules_total 0.75
# HELP zoo_temperature_celsius Air temperature.
# TYPE zoo_temperature_celsius gauge
# UNIT zoo_temperature_celsius celsius
zoo_temperature_celsius{slot="7"} -1.5
zoo_temperature_celsius{slot="0"} NaN
# HELP zoo_inside Visitors inside.
# TYPE zoo_inside gauge
zoo_inside -2
# HELP zoo_visit_seconds Time of a visit.
# TYPE zoo_visit_seconds histogram
# UNIT zoo_visit_seconds seconds
zoo_visit_seconds_bucket{le="0.5"} 1
zoo_visit_seconds_bucket{le="1.0"} 2
zoo_visit_seconds_bucket{le="2.5"} 2
zoo_visit_seconds_bucket{le="+Inf"} 3
zoo_visit_seconds_sum 8.125
zoo_visit_seconds_count 3
# HELP zoo_build What is running.
# TYPE zoo_build info
zoo_build_info{version="1.0 \"beta\"\\\n"} 1
# HELP zoo_mood What the keeper thinks.
# TYPE zoo_mood stateset
zoo_mood{zoo_mood="fine"} 1
zoo_mood{zoo_mood="not-fine"} 0
# EOF
"#
    );
}

#[test]
fn an_empty_registry_prints_the_metadata_of_its_own_metrics() {
    let page = page::encoded(&Registry::new(), Format::OpenMetricsText);
    assert!(page::samples(&page).is_empty());
    assert_eq!(
        page.lines()
            .filter(|line| line.starts_with("# TYPE "))
            .collect::<Vec<_>>(),
        [
            "# TYPE inferometer_series gauge",
            "# TYPE inferometer_label_values_dropped counter",
            "# TYPE inferometer_recordings_refused counter",
            "# TYPE inferometer_scrape_failures counter",
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
    for format in [Format::PrometheusText, Format::OpenMetricsText] {
        let pages = [0, 1].map(|_| {
            let registry = Registry::new();
            let zoo = zoo(&registry);
            for slot in (0..200).rev() {
                zoo.temperature.with(BySlot { slot }).set(slot.into());
            }
            page::encoded(&registry, format)
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
    let open = page::encoded(&registry, Format::OpenMetricsText);
    assert_eq!(
        page::value(&open, "change_bucket", &[("le", "-1.0")]),
        Some(1.0)
    );
    assert_eq!(page::value(&open, "change_sum", &[]), None);
    assert_eq!(page::value(&open, "change_count", &[]), None);
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
}
