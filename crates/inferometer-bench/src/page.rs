//! What a scrape shows, added up by the name of the sample, so that every library can be held to what was recorded.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use prometheus::proto::{MetricFamily, MetricType};
use protobuf::CodedInputStream;

use crate::libraries::Format;

/// One name's samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Total {
    /// How many samples aren't 0.
    pub(crate) series: usize,
    /// Their sum.
    pub(crate) sum: f64,
}

/// The samples of a page by name, such as `bench_total` or `bench_seconds_count`. Buckets are `_bucket` with the bound
/// after a space: `bench_seconds_bucket +Inf`.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Totals(BTreeMap<String, Total>);

impl Totals {
    /// # Errors
    /// The page can't be read.
    pub(crate) fn of(page: &[u8], format: Format) -> Result<Self> {
        match format {
            Format::Text | Format::OpenMetrics => Self::of_text(page),
            Format::Protobuf => Self::of_protobuf(page),
        }
    }

    fn of_text(page: &[u8]) -> Result<Self> {
        let page = std::str::from_utf8(page).context("the page isn't UTF-8")?;
        let mut totals = Self::default();
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            if line.is_empty() {
                continue;
            }
            let (name, labels, value) =
                split(line).with_context(|| format!("not a sample: {line}"))?;
            let value: f64 = value
                .parse()
                .with_context(|| format!("not a number: {line}"))?;
            if name.ends_with("_bucket") {
                // Only the last bucket says more than `_count` does.
                if labels.contains("le=\"+Inf\"") {
                    totals.add(&format!("{name} +Inf"), value);
                }
            } else {
                totals.add(name, value);
            }
        }
        Ok(totals)
    }

    fn of_protobuf(page: &[u8]) -> Result<Self> {
        let mut totals = Self::default();
        let mut stream = CodedInputStream::from_bytes(page);
        while !stream.eof()? {
            let family: MetricFamily = stream.read_message()?;
            let name = family.name();
            for metric in family.get_metric() {
                match family.get_field_type() {
                    MetricType::COUNTER => totals.add(name, metric.get_counter().value()),
                    MetricType::GAUGE => totals.add(name, metric.get_gauge().value()),
                    MetricType::HISTOGRAM => {
                        let histogram = metric.get_histogram();
                        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
                        let count = histogram.get_sample_count() as f64;
                        totals.add(&format!("{name}_count"), count);
                        totals.add(&format!("{name}_sum"), histogram.get_sample_sum());
                    }
                    MetricType::SUMMARY | MetricType::UNTYPED => {}
                }
            }
        }
        Ok(totals)
    }

    fn add(&mut self, name: &str, value: f64) {
        let total = match self.0.get_mut(name) {
            Some(total) => total,
            None => self.0.entry(name.to_owned()).or_default(),
        };
        total.sum += value;
        total.series += usize::from(value != 0.0);
    }

    /// The samples called `name`, or `name_total`.
    pub(crate) fn named(&self, name: &str) -> Total {
        let plain = self.0.get(name).copied().unwrap_or_default();
        let suffixed = self
            .0
            .get(&format!("{name}_total"))
            .copied()
            .unwrap_or_default();
        Total {
            series: plain.series + suffixed.series,
            sum: plain.sum + suffixed.sum,
        }
    }

    /// # Errors
    /// `name` doesn't add up to `sum`, or not over `series` series.
    pub(crate) fn expect(&self, name: &str, series: usize, sum: f64) -> Result<()> {
        let total = self.named(name);
        ensure!(
            total.sum == sum && total.series == series,
            "`{name}` adds up to {} over {} series; recorded were {sum} over {series}",
            total.sum,
            total.series
        );
        Ok(())
    }
}

/// Name, labels and value of a sample; an exemplar after it is left out.
fn split(line: &str) -> Option<(&str, &str, &str)> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => rest.split_once("} ")?,
        None => ("", rest.trim_start()),
    };
    Some((name, labels, value.split(' ').next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# TYPE bench counter
bench_total{a=\"x y\"} 3 # {trace=\"1\"} 1.0
bench_total{a=\"z\"} 4
bench_total{a=\"idle\"} 0
other_bucket{le=\"1.0\"} 1
other_bucket{le=\"+Inf\"} 2
other_count 2
# EOF
";

    #[test]
    fn samples_of_text_add_up_by_name() {
        let totals = Totals::of(TEXT.as_bytes(), Format::OpenMetrics).unwrap();
        totals.expect("bench", 2, 7.0).unwrap();
        totals.expect("other_bucket +Inf", 1, 2.0).unwrap();
        totals.expect("other_count", 1, 2.0).unwrap();
    }

    #[test]
    fn a_total_that_differs_is_an_error_that_says_both() {
        let totals = Totals::of(TEXT.as_bytes(), Format::Text).unwrap();
        let error = totals.expect("bench", 2, 8.0).unwrap_err().to_string();
        assert!(error.contains("adds up to 7") && error.contains("recorded were 8"));
        totals.expect("bench", 3, 7.0).unwrap_err();
        totals.expect("absent", 1, 0.0).unwrap_err();
    }

    #[test]
    fn a_page_that_is_cut_off_is_an_error() {
        Totals::of(b"bench_total{a=\"x", Format::Text).unwrap_err();
        Totals::of(b"bench_total many", Format::Text).unwrap_err();
        Totals::of(&[200, 1, 2], Format::Protobuf).unwrap_err();
    }

    #[test]
    fn both_formats_of_a_library_give_the_same_totals() {
        let library = crate::libraries::named("prometheus").unwrap();
        let shape = crate::libraries::Shape {
            counters: Some((crate::labels::Size::Thousand, 1)),
            histograms: Some(crate::labels::Size::Thousand),
            open: None,
        };
        let set = library.set(shape).unwrap().unwrap();
        set.count(7, 70);
        set.count(8, 1);
        set.observe(3, 0.5);
        let (mut text, mut protobuf) = (Vec::new(), Vec::new());
        set.scrape(Format::Text, &mut text).unwrap();
        set.scrape(Format::Protobuf, &mut protobuf).unwrap();
        for (page, format) in [(text, Format::Text), (protobuf, Format::Protobuf)] {
            let totals = Totals::of(&page, format).unwrap();
            totals.expect("bench_0", 2, 71.0).unwrap();
            totals.expect("bench_seconds_count", 1, 1.0).unwrap();
            totals.expect("bench_seconds_sum", 1, 0.5).unwrap();
        }
    }
}
