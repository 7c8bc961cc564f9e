//! What the encoders of `inferometer` write, before parsers that are not ours.
//!
//! A judge is a process, so hundreds of snapshots go to it as one: each with names of its own.

#![expect(clippy::panic, reason = "what the tests share fails as they do")]

use std::collections::BTreeMap;

use inferometer::{
    EncodeOptions, Exemplar, FamilySnapshot, Format, HistogramPoint, Kind, Point, SeriesSnapshot,
    Snapshot, encode_with,
};
use inferometer_judges::{Family, Sample, Summary, judge_exposition, promtool_check_metrics};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, TestRunner},
};
use snapshots::Texts;

#[path = "../../inferometer/tests/it/snapshots.rs"]
mod snapshots;

type Labels = BTreeMap<String, String>;

/// So many snapshots in one, whose families and labels a parser should find again. They differ from run to run.
fn chance(count: usize) -> Snapshot {
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::default()
    });
    let strategy = snapshots::snapshot(Texts::Tame);
    let mut whole = Snapshot::default();
    for at in 0..count {
        let tree = strategy.new_tree(&mut runner);
        let mut snapshot = tree.expect("nothing is filtered much").current();
        snapshots::rename(&mut snapshot, &format!("s{at}_"));
        whole.families.append(&mut snapshot.families);
    }
    assert!(whole.families.len() > count, "chance has hardly made any");
    whole
}

fn page(snapshot: &Snapshot, format: Format, created: bool) -> String {
    let page = encode_with(snapshot, format, EncodeOptions { created });
    String::from_utf8(page).expect("the text formats are UTF-8")
}

fn judged(page: &str, format: Format) -> Summary {
    match judge_exposition(page.as_bytes(), format.content_type()) {
        Ok(summary) => summary,
        Err(error) => panic!("{error}\n{page}"),
    }
}

#[test]
fn the_strict_parser_reads_what_the_snapshots_say() {
    let snapshot = chance(300);
    for created in [false, true] {
        let page = page(&snapshot, Format::OpenMetricsText, created);
        let summary = judged(&page, Format::OpenMetricsText);
        compare(&summary, &snapshot, true, created);
    }
}

#[test]
fn the_parser_of_the_text_format_reads_what_the_snapshots_say() {
    let snapshot = chance(300);
    let page = page(&snapshot, Format::PrometheusText, true);
    let summary = judged(&page, Format::PrometheusText);
    compare(&summary, &snapshot, false, false);
}

#[test]
fn promtool_reads_all_that_chance_makes() {
    let page = page(&chance(300), Format::PrometheusText, false);
    // It may dislike a name or a unit, but has to understand every line.
    if let Err(error) = promtool_check_metrics(&page) {
        panic!("{error}\n{page}");
    }
}

fn compare(summary: &Summary, snapshot: &Snapshot, open_metrics: bool, created: bool) {
    assert_eq!(summary.families.len(), snapshot.families.len());
    for (read, family) in summary.families.iter().zip(&snapshot.families) {
        let descriptor = &family.descriptor;
        let mut expected = Vec::new();
        for series in &family.series {
            lines(&mut expected, family, series, open_metrics);
            if let Some(since) = series.created.filter(|_| created) {
                let since = since.duration_since(std::time::UNIX_EPOCH);
                let since = since.expect("chance is younger");
                expected.push(line(
                    format!("{}_created", descriptor.family()),
                    &series.labels,
                    since.as_millis() as f64 / 1000.0,
                ));
            }
        }
        if open_metrics {
            assert_eq!(read.name, descriptor.family());
            assert_eq!(read.kind, descriptor.kind.as_str());
            assert_eq!(read.unit, descriptor.unit_in_name().unwrap_or_default());
            // The other parser cuts blanks off the end.
            assert_eq!(read.help, descriptor.help);
        }
        same_samples(read, &expected);
    }
}

fn same_samples(read: &Family, expected: &[Line]) {
    assert_eq!(read.samples.len(), expected.len(), "{read:?}\n{expected:?}");
    for (read, expected) in read.samples.iter().zip(expected) {
        assert!(expected.is(read), "{read:?}\n{expected:?}");
    }
}

/// What a line must say.
#[derive(Debug)]
struct Line {
    name: String,
    labels: Labels,
    value: f64,
    exemplar: Option<(Labels, f64)>,
}

impl Line {
    fn is(&self, read: &Sample) -> bool {
        let same = |one: f64, other: f64| one == other || (one.is_nan() && other.is_nan());
        let same_exemplar = match (&self.exemplar, &read.exemplar) {
            (None, None) => true,
            (Some((labels, value)), Some((read, found))) => labels == read && same(*value, *found),
            _ => false,
        };
        self.name == read.name
            && self.labels == read.labels
            && same(self.value, read.value)
            && same_exemplar
    }
}

fn line(name: String, labels: &str, value: f64) -> Line {
    Line {
        name,
        labels: unrendered(labels),
        value,
        exemplar: None,
    }
}

fn with_exemplar(line: Line, exemplar: Option<&Exemplar>) -> Line {
    Line {
        exemplar: exemplar.map(|found| (unrendered(&found.labels), found.value)),
        ..line
    }
}

/// Labels as they were before they were rendered. None of the names has an escape, and a quote inside a value has one.
fn unrendered(labels: &str) -> Labels {
    let mut rest = labels;
    let mut pairs = Labels::new();
    while let Some((name, quoted)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut characters = quoted.chars();
        loop {
            match characters.next().expect("a closing quote") {
                '"' => break,
                '\\' => value.push(match characters.next().expect("what was escaped") {
                    'n' => '\n',
                    other => other,
                }),
                other => value.push(other),
            }
        }
        rest = characters.as_str().trim_start_matches(',');
        pairs.insert(name.to_owned(), value);
    }
    pairs
}

fn lines(
    into: &mut Vec<Line>,
    family: &FamilySnapshot,
    series: &SeriesSnapshot,
    open_metrics: bool,
) {
    let name = &family.descriptor.name;
    let value = match &series.point {
        Point::Integer(value) => *value as f64,
        Point::Signed(value) => *value as f64,
        Point::Float(value) => *value,
        Point::Histogram(point) => {
            return histogram(into, family, series, point, open_metrics);
        }
    };
    let is_counter = family.descriptor.kind == Kind::Counter;
    let exemplar = series.exemplar.as_ref();
    into.push(with_exemplar(
        line(name.clone(), &series.labels, value),
        exemplar.filter(|_| open_metrics && is_counter),
    ));
}

fn histogram(
    into: &mut Vec<Line>,
    family: &FamilySnapshot,
    series: &SeriesSnapshot,
    point: &HistogramPoint,
    open_metrics: bool,
) {
    let name = &family.descriptor.name;
    let mut counts: Vec<u64> = point.cumulative().collect();
    if counts.is_empty() {
        counts.push(point.count());
    }
    for (at, count) in counts.iter().enumerate() {
        let bound = family.descriptor.buckets.get(at);
        let bound = bound.copied().unwrap_or(f64::INFINITY);
        let mut bucket = line(format!("{name}_bucket"), &series.labels, *count as f64);
        let le = if bound == f64::INFINITY {
            "+Inf".to_owned()
        } else {
            canonical(bound)
        };
        bucket.labels.insert("le".to_owned(), le);
        let exemplar = point.exemplars.get(at).and_then(Option::as_ref);
        into.push(with_exemplar(
            bucket,
            exemplar.filter(|found| open_metrics && found.value <= bound),
        ));
    }
    let total = counts[counts.len() - 1] as f64;
    into.push(line(format!("{name}_sum"), &series.labels, point.sum));
    into.push(line(format!("{name}_count"), &series.labels, total));
}

/// A bound as Prometheus spells it, by another way than the encoder's: positional from 10⁻⁴ up to 10⁶, scientific beyond.
fn canonical(bound: f64) -> String {
    if bound == 0.0 || (1e-4..1e6).contains(&bound) {
        let text = bound.to_string();
        return if text.contains('.') {
            text
        } else {
            format!("{text}.0")
        };
    }
    let text = format!("{bound:e}");
    let (digits, exponent) = text.split_once('e').expect("this notation has an exponent");
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}
