//! A scrape read back by a parser that knows nothing of the encoder, and faults nothing that the format allows.

use std::collections::BTreeMap;

/// One sample: its name, its labels as they were before escaping, and its value as printed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: String,
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
    assert!(page.ends_with('\n'), "the last line of a page is ended");
    let mut samples = Vec::new();
    let mut seen = BTreeMap::new();
    // Not `lines`, which takes a carriage return in a label for the end of a line's text.
    for line in page.strip_suffix('\n').unwrap_or_default().split('\n') {
        if let Some(comment) = line.strip_prefix("# ") {
            let word = comment.split(' ').next().unwrap_or_default();
            assert!(
                ["HELP", "TYPE", "UNIT", "EOF"].contains(&word),
                "an unknown comment: {line}"
            );
            continue;
        }
        let sample = sample(line);
        let series = (sample.name.clone(), sample.labels.clone());
        assert!(
            seen.insert(series, ()).is_none(),
            "a series stands twice: {line}"
        );
        samples.push(sample);
    }
    samples
}

fn sample(line: &str) -> Sample {
    let end = line
        .find(['{', ' '])
        .unwrap_or_else(|| panic!("no value: {line:?}"));
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, quoted) = rest.split_once("=\"").expect("a label has a quoted value");
            let (value, after) = unescape(quoted);
            labels.push((label.to_owned(), value));
            match after.as_bytes().first() {
                Some(b',') => rest = &after[1..],
                Some(b'}') => {
                    rest = &after[1..];
                    break;
                }
                _ => panic!("labels that don't end: {line:?}"),
            }
        }
    }
    let value = rest
        .strip_prefix(' ')
        .expect("a blank before the value")
        .to_owned();
    assert!(!value.contains(' '), "more than a value: {line:?}");
    Sample {
        name: name.to_owned(),
        labels,
        value,
    }
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

/// A scrape in a text format.
pub(crate) fn encoded(registry: &inferometer::Registry, format: inferometer::Format) -> String {
    String::from_utf8(registry.encode(format)).expect("the text formats are UTF-8")
}
