//! Series that go, and those that come in their place.
//!
//! Memory is freed when no thread of the process looks at anything, and the threads of other tests do: what must happen in the end is
//! waited for.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::Duration,
};

use inferometer::{
    AdditiveGauge, Counter, FloatCounter, Gauge, Histogram, IntGauge, LabelSet, LabelValue,
    MetricSet, Registry,
};

use crate::page;

#[derive(Clone, LabelSet)]
struct ByTenant {
    #[label(limit = 100_000)]
    tenant: u64,
}

#[derive(MetricSet)]
struct Rooms {
    /// Counts.
    #[metric(max_series = 10_000_000)]
    counts: Counter<ByTenant>,
    /// Amounts.
    amounts: FloatCounter<ByTenant>,
    /// Steps.
    steps: AdditiveGauge<ByTenant>,
    /// Levels.
    levels: Gauge<ByTenant>,
    /// Sizes.
    #[metric(buckets = [1.0, 2.0], native)]
    sizes: Histogram<ByTenant>,
}

fn rooms() -> (Registry, Rooms) {
    let registry = Registry::new();
    let set = registry.register().expect("the set keeps the rules");
    (registry, set)
}

/// The number of series in a scrape.
fn series(registry: &Registry, family: &str) -> usize {
    let snapshot = registry.snapshot();
    snapshot
        .family(family)
        .map_or(0, |family| family.series.len())
}

/// Calls until so many have gone.
fn until(many: usize, mut removed: impl FnMut() -> usize) {
    let mut gone = 0;
    while gone < many {
        gone += removed();
        thread::yield_now();
    }
    assert_eq!(gone, many);
}

fn dropped(registry: &Registry, family: &str) -> Option<f64> {
    let labels = [("family", family), ("label", "tenant")];
    page::value(
        &registry.encode_text(),
        "inferometer_label_values_dropped_total",
        &labels,
    )
}

#[test]
fn what_takes_the_place_of_a_removed_series_begins_at_zero() {
    let (registry, set) = rooms();
    for tenant in 0..2_000 {
        let labels = || ByTenant { tenant };
        let (counts, sizes) = (set.counts.series(labels()), set.sizes.series(labels()));
        assert_eq!((counts.get(), sizes.get()), (0, (0, 0.0)));
        assert_eq!(set.amounts.with(labels()).get(), 0.0);
        assert_eq!(set.steps.with(labels()).get(), 0);
        assert_eq!(set.levels.with(labels()).get(), None);
        counts.add(tenant + 1);
        // Octave after octave, so that blocks of native buckets come and go as well.
        sizes.observe(f64::from(u32::try_from(tenant).unwrap()).exp2().min(1e300));
        set.amounts.with(labels()).add(0.5);
        set.steps.with(labels()).inc();
        set.levels.with(labels()).set(1.0);
        assert_eq!((counts.get(), sizes.get().0), (tenant + 1, 1));
        drop((counts, sizes));
        assert!(set.counts.remove(labels()) && set.sizes.remove(labels()));
        assert!(set.amounts.remove(labels()) && set.steps.remove(labels()));
        assert!(set.levels.remove(labels()));
        assert!(!set.counts.remove(labels()), "it is gone");
    }
    for family in ["counts_total", "amounts_total", "steps", "levels", "sizes"] {
        assert_eq!(series(&registry, family), 0, "{family}");
    }
    assert_eq!(dropped(&registry, "counts_total"), Some(0.0));
}

#[test]
fn a_handle_that_is_kept_never_writes_into_another_series() {
    let (registry, set) = rooms();
    let stop = AtomicBool::new(false);
    let late = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..3_u64 {
            let (set, stop, late) = (&set, &stop, &late);
            scope.spawn(move || {
                let mut kept = VecDeque::new();
                let mut next = 0;
                while !stop.load(Relaxed) {
                    next += 1;
                    let labels = || ByTenant {
                        tenant: 1_000_000 * (thread + 1) + next % 50,
                    };
                    let series = set.counts.series(labels());
                    series.inc();
                    set.counts.remove(labels());
                    kept.push_back((series, 1));
                    if kept.len() > 40 {
                        kept.pop_front();
                    }
                    // All are gone, and each is still the only writer of its own.
                    for (series, written) in &mut kept {
                        series.add(1_000_000_000);
                        *written += 1_000_000_000;
                        assert_eq!(series.get(), *written);
                        late.fetch_add(1, Relaxed);
                    }
                }
            });
        }
        let failed = std::panic::catch_unwind(|| {
            for round in 0..300 {
                let tenants = round * 10..round * 10 + 10;
                for tenant in tenants.clone() {
                    let found = set.counts.with(ByTenant { tenant });
                    assert_eq!(found.get(), 0, "of a new series");
                    found.add(tenant + 1);
                }
                for tenant in tenants.clone() {
                    assert_eq!(set.counts.with(ByTenant { tenant }).get(), tenant + 1);
                }
                for tenant in tenants {
                    assert!(set.counts.remove(ByTenant { tenant }));
                }
            }
            while late.load(Relaxed) < 1_000 {
                thread::yield_now();
            }
        });
        stop.store(true, Relaxed);
        if let Err(failure) = failed {
            std::panic::resume_unwind(failure);
        }
    });
    drop(registry);
}

#[test]
fn a_reference_that_is_held_keeps_the_place_of_its_series_from_others() {
    let (registry, set) = rooms();
    let held = set.counts.with(ByTenant { tenant: 0 });
    held.add(7);
    assert!(set.counts.remove(ByTenant { tenant: 0 }));
    for tenant in 1..500 {
        let other = set.counts.with(ByTenant { tenant });
        assert_eq!(other.get(), 0);
        other.add(tenant);
        held.add(1_000_000);
        assert_eq!(other.get(), tenant);
        drop(other);
        if tenant % 2 == 0 {
            assert!(set.counts.remove(ByTenant { tenant }));
        }
    }
    assert_eq!(held.get(), 7 + 499 * 1_000_000);
    drop(held);
    for tenant in (1..500).step_by(2) {
        assert_eq!(set.counts.with(ByTenant { tenant }).get(), tenant);
    }
    // The same labels make a new series.
    assert_eq!(set.counts.with(ByTenant { tenant: 0 }).get(), 0);
    assert_eq!(series(&registry, "counts_total"), 251);
}

#[test]
fn as_many_references_as_one_likes_may_be_held_at_a_time() {
    let (_registry, set) = rooms();
    set.counts.with(ByTenant { tenant: 0 }).inc();
    // More than sixteen bits, on one thread.
    let held: Vec<_> = (0..70_000)
        .map(|_| set.counts.with(ByTenant { tenant: 0 }))
        .collect();
    assert!(set.counts.remove(ByTenant { tenant: 0 }));
    for tenant in 1..200 {
        set.counts.with(ByTenant { tenant }).inc();
        assert!(set.counts.remove(ByTenant { tenant }));
    }
    let others: Vec<_> = (1_000..1_200)
        .map(|tenant| set.counts.series(ByTenant { tenant }))
        .collect();
    for reference in &held {
        reference.inc();
    }
    assert!(others.iter().all(|other| other.get() == 0));
}

#[test]
fn memory_of_removed_series_is_used_again_though_a_reference_was_held_for_a_while() {
    #[derive(MetricSet)]
    struct Few {
        /// Counts.
        #[metric(max_series = 64)]
        counts: Counter<ByTenant>,
    }
    let registry = Registry::new();
    let set: Few = registry.register().unwrap();
    for round in 0..200 {
        let held = set.counts.with(ByTenant { tenant: 0 });
        for tenant in 1..20 {
            let tenant = round * 20 + tenant;
            set.counts.with(ByTenant { tenant }).inc();
            set.counts.remove(ByTenant { tenant });
        }
        drop(held);
    }
    // What is removed and not freed takes a place: were it never freed, the family would stay full.
    let mut next = 1_000_000;
    loop {
        let before = dropped(&registry, "counts_total");
        for tenant in next..next + 50 {
            set.counts.with(ByTenant { tenant }).inc();
        }
        for tenant in next..next + 50 {
            set.counts.remove(ByTenant { tenant });
        }
        next += 50;
        if dropped(&registry, "counts_total") == before {
            break;
        }
        thread::yield_now();
    }
}

#[test]
fn only_what_is_idle_and_nobodys_is_removed() {
    let (registry, set) = rooms();
    let never = Duration::ZERO;
    let kept = set.counts.series(ByTenant { tenant: 1 });
    set.counts.with(ByTenant { tenant: 2 }).inc();
    set.counts.with(ByTenant { tenant: 3 });
    let removed = |idle| set.counts.remove_idle(idle);
    assert_eq!(
        removed(never),
        0,
        "a series goes in the second call at best"
    );
    until(2, || removed(never));
    for _ in 0..4 {
        assert_eq!(removed(never), 0, "somebody has the one that is left");
    }
    assert_eq!(series(&registry, "counts_total"), 1);
    kept.inc();
    drop(kept);
    assert_eq!(removed(never), 0, "it was recorded to");
    for _ in 0..4 {
        assert_eq!(removed(Duration::from_secs(3600)), 0, "not long enough");
    }
    assert_eq!(set.counts.with(ByTenant { tenant: 1 }).get(), 1);
    until(1, || removed(never));
    assert_eq!(series(&registry, "counts_total"), 0);

    set.steps.with(ByTenant { tenant: 1 }).inc();
    for _ in 0..4 {
        assert_eq!(set.steps.remove_idle(never), 0, "a step is still in flight");
    }
    set.steps.with(ByTenant { tenant: 1 }).dec();
    until(1, || set.steps.remove_idle(never));
}

#[test]
fn an_idle_series_comes_back_from_zero_with_its_next_recording() {
    #[derive(MetricSet)]
    struct Passing {
        /// Counts.
        #[metric(idle = Duration::ZERO)]
        counts: Counter<ByTenant>,
        /// Levels.
        #[metric(idle = Duration::ZERO)]
        levels: IntGauge<ByTenant>,
    }
    let registry = Registry::new();
    let set: Passing = registry.register().unwrap();
    for round in 0..20 {
        set.counts.with(ByTenant { tenant: 1 }).add(round + 1);
        set.levels.with(ByTenant { tenant: 1 }).set(5);
        let page = registry.encode_text();
        for (name, value) in [("counts_total", round as f64 + 1.0), ("levels", 5.0)] {
            assert_eq!(page::value(&page, name, &[("tenant", "1")]), Some(value));
        }
        while series(&registry, "counts_total") + series(&registry, "levels") > 0 {
            thread::yield_now();
        }
    }
}

#[test]
fn a_callback_may_scrape_and_remove_series_of_its_own_family() {
    #[derive(MetricSet)]
    struct Nested {
        /// Counts.
        counts: Counter<ByTenant>,
        /// Computed.
        computed: Gauge<ByTenant>,
    }
    let registry = Registry::new();
    let set: Nested = registry.register().unwrap();
    let depth = std::sync::Arc::new(AtomicU64::new(0));
    let (counts, computed, inner) = (set.counts.clone(), set.computed.clone(), registry.clone());
    let tracked = set.computed.series(ByTenant { tenant: 0 });
    let tracking = tracked.track(move || {
        let entered = depth.fetch_add(1, Relaxed);
        if entered == 0 {
            // While this scrape walks the family: others go, others come, and the series removes itself.
            for tenant in 1..100 {
                computed.with(ByTenant { tenant }).set(tenant as f64);
                counts.with(ByTenant { tenant }).inc();
            }
            let nested = inner.encode_text();
            assert!(nested.contains("\ncounts_total{tenant=\"99\"} "));
            for tenant in 0..100 {
                computed.remove(ByTenant { tenant });
                counts.remove(ByTenant { tenant });
            }
            counts.remove_idle(Duration::ZERO);
        }
        depth.fetch_sub(1, Relaxed);
        Some(entered as f64)
    });
    for _ in 0..20 {
        let page = registry.encode_text();
        assert!(page.ends_with('\n'));
    }
    assert_eq!(
        page::value(
            &registry.encode_text(),
            "inferometer_scrape_failures_total",
            &[("family", "computed")]
        ),
        Some(0.0)
    );
    drop(tracking);
    assert_eq!(series(&registry, "computed"), 0);
}

#[test]
fn a_label_value_may_record_to_the_family_that_it_is_removed_from() {
    struct Curious<'a>(&'a dyn Fn());

    impl LabelValue for Curious<'_> {
        const VALUES: Option<&'static [&'static str]> = None;

        fn index(&self) -> usize {
            0
        }

        fn with_text(&self, take: &mut dyn FnMut(&str)) {
            (self.0)();
            take("curious");
        }
    }

    #[derive(LabelSet)]
    struct ByWho<'a> {
        who: Curious<'a>,
    }

    #[derive(MetricSet)]
    struct Asked {
        /// Counts.
        counts: Counter<ByWho<'static>>,
    }

    let registry = Registry::new();
    let set: Asked = registry.register().unwrap();
    let nothing = || ();
    let record = || {
        set.counts
            .with(ByWho {
                who: Curious(&nothing),
            })
            .inc();
    };
    set.counts
        .with(ByWho {
            who: Curious(&record),
        })
        .inc();
    let found = set
        .counts
        .with(ByWho {
            who: Curious(&nothing),
        })
        .get();
    assert!(found > 1, "the value's own code has recorded too: {found}");
    assert!(set.counts.remove(ByWho {
        who: Curious(&record)
    }));
    assert_eq!(series(&registry, "counts_total"), 0);
}
