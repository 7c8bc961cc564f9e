//! What is asked of a driver, and what becomes of a figure that can't be had.

use std::{collections::BTreeSet, time::Duration};

use fake_nvml::{Call, NO_PERMISSION, NOT_SUPPORTED, SUCCESS, UNHEARD_OF, UNKNOWN};

use super::machine::Machine;

/// Each function, and the metrics that come of it alone.
const FIGURES: [(Call, &[&str]); 13] = [
    (
        Call::UtilizationRates,
        &["utilization_ratio", "memory_utilization_ratio"],
    ),
    (
        Call::MemoryInfo,
        &[
            "memory_used_bytes",
            "memory_reserved_bytes",
            "memory_free_bytes",
        ],
    ),
    (Call::PowerUsage, &["power_watts"]),
    (Call::TotalEnergy, &["energy_joules_total"]),
    (Call::ClockInfo, &["clock_hertz"]),
    (Call::ThrottleReasons, &["throttled"]),
    (Call::Temperature, &["temperature_celsius"]),
    (Call::PowerLimit, &["power_limit_watts"]),
    (Call::EccErrors, &["ecc_errors_total"]),
    (Call::ComputeMode, &["compute_mode"]),
    (
        Call::Processes,
        &["other_processes", "other_processes_memory_bytes"],
    ),
    (
        Call::PcieThroughput,
        &[
            "pcie_received_bytes_per_second",
            "pcie_sent_bytes_per_second",
        ],
    ),
    (
        Call::TemperatureThreshold,
        &[
            "slowdown_temperature_celsius",
            "shutdown_temperature_celsius",
        ],
    ),
];

fn set(names: &[String]) -> BTreeSet<&str> {
    names.iter().map(String::as_str).collect()
}

#[test]
fn a_figure_that_a_gpu_does_not_offer_is_absent_and_the_others_stay() {
    let machine = Machine::with(1);
    machine
        .builder()
        .pcie_and_fans()
        .register(&machine.registry)
        .unwrap()
        .update();
    let all = machine.names("GPU-0");
    for (call, missing) in FIGURES {
        let machine = Machine::with(1);
        machine.driver.answer(machine.cards[0], call, NOT_SUPPORTED);
        let monitor = machine
            .builder()
            .pcie_and_fans()
            .register(&machine.registry)
            .unwrap();
        for _ in 0..2 {
            monitor.update();
            let names = machine.names("GPU-0");
            let mut expected = set(&all);
            for name in missing {
                assert!(expected.remove(name), "{name} is never shown");
            }
            if call == Call::MemoryInfo {
                // It is the only source of the total, too.
                expected.remove("memory_total_bytes");
            }
            assert_eq!(set(&names), expected, "{call:?}");
        }
        // It is no error, and a driver isn't asked again what it doesn't know.
        assert!(!machine.page().contains("inferometer_gpu_errors_total{"));
        let before = machine.driver.calls(call);
        monitor.update();
        assert_eq!(machine.driver.calls(call), before, "{call:?}");
    }
}

#[test]
fn a_figure_that_was_there_goes_when_it_fails_and_comes_back_when_it_is_mended() {
    for (code, reason) in [(UNKNOWN, "other"), (UNHEARD_OF, "unexpected")] {
        let machine = Machine::with(1);
        let monitor = machine.monitor();
        monitor.update();
        let errors = format!(r#"inferometer_gpu_errors_total{{uuid="GPU-0",reason="{reason}"}}"#);
        let temperature = r#"inferometer_gpu_temperature_celsius{uuid="GPU-0"}"#;
        machine
            .driver
            .answer(machine.cards[0], Call::Temperature, code);
        assert_eq!(monitor.update().read, 1);
        assert_eq!(machine.value(temperature), None);
        assert_eq!(machine.value(&errors), Some(1.0));
        assert_eq!(
            machine.value(r#"inferometer_gpu_up{uuid="GPU-0"}"#),
            Some(1.0)
        );
        assert_eq!(monitor.stats("0").unwrap().temperature, None);
        machine
            .driver
            .answer(machine.cards[0], Call::Temperature, SUCCESS);
        monitor.update();
        assert_eq!(machine.value(temperature), Some(41.0));
        assert_eq!(machine.value(&errors), Some(1.0));
    }
}

#[test]
fn a_driver_that_is_opened_anew_is_asked_again_what_it_did_not_offer() {
    let machine = Machine::with(2);
    let monitor = machine.monitor();
    let power = || machine.value(r#"inferometer_gpu_power_watts{uuid="GPU-0"}"#);
    machine
        .driver
        .answer(machine.cards[0], Call::PowerUsage, NOT_SUPPORTED);
    monitor.update();
    machine
        .driver
        .answer(machine.cards[0], Call::PowerUsage, SUCCESS);
    monitor.update();
    assert_eq!(power(), None);
    // Which it is because of the other one.
    machine.driver.lose(machine.cards[1]);
    super::machine::until("it was asked", || {
        monitor.update();
        power() == Some(123.456)
    });
}

#[test]
fn what_this_process_may_not_ask_is_counted_once_and_not_asked_again() {
    let machine = Machine::with(1);
    machine
        .driver
        .answer(machine.cards[0], Call::EccErrors, NO_PERMISSION);
    let monitor = machine.monitor();
    for _ in 0..3 {
        monitor.update();
    }
    // Corrected and uncorrected.
    assert_eq!(machine.driver.calls(Call::EccErrors), 2);
    let errors = r#"inferometer_gpu_errors_total{uuid="GPU-0",reason="no_permission"}"#;
    assert_eq!(machine.value(errors), Some(2.0));
    assert_eq!(
        machine.value(r#"inferometer_gpu_up{uuid="GPU-0"}"#),
        Some(1.0)
    );
}

#[test]
fn a_poll_makes_the_calls_that_it_must_and_no_other() {
    let machine = Machine::with(8);
    machine.driver.process(machine.cards[0], 1, 1);
    let monitor = machine
        .builder()
        .slow_every(Duration::from_secs(3_600))
        .register(&machine.registry)
        .unwrap();
    let made = || {
        let made: Vec<_> = Call::ALL
            .iter()
            // The thread that waits for events goes on by itself.
            .filter(|call| {
                !matches!(
                    call,
                    Call::EventSetWait
                        | Call::EventSetCreate
                        | Call::RegisterEvents
                        | Call::SupportedEvents
                )
            })
            .map(|call| (*call, machine.driver.calls(*call)))
            .filter(|(_, calls)| *calls > 0)
            .collect();
        machine.driver.forget_calls();
        made
    };
    // Once, slow and fast together. Waiting for events takes a handle of each, too.
    monitor.update();
    super::machine::until("events are awaited", || machine.driver.watched() == 8);
    assert_eq!(
        made(),
        [
            (Call::Init, 1),
            // The library's wrapper asks as well.
            (Call::DriverVersion, 2),
            (Call::Count, 1),
            (Call::HandleByIndex, 8 * 4),
            (Call::Uuid, 8),
            (Call::Name, 8),
            (Call::PciInfo, 8),
            (Call::TemperatureThreshold, 16),
            (Call::MigMode, 8),
            (Call::UtilizationRates, 8),
            (Call::MemoryInfo, 16),
            (Call::PowerUsage, 8),
            (Call::TotalEnergy, 8),
            (Call::ClockInfo, 24),
            (Call::ThrottleReasons, 8),
            (Call::Temperature, 8),
            (Call::PowerLimit, 8),
            (Call::EccErrors, 16),
            (Call::ComputeMode, 8),
            // How many, and which where there are any.
            (Call::Processes, 9),
        ]
    );
    monitor.update();
    let fast = [
        (Call::HandleByIndex, 8),
        (Call::UtilizationRates, 8),
        (Call::MemoryInfo, 8),
        (Call::PowerUsage, 8),
        (Call::TotalEnergy, 8),
        (Call::ClockInfo, 24),
        (Call::ThrottleReasons, 8),
    ];
    assert_eq!(made(), fast);
    assert_eq!(fast.iter().map(|(_, calls)| calls).sum::<u32>(), 8 * 9);
    // What isn't read anew is still known.
    assert_eq!(monitor.stats("7").unwrap().temperature, Some(41.0));
}
