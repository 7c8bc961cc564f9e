//! Names, descriptions, and what becomes of those that can't be.

use inferometer::{Counter, Format, MetricSet, Registry};
use inferometer_bridge::{BuildError, Recorder, builder};
use inferometer_judges::judge_exposition;
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge, histogram};

use crate::page::Page;

fn refused(page: &Page, metric: &str, reason: &str) -> Option<f64> {
    let labels = [("metric", metric), ("reason", reason)];
    page.value("inferometer_bridge_refused_total", &labels)
}

fn record(recorder: &Recorder, program: impl FnOnce()) -> Page {
    metrics::with_local_recorder(recorder, program);
    Page::of(recorder)
}

#[test]
fn the_order_of_descriptions_and_recordings_makes_no_difference() {
    type Act = fn();
    let acts: [Act; 4] = [
        || describe_counter!("x", Unit::Bytes, "From one library."),
        || counter!("x", "a" => "1").increment(1),
        || describe_gauge!("y", "A level."),
        || gauge!("y").set(2.0),
    ];
    let mut pages = Vec::new();
    for first in 0..4 {
        for second in 0..4 {
            let recorder = builder().with_recommended_naming(true).build().unwrap();
            let mut order = vec![first, second, 0, 1, 2, 3];
            let mut seen = [false; 4];
            order.retain(|at| !std::mem::replace(&mut seen[*at], true));
            let page = record(&recorder, || order.iter().for_each(|at| acts[*at]()));
            pages.push(page.foreign());
        }
    }
    assert!(pages.iter().all(|page| *page == pages[0]), "{pages:#?}");
    let page = &pages[0];
    assert_eq!(page.value("x_bytes_total", &[("a", "1")]), Some(1.0));
    assert_eq!(page.helps["x_bytes_total"], "From one library.");
    assert_eq!(page.helps["y"], "A level.");
}

#[test]
fn what_is_said_first_stays_said() {
    let recorder = builder().build().unwrap();
    let page = record(&recorder, || {
        describe_counter!("x", Unit::Bytes, "First.");
        describe_counter!("x", Unit::Seconds, "Second.");
        counter!("x").increment(1);
        describe_gauge!("x", "Third.");
    });
    assert_eq!(page.helps["x"], "First.");
    // The macros may say it each time they run.
    let page = record(&recorder, || {
        for _ in 0..2 {
            counter!(description: "A level.", unit: Unit::Bytes, "y").increment(1);
        }
    });
    assert_eq!(page.helps["y"], "A level.");
    assert_eq!(page.helps["x"], "First.");
}

#[test]
fn what_cannot_be_records_nothing_and_is_counted() {
    #[derive(MetricSet)]
    struct Ours {
        /// Requests.
        requests: Counter,
    }

    let registry = Registry::new();
    let ours: Ours = registry.register().unwrap();
    ours.requests.inc();
    let recorder = builder().registry(registry).build().unwrap();
    let page = record(&recorder, || {
        counter!("x").increment(1);
        gauge!("x").set(5.0);
        gauge!("x").set(5.0);
        histogram!("x", "a" => "1").record(5.0);
        counter!("requests_total").increment(5);
        gauge!("requests").set(5.0);
        counter!("").increment(5);
        counter!("inferometer_series").increment(5);
    });
    assert_eq!(page.value("x", &[]), Some(1.0));
    assert_eq!(page.value("requests_total", &[]), Some(1.0));
    assert_eq!(refused(&page, "x", "taken"), Some(3.0));
    assert_eq!(refused(&page, "requests_total", "taken"), Some(1.0));
    assert_eq!(refused(&page, "requests", "taken"), Some(1.0));
    assert_eq!(refused(&page, "inferometer_series", "taken"), Some(1.0));
    assert_eq!(refused(&page, "", "name"), Some(1.0));
    assert_eq!(page.all("inferometer_bridge_refused_total").len(), 5);
    assert!(page.all("requests").is_empty());
}

#[test]
fn a_unit_that_would_make_two_names_one_leaves_the_name_as_it_is() {
    let recorder = builder().with_recommended_naming(true).build().unwrap();
    let page = record(&recorder, || {
        gauge!("size_bytes").set(1.0);
        gauge!("size").set(2.0);
        describe_gauge!("size", Unit::Bytes, "Size.");
    });
    assert_eq!(page.value("size_bytes", &[]), Some(1.0));
    assert_eq!(page.value("size", &[]), Some(2.0));
    assert_eq!(page.helps["size"], "Size.");
    assert_eq!(refused(&page, "size", "taken"), Some(1.0));
}

#[test]
fn reserved_labels_are_left_out_and_two_that_become_one_are_one() {
    let recorder = builder().build().unwrap();
    let page = record(&recorder, || {
        histogram!("h", "le" => "0.5", "a" => "1").record(1.0);
        counter!("x", "__name__" => "y", "a.b" => "1", "a_b" => "2").increment(1);
    });
    assert_eq!(page.value("h_count", &[("a", "1")]), Some(1.0));
    assert_eq!(page.value("x", &[("a_b", "2")]), Some(1.0));
    for family in ["h", "x"] {
        let left_out = page.value("inferometer_labels_dropped_total", &[("family", family)]);
        assert_eq!(left_out, Some(1.0), "{family}");
    }
}

#[test]
fn two_names_that_become_the_same_are_one_series() {
    let recorder = builder().build().unwrap();
    let page = record(&recorder, || {
        counter!("a.b").increment(1);
        counter!("a_b").increment(2);
        counter!("a-b").increment(4);
    });
    assert_eq!(page.value("a_b", &[]), Some(7.0));
}

/// What libraries name as they like.
fn freely_named() {
    describe_counter!("jobs", "Jobs \"done\".\nAnd \\ more.");
    counter!("jobs", "queue" => "a\"\\\n").increment(1);
    counter!("sent_bytes_total").increment(1);
    gauge!("level_total", "level_total" => "1").set(-1.5);
    histogram!("wait", "a" => "1").record(0.5);
    counter!("ns::x").increment(1);
}

#[test]
fn strict_parsers_read_what_others_have_named() {
    for (format, recommended) in [
        (Format::PrometheusText, false),
        (Format::PrometheusText, true),
        (Format::OpenMetricsText, true),
    ] {
        let recorder = builder().with_recommended_naming(recommended);
        let recorder = recorder.build().unwrap();
        record(&recorder, freely_named);
        let page = recorder.registry().encode(format);
        let summary = judge_exposition(&page, format.content_type())
            .unwrap_or_else(|refused| panic!("{refused}\n{}", String::from_utf8_lossy(&page)));
        let jobs = if recommended { "jobs_total" } else { "jobs" };
        let hostile = [("queue", "a\"\\\n")];
        assert_eq!(summary.value(jobs, &hostile), Some(1.0));
        assert_eq!(summary.value("sent_bytes_total", &[]), Some(1.0));
        let level = [("level_total", "1")];
        assert_eq!(summary.value("level_total", &level), Some(-1.5));
    }
}

#[test]
fn a_counter_without_total_has_no_type_in_openmetrics_and_nothing_else_is_wrong_with_it() {
    let recorder = builder().build().unwrap();
    record(&recorder, freely_named);
    let format = Format::OpenMetricsText;
    let page = recorder.registry().encode(format);
    let complaints = judge_exposition(&page, format.content_type()).unwrap_err();
    let complaints = complaints.to_string();
    let complaints: Vec<&str> = complaints.lines().collect();
    assert_eq!(complaints.len(), 2, "{complaints:#?}");
    for (complaint, name) in complaints.iter().zip(["jobs", "ns::x"]) {
        let expected = format!("{name}: TYPE is missing");
        assert!(complaint.ends_with(&expected), "{complaint}");
    }
}

#[test]
fn a_registry_takes_one_recorder_and_so_does_a_process() {
    let recorder = builder().build().unwrap();
    let second = builder().registry(recorder.registry().clone()).build();
    assert!(matches!(second, Err(BuildError::Registry(_))));
    // Other tests record with a local recorder, which comes first.
    builder().install().unwrap();
    let second = builder().install();
    assert!(matches!(second, Err(BuildError::Installed)));
    for bounds in [&[][..], &[2.0, 1.0], &[f64::NAN], &[f64::INFINITY]] {
        let refused = builder().set_buckets(bounds).unwrap_err();
        assert!(matches!(refused, BuildError::Buckets(_)), "{refused}");
    }
}
