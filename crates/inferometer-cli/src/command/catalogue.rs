//! `inferometer catalogue`.

use std::io::{ErrorKind, Write as _};

use anyhow::Context as _;
use inferometer::{Descriptor, LabelBound};
use inferometer_catalog::Domain;
use serde::Serialize;

use crate::cli::{CatalogueArgs, CatalogueFormat};

/// Prints the metrics of a domain, or of all.
///
/// # Errors
///
/// When standard output can't be written to.
pub fn run(args: &CatalogueArgs) -> anyhow::Result<()> {
    let mut domains = domains();
    domains.retain(|domain| {
        args.domain
            .as_deref()
            .is_none_or(|name| name == domain.name)
    });
    let entries: Vec<Entry<'_>> = domains.iter().flat_map(entries).collect();
    let text = if args.json || args.format == CatalogueFormat::Json {
        serde_json::to_string_pretty(&entries)? + "\n"
    } else {
        table(&entries)
    };
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("can't print the catalogue"),
    }
}

/// Every system, and the agent.
pub(crate) fn domains() -> Vec<Domain> {
    let mut domains = inferometer_catalog::domains();
    domains.push(Domain {
        name: super::agent::NAME,
        descriptors: super::agent::descriptors(),
    });
    domains
}

/// A metric, as the JSON shows it: the domain, and the keys of [`Descriptor`].
#[derive(Debug, Serialize)]
struct Entry<'a> {
    domain: &'static str,
    #[serde(flatten)]
    metric: &'a Descriptor,
}

fn entries(domain: &Domain) -> impl Iterator<Item = Entry<'_>> {
    domain.descriptors.iter().map(|metric| Entry {
        domain: domain.name,
        metric,
    })
}

const HEADINGS: [&str; 7] = [
    "DOMAIN", "NAME", "KIND", "UNIT", "LABELS", "BUCKETS", "HELP",
];

fn table(entries: &[Entry<'_>]) -> String {
    let rows: Vec<[String; 7]> = std::iter::once(HEADINGS.map(str::to_owned))
        .chain(entries.iter().map(row))
        .collect();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let (help, columns) = row.split_last().expect("a row has seven columns");
        for (cell, width) in columns.iter().zip(&widths) {
            text.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(help);
        text.push('\n');
    }
    text
}

fn row(entry: &Entry<'_>) -> [String; 7] {
    let dash = |text: String| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text
        }
    };
    let metric = entry.metric;
    let labels = metric.labels.iter().map(|label| match label.bound {
        LabelBound::Closed(values) => format!("{}={{{}}}", label.name, values.join("|")),
        LabelBound::Open(limit) => format!("{}≤{limit}", label.name),
    });
    let buckets = match &metric.buckets[..] {
        [] => String::new(),
        [only] => format!("1: {only}"),
        [first, .., last] => format!("{}: {first}…{last}", metric.buckets.len()),
    };
    [
        entry.domain.to_owned(),
        metric.name.clone(),
        metric.kind.as_str().to_owned(),
        dash(metric.unit.as_deref().unwrap_or_default().to_owned()),
        dash(labels.collect::<Vec<_>>().join(" ")),
        dash(buckets),
        metric.help.clone().into_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What whoever reads the JSON relies on.
    const KEYS: [&str; 10] = [
        "domain",
        "name",
        "kind",
        "unit",
        "help",
        "labels",
        "buckets",
        "native",
        "max_series",
        "idle_seconds",
    ];

    #[test]
    fn every_metric_is_a_line_and_an_object() {
        let domains = domains();
        let entries: Vec<Entry<'_>> = domains.iter().flat_map(entries).collect();
        let names: Vec<&str> = domains
            .iter()
            .flat_map(|domain| &domain.descriptors)
            .map(|d| d.name.as_str())
            .collect();
        assert!(names.len() >= 7, "{names:?}");

        let text = table(&entries);
        let column = text.lines().next().unwrap().find("KIND").unwrap();
        for (line, name) in text.lines().skip(1).zip(&names) {
            assert_eq!(line.split_whitespace().nth(1), Some(*name));
            let kind = line[column..].split(' ').next().unwrap();
            assert!(
                ["counter", "gauge", "histogram", "info", "stateset"].contains(&kind),
                "{line}"
            );
        }
        assert_eq!(text.lines().count(), names.len() + 1);

        let json = serde_json::to_value(&entries).unwrap();
        for entry in json.as_array().unwrap() {
            let keys: Vec<&str> = entry
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            let mut expected = KEYS.to_vec();
            // A JSON object's keys have no order here; what is printed has the order of the fields.
            expected.sort_unstable();
            assert_eq!(keys, expected);
        }
        let printed = serde_json::to_string(&entries[0]).unwrap();
        let places: Vec<_> = KEYS
            .map(|key| printed.find(&format!("\"{key}\":")))
            .to_vec();
        assert!(places.is_sorted() && places[0].is_some(), "{printed}");

        let stage = json
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|entry| entry["labels"].as_array().unwrap())
            .find(|label| label["name"] == "stage")
            .unwrap();
        assert!(
            stage.get("limit").is_none()
                && stage["values"]
                    .as_array()
                    .unwrap()
                    .contains(&"inference".into())
        );
        for entry in json.as_array().unwrap() {
            assert_eq!(
                entry["kind"] == "histogram",
                !entry["buckets"].as_array().unwrap().is_empty(),
                "{entry}"
            );
            assert!(!entry["help"].as_str().unwrap().is_empty());
        }
    }
}
