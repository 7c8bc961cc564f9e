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
    let mut domains = inferometer_catalog::domains();
    domains.retain(|domain| {
        args.domain
            .as_deref()
            .is_none_or(|name| name == domain.name)
    });
    let entries: Vec<Entry<'_>> = domains.iter().flat_map(entries).collect();
    let text = match args.format {
        CatalogueFormat::Table => table(&entries),
        CatalogueFormat::Json => serde_json::to_string_pretty(&entries)? + "\n",
    };
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("can't print the catalogue"),
    }
}

/// A metric, as the JSON shows it.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    domain: &'static str,
    name: &'a str,
    kind: &'static str,
    unit: Option<&'a str>,
    help: &'a str,
    labels: Vec<Label<'a>>,
    /// Upper bounds, `+Inf` left out; empty for what is no histogram.
    buckets: &'a [f64],
}

/// A label with its bound: a closed list of values, or a limit beyond which values become `other`.
#[derive(Debug, Serialize)]
struct Label<'a> {
    name: &'a str,
    values: Option<&'a [&'a str]>,
    limit: Option<usize>,
}

fn entries(domain: &Domain) -> impl Iterator<Item = Entry<'_>> {
    domain
        .descriptors
        .iter()
        .map(|descriptor| entry(domain.name, descriptor))
}

fn entry<'a>(domain: &'static str, descriptor: &'a Descriptor) -> Entry<'a> {
    let labels = descriptor.labels.iter().map(|label| {
        let (values, limit) = match label.bound {
            LabelBound::Closed(values) => (Some(values), None),
            LabelBound::Open(limit) => (None, Some(limit)),
        };
        Label {
            name: &label.name,
            values,
            limit,
        }
    });
    Entry {
        domain,
        name: &descriptor.name,
        kind: descriptor.kind.as_str(),
        unit: descriptor.unit.as_deref(),
        help: &descriptor.help,
        labels: labels.collect(),
        buckets: &descriptor.buckets,
    }
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
    let labels = entry
        .labels
        .iter()
        .map(|label| match (label.values, label.limit) {
            (Some(values), _) => format!("{}={{{}}}", label.name, values.join("|")),
            (None, limit) => format!("{}≤{}", label.name, limit.unwrap_or(0)),
        });
    let buckets = match entry.buckets {
        [] => String::new(),
        [only] => format!("1: {only}"),
        [first, .., last] => format!("{}: {first}…{last}", entry.buckets.len()),
    };
    [
        entry.domain.to_owned(),
        entry.name.to_owned(),
        entry.kind.to_owned(),
        dash(entry.unit.unwrap_or_default().to_owned()),
        dash(labels.collect::<Vec<_>>().join(" ")),
        dash(buckets),
        entry.help.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_metric_is_a_line_and_an_object() {
        let domains = inferometer_catalog::domains();
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
        let stage = json
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|entry| entry["labels"].as_array().unwrap())
            .find(|label| label["name"] == "stage")
            .unwrap();
        assert!(
            stage["limit"] == Value::Null
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
