//! Families that are declared at run time, and whose labels are found out.

use std::{thread, time::Duration};

use inferometer::{
    Counter, Format, MetricSet, NativeBuckets, Point, Registry, Rule,
    dynamic::{Counters, Declaration, FloatCounters, Gauges, Histograms, NO_HELP},
};

fn counters(registry: &Registry, declaration: Declaration) -> Counters {
    Counters::declare(registry, declaration).expect("the name is free")
}

/// The value of one series, by the text of its line up to the space.
fn value(registry: &Registry, line: &str) -> Option<f64> {
    let page = registry.encode_text();
    page.lines()
        .find_map(|one| one.strip_prefix(line)?.strip_prefix(' ')?.parse().ok())
}

fn lines(registry: &Registry, name: &str) -> Vec<String> {
    let page = registry.encode_text();
    let samples = page
        .lines()
        .filter(|line| line.starts_with(name) && line[name.len()..].starts_with(['{', ' ']));
    samples.map(str::to_owned).collect()
}

#[test]
fn the_order_of_labels_makes_no_difference_and_names_may_differ_from_series_to_series() {
    let registry = Registry::new();
    let family = counters(&registry, Declaration::new("x"));
    family.with(&[("b", "2"), ("a", "1")]).inc();
    family.with(&[("a", "1"), ("b", "2")]).inc();
    family.with(&[("c", "3")]).inc();
    family.with::<&str, &str>(&[]).inc();
    family.with(&[("c", "4"), ("c", "3")]).inc();
    assert_eq!(
        lines(&registry, "x"),
        [r#"x{a="1",b="2"} 2"#, r#"x{c="3"} 2"#, "x 1"]
    );
    let names: Vec<_> = family.descriptor().labels.into_iter().collect();
    let names: Vec<_> = names.iter().map(|label| &*label.name).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn every_kind_records_through_its_ordinary_handle() {
    let registry = Registry::new();
    let declare = |name: &str| Declaration::new(name);
    let joules = FloatCounters::declare(&registry, declare("joules")).unwrap();
    joules.series(&[("device", "0")]).add(0.5);
    let depth = Gauges::declare(&registry, declare("depth")).unwrap();
    depth.with(&[("queue", "a")]).set(2.0);
    let seconds = declare("seconds").buckets([0.1, 1.0]).unit("seconds");
    let seconds = Histograms::declare(&registry, seconds).unwrap();
    seconds.with(&[("stage", "a")]).observe(0.5);
    let native = declare("native").native(NativeBuckets::new());
    let native = Histograms::declare(&registry, native).unwrap();
    native.with(&[("stage", "a")]).observe(0.5);

    assert_eq!(value(&registry, r#"joules{device="0"}"#), Some(0.5));
    assert_eq!(value(&registry, r#"depth{queue="a"}"#), Some(2.0));
    let bucket = r#"seconds_bucket{stage="a",le="1.0"}"#;
    assert_eq!(value(&registry, bucket), Some(1.0));
    let snapshot = registry.snapshot();
    let Some(Point::Histogram(point)) = snapshot.family("native").unwrap().point("stage=\"a\"")
    else {
        panic!("the native histogram has a point");
    };
    assert_eq!(point.native.as_ref().unwrap().count(), 1);
}

#[test]
fn a_name_that_is_taken_or_is_none_is_refused() {
    #[derive(MetricSet)]
    #[expect(dead_code, reason = "declared only")]
    struct Ours {
        /// Requests.
        requests: Counter,
    }

    let registry = Registry::new();
    let _: Ours = registry.register().unwrap();
    for name in [
        "requests_total",
        "requests",
        "requests_created",
        "inferometer_series",
    ] {
        let refused = Gauges::declare(&registry, Declaration::new(name)).unwrap_err();
        assert!(
            matches!(refused.rule(), Rule::Collision { .. }),
            "{refused}"
        );
        assert_eq!(refused.metric(), name);
    }
    for name in ["", "1a", "a b", "ü", "a\n"] {
        let refused = Counters::declare(&registry, Declaration::new(name)).unwrap_err();
        assert_eq!(refused.rule(), &Rule::MetricName, "{name:?}");
    }
    // The other way about, too.
    let registry = Registry::new();
    let _kept = counters(&registry, Declaration::new("requests"));
    assert!(matches!(
        registry.register::<Ours>().map(|_| ()).unwrap_err().rule(),
        Rule::Collision { .. }
    ));
    let twice = Counters::declare(&registry, Declaration::new("requests"));
    assert!(twice.unwrap_err().to_string().contains("declared already"));
}

#[test]
fn names_that_are_another_librarys_habit_are_taken_as_they_are() {
    let registry = Registry::new();
    for name in ["jobs", "jobs_created", "job:runs", ":a", "subtotal"] {
        counters(&registry, Declaration::new(name))
            .with(&[("a", "1")])
            .inc();
        assert_eq!(lines(&registry, name), [format!("{name}{{a=\"1\"}} 1")]);
    }
    let gauge = Gauges::declare(&registry, Declaration::new("level_total")).unwrap();
    gauge.with(&[("a", "1")]).set(1.0);
    let page = String::from_utf8(registry.encode(Format::OpenMetricsText)).unwrap();
    assert!(page.contains("# TYPE jobs unknown\n"), "{page}");
    assert!(page.contains("# TYPE level_total gauge\n"), "{page}");
}

#[test]
fn histograms_without_buckets_or_with_unsorted_ones_are_refused() {
    let registry = Registry::new();
    let bounds: [&[f64]; 4] = [&[], &[2.0, 1.0], &[1.0, 1.0], &[1.0, f64::INFINITY]];
    for bounds in bounds {
        let declaration = Declaration::new("h").buckets(bounds);
        let refused = Histograms::declare(&registry, declaration).unwrap_err();
        assert!(matches!(refused.rule(), Rule::Buckets(_)), "{refused}");
        assert!(!refused.to_string().contains("#["), "{refused}");
    }
}

#[test]
fn values_beyond_the_limit_become_other_and_are_counted_exactly() {
    let registry = Registry::new();
    let family = counters(&registry, Declaration::new("x").max_values(3));
    for value in 0..100 {
        let value = value.to_string();
        family
            .with(&[("user", value.as_str()), ("kind", "a")])
            .inc();
    }
    family.with(&[("user", "other"), ("kind", "a")]).inc();
    assert_eq!(value(&registry, r#"x{kind="a",user="other"}"#), Some(98.0));
    assert_eq!(lines(&registry, "x").len(), 4);
    let dropped = r#"inferometer_label_values_dropped_total{family="x",label="#;
    assert_eq!(
        value(&registry, &format!("{dropped}\"user\"}}")),
        Some(97.0)
    );
    assert_eq!(value(&registry, &format!("{dropped}\"kind\"}}")), Some(0.0));
    assert!(family.contains(&[("kind", "a"), ("user", "2")]));
    assert!(!family.contains(&[("kind", "a"), ("user", "3")]));
}

#[test]
fn a_value_that_is_too_long_becomes_other() {
    let registry = Registry::new();
    let family = counters(&registry, Declaration::new("x"));
    family.with(&[("a", "v".repeat(1025))]).inc();
    family.with(&[("a", "v".repeat(1024))]).inc();
    assert_eq!(value(&registry, r#"x{a="other"}"#), Some(1.0));
    assert_eq!(lines(&registry, "x").len(), 2);
    let dropped = r#"inferometer_label_values_dropped_total{family="x",label="a"}"#;
    assert_eq!(value(&registry, dropped), Some(1.0));
}

#[test]
fn labels_with_names_that_are_none_or_reserved_or_too_many_are_left_out_and_counted() {
    let registry = Registry::new();
    let declaration = Declaration::new("h").buckets([1.0]).max_labels(2);
    let family = Histograms::declare(&registry, declaration).unwrap();
    for name in ["", "a b", "__name__", "le", "1", "ü", "a\"} 1\nx{b"] {
        family.with(&[(name, "1"), ("kept", "1")]).observe(1.0);
    }
    family.with(&[("second", "1"), ("kept", "1")]).observe(1.0);
    family.with(&[("third", "1"), ("kept", "1")]).observe(1.0);
    assert_eq!(
        lines(&registry, "h_count"),
        [
            r#"h_count{kept="1"} 8"#,
            r#"h_count{kept="1",second="1"} 1"#
        ]
    );
    let left_out = r#"inferometer_labels_dropped_total{family="h"}"#;
    assert_eq!(value(&registry, left_out), Some(8.0));
    // `le` is only a histogram's.
    let family = counters(&registry, Declaration::new("x"));
    family.with(&[("le", "1")]).inc();
    assert_eq!(lines(&registry, "x"), [r#"x{le="1"} 1"#]);
}

#[test]
fn a_family_stays_within_its_series_whatever_its_labels_are_called() {
    let registry = Registry::new();
    let declaration = Declaration::new("x").max_series(4).max_labels(3);
    let family = counters(&registry, declaration);
    let names = ["a", "b", "c", "d"];
    let mut recorded = 0;
    for value in 0..50 {
        for set in 0..16 {
            let labels: Vec<_> = (0..4)
                .filter(|bit| set & (1 << bit) != 0)
                .map(|bit| (names[bit], value.to_string()))
                .collect();
            family.with(&labels).inc();
            recorded += 1;
        }
    }
    let lines = lines(&registry, "x");
    assert!(lines.len() <= 4 + 3 + 1, "{lines:#?}");
    let sum: u64 = lines
        .iter()
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(sum, recorded, "{lines:#?}");
}

#[test]
fn what_is_said_later_shows_in_the_next_scrape() {
    let registry = Registry::new();
    let family = counters(&registry, Declaration::new("wait").help(" "));
    family.with(&[("a", "1")]).inc();
    assert!(
        registry
            .encode_text()
            .starts_with(&format!("# HELP wait {NO_HELP}\n"))
    );
    family.describe("Time that was waited.", Some("seconds".into()));
    family.describe("", Some("seconds".into()));
    assert!(
        registry
            .encode_text()
            .starts_with("# HELP wait Time that was waited.\n")
    );

    family.rename("wait_seconds_total").unwrap();
    let page = String::from_utf8(registry.encode(Format::OpenMetricsText)).unwrap();
    assert!(
        page.starts_with(
            "# TYPE wait_seconds counter\n# UNIT wait_seconds seconds\n# HELP wait_seconds Time that was waited.\n\
             wait_seconds_total{a=\"1\"} 1\n"
        ),
        "{page}"
    );
    // The former name is free, the new one isn't.
    let second = Gauges::declare(&registry, Declaration::new("wait")).unwrap();
    second.rename("wait_seconds").unwrap_err();
    second.rename("a b").unwrap_err();
    assert_eq!(second.descriptor().name, "wait");
    family.rename("wait").unwrap_err();
    assert_eq!(family.descriptor().name, "wait_seconds_total");
    second.rename("wait").unwrap();
}

#[test]
fn a_disabled_registry_makes_no_series() {
    let registry = Registry::disabled();
    let family = counters(&registry, Declaration::new("x"));
    family.with(&[("a", "1")]).inc();
    family.series(&[("a", "1")]).inc();
    assert!(lines(&registry, "x").is_empty());
    assert!(!family.contains(&[("a", "1")]));
}

#[test]
fn series_go_by_hand_and_by_idle_time_and_leave_room() {
    let registry = Registry::new();
    let family = counters(&registry, Declaration::new("x").max_values(1));
    family.with(&[("a", "1")]).inc();
    assert!(family.remove(&[("a", "1")]) && !family.remove(&[("a", "1")]));
    let kept = family.series(&[("a", "2")]);
    kept.inc();
    while family.remove_idle(Duration::ZERO) > 0 {}
    assert_eq!(lines(&registry, "x"), [r#"x{a="2"} 1"#]);
    drop(kept);
    // The first round condemns, a later one removes when no thread can be looking at it any more.
    while family.remove_idle(Duration::ZERO) == 0 {
        thread::yield_now();
    }
    family.with(&[("a", "3")]).inc();
    assert_eq!(lines(&registry, "x"), [r#"x{a="3"} 1"#]);
}

#[test]
fn a_scrape_removes_what_is_idle_where_the_declaration_says_so() {
    let registry = Registry::new();
    let family = counters(&registry, Declaration::new("x").idle(Duration::ZERO));
    family.with(&[("a", "1")]).inc();
    while !lines(&registry, "x").is_empty() {
        thread::yield_now();
    }
    family.with(&[("a", "1")]).inc();
    assert_eq!(lines(&registry, "x"), [r#"x{a="1"} 1"#]);
}

#[test]
fn every_increment_counts_once_while_series_come_and_scrapes_go_on() {
    const THREADS: u64 = 4;
    const TURNS: u64 = 5_000;
    let registry = Registry::new();
    let family = counters(
        &registry,
        Declaration::new("x").max_values(50).max_series(300),
    );
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let family = &family;
            scope.spawn(move || {
                for turn in 0..TURNS {
                    let user = (turn * (thread + 1) % 97).to_string();
                    let node = (turn % 7).to_string();
                    match turn % 3 {
                        0 => family.with(&[("user", user)]).inc(),
                        1 => family.series(&[("user", user), ("node", node)]).inc(),
                        _ => family.with(&[("node", node), ("user", user)]).inc(),
                    }
                }
            });
        }
        for _ in 0..20 {
            registry.encode_text();
        }
    });
    let lines = lines(&registry, "x");
    let sum: u64 = lines
        .iter()
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(sum, THREADS * TURNS);
    // 50 users and `other` without a node, and with each of 7.
    assert!(lines.len() <= 51 * 8, "{}", lines.len());
}

#[test]
fn additions_to_a_gauge_are_exact_from_any_number_of_threads() {
    let registry = Registry::new();
    let family = Gauges::declare(&registry, Declaration::new("g")).unwrap();
    let gauge = family.series(&[("a", "1")]);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    gauge.add(2.0);
                    gauge.add(-1.0);
                }
            });
        }
    });
    assert_eq!(gauge.get(), Some(40_000.0));
    gauge.clear();
    assert_eq!(gauge.get(), None);
    gauge.add(-0.5);
    assert_eq!(gauge.get(), Some(-0.5));
    let tracking = gauge.track(|| Some(7.0));
    gauge.add(1.0);
    assert_eq!(value(&registry, r#"g{a="1"}"#), Some(7.0));
    let refused = r#"inferometer_recordings_refused_total{family="g"}"#;
    assert_eq!(value(&registry, refused), Some(1.0));
    drop(tracking);
    gauge.add(1.0);
    assert_eq!(gauge.get(), Some(1.0));
}
