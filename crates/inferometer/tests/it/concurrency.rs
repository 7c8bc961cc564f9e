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

use crate::page;

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
