//! What is shown of a GPU that answers.

use fake_nvml::Value;
use inferometer_monitor::gpu::{DriverPhase, GpuError, Visible};

use super::machine::Machine;

#[test]
fn every_figure_of_a_gpu_is_shown_in_base_units() {
    let machine = Machine::with(1);
    let card = machine.cards[0];
    machine
        .driver
        .process(card, std::process::id(), 3_000_000_000);
    machine.driver.process(card, 4_000_001, 4_000_000_000);
    machine.driver.process(card, 4_000_002, 500_000_000);
    machine.driver.set(card, Value::ComputeMode, 3);
    machine.driver.set(card, Value::Fans, 2);
    machine.driver.set(card, Value::FanSpeed, 45);
    let monitor = machine
        .builder()
        .pcie_and_fans()
        .register(&machine.registry)
        .unwrap();
    assert_eq!(monitor.update().read, 1);
    let page = machine.page();
    for line in [
        r#"driver{inferometer_gpu_driver="loaded"} 1"#,
        "devices 1.0",
        r#"info{uuid="GPU-0",index="0",name="Fake H200",pci_bus_id="00000000:00:00.0",driver_version="fake-nvml 999.1",parent="",simulated="faked"} 1.0"#,
        r#"up{uuid="GPU-0"} 1.0"#,
        r#"utilization_ratio{uuid="GPU-0"} 0.37"#,
        r#"memory_utilization_ratio{uuid="GPU-0"} 0.12"#,
        r#"memory_used_bytes{uuid="GPU-0"} 8000000000.0"#,
        r#"memory_reserved_bytes{uuid="GPU-0"} 500000000.0"#,
        r#"memory_free_bytes{uuid="GPU-0"} 142254820096.0"#,
        r#"memory_total_bytes{uuid="GPU-0"} 150754820096.0"#,
        r#"own_memory_bytes{uuid="GPU-0"} 3000000000.0"#,
        r#"other_processes{uuid="GPU-0"} 2.0"#,
        r#"other_processes_memory_bytes{uuid="GPU-0"} 4500000000.0"#,
        r#"temperature_celsius{uuid="GPU-0"} 41.0"#,
        r#"slowdown_temperature_celsius{uuid="GPU-0"} 87.0"#,
        r#"shutdown_temperature_celsius{uuid="GPU-0"} 92.0"#,
        r#"power_watts{uuid="GPU-0"} 123.456"#,
        r#"power_limit_watts{uuid="GPU-0"} 700.0"#,
        r#"energy_joules_total{uuid="GPU-0"} 5000.25"#,
        r#"clock_hertz{uuid="GPU-0",clock="graphics"} 1980000000.0"#,
        r#"clock_hertz{uuid="GPU-0",clock="sm"} 1965000000.0"#,
        r#"clock_hertz{uuid="GPU-0",clock="memory"} 3201000000.0"#,
        r#"throttled{uuid="GPU-0",reason="power_cap"} 1.0"#,
        r#"throttled{uuid="GPU-0",reason="idle"} 0.0"#,
        r#"ecc_errors_total{uuid="GPU-0",kind="corrected"} 3"#,
        r#"ecc_errors_total{uuid="GPU-0",kind="uncorrected"} 0"#,
        r#"compute_mode{uuid="GPU-0",inferometer_gpu_compute_mode="exclusive_process"} 1"#,
        r#"pcie_received_bytes_per_second{uuid="GPU-0"} 2000000.0"#,
        r#"pcie_sent_bytes_per_second{uuid="GPU-0"} 1000000.0"#,
        r#"fan_speed_ratio{uuid="GPU-0"} 0.45"#,
    ] {
        let line = format!("inferometer_gpu_{line}");
        assert!(
            page.lines().any(|one| one == line),
            "{line} is not in\n{page}"
        );
    }
    for name in ["last_success_timestamp_seconds", "sample_duration_seconds"] {
        let series = format!(r#"inferometer_gpu_{name}{{uuid="GPU-0"}}"#);
        assert!(
            machine.value(&series).is_some_and(|value| value > 0.0),
            "{name}"
        );
    }
    // What costs the driver 40 ms is left alone unless it is asked for.
    let machine = Machine::with(1);
    machine.monitor().update();
    assert!(
        !machine
            .names("GPU-0")
            .iter()
            .any(|name| name.starts_with("pcie") || name.starts_with("fan"))
    );
}

#[test]
fn none_one_and_eight_gpus_have_a_series_each() {
    for count in [0, 1, 8] {
        let machine = Machine::with(count);
        let monitor = machine.monitor();
        let poll = monitor.update();
        assert_eq!(
            (poll.driver, poll.read, poll.failed),
            (DriverPhase::Loaded, count, 0)
        );
        assert_eq!(monitor.device_count(), count);
        assert_eq!(machine.value("inferometer_gpu_devices"), Some(count as f64));
        let ups = machine.page().matches("\ninferometer_gpu_up{").count();
        assert_eq!(ups, count);
        let ids: Vec<_> = monitor
            .stats_all()
            .iter()
            .map(|sample| sample.device.id.to_string())
            .collect();
        assert_eq!(
            ids,
            (0..count)
                .map(|index| index.to_string())
                .collect::<Vec<_>>()
        );
        // A driver without GPUs says so, and is no error.
        assert!(monitor.is_initialized());
    }
}

#[test]
fn a_gpu_is_found_by_index_and_uuid_and_an_unknown_one_is_a_clear_error() {
    let machine = Machine::with(2);
    let monitor = machine.monitor();
    let error = monitor.stats("0").unwrap_err();
    assert_eq!(
        error.to_string(),
        "nothing is known of GPU \"0\": nobody has asked the driver yet; initialize or update does"
    );
    monitor.initialize();
    assert_eq!(&*monitor.stats("1").unwrap().device.uuid, "GPU-1");
    assert_eq!(&*monitor.device_info("GPU-1").unwrap().id, "1");
    let error = monitor.stats("7").unwrap_err();
    assert!(matches!(error, GpuError::UnknownDevice { .. }));
    assert_eq!(
        error.to_string(),
        "there is no GPU \"7\" here; the ids are 0, 1, and UUIDs are taken, too"
    );
    assert!(monitor.device_info("").is_err());
    assert!(monitor.track_inference_memory("m", "7").is_err());
}

#[test]
fn a_list_of_visible_gpus_hides_the_others_and_says_what_is_wrong_with_it() {
    let machine = Machine::with(3);
    let monitor = machine
        .builder()
        .visible(Visible::List("2,GPU-0,9".into()))
        .register(&machine.registry)
        .unwrap();
    assert_eq!(monitor.update().read, 2);
    assert!(machine.names("GPU-1").is_empty());
    assert!(!machine.names("GPU-2").is_empty());
    let complaint = "CUDA_VISIBLE_DEVICES is \"2,GPU-0,9\": there is no GPU 9, this machine has 0 to 2; CUDA ignores it and all that follows; shown: 0, 2";
    assert_eq!(monitor.status().complaint.as_deref(), Some(complaint));
    // A GPU that is hidden may well be what was meant.
    let error = monitor.stats("1").unwrap_err().to_string();
    assert!(
        error.contains("the ids are 0, 2") && error.ends_with(complaint),
        "{error}"
    );
}

#[test]
fn energy_never_falls_when_the_drivers_total_begins_again() {
    let machine = Machine::with(1);
    let monitor = machine.monitor();
    let energy = || machine.value(r#"inferometer_gpu_energy_joules_total{uuid="GPU-0"}"#);
    monitor.update();
    assert_eq!(energy(), Some(5_000.25));
    machine
        .driver
        .set(machine.cards[0], Value::Energy, 6_000_500);
    monitor.update();
    assert_eq!(energy(), Some(6_000.5));
    machine.driver.set(machine.cards[0], Value::Energy, 1_000);
    monitor.update();
    assert_eq!(energy(), Some(6_001.5));
}
