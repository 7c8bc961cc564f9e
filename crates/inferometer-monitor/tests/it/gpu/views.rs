//! The three systems' views of the same sample, held to the contract.

use std::collections::BTreeMap;

use fake_nvml::{Call, NOT_SUPPORTED, Value};
use inferometer::{Descriptor, descriptors};
use inferometer_catalog::{predict, rerank, vla};
use inferometer_monitor::gpu::GpuMonitor;

use super::machine::{Machine, value};

/// What the contract says of a system's GPU gauges: name, labels, unit.
fn contract(system: &str) -> Vec<(String, String, String)> {
    include_str!("../../../../inferometer-catalog/tests/catalogue.tsv")
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .filter(|fields| fields[0] == system && fields[1].contains("gpu") && fields[2] == "gauge")
        .map(|fields| {
            // "(per device)" leaves the label's name to us.
            let labels = match fields[3].trim_matches(['(', ')']) {
                "per device" => "device",
                labels => labels,
            };
            (
                fields[1].to_owned(),
                labels.to_owned(),
                fields[4].to_owned(),
            )
        })
        .collect()
}

fn assert_declared(system: &str, count: usize, declared: &[Descriptor]) {
    let declared: BTreeMap<_, _> = declared.iter().map(|one| (&*one.name, one)).collect();
    let rows = contract(system);
    assert_eq!(rows.len(), count, "{system}");
    for (name, labels, unit) in rows {
        let found = declared
            .get(&*name)
            .unwrap_or_else(|| panic!("{name} is not declared"));
        assert_eq!(found.kind.as_str(), "gauge", "{name}");
        let found_labels: Vec<_> = found.labels.iter().map(|label| &*label.name).collect();
        assert_eq!(found_labels.join(","), labels, "{name}");
        assert_eq!(found.unit.as_deref().unwrap_or_default(), unit, "{name}");
    }
}

#[test]
fn each_gpu_metric_of_the_contract_is_declared_as_the_contract_has_it() {
    assert_declared("rerank", 2, &descriptors::<rerank::gpu::Gpu>());
    assert_declared("vla", 8, &descriptors::<vla::gpu::Gpu>());
    assert_declared("predict", 5, &descriptors::<predict::gpu::Gpu>());
}

fn monitor(machine: &Machine) -> GpuMonitor {
    let registry = &machine.registry;
    machine
        .builder()
        .view(registry.register::<rerank::gpu::Gpu>().unwrap())
        .view(registry.register::<vla::gpu::Gpu>().unwrap())
        .view(registry.register::<predict::gpu::Gpu>().unwrap())
        .register(registry)
        .unwrap()
}

/// The lines of the three views, without the monitor's own.
fn lines(machine: &Machine) -> Vec<String> {
    let page = machine.page();
    let views = page
        .lines()
        .filter(|line| line.starts_with("gpu_") || line.starts_with("vla_"));
    views.map(str::to_owned).collect()
}

#[test]
fn all_three_views_show_the_sample_exactly() {
    let machine = Machine::with(2);
    let second = machine.cards[1];
    for (figure, number) in [
        (Value::Utilization, 29),
        (Value::MemoryUsed, 37_688_705_024),
        (Value::Temperature, 66),
        (Value::Power, 456_789),
        (Value::ComputeMode, 3),
    ] {
        machine.driver.set(second, figure, number);
    }
    monitor(&machine).update();
    assert_eq!(
        lines(&machine),
        [
            "gpu_memory_mb 45688.705024",
            "gpu_utilization_pct 33.0",
            r#"vla_gpu_utilization_percent{device="0"} 37.0"#,
            r#"vla_gpu_utilization_percent{device="1"} 29.0"#,
            r#"vla_gpu_memory_used_bytes{device="0"} 8000000000.0"#,
            r#"vla_gpu_memory_used_bytes{device="1"} 37688705024.0"#,
            r#"vla_gpu_memory_total_bytes{device="0"} 150754820096.0"#,
            r#"vla_gpu_memory_total_bytes{device="1"} 150754820096.0"#,
            r#"vla_gpu_memory_utilization_percent{device="0"} 5.306629662"#,
            r#"vla_gpu_memory_utilization_percent{device="1"} 25.0"#,
            r#"vla_gpu_temperature_celsius{device="0"} 41.0"#,
            r#"vla_gpu_temperature_celsius{device="1"} 66.0"#,
            r#"vla_gpu_power_watts{device="0"} 123.456"#,
            r#"vla_gpu_power_watts{device="1"} 456.789"#,
            r#"vla_gpu_compute_mode{device="0"} 0.0"#,
            r#"vla_gpu_compute_mode{device="1"} 3.0"#,
            r#"gpu_utilization_percent{gpu_id="0",gpu_name="Fake H200"} 37.0"#,
            r#"gpu_utilization_percent{gpu_id="1",gpu_name="Fake H200"} 29.0"#,
            r#"gpu_memory_used_bytes{gpu_id="0",gpu_name="Fake H200"} 8000000000.0"#,
            r#"gpu_memory_used_bytes{gpu_id="1",gpu_name="Fake H200"} 37688705024.0"#,
            r#"gpu_memory_total_bytes{gpu_id="0",gpu_name="Fake H200"} 150754820096.0"#,
            r#"gpu_memory_total_bytes{gpu_id="1",gpu_name="Fake H200"} 150754820096.0"#,
            r#"gpu_temperature_celsius{gpu_id="0",gpu_name="Fake H200"} 41.0"#,
            r#"gpu_temperature_celsius{gpu_id="1",gpu_name="Fake H200"} 66.0"#,
            r#"gpu_power_usage_watts{gpu_id="0",gpu_name="Fake H200"} 123.456"#,
            r#"gpu_power_usage_watts{gpu_id="1",gpu_name="Fake H200"} 456.789"#,
        ]
    );
}

#[test]
fn a_lost_gpu_and_a_figure_that_is_not_offered_are_absent_from_all_three() {
    let machine = Machine::with(2);
    let monitor = monitor(&machine);
    machine
        .driver
        .answer(machine.cards[0], Call::PowerUsage, NOT_SUPPORTED);
    monitor.update();
    machine.driver.lose(machine.cards[1]);
    monitor.update();
    let page = machine.page();
    assert_eq!(value(&page, "gpu_memory_mb"), Some(8_000.0));
    assert_eq!(value(&page, "gpu_utilization_pct"), Some(37.0));
    for line in lines(&machine) {
        assert!(
            !line.contains(r#"device="1""#) && !line.contains(r#"gpu_id="1""#),
            "{line}"
        );
        assert!(!line.contains("power"), "{line}");
    }
    assert!(lines(&machine).len() > 8);
    machine.driver.lose(machine.cards[0]);
    monitor.update();
    assert_eq!(lines(&machine), [""; 0]);
}

#[test]
fn memory_of_an_instance_is_not_counted_twice() {
    let machine = Machine::with(1);
    machine
        .driver
        .add_part(machine.cards[0], "MIG-a", "Fake H200 MIG 1g.18gb", 1, 0);
    monitor(&machine).update();
    assert_eq!(machine.value("gpu_memory_mb"), Some(8_000.0));
}
