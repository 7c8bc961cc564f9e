//! A page in the text format, taken apart.

use std::collections::BTreeMap;

use inferometer_bridge::{Builder, Recorder};
use metrics_exporter_prometheus::PrometheusBuilder;

/// What a page says. Samples are found by their name and labels, these in the order of their names.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Page {
    pub(crate) samples: BTreeMap<(String, Vec<(String, String)>), f64>,
    pub(crate) types: BTreeMap<String, String>,
    pub(crate) helps: BTreeMap<String, String>,
}

impl Page {
    /// Panics where a line isn't of the form or a sample stands twice.
    pub(crate) fn read(text: &str) -> Self {
        let mut page = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let twice = if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                page.types.insert(name.into(), kind.into()).is_some()
            } else if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                page.helps.insert(name.into(), help.into()).is_some()
            } else {
                let (key, value) = sample(line);
                page.samples.insert(key, value).is_some()
            };
            assert!(!twice, "{line} stands twice in\n{text}");
        }
        page
    }

    pub(crate) fn of(recorder: &Recorder) -> Self {
        Self::read(&recorder.registry().encode_text())
    }

    /// The page without what a registry and a recorder say of themselves.
    pub(crate) fn foreign(mut self) -> Self {
        let is_own = |name: &str| name.starts_with("inferometer_");
        self.samples.retain(|(name, _), _| !is_own(name));
        self.types.retain(|name, _| !is_own(name));
        self.helps.retain(|name, _| !is_own(name));
        self
    }

    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut labels: Vec<_> = labels.collect();
        labels.sort();
        self.samples.get(&(name.to_owned(), labels)).copied()
    }

    /// Every sample of this name: its labels, and its value.
    pub(crate) fn all(&self, name: &str) -> Vec<(&[(String, String)], f64)> {
        let samples = self.samples.iter().filter(|((one, _), _)| one == name);
        samples
            .map(|((_, labels), value)| (labels.as_slice(), *value))
            .collect()
    }
}

type Sample = ((String, Vec<(String, String)>), f64);

fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"").unwrap();
            let (value, after) = unquoted(after);
            // A bound is a number, however it is written.
            let value = match value.parse::<f64>() {
                Ok(bound) if label == "le" => bound.to_string(),
                _ => value,
            };
            labels.push((label.to_owned(), value));
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    labels.sort();
    let value = rest.trim().parse().unwrap();
    ((name.to_owned(), labels), value)
}

/// The text up to the closing quote, and what follows that.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => match characters.next().map(|(_, escaped)| escaped) {
                Some('n') => value.push('\n'),
                Some(escaped @ ('\\' | '"')) => value.push(escaped),
                other => panic!("\\{other:?} is no escape: {text}"),
            },
            character => value.push(character),
        }
    }
    panic!("no closing quote: {text}");
}

/// What both recorders show after `program`, ours first.
pub(crate) fn both(ours: Builder, theirs: PrometheusBuilder, program: impl Fn()) -> (Page, Page) {
    let recorder = ours.build().unwrap();
    metrics::with_local_recorder(&recorder, &program);
    let exporter = theirs.build_recorder();
    metrics::with_local_recorder(&exporter, &program);
    let theirs = Page::read(&exporter.handle().render());
    (Page::of(&recorder).foreign(), theirs)
}
