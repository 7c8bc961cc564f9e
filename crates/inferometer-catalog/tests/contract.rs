//! Every name that a system's contract promises is declared and scraped as promised.

#[path = "contract/host.rs"]
mod host;
#[path = "contract/http.rs"]
mod http;
#[path = "contract/rerank.rs"]
mod rerank;

use std::collections::{BTreeMap, BTreeSet};

use inferometer::{Descriptor, Kind, LabelBound, Registry, descriptors};
use inferometer_catalog::orchestrator::{Objective, Orchestrator, Recorder};

/// A line of the contract.
struct Row {
    name: &'static str,
    kind: &'static str,
    labels: BTreeSet<&'static str>,
    unit: &'static str,
}

/// What the contract says of a system.
fn rows(system: &str) -> Vec<Row> {
    include_str!("catalogue.tsv")
        .lines()
        .skip(1)
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .filter(|fields| fields[0] == system)
        .map(|fields| Row {
            name: fields[1],
            kind: fields[2],
            labels: fields[3]
                .split(',')
                .filter(|label| !label.is_empty())
                .collect(),
            unit: fields[4],
        })
        .collect()
}

/// The label sets of a metric, as printed, where all its labels are closed.
fn closed_label_sets(descriptor: &Descriptor) -> Option<Vec<String>> {
    let mut sets = vec![String::new()];
    for label in &descriptor.labels {
        let LabelBound::Closed(values) = label.bound else {
            return None;
        };
        sets = sets
            .iter()
            .flat_map(|before| {
                let comma = if before.is_empty() { "" } else { "," };
                values
                    .iter()
                    .map(move |value| format!("{before}{comma}{}=\"{value}\"", label.name))
            })
            .collect();
    }
    Some(sets)
}

#[test]
fn each_row_of_the_orchestrator_is_declared_with_its_kind_labels_and_unit() {
    let rows = rows("orchestrator");
    assert_eq!(rows.len(), 7);
    let declared: BTreeMap<_, _> = descriptors::<Orchestrator>()
        .into_iter()
        .map(|descriptor| (descriptor.name.clone(), descriptor))
        .collect();
    for row in rows {
        let name = row.name;
        let descriptor = declared
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not declared"));
        assert_eq!(descriptor.kind.as_str(), row.kind, "{name}");
        let labels: BTreeSet<_> = descriptor.labels.iter().map(|label| &*label.name).collect();
        assert_eq!(labels, row.labels, "{name}");
        assert_eq!(descriptor.unit.as_deref(), Some(row.unit), "{name}");
        assert!(!descriptor.help.is_empty(), "{name}");
        if descriptor.kind == Kind::Histogram {
            // From 1 ms to 10 s, as the contract has it.
            let buckets = &descriptor.buckets;
            assert_eq!(
                (buckets.first(), buckets.last()),
                (Some(&0.001), Some(&10.0)),
                "{name}"
            );
        }
    }
}

#[test]
fn the_orchestrators_labels_have_the_values_of_the_contract() {
    let declared = descriptors::<Orchestrator>();
    for row in rows("orchestrator") {
        let descriptor = declared
            .iter()
            .find(|descriptor| descriptor.name == row.name)
            .unwrap();
        for label in &descriptor.labels {
            match &*label.name {
                "stage" => assert_eq!(
                    label.bound,
                    LabelBound::Closed(&["rag", "assemble", "inference", "post", "stream"]),
                    "{}",
                    row.name
                ),
                "error_type" | "worker_type" => {
                    assert!(matches!(label.bound, LabelBound::Closed(_)), "{}", row.name);
                }
                // Unbounded as written, and few by name as corrected.
                "session" => assert_eq!(label.bound, LabelBound::Open(20), "{}", row.name),
                other => panic!("{}: the contract has no label {other}", row.name),
            }
        }
    }
}

#[test]
fn each_row_of_the_orchestrator_is_in_the_first_scrape_with_every_closed_label_set_at_zero() {
    let registry = Registry::new();
    let _recorder = Recorder::register(&registry, Objective::default()).unwrap();
    let page = registry.encode_text();
    let lines: BTreeSet<_> = page.lines().collect();
    let declared = descriptors::<Orchestrator>();
    for row in rows("orchestrator") {
        let name = row.name;
        assert!(
            lines.contains(format!("# TYPE {name} {}", row.kind).as_str()),
            "{name} has no TYPE"
        );
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with(&format!("# HELP {name} "))),
            "{name} has no HELP"
        );
        let descriptor = declared
            .iter()
            .find(|descriptor| descriptor.name == name)
            .unwrap();
        let sets = match closed_label_sets(descriptor) {
            // The depth of a queue that isn't there is absent; the service's own tests see it at 0 once there is one.
            _ if name == "orchestrator_queue_depth" => continue,
            Some(sets) => sets,
            // Requests that name no session have a series from the start.
            None => vec!["session=\"none\"".to_owned()],
        };
        for set in sets {
            let line = match descriptor.kind {
                Kind::Histogram => format!("{name}_count{{{set}}} 0"),
                _ => format!("{name}{{{set}}} 0"),
            };
            assert!(lines.contains(line.as_str()), "{line} is missing");
        }
    }
}
