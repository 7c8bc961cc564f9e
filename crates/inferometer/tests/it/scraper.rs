//! One who scrapes again and again, and holds each page to the ones before.

use std::collections::{BTreeMap, HashMap};

use inferometer::{Format, Registry};

use crate::{message, page};

/// A series and when it began, which tells it from a former one with the same labels.
type Incarnation = (String, Vec<(String, String)>, Option<(i64, i32)>);

/// What it has seen of each counter, bucket and count.
pub(crate) struct Scraper {
    format: Format,
    last: BTreeMap<Incarnation, f64>,
    present: usize,
}

impl Scraper {
    pub(crate) fn new(format: Format) -> Self {
        Self {
            format,
            last: BTreeMap::new(),
            present: 0,
        }
    }

    /// Scrapes once: no counter and no bucket is lower than it was, and every `_count` is its `+Inf` bucket.
    pub(crate) fn scrape(&mut self, registry: &Registry) {
        let seen = if self.format == Format::Protobuf {
            in_protobuf(&registry.encode(Format::Protobuf))
        } else {
            let page = String::from_utf8(registry.encode(self.format));
            in_text(&page.expect("the text formats are UTF-8"))
        };
        self.present = seen.len();
        for (series, now) in seen {
            let before = self.last.entry(series.clone()).or_insert(now);
            assert!(*before <= now, "{series:?} fell from {before} to {now}");
            *before = now;
        }
    }

    /// How many numbers the last page had.
    pub(crate) fn present(&self) -> usize {
        self.present
    }

    /// The sum of what was last seen of all series that a family ever had.
    pub(crate) fn totals(&self) -> BTreeMap<String, f64> {
        let mut totals = BTreeMap::new();
        for ((name, _, _), value) in &self.last {
            *totals.entry(name.clone()).or_default() += value;
        }
        totals
    }

    /// How many series a family ever had.
    pub(crate) fn incarnations(&self, family: &str) -> usize {
        self.last
            .keys()
            .filter(|(name, _, _)| name == family)
            .count()
    }
}

fn in_text(page: &str) -> Vec<(Incarnation, f64)> {
    let mut seen = Vec::new();
    let mut infinite = HashMap::new();
    let mut counts = HashMap::new();
    for sample in page::samples(page) {
        let mut labels = sample.labels.clone();
        if let Some(family) = sample.name.strip_suffix("_bucket") {
            let bound = labels.pop().expect("a bucket has a bound");
            if bound.1 == "+Inf" {
                infinite.insert((family.to_owned(), labels), sample.number());
            }
        } else if let Some(family) = sample.name.strip_suffix("_count") {
            counts.insert((family.to_owned(), labels), sample.number());
        }
        if ["_bucket", "_count", "_total", "_sum"]
            .iter()
            .any(|end| sample.name.ends_with(end))
        {
            let value = sample.number();
            seen.push(((sample.name, sample.labels, None), value));
        }
    }
    assert_eq!(infinite, counts, "a count differs from its +Inf bucket");
    seen
}

fn in_protobuf(page: &[u8]) -> Vec<(Incarnation, f64)> {
    let mut seen = Vec::new();
    for family in message::families(page) {
        let name = family.name.expect("a family has a name");
        for metric in family.metric {
            let labels = message::labels(&metric.label);
            if let Some(counter) = metric.counter {
                let value = counter.value.expect("a counter has a value");
                seen.push((
                    (
                        name.clone(),
                        labels.clone(),
                        began(counter.created_timestamp),
                    ),
                    value,
                ));
            }
            if let Some(histogram) = metric.histogram {
                let created = began(histogram.created_timestamp);
                let count = histogram.sample_count.expect("a histogram has a count");
                if histogram.schema.is_some() {
                    let native =
                        message::native(&histogram.positive_span, &histogram.positive_delta)
                            .into_iter()
                            .chain(message::native(
                                &histogram.negative_span,
                                &histogram.negative_delta,
                            ))
                            .map(|(_, count)| count)
                            .sum::<u64>();
                    assert_eq!(
                        native + histogram.zero_count.unwrap_or(0),
                        count,
                        "a count differs from its native buckets: {name}"
                    );
                }
                let mut below = 0;
                for bucket in &histogram.bucket {
                    let counted = bucket.cumulative_count.unwrap_or(0);
                    assert!(
                        below <= counted && counted <= count,
                        "{name}: {histogram:?}"
                    );
                    below = counted;
                }
                seen.push(((name.clone(), labels.clone(), created), count as f64));
            }
        }
    }
    seen
}

fn began(created: Option<message::Timestamp>) -> Option<(i64, i32)> {
    created.map(|at| (at.seconds, at.nanos))
}
