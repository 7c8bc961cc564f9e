//! GPUs that are lost, return, and report faults.

use fake_nvml::{Call, UNKNOWN};
use inferometer_monitor::gpu::DriverPhase;

use super::machine::{Machine, until};

const LEFT: [&str; 3] = ["up", "errors_total", "last_success_timestamp_seconds"];

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names
}

#[test]
fn a_lost_gpu_loses_its_series_with_the_next_poll_and_returns_when_it_is_back() {
    let machine = Machine::with(3);
    let monitor = machine.monitor();
    monitor.update();
    let whole = machine.names("GPU-0");
    let before = machine.names("GPU-1");
    machine.driver.lose(machine.cards[1]);
    let poll = monitor.update();
    assert_eq!(
        (poll.driver, poll.read, poll.failed),
        (DriverPhase::Loaded, 2, 1)
    );
    let mut left: Vec<_> = LEFT.map(str::to_owned).into();
    left.sort();
    let names: Vec<_> = sorted(machine.names("GPU-1"))
        .into_iter()
        .filter(|name| name != "errors_total")
        .collect();
    assert_eq!(
        names,
        left.iter()
            .filter(|name| *name != "errors_total")
            .cloned()
            .collect::<Vec<_>>()
    );
    assert_eq!(
        machine.value(r#"inferometer_gpu_up{uuid="GPU-1"}"#),
        Some(0.0)
    );
    assert_eq!(machine.value("inferometer_gpu_devices"), Some(2.0));
    assert_eq!(machine.names("GPU-0"), whole);
    let error = monitor.stats("1").unwrap_err().to_string();
    assert!(
        error.starts_with("GPU 1 (GPU-1) has not answered for "),
        "{error}"
    );
    assert_eq!(&*monitor.device_info("1").unwrap().uuid, "GPU-1");

    // As long as it is away, the driver is opened anew with each poll here, and it stays lost.
    monitor.update();
    assert_eq!(
        machine.value(r#"inferometer_gpu_up{uuid="GPU-1"}"#),
        Some(0.0)
    );
    assert_eq!(
        machine.value(r#"inferometer_gpu_up{uuid="GPU-2"}"#),
        Some(1.0)
    );

    machine.driver.restore(machine.cards[1]);
    until("it is back", || monitor.update().read == 3);
    assert_eq!(
        sorted(
            machine
                .names("GPU-1")
                .into_iter()
                .filter(|name| name != "errors_total")
                .collect()
        ),
        sorted(before)
    );
    assert_eq!(machine.driver.sessions(), 1);
}

#[test]
fn a_gpu_that_stays_away_has_the_driver_opened_anew_less_and_less_often() {
    let machine = Machine::with(2);
    let monitor = machine
        .builder()
        .retry_every(std::time::Duration::from_millis(5))
        .register(&machine.registry)
        .unwrap();
    monitor.update();
    machine.driver.lose(machine.cards[1]);
    let began = std::time::Instant::now();
    until("the driver was opened four times more", || {
        monitor.update();
        machine.driver.calls(Call::Init) == 5
    });
    // The first at once or after 5 ms, the others after 10, 20 and 40.
    assert!(began.elapsed() >= std::time::Duration::from_millis(70));
    // The other one was there all the while.
    assert_eq!(
        machine.value(r#"inferometer_gpu_up{uuid="GPU-0"}"#),
        Some(1.0)
    );
}

#[test]
fn a_gpu_that_answers_nothing_but_errors_is_down_and_says_why() {
    let machine = Machine::with(2);
    let monitor = machine.monitor();
    monitor.update();
    for call in [
        Call::UtilizationRates,
        Call::MemoryInfo,
        Call::PowerUsage,
        Call::TotalEnergy,
        Call::ClockInfo,
        Call::ThrottleReasons,
        Call::Temperature,
        Call::PowerLimit,
        Call::EccErrors,
        Call::ComputeMode,
        Call::Processes,
    ] {
        machine.driver.answer(machine.cards[0], call, UNKNOWN);
    }
    assert_eq!(monitor.update().failed, 1);
    assert_eq!(
        machine.value(r#"inferometer_gpu_up{uuid="GPU-0"}"#),
        Some(0.0)
    );
    assert_eq!(
        machine.value(r#"inferometer_gpu_errors_total{uuid="GPU-0",reason="other"}"#),
        Some(1.0)
    );
    assert_eq!(
        machine.value(r#"inferometer_gpu_up{uuid="GPU-1"}"#),
        Some(1.0)
    );
}

#[test]
fn a_gpu_that_never_tells_who_it_is_hides_no_other() {
    let machine = Machine::with(3);
    machine.driver.lose(machine.cards[1]);
    let monitor = machine.monitor();
    assert_eq!(monitor.update().read, 2);
    let errors = machine.value(r#"inferometer_gpu_errors_total{uuid="unknown",reason="lost"}"#);
    assert!(errors.is_some_and(|errors| errors > 0.0));
    machine.driver.restore(machine.cards[1]);
    until("it is found", || monitor.update().read == 3);
}

#[test]
fn xid_errors_are_counted_by_code_with_their_last_time() {
    let machine = Machine::with(2);
    let monitor = machine.monitor();
    monitor.update();
    until("events are awaited", || machine.driver.watched() == 2);
    for code in [79, 79, 31] {
        machine.driver.raise(machine.cards[1], code);
    }
    until("all are counted", || {
        machine.value(r#"inferometer_gpu_xid_events_total{uuid="GPU-1",xid="31"}"#) == Some(1.0)
    });
    assert_eq!(
        machine.value(r#"inferometer_gpu_xid_events_total{uuid="GPU-1",xid="79"}"#),
        Some(2.0)
    );
    let last =
        machine.value(r#"inferometer_gpu_xid_last_timestamp_seconds{uuid="GPU-1",xid="79"}"#);
    assert!(last.is_some_and(|last| last > 1e9));
    assert!(
        !machine
            .page()
            .contains(r#"inferometer_gpu_xid_events_total{uuid="GPU-0""#)
    );

    // What a GPU reported stays when it is lost.
    machine.driver.lose(machine.cards[1]);
    monitor.update();
    assert_eq!(
        machine.value(r#"inferometer_gpu_xid_events_total{uuid="GPU-1",xid="79"}"#),
        Some(2.0)
    );
}

#[test]
fn the_error_with_which_a_gpu_falls_off_the_bus_is_counted_as_its_own() {
    let machine = Machine::with(2);
    let monitor = machine.monitor();
    monitor.update();
    until("events are awaited", || machine.driver.watched() == 2);
    // It can't be asked any more who it is.
    machine.driver.lose(machine.cards[1]);
    machine.driver.raise(machine.cards[1], 79);
    until("it is counted", || {
        machine.value(r#"inferometer_gpu_xid_events_total{uuid="GPU-1",xid="79"}"#) == Some(1.0)
    });
}

#[test]
fn a_gpu_without_xid_events_keeps_no_other_from_reporting_them() {
    let machine = Machine::with(3);
    machine
        .driver
        .answer(machine.cards[0], Call::SupportedEvents, UNKNOWN);
    machine
        .driver
        .answer(machine.cards[1], Call::RegisterEvents, UNKNOWN);
    let monitor = machine.monitor();
    monitor.update();
    until("events are awaited", || machine.driver.watched() == 1);
    machine.driver.raise(machine.cards[2], 48);
    until("it is counted", || {
        machine.value(r#"inferometer_gpu_xid_events_total{uuid="GPU-2",xid="48"}"#) == Some(1.0)
    });
}
