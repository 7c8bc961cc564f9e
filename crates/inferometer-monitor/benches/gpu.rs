//! What polling GPUs costs this process: time, CPU and allocations of a poll of eight, and the share of a core at the default period.
//!
//! ```text
//! cargo bench -p inferometer-monitor --bench gpu -- [--polls 2000] [--seconds 60]
//! ```
//!
//! The driver is the tests': its answers cost a lock and a look into a table, where a real one's cost 2 to 5,000 µs. So the figures are the
//! monitor's own, and what a real driver takes comes on top. CPU time is that of all threads (`/proc/self/task/*/schedstat`).
//! Without arguments it runs briefly, to show that it works.

#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]
#![expect(
    unsafe_code,
    reason = "an allocator that counts is an allocator, and those are unsafe"
)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    fs,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use fake_nvml::FakeDriver;
use inferometer::Registry;
use inferometer_catalog::{predict, rerank, vla};
use inferometer_monitor::{
    gpu::{GpuMonitor, Nvml, Visible},
    scheduler::Scheduler,
};

const GPUS: usize = 8;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let (mut polls, mut seconds) = (20, 0.2);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|value| value.parse::<f64>().ok());
        match argument.as_str() {
            "--polls" => {
                let number = number().expect("--polls takes a number");
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a count"
                )]
                let number = number as usize;
                polls = number.max(1);
            }
            "--seconds" => seconds = number().expect("--seconds takes a number"),
            _ => {}
        }
    }
    let folder = tempfile::tempdir().expect("there is a folder for temporary files");
    let driver = FakeDriver::copy_into(folder.path()).expect("the driver was built");
    for index in 0..GPUS {
        let card = driver.add(&format!("GPU-{index}"), "Fake H200");
        driver.process(card, 1, 1);
    }
    poll(&driver, "fast", Duration::from_secs(3_600), polls);
    poll(&driver, "fast and slow", Duration::ZERO, polls);
    share(&driver, Duration::from_secs_f64(seconds));
}

/// A monitor that three views listen to.
fn monitor(driver: &FakeDriver, slow_every: Duration) -> GpuMonitor {
    let registry = Registry::new();
    let known = "every name is declared once";
    GpuMonitor::builder()
        .source(Nvml::at(driver.path()))
        .visible(Visible::All)
        .slow_every(slow_every)
        .view(registry.register::<rerank::gpu::Gpu>().expect(known))
        .view(registry.register::<vla::gpu::Gpu>().expect(known))
        .view(registry.register::<predict::gpu::Gpu>().expect(known))
        .register(&registry)
        .expect(known)
}

fn poll(driver: &FakeDriver, tiers: &str, slow_every: Duration, polls: usize) {
    let monitor = monitor(driver, slow_every);
    for _ in 0..3 {
        assert_eq!(monitor.update().read, GPUS, "every GPU is read");
    }
    let (allocations, cpu) = (ALLOCATIONS.load(Relaxed), cpu());
    let mut times: Vec<_> = (0..polls)
        .map(|_| {
            let began = Instant::now();
            monitor.update();
            began.elapsed()
        })
        .collect();
    let (allocations, cpu) = (ALLOCATIONS.load(Relaxed) - allocations, self::cpu() - cpu);
    times.sort();
    let each = |total: f64| total / polls as f64;
    println!(
        "{GPUS} GPUs, {tiers}: median {:.0?}, 99 in 100 within {:.0?}; {:.0} µs of CPU; {:.0} allocations",
        times[polls / 2],
        times[polls * 99 / 100],
        each(cpu.as_secs_f64() * 1e6),
        each(allocations as f64),
    );
}

fn share(driver: &FakeDriver, length: Duration) {
    let monitor = monitor(driver, Duration::from_secs(10));
    let cpu = cpu();
    let scheduler = Scheduler::new(&Registry::new()).expect("its first metrics");
    monitor
        .start(&scheduler, GpuMonitor::INTERVAL)
        .expect("there is a thread");
    thread::sleep(length);
    monitor.stop();
    let used = self::cpu().saturating_sub(cpu);
    println!(
        "{GPUS} GPUs every {:?} for {length:?}: {:.4} % of a core, the first poll and the wait for events included",
        GpuMonitor::INTERVAL,
        100.0 * used.as_secs_f64() / length.as_secs_f64(),
    );
}

/// CPU time of the threads that there are.
fn cpu() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux has it");
    let nanoseconds = tasks.flatten().filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}
