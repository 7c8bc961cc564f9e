//! What it costs to watch for drift: a value on the way into a window, and a window when it is judged.
//!
//! ```text
//! cargo bench -p inferometer-quality --bench drift -- [--rounds 20] [--rows 1000000]
//! ```
//!
//! A row has 8 features, and is handed over with the time it was served at. Each figure is the median of the rounds, with the least and the
//! most. Without arguments it runs briefly, to show that it works.

#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]

use std::{
    hint::black_box,
    thread,
    time::{Instant, SystemTime},
};

use fastrand::Rng;
use inferometer_quality::drift::{DriftMonitor, Reference, Value, WindowOptions};

const FEATURES: usize = 8;
const NAMES: [&str; 5] = ["fair", "good", "very good", "premium", "ideal"];

type Row = [Value<'static>; FEATURES];

fn main() {
    let (mut rounds, mut rows) = (2, 20_000);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || {
            arguments
                .next()
                .and_then(|value| value.parse::<usize>().ok())
        };
        match argument.as_str() {
            "--rounds" => rounds = number().expect("--rounds takes a number").max(1),
            "--rows" => rows = number().expect("--rows takes a number").max(1_000),
            _ => {}
        }
    }
    let numbers: fn(&mut Rng) -> Row = |random| [0; FEATURES].map(|_| Value::Number(random.f64()));
    let categories: fn(&mut Rng) -> Row =
        |random| [0; FEATURES].map(|_| Value::Category(NAMES[random.usize(..NAMES.len())]));
    for (name, row) in [("numbers", numbers), ("categories", categories)] {
        let per_value = |threads: usize| (rows / threads * threads * FEATURES) as f64;
        for window in [1_000, u64::MAX] {
            let monitor = monitor(row, window);
            let times = times(rounds, || observe(&monitor, row, rows, 1));
            let kind = if window == 1_000 {
                "windows of 1,000"
            } else {
                "one window, sampled"
            };
            show(&format!("{name}, {kind}: a value"), &times, per_value(1));
        }
        let monitor = monitor(row, 1_000);
        let times = times(rounds, || observe(&monitor, row, rows, 2));
        show(
            &format!("{name}, windows of 1,000, two threads: a value"),
            &times,
            per_value(2),
        );
        judge(name, row, rounds);
    }
}

fn monitor(row: fn(&mut Rng) -> Row, window: u64) -> DriftMonitor {
    let mut random = Rng::with_seed(1);
    let mut builder = Reference::builder("v1");
    for index in 0..FEATURES {
        let kind = match row(&mut random)[index] {
            Value::Category(_) => inferometer_quality::drift::Kind::Categorical,
            Value::Number(_) | Value::Missing => inferometer_quality::drift::Kind::Numeric,
        };
        builder = builder.column(format!("feature {index}"), kind);
    }
    for _ in 0..10_000 {
        builder
            .push(&row(&mut random))
            .expect("a row has all features");
    }
    let now = SystemTime::now();
    let reference = builder.freeze(now).expect("there are rows");
    let options = WindowOptions {
        rows: Some(window),
        ..WindowOptions::default()
    };
    DriftMonitor::new(reference.into(), options, now)
}

/// Seconds that `rows` rows take. Windows are dropped when they are full: another thread would judge them.
fn observe(monitor: &DriftMonitor, row: fn(&mut Rng) -> Row, rows: usize, threads: usize) -> f64 {
    let mut random = Rng::with_seed(2);
    let prepared: Vec<Row> = (0..4_096).map(|_| row(&mut random)).collect();
    let now = SystemTime::now();
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for row in prepared.iter().cycle().take(rows / threads) {
                    drop(black_box(monitor.observe(black_box(row), now)));
                }
            });
        }
    });
    began.elapsed().as_secs_f64()
}

fn judge(name: &str, row: fn(&mut Rng) -> Row, rounds: usize) {
    let monitor = monitor(row, 1_000);
    let mut random = Rng::with_seed(3);
    let now = SystemTime::now();
    let times = times(rounds * 10, || {
        let window = loop {
            if let Some(window) = monitor.observe(&row(&mut random), now) {
                break window;
            }
        };
        let began = Instant::now();
        black_box(monitor.judge(window));
        began.elapsed().as_secs_f64()
    });
    show(
        &format!("{name}: judging a window of 1,000, a feature"),
        &times,
        FEATURES as f64,
    );
}

fn times(rounds: usize, mut round: impl FnMut() -> f64) -> Vec<f64> {
    let mut times: Vec<_> = (0..rounds).map(|_| round()).collect();
    times.sort_by(f64::total_cmp);
    times
}

fn show(what: &str, times: &[f64], parts: f64) {
    let each = |time: f64| 1e9 * time / parts;
    println!(
        "{what}: {:.1} ns ({:.1} to {:.1})",
        each(times[times.len() / 2]),
        each(times[0]),
        each(times[times.len() - 1]),
    );
}
