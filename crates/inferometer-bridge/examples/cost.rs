//! What one macro costs, here and with `metrics-exporter-prometheus`, in nanoseconds of CPU time:
//!
//! ```text
//! cargo run --release -p inferometer-bridge --example cost
//! ```
//!
//! The two take turns; each figure is the median of the rounds, with the lowest and the highest. Sums are checked after each round.
#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::{hint::black_box, thread};

use inferometer_bridge::{Recorder, builder};
use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use rustix::time::{ClockId, clock_gettime};

const ROUNDS: usize = 9;
const BOUNDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0,
];

type Work = fn(u64, &[String]);

fn main() {
    let rows: [(&str, Work, &str); 7] = [
        (
            r#"counter!("x").increment(1)"#,
            |turns, _| (0..turns).for_each(|_| counter!("x").increment(1)),
            "x",
        ),
        (
            r#"counter!("x", "a" => "v").increment(1), all literals"#,
            |turns, _| (0..turns).for_each(|_| counter!("x", "a" => "v").increment(1)),
            "x",
        ),
        (
            r#"counter!("x", "a" => value).increment(1), 100 strings"#,
            |turns, values| {
                for value in values.iter().cycle().take(count(turns)) {
                    counter!("x", "a" => value.clone()).increment(1);
                }
            },
            "x",
        ),
        (
            r#"counter!("x", "a" => value).increment(1), another each time"#,
            |turns, _| {
                (0..turns).for_each(|turn| counter!("x", "a" => turn.to_string()).increment(1));
            },
            "x",
        ),
        (
            r#"gauge!("x", "a" => "v").increment(1.0)"#,
            |turns, _| (0..turns).for_each(|_| gauge!("x", "a" => "v").increment(1.0)),
            "x",
        ),
        (
            r#"histogram!("x", "a" => "v").record(0.2), 14 bounds"#,
            |turns, _| (0..turns).for_each(|_| histogram!("x", "a" => "v").record(0.2)),
            "x_count",
        ),
        (
            "a counter's handle that is kept: increment(1)",
            |turns, _| {
                let counter = counter!("x", "a" => "v");
                (0..turns).for_each(|_| black_box(&counter).increment(1));
            },
            "x",
        ),
    ];
    println!("| ns per use | threads | here | metrics-exporter-prometheus | ratio |");
    println!("|---|---|---|---|---|");
    for (name, work, total) in rows {
        for threads in [1, 2] {
            compare(name, work, total, threads);
        }
    }
}

fn count(turns: u64) -> usize {
    usize::try_from(turns).unwrap_or(usize::MAX)
}

fn compare(name: &str, work: Work, total: &str, threads: u64) {
    let values: Vec<String> = (0..100).map(|at| format!("value-{at}")).collect();
    let turns = 400_000;
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let ours = ours();
        here.push(time(&ours, work, threads, turns, &values));
        check(&ours.registry().encode_text(), total, threads * turns);
        let theirs = theirs();
        there.push(time(&theirs, work, threads, turns, &values));
        check(&theirs.handle().render(), total, threads * turns);
    }
    let (here, there) = (Spread::of(here), Spread::of(there));
    let ratio = there.median / here.median;
    println!("| `{name}` | {threads} | {here} | {there} | {ratio:.1} |");
}

fn ours() -> Recorder {
    let builder = builder().set_buckets(&BOUNDS);
    builder
        .and_then(inferometer_bridge::Builder::build)
        .expect("the bounds rise, and the registry is new")
}

fn theirs() -> PrometheusRecorder {
    let builder = PrometheusBuilder::new().set_buckets(&BOUNDS);
    builder.expect("there are bounds").build_recorder()
}

/// Nanoseconds of CPU time for each use.
fn time<R: metrics::Recorder + Sync>(
    recorder: &R,
    work: Work,
    threads: u64,
    turns: u64,
    values: &[String],
) -> f64 {
    let alone = || {
        let start = cpu_time();
        metrics::with_local_recorder(recorder, || work(turns, values));
        cpu_time() - start
    };
    let spent: f64 = thread::scope(|scope| {
        let started: Vec<_> = (0..threads).map(|_| scope.spawn(alone)).collect();
        let spent = started
            .into_iter()
            .map(|thread| thread.join().expect("the work can't fail"));
        spent.sum()
    });
    spent / (threads * turns) as f64
}

/// What this thread has used of a core, in nanoseconds.
fn cpu_time() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

fn check(page: &str, total: &str, expected: u64) {
    let samples = page.lines().filter(|line| {
        line.strip_prefix(total)
            .is_some_and(|rest| rest.starts_with(['{', ' ']))
    });
    let sum: f64 = samples
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum();
    assert!((sum - expected as f64).abs() < 0.5, "{sum} of {expected}");
}

struct Spread {
    median: f64,
    low: f64,
    high: f64,
}

impl Spread {
    fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        Self {
            median: figures[figures.len() / 2],
            low: figures[0],
            high: figures[figures.len() - 1],
        }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { median, low, high } = self;
        write!(f, "{median:.1} ({low:.1}–{high:.1})")
    }
}
