//! What each kind does with what it is given.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use inferometer::{
    AdditiveGauge, Counter, FloatCounter, Gauge, Histogram, Info, LabelSet, LabelValue, MetricSet,
    Registry, StateSet,
};

use crate::page;

#[derive(Clone, Copy, LabelValue)]
enum Phase {
    Loading,
    Ready,
}

#[derive(LabelSet)]
struct BySlot {
    slot: u32,
}

#[derive(LabelSet)]
struct ByName<'a> {
    #[label(limit = 1)]
    name: &'a str,
}

#[derive(MetricSet)]
struct Kinds {
    /// Counts.
    counts: Counter,
    /// Amounts.
    amounts: FloatCounter,
    /// Levels.
    level: Gauge<BySlot>,
    /// Steps.
    steps: AdditiveGauge,
    /// Sizes.
    #[metric(buckets = [0.0, 1.0])]
    sizes: Histogram,
    /// A fact.
    fact: Info<ByName<'static>>,
    /// A phase.
    phase: StateSet<Phase, BySlot>,
}

fn kinds() -> (Registry, Kinds) {
    let registry = Registry::new();
    let set = registry.register().expect("the set keeps the rules");
    (registry, set)
}

fn refused(registry: &Registry, family: &str) -> Option<f64> {
    let labels = [("family", family)];
    page::value(
        &registry.encode_text(),
        "inferometer_recordings_refused_total",
        &labels,
    )
}

fn failures(registry: &Registry, family: &str) -> Option<f64> {
    let labels = [("family", family)];
    page::value(
        &registry.encode_text(),
        "inferometer_scrape_failures_total",
        &labels,
    )
}

#[test]
fn a_counter_takes_the_largest_number_and_wraps_after_it() {
    let (registry, set) = kinds();
    set.counts.add(u64::MAX);
    assert_eq!(set.counts.get(), u64::MAX);
    assert!(
        registry
            .encode_text()
            .contains("\ncounts_total 18446744073709551615\n")
    );
    set.counts.inc();
    assert_eq!(set.counts.get(), 0);
}

#[test]
fn steps_take_the_extremes() {
    let (registry, set) = kinds();
    set.steps.add(i64::MIN);
    assert!(
        registry
            .encode_text()
            .contains("\nsteps -9223372036854775808\n")
    );
}

#[test]
fn amounts_that_are_no_increase_are_refused_and_counted() {
    let (registry, set) = kinds();
    set.amounts.add(1.5);
    for amount in [
        -1.0,
        -f64::MIN_POSITIVE,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ] {
        set.amounts.add(amount);
    }
    set.amounts.add(-0.0);
    set.amounts.add(0.0);
    assert_eq!(set.amounts.get(), 1.5);
    assert_eq!(refused(&registry, "amounts_total"), Some(5.0));
    assert_eq!(refused(&registry, "counts_total"), Some(0.0));
}

#[test]
fn observations_of_nan_are_refused_and_counted() {
    let (registry, set) = kinds();
    set.sizes.observe(f64::NAN);
    set.sizes.observe(-f64::NAN);
    set.sizes.observe(0.5);
    assert_eq!(set.sizes.get(), (1, 0.5));
    assert_eq!(refused(&registry, "sizes"), Some(2.0));
}

#[test]
fn infinite_observations_land_in_the_outer_buckets() {
    let (registry, set) = kinds();
    set.sizes.observe(f64::NEG_INFINITY);
    let page = registry.encode_text();
    assert_eq!(
        page::value(&page, "sizes_bucket", &[("le", "0.0")]),
        Some(1.0)
    );
    assert!(page.contains("\nsizes_sum -Inf\n"));

    let (registry, set) = kinds();
    set.sizes.observe(f64::INFINITY);
    set.sizes.observe_times(f64::INFINITY, 0);
    let page = registry.encode_text();
    assert_eq!(
        page::value(&page, "sizes_bucket", &[("le", "1.0")]),
        Some(0.0)
    );
    assert_eq!(
        page::value(&page, "sizes_bucket", &[("le", "+Inf")]),
        Some(1.0)
    );
    assert!(
        page.contains("\nsizes_sum +Inf\n"),
        "not at all is not infinitely little"
    );
    assert_eq!(refused(&registry, "sizes"), Some(0.0));
}

#[test]
fn a_value_on_a_bound_counts_below_it() {
    let (registry, set) = kinds();
    for value in [-0.0, 0.0, 1.0, 1.0 + f64::EPSILON] {
        set.sizes.observe(value);
    }
    let page = registry.encode_text();
    assert_eq!(
        page::value(&page, "sizes_bucket", &[("le", "0.0")]),
        Some(2.0)
    );
    assert_eq!(
        page::value(&page, "sizes_bucket", &[("le", "1.0")]),
        Some(3.0)
    );
    assert_eq!(
        page::value(&page, "sizes_bucket", &[("le", "+Inf")]),
        Some(4.0)
    );
}

#[test]
fn repeated_observations_count_each() {
    let (registry, set) = kinds();
    set.sizes.observe_times(0.25, 8);
    assert_eq!(set.sizes.get(), (8, 2.0));
    set.sizes.observe_times(0.25, u64::MAX - 8);
    set.sizes.observe_times(2.0, 5);
    let page = registry.encode_text();
    assert!(
        page.contains("\nsizes_count 18446744073709551615\n"),
        "{page}"
    );
    assert!(page.contains("\nsizes_bucket{le=\"+Inf\"} 18446744073709551615\n"));
}

#[test]
fn durations_are_seconds() {
    let (_registry, set) = kinds();
    set.sizes.observe_duration(Duration::from_millis(1_250));
    assert_eq!(set.sizes.get(), (1, 1.25));
    drop(set.sizes.start_timer());
    assert_eq!(set.sizes.get().0, 2);
}

#[test]
fn gauges_are_absent_until_set_and_after_clear() {
    let (registry, set) = kinds();
    let labels = [("slot", "1")];
    let shown = || page::value(&registry.encode_text(), "level", &labels);
    let gauge = set.level.series(BySlot { slot: 1 });
    assert_eq!((gauge.get(), shown()), (None, None));
    gauge.set(0.0);
    assert_eq!((gauge.get(), shown()), (Some(0.0), Some(0.0)));
    gauge.clear();
    assert_eq!((gauge.get(), shown()), (None, None));
}

#[test]
fn gauges_show_whatever_was_measured() {
    let (registry, set) = kinds();
    let cases: [(f64, &str); 7] = [
        (f64::NAN, "NaN"),
        (f64::INFINITY, "+Inf"),
        (f64::NEG_INFINITY, "-Inf"),
        (-0.0, "-0.0"),
        (f64::MAX, "1.7976931348623157e308"),
        (5e-324, "5e-324"),
        // The bits that mean "absent" inside.
        (f64::from_bits(0x7ff8_1fe0_ab5e_0001), "NaN"),
    ];
    for (value, printed) in cases {
        set.level.with(BySlot { slot: 1 }).set(value);
        let line = format!("\nlevel{{slot=\"1\"}} {printed}\n");
        assert!(registry.encode_text().contains(&line), "{printed}");
    }
}

#[test]
fn a_tracked_gauge_is_computed_at_each_scrape_and_refuses_to_be_set() {
    let (registry, set) = kinds();
    let gauge = set.level.series(BySlot { slot: 1 });
    gauge.set(5.0);
    let value = Arc::new(AtomicU64::new(0));
    let read = Arc::clone(&value);
    let tracking = gauge.track(move || match read.load(Relaxed) {
        0 => None,
        value => Some(f64::from_bits(value)),
    });
    let shown = || page::value(&registry.encode_text(), "level", &[("slot", "1")]);
    assert_eq!(gauge.get(), None);
    assert_eq!(shown(), None);
    value.store(7.0_f64.to_bits(), Relaxed);
    assert_eq!(shown(), Some(7.0));
    gauge.set(9.0);
    set.level.with(BySlot { slot: 1 }).set(9.0);
    assert_eq!(shown(), Some(7.0));
    assert_eq!(refused(&registry, "level"), Some(2.0));
    set.level.with(BySlot { slot: 2 }).set(9.0);
    assert_eq!(
        refused(&registry, "level"),
        Some(2.0),
        "its neighbour can be set"
    );

    drop(tracking);
    assert_eq!(shown(), None);
    gauge.set(9.0);
    assert_eq!(shown(), Some(9.0));
}

#[test]
fn the_newest_tracking_wins_and_outlives_the_older() {
    let (registry, set) = kinds();
    let gauge = set.level.series(BySlot { slot: 1 });
    let shown = || page::value(&registry.encode_text(), "level", &[("slot", "1")]);
    let older = gauge.track(|| Some(1.0));
    let newer = gauge.track(|| Some(2.0));
    assert_eq!(shown(), Some(2.0));
    drop(older);
    assert_eq!(shown(), Some(2.0));
    gauge.set(3.0);
    assert_eq!(refused(&registry, "level"), Some(1.0));
    drop(newer);
    assert_eq!(shown(), None);
}

#[test]
fn a_callback_that_panics_costs_its_own_series_only() {
    let (registry, set) = kinds();
    set.level.with(BySlot { slot: 1 }).set(1.0);
    let tracking = set
        .level
        .series(BySlot { slot: 2 })
        .track(|| panic!("no driver"));
    set.counts.inc();
    for scrape in [1.0, 2.0] {
        let page =
            catch_unwind(AssertUnwindSafe(|| registry.encode_text())).expect("a scrape goes on");
        assert_eq!(page::value(&page, "level", &[("slot", "1")]), Some(1.0));
        assert_eq!(page::value(&page, "level", &[("slot", "2")]), None);
        assert_eq!(page::value(&page, "counts_total", &[]), Some(1.0));
        assert_eq!(
            page::value(
                &page,
                "inferometer_scrape_failures_total",
                &[("family", "level")]
            ),
            Some(scrape)
        );
    }
    drop(tracking);
    assert_eq!(failures(&registry, "level"), Some(2.0));
}

#[test]
fn a_callback_may_record_and_scrape() {
    let (registry, set) = kinds();
    let (again, counts) = (registry.clone(), set.counts.clone());
    let inner = set.level.series(BySlot { slot: 1 });
    let _tracking = inner.track(move || {
        counts.inc();
        Some(again.descriptors().len() as f64)
    });
    assert_eq!(
        page::value(&registry.encode_text(), "level", &[("slot", "1")]),
        Some(14.0)
    );
    assert_eq!(set.counts.get(), 1);
}

#[test]
fn a_guard_takes_its_step_back_however_the_work_ends() {
    let (_registry, set) = kinds();
    let guard = set.steps.enter();
    assert_eq!(set.steps.get(), 1);
    let steps = set.steps.clone();
    let ended = catch_unwind(AssertUnwindSafe(move || {
        let _guard = steps.enter();
        assert_eq!(steps.get(), 2);
        panic!("the work fails");
    }));
    assert!(ended.is_err());
    assert_eq!(set.steps.get(), 1);
    drop(guard);
    assert_eq!(set.steps.get(), 0);
}

#[test]
fn the_last_fact_takes_the_place_of_the_one_before() {
    let (registry, set) = kinds();
    let facts = || -> Vec<_> {
        let samples = page::samples(&registry.encode_text());
        let facts = samples
            .into_iter()
            .filter(|sample| sample.name == "fact_info");
        facts
            .filter_map(|fact| fact.label("name").map(str::to_owned))
            .collect()
    };
    assert!(facts().is_empty());
    set.fact.set(ByName { name: "one" });
    set.fact.set(ByName {
        name: "two, beyond the limit that is no concern of a fact",
    });
    assert_eq!(
        facts(),
        ["two, beyond the limit that is no concern of a fact"]
    );
    set.fact.clear();
    assert!(facts().is_empty());
}

#[test]
fn a_state_set_is_in_one_state_at_a_time() {
    let (registry, set) = kinds();
    let state = |phase| {
        page::value(
            &registry.encode_text(),
            "phase",
            &[("slot", "4"), ("phase", phase)],
        )
    };
    let series = set.phase.series(BySlot { slot: 4 });
    assert_eq!((state("loading"), state("ready")), (None, None));
    series.set(Phase::Loading);
    assert_eq!((state("loading"), state("ready")), (Some(1.0), Some(0.0)));
    set.phase.with(BySlot { slot: 4 }).set(Phase::Ready);
    assert_eq!((state("loading"), state("ready")), (Some(0.0), Some(1.0)));
    series.clear();
    assert_eq!((state("loading"), state("ready")), (None, None));
}

#[test]
fn the_global_registry_is_one() {
    #[derive(MetricSet)]
    struct Global {
        /// Calls.
        global_calls: Counter,
    }
    let set: Global = inferometer::global().register().unwrap();
    set.global_calls.inc();
    assert!(
        inferometer::global()
            .encode_text()
            .contains("\nglobal_calls_total 1\n")
    );
}
