//! What the contracts name of the machine is shown as they name it, and absent where it isn't known.

use std::collections::{BTreeMap, BTreeSet};

use inferometer::{
    Descriptor, LabelBound, Registry, descriptors,
    sample::host::{Cpu, Disk, HostSample, HostView, Memory, Temperature},
};
use inferometer_catalog::{
    predict::host::{Host, HostMetrics, System},
    rerank,
};

use crate::rows;

/// The rows of a system that a view of the machine has to have.
const OF_PREDICT: [&str; 6] = [
    "hardware_temperature_celsius",
    "system_cpu_usage_percent",
    "system_disk_usage_bytes",
    "system_info",
    "system_memory_total_bytes",
    "system_memory_usage_bytes",
];

/// Holds each of `names` to the contract's row; the set has no other.
fn judge(system: &str, names: &[&str], declared: Vec<Descriptor>) {
    let mut declared: BTreeMap<_, _> = declared
        .into_iter()
        .map(|descriptor| (descriptor.name.clone(), descriptor))
        .collect();
    for row in rows(system) {
        let name = row.name;
        if !names.contains(&name) {
            continue;
        }
        let descriptor = declared.remove(name);
        let descriptor = descriptor.expect("each row of the contract is declared");
        assert_eq!(descriptor.kind.as_str(), row.kind, "{name}");
        assert_eq!(descriptor.unit.as_deref().unwrap_or(""), row.unit, "{name}");
        // Labels in brackets are our reading where the contract gives none.
        let promised: BTreeSet<_> = row
            .labels
            .iter()
            .map(|label| label.trim_matches(['(', ')']))
            .collect();
        let labels: BTreeSet<_> = descriptor.labels.iter().map(|label| &*label.name).collect();
        assert_eq!(labels, promised, "{name}");
        for label in &descriptor.labels {
            assert!(
                !matches!(label.bound, LabelBound::Open(limit) if limit > 1_000),
                "{name}: {} has no bound to speak of",
                label.name
            );
        }
    }
    assert_eq!(declared.len(), 0, "the contract has no {declared:?}");
}

#[test]
fn each_row_about_the_machine_is_declared_with_its_kind_labels_and_unit() {
    judge("predict", &OF_PREDICT, descriptors::<HostMetrics>());
    judge(
        "rerank",
        &["cpu_percent"],
        descriptors::<rerank::host::Host>(),
    );
    let promised: Vec<_> = rows("predict")
        .iter()
        .map(|row| row.name)
        .filter(|name| name.starts_with("system_") || name.starts_with("hardware_"))
        .collect();
    assert_eq!(BTreeSet::from_iter(promised), BTreeSet::from(OF_PREDICT));
}

fn disk(mount_point: &str, used_bytes: u64) -> Disk {
    Disk {
        mount_point: mount_point.into(),
        used_bytes,
        ..Disk::default()
    }
}

fn sample() -> HostSample {
    HostSample {
        cpu: Some(Cpu {
            usage_ratio: Some(0.375),
            ..Cpu::default()
        }),
        memory: Some(Memory {
            total_bytes: 1_000,
            available_bytes: Some(250),
            ..Memory::default()
        }),
        disks: Some(vec![disk("/", 10), disk("/data", 20)]),
        temperatures: Some(vec![Temperature {
            component: "k10temp/Tctl".into(),
            celsius: 61.5,
        }]),
        ..HostSample::default()
    }
}

/// The samples on a page, without the registry's own.
fn samples(registry: &Registry) -> Vec<String> {
    let page = registry.encode_text();
    let lines = page
        .lines()
        .filter(|line| !line.starts_with('#') && !line.starts_with("inferometer_"));
    lines.map(str::to_owned).collect()
}

#[test]
fn one_sample_is_seen_the_same_by_both_systems() {
    let registry = Registry::new();
    let predict = Host::register(&registry).unwrap();
    let rerank: rerank::host::Host = registry.register().unwrap();
    for view in [&predict as &dyn HostView, &rerank] {
        view.sampled(&sample());
    }
    assert_eq!(
        samples(&registry),
        [
            "system_cpu_usage_percent 37.5",
            "system_memory_usage_bytes 750.0",
            "system_memory_total_bytes 1000.0",
            r#"system_disk_usage_bytes{mount_point="/"} 10.0"#,
            r#"system_disk_usage_bytes{mount_point="/data"} 20.0"#,
            r#"hardware_temperature_celsius{component="k10temp/Tctl"} 61.5"#,
            "cpu_percent 37.5",
        ]
    );
}

#[test]
fn what_a_sample_does_not_know_is_absent_and_the_services_own_facts_stay() {
    let registry = Registry::new();
    let predict = Host::register(&registry).unwrap();
    let rerank: rerank::host::Host = registry.register().unwrap();
    predict.metrics.system.set(System {
        environment: "production",
        version: "1.0.0",
        deployment_date: "2024-01-15",
    });
    for view in [&predict as &dyn HostView, &rerank] {
        view.sampled(&sample());
        view.sampled(&HostSample {
            disks: Some(vec![disk("/data", 30)]),
            ..HostSample::default()
        });
    }
    let own =
        r#"system_info{environment="production",version="1.0.0",deployment_date="2024-01-15"} 1"#;
    let data = r#"system_disk_usage_bytes{mount_point="/data"} 30.0"#;
    assert_eq!(samples(&registry), [data, own]);

    predict.sampled(&HostSample::default());
    assert_eq!(samples(&registry), [own]);
}

#[test]
fn disks_that_change_places_all_at_once_keep_within_the_bound() {
    let registry = Registry::new();
    let predict = Host::register(&registry).unwrap();
    for generation in ["a", "b"] {
        let disks = (0..64).map(|at| disk(&format!("/{generation}{at}"), at));
        predict.sampled(&HostSample {
            disks: Some(disks.collect()),
            ..HostSample::default()
        });
    }
    let samples = samples(&registry);
    assert_eq!(samples.len(), 64);
    assert!(
        samples.iter().all(|sample| sample.contains("\"/b")),
        "{samples:?}"
    );
}
