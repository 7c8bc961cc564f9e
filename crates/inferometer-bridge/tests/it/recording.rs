//! What handles do that the macros give.

use std::{thread, time::Duration};

use inferometer::{Kind, NativeBuckets, Point, Registry};
use inferometer_bridge::{DEFAULT_BUCKETS, Matcher, Recorder, builder};
use metrics::{counter, gauge, histogram};

use crate::page::Page;

fn with<T>(recorder: &Recorder, program: impl FnOnce() -> T) -> T {
    metrics::with_local_recorder(recorder, program)
}

#[test]
fn histograms_without_buckets_have_the_usual_ones() {
    let recorder = builder().build().unwrap();
    with(&recorder, || histogram!("wait").record(0.3));
    let page = Page::of(&recorder);
    assert_eq!(page.types["wait"], "histogram");
    assert_eq!(page.all("wait_bucket").len(), DEFAULT_BUCKETS.len() + 1);
    assert_eq!(page.value("wait_bucket", &[("le", "0.25")]), Some(0.0));
    assert_eq!(page.value("wait_bucket", &[("le", "0.5")]), Some(1.0));
}

#[test]
fn native_buckets_stand_beside_the_bounds_that_are_named() {
    let recorder = builder()
        .native(NativeBuckets::new())
        .and_then(|all| all.set_buckets_for_metric(Matcher::Prefix("both".into()), &[1.0]))
        .and_then(|all| {
            let coarse = NativeBuckets::new().schema(0);
            all.set_native_histogram_for_metric(Matcher::Suffix("coarse".into()), coarse)
        })
        .unwrap()
        .build()
        .unwrap();
    with(&recorder, || {
        for name in ["fine", "both.coarse"] {
            histogram!(name).record_many(3.0, 4);
        }
    });
    let snapshot = recorder.registry().snapshot();
    let point = |name: &str| match snapshot.family(name).unwrap().point("") {
        Some(Point::Histogram(point)) => point.as_ref().clone(),
        other => panic!("{name}: {other:?}"),
    };
    let (fine, both) = (point("fine"), point("both_coarse"));
    assert_eq!(both.counts, [0, 4]);
    assert_eq!(fine.native.as_ref().unwrap().schema, 3);
    let native = both.native.unwrap();
    assert_eq!((native.schema, native.count()), (0, 4));
}

#[test]
fn a_counter_never_falls_to_an_absolute_value() {
    let recorder = builder().build().unwrap();
    let counter = with(&recorder, || counter!("x"));
    thread::scope(|scope| {
        for thread in 0..4_u64 {
            let counter = &counter;
            scope.spawn(move || {
                for value in 0..1_000 {
                    counter.absolute(value * 4 + thread);
                }
            });
        }
    });
    assert_eq!(Page::of(&recorder).value("x", &[]), Some(3_999.0));
    counter.increment(1);
    counter.absolute(4_000);
    counter.absolute(0);
    assert_eq!(Page::of(&recorder).value("x", &[]), Some(4_000.0));
}

#[test]
fn nan_is_refused_and_counted() {
    let recorder = builder().build().unwrap();
    with(&recorder, || {
        histogram!("h").record(f64::NAN);
        histogram!("h").record(1.0);
    });
    let page = Page::of(&recorder);
    assert_eq!(page.value("h_sum", &[]), Some(1.0));
    let refused = page.value("inferometer_recordings_refused_total", &[("family", "h")]);
    assert_eq!(refused, Some(1.0));
}

#[test]
fn an_idle_series_goes_and_its_kept_handle_makes_it_anew() {
    let kinds = [Kind::Counter, Kind::Histogram];
    let recorder = builder()
        .idle_timeout(&kinds, Some(Duration::ZERO))
        .build()
        .unwrap();
    let (counter, histogram) = with(&recorder, || {
        gauge!("stays").set(1.0);
        (counter!("goes", "a" => "1"), histogram!("goes_too"))
    });
    counter.increment(5);
    histogram.record(1.0);
    loop {
        let page = Page::of(&recorder);
        if page.all("goes").is_empty() && page.all("goes_too_count").is_empty() {
            break;
        }
        thread::yield_now();
    }
    counter.increment(2);
    histogram.record_many(1.0, 3);
    let page = Page::of(&recorder);
    assert_eq!(page.value("goes", &[("a", "1")]), Some(2.0));
    assert_eq!(page.value("goes_too_count", &[]), Some(3.0));
    assert_eq!(page.value("stays", &[]), Some(1.0));
    counter.absolute(9);
    with(&recorder, || counter!("goes", "a" => "1").increment(1));
    assert_eq!(Page::of(&recorder).value("goes", &[("a", "1")]), Some(10.0));
}

#[test]
fn without_an_idle_timeout_nothing_goes() {
    let recorder = builder()
        .idle_timeout(&[Kind::Counter, Kind::Gauge], Some(Duration::ZERO))
        .idle_timeout(&[Kind::Counter, Kind::Gauge], None)
        .build()
        .unwrap();
    with(&recorder, || counter!("stays").increment(1));
    for _ in 0..10 {
        assert_eq!(Page::of(&recorder).value("stays", &[]), Some(1.0));
    }
}

#[test]
fn a_disabled_registry_records_nothing() {
    let recorder = builder().registry(Registry::disabled()).build().unwrap();
    with(&recorder, || {
        counter!("x").increment(1);
        gauge!("y").set(1.0);
        histogram!("z").record(1.0);
    });
    assert!(Page::of(&recorder).foreign().samples.is_empty());
}
