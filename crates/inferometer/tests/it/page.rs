//! A scrape read back by a parser that knows nothing of the encoder, and faults nothing that the format allows.

use std::collections::{BTreeMap, BTreeSet};

use inferometer::{Format, Registry, encode};

/// One sample: its name, its labels as they were before escaping, and its value as printed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: String,
    pub(crate) exemplar: Option<Exemplar>,
}

/// What stands after a sample's ` # `.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Exemplar {
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: String,
    pub(crate) time: Option<String>,
}

impl Sample {
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.labels
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn number(&self) -> f64 {
        self.value.parse().expect("a value is a number")
    }
}

/// Every sample of a page; fails on a line that is neither a sample nor known metadata, and on two samples of one series.
pub(crate) fn samples(page: &str) -> Vec<Sample> {
    let samples = lines(page);
    let mut seen = BTreeSet::new();
    for sample in &samples {
        assert!(
            seen.insert((&sample.name, &sample.labels)),
            "a series stands twice: {sample:?}"
        );
    }
    samples
}

/// The same, for a page in which a series may stand twice.
pub(crate) fn lines(page: &str) -> Vec<Sample> {
    let mut samples = Vec::new();
    // Not `lines`, which takes a carriage return in a label for the end of a line's text.
    for line in page.split_terminator('\n') {
        if let Some(comment) = line.strip_prefix("# ") {
            let word = comment.split(' ').next().unwrap_or_default();
            assert!(
                ["HELP", "TYPE", "UNIT", "EOF"].contains(&word),
                "an unknown comment: {line}"
            );
        } else {
            samples.push(sample(line));
        }
    }
    assert!(
        page.is_empty() || page.ends_with('\n'),
        "the last line of a page is ended"
    );
    samples
}

fn sample(line: &str) -> Sample {
    let end = line
        .find(['{', ' '])
        .unwrap_or_else(|| panic!("no value: {line:?}"));
    let (name, rest) = line.split_at(end);
    let (labels, rest) = labels(rest);
    assert!(!rest.starts_with("{}"), "braces around nothing: {line:?}");
    let rest = rest.strip_prefix(' ').expect("a blank before the value");
    let (value, exemplar) = match rest.split_once(" # ") {
        Some((value, after)) => (value, Some(self::exemplar(after))),
        None => (rest, None),
    };
    assert!(!value.contains(' '), "more than a value: {line:?}");
    Sample {
        name: name.to_owned(),
        labels,
        value: value.to_owned(),
        exemplar,
    }
}

fn exemplar(text: &str) -> Exemplar {
    let (labels, rest) = match text.strip_prefix("{}") {
        Some(rest) => (Vec::new(), rest),
        None => labels(text),
    };
    let rest = rest.strip_prefix(' ').expect("a blank before the value");
    let (value, time) = match rest.split_once(' ') {
        Some((value, time)) => (value, Some(time.to_owned())),
        None => (rest, None),
    };
    Exemplar {
        labels,
        value: value.to_owned(),
        time,
    }
}

/// Labels as they were before they were rendered.
pub(crate) fn pairs(rendered: &str) -> Vec<(String, String)> {
    if rendered.is_empty() {
        return Vec::new();
    }
    let braced = format!("{{{rendered}}}");
    let (pairs, rest) = labels(&braced);
    assert_eq!(rest, "");
    pairs
}

/// The labels in braces that the text may begin with, and what follows them.
fn labels(text: &str) -> (Vec<(String, String)>, &str) {
    let mut labels = Vec::new();
    let Some(mut rest) = text.strip_prefix('{') else {
        return (labels, text);
    };
    loop {
        let (label, quoted) = rest.split_once("=\"").expect("a label has a quoted value");
        let (value, after) = unescape(quoted);
        labels.push((label.to_owned(), value));
        match after.as_bytes().first() {
            Some(b',') => rest = &after[1..],
            Some(b'}') => return (labels, &after[1..]),
            _ => panic!("labels that don't end: {text:?}"),
        }
    }
}

/// The HELP of each family, by its name, unescaped.
pub(crate) fn help(page: &str, format: Format) -> BTreeMap<String, String> {
    let lines = page
        .split('\n')
        .filter_map(|line| line.strip_prefix("# HELP "));
    lines
        .map(|line| {
            let (name, text) = line.split_once(' ').expect("a blank after the name");
            // Quotes are escaped in one of the formats only; in the other they would end the text.
            let text = match format {
                Format::OpenMetricsText => text.to_owned(),
                _ => text.replace('"', "\\\""),
            };
            let closed = format!("{text}\"");
            let (text, after) = unescape(&closed);
            assert_eq!(after, "", "a bare quote: {line:?}");
            (name.to_owned(), text)
        })
        .collect()
}

/// The scrape in a text format.
pub(crate) fn of(registry: &Registry, format: Format) -> String {
    String::from_utf8(encode(&registry.snapshot(), format)).expect("the text formats are UTF-8")
}

/// The text up to the closing quote with its escapes undone, and what follows the quote.
pub(crate) fn unescape(quoted: &str) -> (String, &str) {
    let mut text = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (text, &quoted[at + 1..]),
            '\\' => match characters.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, escaped @ ('\\' | '"'))) => text.push(escaped),
                other => panic!("an escape that the format doesn't have: {other:?}"),
            },
            other => text.push(other),
        }
    }
    panic!("a label's value that isn't closed: {quoted:?}")
}

/// The value of a sample, looked up by its name and the whole of its labels.
pub(crate) fn value(page: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    samples(page)
        .into_iter()
        .find(|sample| {
            sample.name == name
                && sample.labels.len() == labels.len()
                && labels
                    .iter()
                    .all(|(label, value)| sample.label(label) == Some(value))
        })
        .map(|sample| sample.number())
}

/// The page without the registry's own metrics.
pub(crate) fn without_own(page: &str) -> String {
    let own = |line: &&str| !line.contains("inferometer_");
    page.split_inclusive('\n').filter(own).collect()
}
