//! Recording from many threads while scraping.

use std::{
    collections::HashMap,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use inferometer::{
    AdditiveGauge, Counter, FloatCounter, Format, Histogram, LabelSet, MetricSet, Registry,
};

use crate::{page, scraper::Scraper};

#[derive(LabelSet)]
struct BySlot {
    #[label(limit = 40)]
    slot: u64,
}

#[derive(MetricSet)]
struct Busy {
    /// Counts.
    counts: Counter,
    /// Counts by slot.
    slots: Counter<BySlot>,
    /// Amounts.
    amounts: FloatCounter,
    /// Steps.
    steps: AdditiveGauge,
    /// Sizes.
    #[metric(buckets = [1.0, 2.0, 4.0])]
    sizes: Histogram,
}

const THREADS: u64 = 12;
const ROUNDS: u64 = 20_000;

#[test]
fn what_threads_record_is_conserved_and_no_counter_falls_while_scraping() {
    let registry = Registry::new();
    let set: Busy = registry.register().unwrap();
    let done = AtomicBool::new(false);
    let start = Barrier::new(usize::try_from(THREADS).unwrap() + 1);
    thread::scope(|scope| {
        let scraper = scope.spawn(|| {
            start.wait();
            let mut last: HashMap<(String, Vec<(String, String)>), f64> = HashMap::new();
            let mut scrapes = 0;
            while !done.load(Relaxed) {
                let page = page::of(&registry, Format::OpenMetricsText);
                let samples = page::samples(&page);
                let infinite = [("le".to_owned(), "+Inf".to_owned())];
                let whole = |name| samples.iter().find(|sample| sample.name == name).unwrap();
                let bucket = samples
                    .iter()
                    .find(|sample| sample.name == "sizes_bucket" && sample.labels == infinite);
                assert_eq!(whole("sizes_count").value, bucket.unwrap().value);
                for sample in samples {
                    if sample.name.ends_with("_total") || sample.name.starts_with("sizes") {
                        let now = sample.number();
                        let series = (sample.name, sample.labels);
                        if let Some(before) = last.insert(series.clone(), now) {
                            assert!(now >= before, "{series:?} fell from {before} to {now}");
                        }
                    }
                }
                scrapes += 1;
            }
            scrapes
        });
        let writers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (set, start) = (&set, &start);
                scope.spawn(move || {
                    start.wait();
                    for round in 0..ROUNDS {
                        set.counts.inc();
                        set.slots
                            .with(BySlot {
                                slot: (thread * ROUNDS + round) % 64,
                            })
                            .inc();
                        set.amounts.add(0.5);
                        let _guard = set.steps.enter();
                        set.sizes.observe((round % 5) as f64);
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Relaxed);
        assert!(scraper.join().unwrap() > 0);
    });

    let all = THREADS * ROUNDS;
    assert_eq!(set.counts.get(), all);
    assert_eq!(set.amounts.get(), all as f64 / 2.0);
    assert_eq!(set.steps.get(), 0);
    assert_eq!(set.sizes.get(), (all, (all * 2) as f64));
    let page = registry.encode_text();
    assert_eq!(
        page::value(&page, "sizes_bucket", &[("le", "2.0")]),
        Some((all / 5 * 3) as f64)
    );

    let slots: Vec<_> = page::samples(&page)
        .into_iter()
        .filter(|sample| sample.name == "slots_total")
        .collect();
    assert_eq!(slots.len(), 41, "forty, and `other`");
    assert_eq!(
        slots.iter().map(page::Sample::number).sum::<f64>(),
        all as f64
    );
    let other = page::value(&page, "slots_total", &[("slot", "other")]);
    let dropped = page::value(
        &page,
        "inferometer_label_values_dropped_total",
        &[("family", "slots_total"), ("label", "slot")],
    );
    assert_eq!(
        other, dropped,
        "each drop is counted once, whichever thread it was on"
    );
}

#[test]
fn registering_and_scraping_at_once_shows_whole_sets_only() {
    #[derive(MetricSet)]
    struct Pair<const N: usize> {
        /// One.
        #[metric(name = "pair_one")]
        one: AdditiveGauge,
        /// Two.
        #[metric(name = "pair_two")]
        two: AdditiveGauge,
    }
    for _ in 0..200 {
        let registry = Registry::new();
        thread::scope(|scope| {
            let register = || {
                registry
                    .register::<Pair<0>>()
                    .map(|pair| (pair.one.inc(), pair.two.inc()))
                    .is_ok()
            };
            let first = scope.spawn(register);
            let second = scope.spawn(register);
            let snapshot = registry.snapshot();
            let pair = ["pair_one", "pair_two"].map(|name| snapshot.family(name).is_some());
            assert!(pair == [true; 2] || pair == [false; 2]);
            let won = [first, second].map(|thread| thread.join().unwrap());
            assert_ne!(
                won[0], won[1],
                "exactly one of two equal sets is registered"
            );
        });
    }
}

#[test]
fn limits_hold_and_what_is_dropped_is_counted_exactly_when_threads_race() {
    #[derive(LabelSet)]
    struct ByPair {
        #[label(limit = 12)]
        left: u64,
        #[label(limit = 9)]
        right: u64,
    }
    #[derive(MetricSet)]
    struct Pairs {
        /// Counts.
        #[metric(max_series = 40)]
        counts: Counter<ByPair>,
    }
    const THREADS: u64 = 8;
    const ROUNDS: u64 = 4_000;
    let registry = Registry::new();
    let set: Pairs = registry.register().unwrap();
    let start = Barrier::new(usize::try_from(THREADS).unwrap());
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (set, start) = (&set, &start);
            scope.spawn(move || {
                start.wait();
                for round in 0..ROUNDS {
                    let at = round * 31 + thread * 7;
                    let (left, right) = (at % 17, at % 13);
                    set.counts.with(ByPair { left, right }).inc();
                }
            });
        }
        let mut scraper = Scraper::new(Format::PrometheusText);
        for _ in 0..20 {
            scraper.scrape(&registry);
        }
    });
    let page = registry.encode_text();
    let samples: Vec<_> = page::samples(&page)
        .into_iter()
        .filter(|sample| sample.name == "counts_total")
        .collect();
    let all: f64 = samples.iter().map(page::Sample::number).sum();
    assert_eq!(all, (THREADS * ROUNDS) as f64);
    let mixed = |sample: &&page::Sample| sample.labels.iter().any(|(_, value)| value == "other");
    let beyond = samples.iter().filter(mixed).count();
    assert!(samples.len() - beyond <= 40, "{}", samples.len());
    for (label, limit) in [("left", 12), ("right", 9)] {
        let mut values: Vec<_> = samples
            .iter()
            .filter_map(|sample| sample.label(label))
            .collect();
        values.sort_unstable();
        values.dedup();
        assert!(values.len() <= limit + 1, "{label}: {values:?}");
        let other: f64 = samples
            .iter()
            .filter(|sample| sample.label(label) == Some("other"))
            .map(page::Sample::number)
            .sum();
        let counted = page::value(
            &page,
            "inferometer_label_values_dropped_total",
            &[("family", "counts_total"), ("label", label)],
        );
        assert_eq!(counted, Some(other), "{label}");
    }
}

#[test]
fn a_limit_has_room_again_for_each_series_that_is_removed_while_threads_race() {
    #[derive(LabelSet)]
    struct ByFew {
        #[label(limit = 64)]
        tenant: u64,
    }
    #[derive(MetricSet)]
    struct Few {
        /// Counts.
        counts: Counter<ByFew>,
    }
    let registry = Registry::new();
    let set: Few = registry.register().unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            let set = &set;
            scope.spawn(move || {
                // Never more than one value a thread at a time, of which two threads have the same.
                for round in 0..2_000 {
                    let labels = || ByFew {
                        tenant: thread / 2 * 10_000 + round,
                    };
                    set.counts.with(labels()).inc();
                    set.counts.remove(labels());
                }
            });
        }
    });
    for tenant in (0..2_000).chain(10_000..12_000) {
        set.counts.remove(ByFew { tenant });
    }
    let series = || {
        registry
            .snapshot()
            .family("counts_total")
            .unwrap()
            .series
            .len()
    };
    assert_eq!(series(), 0);
    for tenant in 0..64 {
        set.counts.with(ByFew { tenant }).inc();
    }
    assert_eq!(series(), 64, "every value's place was given back");
    let dropped = page::value(
        &registry.encode_text(),
        "inferometer_label_values_dropped_total",
        &[("family", "counts_total"), ("label", "tenant")],
    );
    assert_eq!(dropped, Some(0.0));
}
