//! Label values that try to break out of their quotes.

use std::collections::HashSet;

use inferometer::{Counter, Format, LabelSet, MetricSet, Registry, encode};

use crate::{message, page};

#[derive(LabelSet)]
struct ByText<'a> {
    text: &'a str,
    more: &'a str,
}

#[derive(MetricSet)]
#[metrics(namespace = "hostile")]
struct Hostile {
    /// Texts seen.
    texts: Counter<ByText<'static>>,
}

const TEXTS: [&str; 22] = [
    "",
    " ",
    "plain",
    "} 1\n# EOF\nevil 666",
    "\"} 1\nevil 666\nhostile_texts_total{text=\"",
    "\\",
    "\\\\",
    "\"",
    "\\\"",
    "\n",
    "\\n",
    "n",
    "\r\n",
    "\0",
    "\u{1}\u{1b}[31m\u{7f}",
    "\u{85}\u{2028}\u{2029}",
    "🦀𝄞",
    "é",
    "e\u{301}",
    "\u{202e}tac",
    "a\",more=\"b",
    "{}[](),;#",
];

fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    TEXTS
        .iter()
        .flat_map(|text| TEXTS.iter().map(|more| (*text, *more)))
}

#[test]
fn hostile_values_neither_merge_nor_forge_series() {
    let registry = Registry::new();
    let set: Hostile = registry.register().unwrap();
    for (at, (text, more)) in pairs().enumerate() {
        set.texts.with(ByText { text, more }).add(at as u64 + 1);
    }
    for format in [Format::PrometheusText, Format::OpenMetricsText] {
        let page = page::of(&registry, format);
        let samples: Vec<_> = page::samples(&page)
            .into_iter()
            .filter(|sample| !sample.name.starts_with("inferometer_"))
            .collect();
        assert_eq!(samples.len(), TEXTS.len() * TEXTS.len());
        for (at, ((text, more), sample)) in pairs().zip(&samples).enumerate() {
            assert_eq!(sample.name, "hostile_texts_total");
            assert_eq!(sample.labels.len(), 2);
            assert_eq!(sample.label("text"), Some(text));
            assert_eq!(sample.label("more"), Some(more));
            assert_eq!(sample.value, (at + 1).to_string());
        }
        assert!(!page.lines().any(|line| line.starts_with("evil")));
        assert_eq!(
            page.split('\n').filter(|line| *line == "# EOF").count(),
            usize::from(format == Format::OpenMetricsText)
        );
    }
}

#[test]
fn hostile_values_stand_in_protobuf_as_they_are() {
    let registry = Registry::new();
    let set: Hostile = registry.register().unwrap();
    for (at, (text, more)) in pairs().enumerate() {
        set.texts.with(ByText { text, more }).add(at as u64 + 1);
    }
    let families = message::families(&encode(&registry.snapshot(), Format::Protobuf));
    let metrics = &families[0].metric;
    assert_eq!(metrics.len(), TEXTS.len() * TEXTS.len());
    for (at, ((text, more), metric)) in pairs().zip(metrics).enumerate() {
        let expected =
            [("text", text), ("more", more)].map(|(name, value)| (name.into(), value.into()));
        assert_eq!(message::labels(&metric.label), expected);
        let counter = metric.counter.as_ref().unwrap();
        assert_eq!(counter.value, Some((at + 1) as f64));
    }
}

#[test]
fn only_backslash_quote_and_line_feed_are_escaped() {
    let registry = Registry::new();
    let set: Hostile = registry.register().unwrap();
    set.texts
        .with(ByText {
            text: "\\ \" \n \r \t \0 🦀",
            more: "",
        })
        .inc();
    let page = registry.encode_text();
    let line = "\nhostile_texts_total{text=\"\\\\ \\\" \\n \r \t \0 🦀\",more=\"\"} 1\n";
    assert!(page.contains(line), "{page}");
}

#[test]
fn neighbouring_values_are_not_run_together() {
    let registry = Registry::new();
    let set: Hostile = registry.register().unwrap();
    for (text, more) in [("a", "bc"), ("ab", "c"), ("abc", ""), ("", "abc")] {
        set.texts.with(ByText { text, more }).inc();
    }
    let labels: HashSet<_> = registry
        .snapshot()
        .family("hostile_texts_total")
        .unwrap()
        .series
        .iter()
        .map(|series| series.labels.clone())
        .collect();
    assert_eq!(labels.len(), 4);
}
