//! A process that is forked while its threads record.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "there is no safe way to fork")]

use std::{
    env, panic,
    process::Command,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use inferometer::{Counter, Format, Histogram, LabelSet, MetricSet, Registry};

use crate::scraper::Scraper;

const INSIDE: &str = "INFEROMETER_TEST_FORKS";

#[derive(LabelSet)]
struct ByTenant {
    #[label(limit = 100_000)]
    tenant: u64,
}

#[derive(MetricSet)]
struct Work {
    /// Counts.
    counts: Counter,
    /// Counts by tenant.
    #[metric(max_series = 64)]
    tenants: Counter<ByTenant>,
    /// Sizes.
    #[metric(buckets = [1.0, 2.0])]
    sizes: Histogram,
}

impl Work {
    fn record(&self, tenant: u64) {
        self.counts.inc();
        self.tenants.with(ByTenant { tenant }).inc();
        self.sizes.observe(1.5);
    }
}

/// Forks need a process whose other threads are known: one of another test could hold a lock.
#[test]
fn a_forked_child_and_its_parent_go_on_with_what_was_there() {
    if env::var_os(INSIDE).is_some() {
        return forks();
    }
    let name = "fork::a_forked_child_and_its_parent_go_on_with_what_was_there";
    let output = Command::new(env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(INSIDE, "yes")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{errors}");
    assert!(printed.contains("1 passed"), "{printed}");
}

fn forks() {
    const CHILDREN: u64 = 20;
    let registry = Registry::new();
    let work: Work = registry.register().expect("the set keeps the rules");
    for tenant in 0..4 {
        work.record(tenant);
    }
    let (stop, ready) = (AtomicBool::new(false), Barrier::new(4));
    let recorded = thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|thread| {
                let (work, stop, ready) = (&work, &stop, &ready);
                scope.spawn(move || {
                    // One of them is pinned whenever a child is made: nobody unpins it there.
                    let held = (thread == 0).then(|| work.tenants.with(ByTenant { tenant: 0 }));
                    let mut recorded = 0;
                    ready.wait();
                    while !stop.load(Relaxed) {
                        work.record(thread);
                        recorded += 1;
                    }
                    drop(held);
                    recorded
                })
            })
            .collect();
        ready.wait();
        let mut scraper = Scraper::new(Format::OpenMetricsText);
        let failed = panic::catch_unwind(panic::AssertUnwindSafe(|| {
            for _ in 0..CHILDREN {
                scraper.scrape(&registry);
                // SAFETY: the other threads hold no locks, and the child calls nothing that one of them may have been in.
                match unsafe { libc::fork() } {
                    0 => {
                        let done = panic::catch_unwind(panic::AssertUnwindSafe(|| {
                            in_child(&registry, &work, &mut scraper);
                        }));
                        // SAFETY: nothing is to be run after it.
                        unsafe { libc::_exit(if done.is_ok() { 7 } else { 1 }) };
                    }
                    child => {
                        assert!(child > 0, "no child: {}", std::io::Error::last_os_error());
                        let mut status = 0;
                        // SAFETY: the status is ours to be written to.
                        let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
                        assert_eq!(waited, child);
                        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7);
                    }
                }
            }
        }));
        stop.store(true, Relaxed);
        let recorded: u64 = threads
            .into_iter()
            .map(|thread| thread.join().expect("it only records"))
            .sum();
        if let Err(failure) = failed {
            panic::resume_unwind(failure);
        }
        recorded
    });
    assert_eq!(work.counts.get(), recorded + 4, "no child counts here");
    assert_eq!(work.sizes.get().0, recorded + 4);
    Scraper::new(Format::PrometheusText).scrape(&registry);
}

fn in_child(registry: &Registry, work: &Work, scraper: &mut Scraper) {
    // The other threads aren't there, and what they had counted is.
    let (before, sizes) = (work.counts.get(), work.sizes.get().0);
    assert!(before >= 4);
    assert_eq!(work.counts.get(), before);
    for round in 0..500 {
        work.record(round % 4);
    }
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for round in 0..500 {
                    work.record(round % 4);
                }
            });
        }
    });
    assert_eq!(work.counts.get(), before + 1_500);
    assert_eq!(work.sizes.get().0, sizes + 1_500);
    // Were the thread that was pinned waited for, the family would fill up with what is gone.
    for tenant in 10..1_000 {
        let found = work.tenants.with(ByTenant { tenant });
        assert_eq!(found.get(), 0);
        found.inc();
        drop(found);
        assert!(work.tenants.remove(ByTenant { tenant }), "{tenant}");
    }
    scraper.scrape(registry);
    for format in Format::ALL {
        Scraper::new(format).scrape(registry);
    }
}
