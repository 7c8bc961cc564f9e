//! The same program against both exporters.

use inferometer_bridge::{Matcher, builder};
use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{Matcher as TheirMatcher, PrometheusBuilder};
use std::time::Duration;

use crate::page::both;

/// What libraries do, as far as both exporters mean the same by it.
fn program() {
    describe_counter!("http.requests", "Requests, by \"verb\".\nAnd path.");
    for (verb, path) in [("GET", "/"), ("PUT", "/a"), ("GET", "/")] {
        counter!("http.requests", "verb" => verb, "path" => path.to_owned()).increment(1);
        counter!("http.requests", "path" => path.to_owned(), "verb" => verb).increment(2);
    }
    counter!("http.requests").increment(7);
    counter!("bytes_total").absolute(10);
    counter!("bytes_total").absolute(5);
    counter!("bytes_total").increment(3);
    let kept = counter!("bytes_total");
    kept.absolute(20);
    let never = counter!("never_moved", "a" => "b");
    drop(never);
    counter!("huge").increment(u64::MAX);

    describe_gauge!("depth", Unit::Count, "Messages.");
    gauge!("depth", "queue" => "a").set(3.5);
    gauge!("depth", "queue" => "a").increment(2.0);
    gauge!("depth", "queue" => "a").decrement(0.25);
    gauge!("depth", "queue" => "b").decrement(4);
    let zero = gauge!("depth", "queue" => "untouched");
    drop(zero);
    gauge!("odd_values", "is" => "inf").set(f64::INFINITY);
    gauge!("odd_values", "is" => "-inf").set(f64::NEG_INFINITY);
    gauge!("odd_values", "is" => "small").set(1e-300);

    // Sums that are exact in any order; what isn't stands alone.
    for value in [0.0625, 0.5, 1.0, 7.0, -1.0] {
        histogram!("wait.seconds", "stage" => "a").record(value);
    }
    for (stage, value) in [("low", 0.05), ("bound", 0.1), ("above", 0.100_000_1)] {
        histogram!("wait.seconds", "stage" => stage).record(value);
    }
    histogram!("wait.seconds", "stage" => "b").record(Duration::from_millis(500));
    histogram!("wait.seconds", "stage" => "c").record_many(0.75, 5);
    describe_histogram!("wait.seconds", Unit::Seconds, "Time in the queue.");
    let empty = histogram!("wait.seconds", "stage" => "empty");
    drop(empty);

    for name in ["1st", "a-b", "ns::mod::x", "ü", "with space", ":"] {
        counter!(name).increment(1);
    }
    for value in [
        "",
        " ",
        "\"",
        "a\"b",
        "\n",
        "a\nb",
        r"a\b",
        r"\",
        "{x=\"1\"}",
        "ü",
        "🦀",
        "a,b",
        "le",
        "\t",
        "\u{0}",
        "other",
    ] {
        counter!("hostile", "value" => value).increment(1);
        counter!("hostile", "odd name!" => value, "9" => "x", "b" => value).increment(1);
    }
}

#[test]
fn the_same_program_makes_the_same_page() {
    let (ours, theirs) = both(
        builder().set_buckets(&[0.1, 1.0, 5.0]).unwrap(),
        PrometheusBuilder::new()
            .set_buckets(&[0.1, 1.0, 5.0])
            .unwrap(),
        program,
    );
    assert_eq!(ours.samples, theirs.samples);
    assert_eq!(ours.types, theirs.types);
    for (name, help) in &theirs.helps {
        assert_eq!(ours.helps.get(name), Some(help), "{name}");
    }
    assert_eq!(theirs.helps.len(), 3);
    assert!(ours.samples.len() > 60, "{}", ours.samples.len());
}

#[test]
fn the_same_program_makes_the_same_page_with_recommended_names() {
    let program = || {
        program();
        describe_gauge!("memory", Unit::Bytes, "Memory.");
        gauge!("memory").set(1.0);
        describe_counter!("sent_total", Unit::Kibibytes, "Sent.");
        counter!("sent_total").increment(1);
        describe_counter!("sent_more", Unit::Milliseconds, "Sent.");
        counter!("sent_more").increment(1);
        describe_gauge!("load", Unit::Percent, "Load.");
        gauge!("load").set(0.5);
        counter!("subtotal").increment(1);
        // Said after the first recording: both rename the metric.
        histogram!("late").record(1.0);
        describe_histogram!("late", Unit::Seconds, "Late.");
        counter!("late_too", "a" => "b").increment(1);
        describe_counter!("late_too", Unit::Bytes, "Late.");
    };
    let (ours, theirs) = both(
        builder()
            .set_buckets(&[1.0])
            .unwrap()
            .with_recommended_naming(true),
        PrometheusBuilder::new()
            .set_buckets(&[1.0])
            .unwrap()
            .with_recommended_naming(true),
        program,
    );
    assert_eq!(ours.samples, theirs.samples);
    assert_eq!(ours.types, theirs.types);
    assert!(ours.types.contains_key("late_too_bytes_total"));
    for (name, help) in &theirs.helps {
        assert_eq!(ours.helps.get(name), Some(help), "{name}");
    }
}

#[test]
fn global_labels_stand_on_every_series_and_give_way_to_its_own() {
    let program = || {
        counter!("x").increment(1);
        counter!("x", "zone" => "here").increment(1);
        gauge!("y", "a" => "b").set(1.0);
    };
    let (ours, theirs) = both(
        builder()
            .add_global_label("zone", "first")
            .add_global_label("zone", "there")
            .add_global_label("node id", "7"),
        PrometheusBuilder::new()
            .add_global_label("zone", "first")
            .add_global_label("zone", "there")
            .add_global_label("node id", "7"),
        program,
    );
    assert_eq!(ours.samples, theirs.samples);
    assert_eq!(
        ours.value("x", &[("zone", "there"), ("node_id", "7")]),
        Some(1.0)
    );
}

#[test]
fn buckets_are_chosen_by_the_same_rules() {
    let program = || {
        for name in ["a.b.c", "a.b", "z.c", "a.z", "q"] {
            histogram!(name).record(3.0);
        }
    };
    let full = || "a.b.c".to_owned();
    let (prefix, suffix) = (|| "a.".to_owned(), || ".c".to_owned());
    let ours = builder()
        .set_buckets_for_metric(Matcher::Suffix(suffix()), &[1.0, 2.0])
        .and_then(|ours| ours.set_buckets_for_metric(Matcher::Prefix(prefix()), &[2.0, 3.0]))
        .and_then(|ours| ours.set_buckets_for_metric(Matcher::Full(full()), &[4.0]))
        .and_then(|ours| ours.set_buckets(&[10.0]))
        .unwrap();
    let theirs = PrometheusBuilder::new()
        .set_buckets_for_metric(TheirMatcher::Suffix(suffix()), &[1.0, 2.0])
        .and_then(|all| all.set_buckets_for_metric(TheirMatcher::Prefix(prefix()), &[2.0, 3.0]))
        .and_then(|all| all.set_buckets_for_metric(TheirMatcher::Full(full()), &[4.0]))
        .and_then(|all| all.set_buckets(&[10.0]))
        .unwrap();
    let (ours, theirs) = both(ours, theirs, program);
    assert_eq!(ours.samples, theirs.samples);
    assert_eq!(ours.types, theirs.types);
    assert_eq!(ours.value("a_b_bucket", &[("le", "3")]), Some(1.0));
}
