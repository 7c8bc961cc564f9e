//! Calls that don't return.

use std::{
    thread,
    time::{Duration, Instant},
};

use fake_nvml::{Call, Card};
use inferometer_monitor::gpu::{DriverPhase, GpuMonitor};

use super::machine::{LONG, Machine, until};

/// Short enough for a test, and long enough for a call that works on a busy machine.
const LIMIT: Duration = Duration::from_millis(400);

/// What statistics, health and a scrape may take while a driver hangs.
const AT_ONCE: Duration = Duration::from_millis(100);

fn monitor(machine: &Machine) -> GpuMonitor {
    machine
        .builder()
        .call_limit(LIMIT)
        .register(&machine.registry)
        .unwrap()
}

fn up(machine: &Machine, index: usize) -> Option<f64> {
    machine.value(&format!(r#"inferometer_gpu_up{{uuid="GPU-{index}"}}"#))
}

/// Everything that must not wait for a driver; the best of three, for other programs keep a thread waiting, too.
fn assert_nobody_waits(machine: &Machine, monitor: &GpuMonitor) {
    let took = (0..3).map(|_| {
        let began = Instant::now();
        let _ = (
            monitor.stats("0"),
            monitor.stats_all(),
            monitor.status(),
            monitor.is_initialized(),
        );
        assert!(machine.page().contains("inferometer_gpu_up"));
        began.elapsed()
    });
    let took = took.min().unwrap();
    assert!(took < AT_ONCE, "{took:?}");
}

#[test]
fn a_gpu_that_hangs_loses_its_series_within_the_limit_and_nobody_waits_for_it() {
    let machine = Machine::with(3);
    let monitor = monitor(&machine);
    until("all are up", || monitor.update().read == 3);
    machine
        .driver
        .hang(machine.cards[1], Some(Call::PowerUsage));
    thread::scope(|scope| {
        let poll = scope.spawn(|| {
            let began = Instant::now();
            monitor.update();
            began.elapsed()
        });
        until("the call hangs", || machine.driver.hanging() == 1);
        assert_nobody_waits(&machine, &monitor);
        let took = poll.join().unwrap();
        assert!(took >= LIMIT, "it can't know before {took:?}");
        assert!(took < LIMIT + LONG / 2, "{took:?}");
    });
    assert_eq!(up(&machine, 1), Some(0.0));
    assert_eq!(
        machine.value(r#"inferometer_gpu_power_watts{uuid="GPU-1"}"#),
        None
    );
    assert_eq!(
        machine.value(r#"inferometer_gpu_errors_total{uuid="GPU-1",reason="hung"}"#),
        Some(1.0)
    );
    let error = monitor.stats("1").unwrap_err().to_string();
    assert!(
        error.ends_with("GPU-1: the driver has not answered for 400ms"),
        "{error}"
    );

    // The others are read as before, and what hangs isn't asked again.
    until("the others are up", || monitor.update().read == 2);
    assert_eq!((up(&machine, 0), up(&machine, 2)), (Some(1.0), Some(1.0)));
    assert_eq!(machine.driver.hanging(), 1);
    assert_nobody_waits(&machine, &monitor);

    machine.driver.release();
    until("it is back", || monitor.update().read == 3);
    assert_eq!(up(&machine, 1), Some(1.0));
    assert_eq!(machine.driver.hanging(), 0);
}

#[test]
fn a_driver_that_locks_itself_up_takes_every_gpu_with_it_in_one_poll_and_few_threads() {
    let machine = Machine::with(4);
    let monitor = monitor(&machine);
    until("all are up", || monitor.update().read == 4);
    machine.driver.hang(Card::ANY, None);
    let poll = monitor.update();
    assert_eq!((poll.read, poll.failed), (0, 4));
    for index in 0..4 {
        assert_eq!(up(&machine, index), Some(0.0));
    }
    assert_nobody_waits(&machine, &monitor);
    // The list, each GPU, and whoever waits for events.
    let most = 1 + 4 + 1;
    for _ in 0..3 {
        monitor.update();
        let hanging = machine.driver.hanging();
        assert!(hanging <= most, "{hanging} threads hang");
    }
    // A shutdown doesn't wait either, and says that the driver isn't back.
    assert!(!monitor.shutdown());
    assert_eq!(monitor.status().driver, DriverPhase::Released);
    machine.driver.release();
    until("the driver is back", || machine.driver.sessions() == 0);
    monitor.initialize();
    until("all are back", || monitor.update().read == 4);
}

#[test]
fn a_driver_that_hangs_from_the_start_is_said_to_and_found_when_it_goes_on() {
    for call in [Call::Init, Call::Count] {
        let machine = Machine::with(1);
        let monitor = monitor(&machine);
        machine.driver.hang(Card::ANY, Some(call));
        assert_eq!(monitor.update().driver, DriverPhase::Hung, "{call:?}");
        assert_eq!(monitor.update().driver, DriverPhase::Hung, "{call:?}");
        assert_eq!(machine.driver.hanging(), 1, "{call:?}");
        let why = monitor.status().why.unwrap();
        assert!(why.contains("has not answered for 400ms"), "{why}");
        machine.driver.release();
        until("it is found", || monitor.update().read == 1);
    }
}

#[test]
fn a_gpu_that_is_back_shows_what_changes_slowly_at_once() {
    let machine = Machine::with(1);
    let monitor = machine
        .builder()
        .call_limit(LIMIT)
        .slow_every(Duration::from_secs(3_600))
        .register(&machine.registry)
        .unwrap();
    until("it is up", || monitor.update().read == 1);
    machine
        .driver
        .hang(machine.cards[0], Some(Call::PowerUsage));
    assert_eq!(monitor.update().read, 0);
    machine.driver.release();
    until("it is back", || monitor.update().read == 1);
    assert_eq!(
        machine.value(r#"inferometer_gpu_temperature_celsius{uuid="GPU-0"}"#),
        Some(41.0)
    );
}

#[test]
fn a_driver_that_takes_long_to_wake_its_gpus_is_used_when_it_has() {
    let machine = Machine::with(1);
    let monitor = monitor(&machine);
    machine.driver.hang(Card::ANY, Some(Call::Init));
    assert_eq!(monitor.update().driver, DriverPhase::Hung);
    machine.driver.release();
    until("it is found", || monitor.update().read == 1);
    // What came late was not thrown away.
    assert_eq!(machine.driver.calls(Call::Init), 1);
    assert_eq!(machine.driver.sessions(), 1);
}

#[test]
fn a_gpu_that_hangs_when_it_is_identified_hides_no_other_and_is_asked_once() {
    let machine = Machine::with(3);
    let monitor = monitor(&machine);
    machine.driver.hang(machine.cards[1], Some(Call::Name));
    until("the others are up", || monitor.update().read == 2);
    monitor.update();
    assert_eq!(machine.driver.hanging(), 1);
    machine.driver.release();
    until("it is found", || monitor.update().read == 3);
}
