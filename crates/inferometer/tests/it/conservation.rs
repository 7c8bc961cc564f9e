//! Every increment is counted once, whichever thread makes it and however long the thread lives.

use std::{
    cell::RefCell,
    sync::{
        Arc, Barrier, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
};

use inferometer::{
    AdditiveGauge, Counter, FloatCounter, Format, Gauge, Histogram, InFlight, LabelSet, LabelValue,
    MetricSet, Registry, set_thread_shards,
};

use crate::scraper::Scraper;

#[derive(Clone, Copy, LabelValue)]
enum Side {
    Left,
    Right,
}

#[derive(Clone, LabelSet)]
struct BySide {
    side: Side,
}

#[derive(Clone, LabelSet)]
struct ByTenant {
    tenant: u64,
}

#[derive(Clone, MetricSet)]
struct Work {
    /// Counts.
    counts: Counter,
    /// Counts by side.
    sides: Counter<BySide>,
    /// Counts by tenant.
    tenants: Counter<ByTenant>,
    /// Amounts.
    amounts: FloatCounter,
    /// Steps.
    steps: AdditiveGauge,
    /// Sizes.
    #[metric(buckets = [1.0, 2.0, 4.0], native)]
    sizes: Histogram,
    /// Sizes by tenant.
    #[metric(native)]
    tenant_sizes: Histogram<ByTenant>,
}

impl Work {
    /// One recording of each.
    fn record(&self, number: u64) {
        self.counts.inc();
        let side = [Side::Left, Side::Right][usize::from(number % 2 == 1)];
        self.sides.with(BySide { side }).inc();
        let tenant = number % 7;
        self.tenants.with(ByTenant { tenant }).add(2);
        self.amounts.add(0.25);
        let _guard = self.steps.enter();
        self.sizes.observe((number % 5) as f64);
        self.tenant_sizes
            .with(ByTenant { tenant })
            .observe(1.0 + number as f64);
    }

    fn holds(&self, recorded: u64) {
        assert_eq!(self.counts.get(), recorded);
        let sides = [Side::Left, Side::Right].map(|side| self.sides.with(BySide { side }).get());
        assert_eq!(sides[0] + sides[1], recorded);
        let tenants = (0..7).map(|tenant| self.tenants.with(ByTenant { tenant }).get());
        assert_eq!(tenants.sum::<u64>(), 2 * recorded);
        assert_eq!(self.amounts.get(), recorded as f64 / 4.0);
        assert_eq!(self.steps.get(), 0);
        assert_eq!(self.sizes.get().0, recorded);
        let sizes = (0..7).map(|tenant| self.tenant_sizes.with(ByTenant { tenant }).get().0);
        assert_eq!(sizes.sum::<u64>(), recorded);
    }
}

/// Runs `work` while a thread for each format scrapes and judges what it sees; a last scrape comes after.
fn scraped<T>(registry: &Registry, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for format in Format::ALL {
            let done = &done;
            scope.spawn(move || {
                let mut scraper = Scraper::new(format);
                while !done.load(Relaxed) {
                    scraper.scrape(registry);
                }
                scraper.scrape(registry);
            });
        }
        // Even a failure ends the scraping.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Relaxed);
        result.unwrap_or_else(|failure| std::panic::resume_unwind(failure))
    })
}

#[test]
fn threads_that_come_and_go_leave_what_they_recorded() {
    const WAVES: u64 = 12;
    const THREADS: u64 = 25;
    const ROUNDS: u64 = 40;
    // Far fewer than the threads, so that some own their memory and some share it.
    set_thread_shards(6);
    let registry = Registry::new();
    let work: Work = registry.register().unwrap();
    scraped(&registry, || {
        for wave in 0..WAVES {
            thread::scope(|scope| {
                for thread in 0..THREADS {
                    let work = &work;
                    scope.spawn(move || {
                        for round in 0..ROUNDS {
                            work.record(wave + thread * ROUNDS + round);
                        }
                    });
                }
            });
            work.holds((wave + 1) * THREADS * ROUNDS);
        }
    });
    work.holds(WAVES * THREADS * ROUNDS);
    set_thread_shards(0);
}

#[test]
fn what_a_thread_records_while_it_ends_is_counted() {
    static WORK: OnceLock<Work> = OnceLock::new();

    struct Recording;

    impl Drop for Recording {
        fn drop(&mut self) {
            let work = WORK.get().expect("it was set before a thread began");
            for number in 0..10 {
                work.record(number);
            }
        }
    }

    thread_local! {
        static BEFORE: Recording = const { Recording };
        static AFTER: Recording = const { Recording };
    }

    let registry = Registry::new();
    let work = WORK.get_or_init(|| registry.register().unwrap());
    scraped(&registry, || {
        for _ in 0..10 {
            thread::scope(|scope| {
                for number in 0..10 {
                    scope.spawn(move || {
                        // Destructors run in some order around that of the thread's own memory.
                        BEFORE.with(|_| ());
                        if number % 2 == 0 {
                            work.record(number);
                            AFTER.with(|_| ());
                        }
                    });
                }
            });
        }
    });
    // Of ten threads, five end with one destructor, and five record once and end with two. The scope waits for the
    // closures alone, so the last destructors may still be running.
    let expected = 10 * (5 * 10 + 5 * (1 + 20));
    while work.counts.get() < expected {
        thread::yield_now();
    }
    while work.steps.get() != 0 || work.tenant_sizes_count() < expected {
        thread::yield_now();
    }
    work.holds(expected);
}

impl Work {
    /// The last that is recorded of each.
    fn tenant_sizes_count(&self) -> u64 {
        (0..7)
            .map(|tenant| self.tenant_sizes.with(ByTenant { tenant }).get().0)
            .sum()
    }
}

#[test]
fn a_reference_that_outlives_the_memory_of_its_thread_harms_nobody() {
    static WORK: OnceLock<Work> = OnceLock::new();
    thread_local! {
        static HELD: RefCell<Vec<inferometer::CounterRef<'static>>> = const { RefCell::new(Vec::new()) };
    }

    let registry = Registry::new();
    let work = WORK.get_or_init(|| registry.register().unwrap());
    let ended = Arc::new(AtomicU64::new(0));
    for wave in 0..20 {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                thread::spawn(move || {
                    let hold = |tenant| {
                        let found = work.tenants.with(ByTenant { tenant });
                        found.add(2);
                        HELD.with_borrow_mut(|held| held.push(found));
                    };
                    // The place for what is held is made before the thread's memory, or after it.
                    if thread % 2 == 0 {
                        HELD.with_borrow(Vec::len);
                    }
                    hold(wave % 7);
                    hold(thread % 7);
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
            ended.fetch_add(2, Relaxed);
        }
        for tenant in 0..7 {
            work.tenants.remove(ByTenant {
                tenant: 100 + tenant,
            });
            work.tenants
                .with(ByTenant {
                    tenant: 100 + tenant,
                })
                .inc();
        }
    }
    let tenants = (0..7).map(|tenant| work.tenants.with(ByTenant { tenant }).get());
    assert_eq!(tenants.sum::<u64>(), 2 * ended.load(Relaxed));
}

#[test]
fn tasks_that_move_between_workers_are_counted_once() {
    const TASKS: u64 = 200;
    const ROUNDS: u64 = 25;
    set_thread_shards(2);
    let registry = Registry::new();
    let work: Work = registry.register().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .build()
        .unwrap();
    let moved = scraped(&registry, || {
        runtime.block_on(async {
            let tasks: Vec<_> = (0..TASKS)
                .map(|task| {
                    let work = work.clone();
                    tokio::spawn(async move {
                        let mut moved = 0;
                        let tenant = work.tenants.series(ByTenant { tenant: task % 7 });
                        for round in 0..ROUNDS {
                            let before = thread::current().id();
                            let guard: InFlight = work.steps.enter();
                            tenant.inc();
                            // Who waits for a thread beyond the workers goes on wherever there is time.
                            let elsewhere = tenant.clone();
                            tokio::task::spawn_blocking(move || elsewhere.inc())
                                .await
                                .unwrap();
                            moved += u64::from(before != thread::current().id());
                            drop(guard);
                            work.counts.inc();
                            work.sides
                                .with(BySide {
                                    side: [Side::Left, Side::Right][usize::from(round % 2 == 1)],
                                })
                                .inc();
                            work.amounts.add(0.25);
                            work.sizes.observe((round % 5) as f64);
                            work.tenant_sizes
                                .with(ByTenant { tenant: round % 7 })
                                .observe(1.0);
                        }
                        moved
                    })
                })
                .collect();
            let mut moved = 0;
            for task in tasks {
                moved += task.await.unwrap();
            }
            moved
        })
    });
    work.holds(TASKS * ROUNDS);
    assert!(moved > 0, "no task has moved, so nothing was tried");
    set_thread_shards(0);
}

#[test]
fn the_totals_of_512_threads_alive_are_exact() {
    const THREADS: usize = 512;
    const TENANTS: u64 = 64;
    #[derive(MetricSet)]
    struct Many {
        /// Counts.
        counts: Counter<ByTenant>,
        /// Sizes.
        #[metric(buckets = [1.0, 2.0])]
        sizes: Histogram<ByTenant>,
    }
    let registry = Registry::new();
    let set: Many = registry.register().unwrap();
    let handles: Vec<_> = (0..TENANTS)
        .map(|tenant| {
            (
                set.counts.series(ByTenant { tenant }),
                set.sizes.series(ByTenant { tenant }),
            )
        })
        .collect();
    let recorded = Barrier::new(THREADS + 1);
    let looked = Barrier::new(THREADS + 1);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let (handles, recorded, looked) = (&handles, &recorded, &looked);
            thread::Builder::new()
                .stack_size(128 << 10)
                .spawn_scoped(scope, move || {
                    for (amount, (count, size)) in (0..).zip(handles) {
                        count.add(amount);
                        size.observe(1.5);
                    }
                    recorded.wait();
                    looked.wait();
                })
                .unwrap();
        }
        recorded.wait();
        // All are alive.
        for (tenant, (count, size)) in (0..).zip(&handles) {
            assert_eq!(count.get(), THREADS as u64 * tenant);
            assert_eq!(size.get(), (THREADS as u64, THREADS as f64 * 1.5));
        }
        looked.wait();
    });
}

#[test]
fn a_thread_that_is_born_and_ends_within_a_scrape_is_counted() {
    #[derive(MetricSet)]
    struct Nested {
        /// Births.
        births: Counter,
        /// Births by tenant.
        tenants: Counter<ByTenant>,
        /// What bears them.
        mother: Gauge,
        /// Comes after.
        after: Counter,
    }
    let registry = Registry::new();
    let set: Nested = registry.register().unwrap();
    let (births, tenants, after) = (set.births.clone(), set.tenants.clone(), set.after.clone());
    let _tracking = set.mother.track(move || {
        thread::scope(|scope| {
            scope.spawn(|| {
                births.inc();
                let tenant = births.get() % 3;
                tenants.with(ByTenant { tenant }).inc();
                after.inc();
            });
        });
        Some(1.0)
    });
    let scrapes = 30;
    scraped(&registry, || {
        let mut scraper = Scraper::new(Format::OpenMetricsText);
        for _ in 0..scrapes {
            scraper.scrape(&registry);
        }
    });
    let births = set.births.get();
    assert!(births > scrapes, "the other scrapers' count, too");
    assert_eq!(set.after.get(), births);
    let tenants = (0..3).map(|tenant| set.tenants.with(ByTenant { tenant }).get());
    assert_eq!(tenants.sum::<u64>(), births);
}

#[test]
fn of_series_that_come_and_go_by_themselves_every_increment_was_shown() {
    const IDLE: std::time::Duration = std::time::Duration::from_millis(2);
    #[derive(MetricSet)]
    struct Passing {
        /// Counts.
        #[metric(idle = IDLE)]
        counts: Counter<ByTenant>,
        /// Sizes.
        #[metric(buckets = [1.0, 8.0], native, idle = IDLE)]
        sizes: Histogram<ByTenant>,
    }
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 3_000;
    let registry = Registry::new();
    let set: Passing = registry.register().unwrap();
    let running = AtomicU64::new(THREADS);
    let gone = AtomicU64::new(0);
    let shown = thread::scope(|scope| {
        for thread in 0..THREADS {
            let (set, running, gone) = (&set, &running, &gone);
            scope.spawn(move || {
                // Threads end now and then, and their memory goes to the next.
                for part in 0..30 {
                    thread::scope(|scope| {
                        scope.spawn(|| {
                            for round in 0..ROUNDS / 30 {
                                let tenant = (part * 5 + thread + round / 20) % 50;
                                set.counts.with(ByTenant { tenant }).inc();
                                set.sizes.with(ByTenant { tenant }).observe(round as f64);
                                let kept = set.counts.series(ByTenant {
                                    tenant: tenant + 50,
                                });
                                kept.inc();
                                drop(kept);
                                if round % 25 == 0 {
                                    // The scraper must come by, or nothing would ever be idle.
                                    let before = gone.load(Relaxed);
                                    for _ in 0..200 {
                                        if gone.load(Relaxed) != before {
                                            break;
                                        }
                                        thread::yield_now();
                                    }
                                }
                            }
                        });
                    });
                }
                running.fetch_sub(1, Relaxed);
            });
        }
        // One scraper: what it has seen last of a series is what the series ended with.
        let mut scraper = Scraper::new(Format::Protobuf);
        let mut last = false;
        loop {
            let before = scraper.present();
            scraper.scrape(&registry);
            gone.fetch_add(u64::from(scraper.present() < before), Relaxed);
            if last {
                break;
            }
            last = running.load(Relaxed) == 0;
        }
        scraper
    });
    let recorded = (THREADS * (ROUNDS / 30) * 30) as f64;
    let totals = shown.totals();
    assert_eq!(totals["counts_total"], 2.0 * recorded);
    assert_eq!(totals["sizes"], recorded);
    assert!(
        shown.incarnations("counts_total") > 100,
        "no series has ever gone: {} were seen",
        shown.incarnations("counts_total")
    );
}
