//! The driver: absent in three ways, appearing later, given back.

use std::{
    fs,
    sync::Arc,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use fake_nvml::{Call, Card, DRIVER_NOT_LOADED, FakeDriver, SUCCESS, UNKNOWN};
use inferometer::{
    Registry,
    sample::gpu::{GpuDevice, GpuSample, GpuView},
};
use inferometer_monitor::{
    gpu::{DriverPhase, GpuMonitor, Nvml, Visible},
    scheduler::Scheduler,
};

use super::machine::{LONG, Machine, until, value};

/// So often that a test need not wait.
const SOON: Duration = Duration::from_millis(1);

fn monitor_at(path: &std::path::Path, registry: &Registry) -> GpuMonitor {
    GpuMonitor::builder()
        .source(Nvml::at(path))
        .visible(Visible::All)
        .retry_every(Duration::ZERO)
        .register(registry)
        .unwrap()
}

/// Nothing is shown of any GPU, and why is said.
fn assert_absent(monitor: &GpuMonitor, registry: &Registry, words: &str) {
    assert_eq!(monitor.update().driver, DriverPhase::Absent);
    assert!(!monitor.is_initialized());
    let why = monitor.status().why.unwrap();
    assert!(why.contains(words), "{why}");
    assert!(monitor.stats("0").unwrap_err().to_string().contains(words));
    let page = registry.encode_text();
    assert_eq!(
        value(
            &page,
            r#"inferometer_gpu_driver{inferometer_gpu_driver="absent"}"#
        ),
        Some(1.0)
    );
    assert_eq!(value(&page, "inferometer_gpu_devices"), None);
    assert!(!page.contains("uuid="));
}

#[test]
fn a_driver_that_is_not_installed_is_a_state_and_is_found_when_it_appears() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new();
    let monitor = monitor_at(&folder.path().join("libnvidia-ml.so.1"), &registry);
    assert_absent(&monitor, &registry, "can't be loaded");
    let driver = FakeDriver::copy_into(folder.path()).unwrap();
    driver.add("GPU-0", "Fake H200");
    until("it is found", || monitor.update().read == 1);
    assert!(monitor.is_initialized());
    assert_eq!(monitor.status().why, None);
}

#[test]
fn a_file_that_is_no_library_or_another_library_is_a_state() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libnvidia-ml.so.1");
    fs::write(&path, "not a library").unwrap();
    let registry = Registry::new();
    assert_absent(&monitor_at(&path, &registry), &registry, "can't be loaded");

    // A library that everyone has, and that isn't NVML.
    let registry = Registry::new();
    assert_absent(
        &monitor_at(std::path::Path::new("libm.so.6"), &registry),
        &registry,
        "libm.so.6 is not NVIDIA's management library",
    );
}

#[test]
fn a_driver_that_the_kernel_has_not_loaded_is_a_state_and_is_found_when_it_has() {
    let machine = Machine::with(1);
    machine
        .driver
        .answer(Card::ANY, Call::Init, DRIVER_NOT_LOADED);
    let monitor = machine.monitor();
    assert_absent(
        &monitor,
        &machine.registry,
        "the kernel's part of the driver is not loaded",
    );
    machine.driver.answer(Card::ANY, Call::Init, SUCCESS);
    until("it is found", || monitor.update().read == 1);
}

#[test]
fn a_driver_that_is_there_and_broken_is_not_taken_for_an_absent_one() {
    let machine = Machine::with(1);
    machine.driver.answer(Card::ANY, Call::Init, UNKNOWN);
    let monitor = machine.monitor();
    assert_eq!(monitor.update().driver, DriverPhase::Broken);
    assert!(
        monitor
            .status()
            .why
            .unwrap()
            .contains("can't be initialised")
    );
}

#[test]
fn a_driver_that_is_unloaded_takes_every_series_with_it_and_is_found_again() {
    let machine = Machine::with(2);
    let monitor = machine.monitor();
    monitor.update();
    for card in &machine.cards {
        for call in [Call::HandleByIndex, Call::Uuid] {
            machine.driver.answer(*card, call, DRIVER_NOT_LOADED);
        }
    }
    machine
        .driver
        .answer(Card::ANY, Call::Init, DRIVER_NOT_LOADED);
    monitor.update();
    monitor.update();
    assert_eq!(monitor.status().driver, DriverPhase::Absent);
    assert_eq!(
        machine.value(r#"inferometer_gpu_up{uuid="GPU-0"}"#),
        Some(0.0)
    );
    assert_eq!(
        machine.value(r#"inferometer_gpu_power_watts{uuid="GPU-0"}"#),
        None
    );
    assert_eq!(machine.driver.sessions(), 0);
    for card in &machine.cards {
        for call in [Call::HandleByIndex, Call::Uuid] {
            machine.driver.answer(*card, call, SUCCESS);
        }
    }
    machine.driver.answer(Card::ANY, Call::Init, SUCCESS);
    until("it is found", || monitor.update().read == 2);
    assert_eq!(
        machine.value(r#"inferometer_gpu_up{uuid="GPU-0"}"#),
        Some(1.0)
    );
}

#[test]
fn a_shutdown_gives_the_driver_back_and_clears_what_was_shown() {
    let machine = Machine::with(2);
    let monitor = machine.monitor();
    assert_eq!(monitor.initialize(), DriverPhase::Loaded);
    assert_eq!(machine.driver.sessions(), 1);
    assert!(monitor.shutdown());
    assert_eq!(machine.driver.sessions(), 0);
    assert!(!monitor.is_initialized());
    assert!(monitor.stats_all().is_empty());
    assert_eq!(
        machine.value(r#"inferometer_gpu_power_watts{uuid="GPU-0"}"#),
        None
    );
    // It stays so, until somebody asks for it.
    assert_eq!(monitor.update().driver, DriverPhase::Released);
    assert_eq!(machine.driver.sessions(), 0);
    let error = monitor.stats("0").unwrap_err().to_string();
    assert!(error.contains("the driver was given back"), "{error}");
    assert_eq!(monitor.initialize(), DriverPhase::Loaded);
    assert_eq!(monitor.update().read, 2);
    // And with the last clone it goes by itself.
    let clone = monitor.clone();
    drop(monitor);
    assert_eq!(machine.driver.sessions(), 1);
    drop(clone);
    until("the driver is back", || machine.driver.sessions() == 0);
}

/// Counts polls.
struct Polls(Arc<AtomicUsize>);

impl GpuView for Polls {
    fn sampled(&self, _sample: &GpuSample) {}
    fn lost(&self, _device: &GpuDevice) {}
    fn polled(&self, _samples: &[Arc<GpuSample>]) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// Panics at whatever it is told.
struct Panics;

impl GpuView for Panics {
    fn sampled(&self, _sample: &GpuSample) {
        panic!("on purpose");
    }
    fn lost(&self, _device: &GpuDevice) {
        panic!("on purpose");
    }
}

#[test]
fn a_view_that_panics_stops_no_other() {
    let machine = Machine::with(2);
    let polls = Arc::new(AtomicUsize::new(0));
    let monitor = machine
        .builder()
        .view(Panics)
        .view(Polls(Arc::clone(&polls)))
        .register(&machine.registry)
        .unwrap();
    assert_eq!(monitor.update().read, 2);
    machine.driver.lose(machine.cards[0]);
    assert_eq!(monitor.update().read, 1);
    assert_eq!(polls.load(Relaxed), 2);
    assert_eq!(
        machine.value(r#"inferometer_gpu_up{uuid="GPU-1"}"#),
        Some(1.0)
    );
}

#[test]
fn the_background_loop_polls_until_it_is_stopped() {
    let machine = Machine::with(1);
    let polls = Arc::new(AtomicUsize::new(0));
    let monitor = machine
        .builder()
        .view(Polls(Arc::clone(&polls)))
        .register(&machine.registry)
        .unwrap();
    let scheduler = Scheduler::new(&machine.registry).unwrap();
    let refused = monitor.start(&scheduler, Duration::ZERO).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("can't schedule task `gpu` at an interval of 0ns")
    );
    assert!(!monitor.is_running());
    monitor.start(&scheduler, SOON).unwrap();
    assert!(monitor.is_running());
    until("it polls", || polls.load(Relaxed) > 3);
    assert!(monitor.is_initialized());
    monitor.stop();
    assert!(!monitor.is_running());
    let polled = polls.load(Relaxed);
    // No poll comes after `stop` has returned; a poll by hand is the next.
    monitor.update();
    assert_eq!(polls.load(Relaxed), polled + 1);
    assert_eq!(monitor.device_count(), 1);

    // A loop keeps no monitor alive.
    monitor.start(&scheduler, SOON).unwrap();
    // Started again, it goes on in place of the one before.
    monitor.start(&scheduler, SOON).unwrap();
    drop(monitor);
    until("the driver is back", || machine.driver.sessions() == 0);
    until("the task has ended", || scheduler.tasks().is_empty());
}

#[test]
fn a_scheduler_that_stops_ends_the_loop_and_shows_what_it_did() {
    let machine = Machine::with(1);
    let monitor = machine.monitor();
    let scheduler = Scheduler::new(&machine.registry).unwrap();
    monitor.start(&scheduler, SOON).unwrap();
    let runs = r#"inferometer_scheduler_runs_total{task="gpu",outcome="ok"}"#;
    until("it polls", || {
        machine.value(runs).is_some_and(|runs| runs > 3.0)
    });
    scheduler.stop(LONG).unwrap();
    assert!(!monitor.is_running());
    let refused = monitor.start(&scheduler, SOON).unwrap_err();
    assert!(refused.to_string().contains("`gpu`"), "{refused}");
}
