//! What one sample of this machine costs, collector by collector, and what share of a core that is at one sample every 5 s:
//!
//! ```text
//! cargo run --release -p inferometer-monitor --example host_cost
//! ```
//!
//! Times are processor time of all the process's threads, allocations those of the thread that samples. A pause before each sample lets
//! the caches cool, as they do between two samples of a service at work; `--pause 0` leaves it out, `--pause 5000` is the usual period,
//! `--rounds` says how many samples are taken.
#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::{thread, time::Duration};

use inferometer::Registry;
use inferometer_monitor::host::{Collector, HostMonitor, Options};
use rustix::time::{ClockId, clock_gettime};

fn main() {
    let argument = |name: &str, default: u32| {
        let mut arguments = std::env::args().skip_while(|argument| argument != name);
        let value = arguments.nth(1).and_then(|value| value.parse().ok());
        value.unwrap_or(default)
    };
    let rounds = argument("--rounds", 200);
    let pause = Duration::from_millis(argument("--pause", 50).into());
    println!(
        "| sample of | µs, median | 99th in 100 | allocations | bytes allocated | share of a core |"
    );
    println!("|---|---|---|---|---|---|");
    for (name, cost) in measure(rounds, pause) {
        let Cost { median, high, .. } = cost;
        let share = median / HostMonitor::PERIOD.as_secs_f64() * 100.0;
        println!(
            "| {name} | {:.0} | {:.0} | {} | {} | {share:.4} % |",
            median * 1e6,
            high * 1e6,
            cost.allocations,
            cost.bytes,
        );
    }
}

/// What a sample costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Seconds of processor time: the median.
    pub(crate) median: f64,
    /// The same: one in a hundred is higher.
    pub(crate) high: f64,
    /// Allocations of the last sample.
    pub(crate) allocations: u64,
    /// Bytes of these.
    pub(crate) bytes: u64,
}

/// What a sample of everything costs, then what one of each collector alone does, metrics included.
pub(crate) fn measure(rounds: u32, pause: Duration) -> Vec<(String, Cost)> {
    let mut rows = vec![("everything".to_owned(), cost(None, rounds, pause))];
    for collector in Collector::ALL {
        if collector != Collector::Runtime {
            rows.push((collector.to_string(), cost(Some(collector), rounds, pause)));
        }
    }
    rows
}

fn cost(only: Option<Collector>, rounds: u32, pause: Duration) -> Cost {
    let others = Collector::ALL
        .into_iter()
        .filter(|other| only.is_some_and(|only| only != *other));
    let options = others.fold(Options::default(), Options::without);
    let monitor = HostMonitor::new(&Registry::new(), options).expect("the registry is new");
    // The first sample makes the series.
    monitor.update();
    let mut times: Vec<f64> = (0..rounds.max(1))
        .map(|_| {
            thread::sleep(pause);
            let start = cpu_time();
            monitor.update();
            cpu_time() - start
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let counted = allocation_counter::measure(|| drop(monitor.update()));
    Cost {
        median: times[times.len() / 2],
        high: times[(times.len() - 1) * 99 / 100],
        allocations: counted.count_total,
        bytes: counted.bytes_total,
    }
}

/// What this process has used of a core, in seconds.
fn cpu_time() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
