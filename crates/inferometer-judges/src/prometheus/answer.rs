//! What queries return, and how it is read from the server's JSON.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::exposition::{labels, number};

/// A series of an instant query.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The labels, `__name__` among them where the query keeps it.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

/// A series of a range query.
#[derive(Debug, Clone, PartialEq)]
pub struct Points {
    /// The labels, `__name__` among them where the query keeps it.
    pub labels: BTreeMap<String, String>,
    /// Unix time in seconds, and the value then.
    pub points: Vec<(f64, f64)>,
}

/// A native histogram that an instant query found.
#[derive(Debug, Clone, PartialEq)]
pub struct NativeSeries {
    /// The labels, `__name__` among them where the query keeps it.
    pub labels: BTreeMap<String, String>,
    /// How many values it holds.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// The buckets that are not empty, from the lowest: lower bound, upper bound, values.
    pub buckets: Vec<(f64, f64, f64)>,
}

/// An exemplar that the server keeps.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredExemplar {
    /// The labels of the series it stands for, `__name__` among them.
    pub series: BTreeMap<String, String>,
    /// Its own labels.
    pub labels: BTreeMap<String, String>,
    /// The value recorded.
    pub value: f64,
    /// When, in Unix time and seconds.
    pub at: f64,
}

/// What the server says about one of its targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its job.
    pub job: String,
    /// Where it is scraped.
    pub url: String,
    /// `up`, `down`, or `unknown` before the first scrape.
    pub health: String,
    /// Why the last scrape failed; empty if it didn't.
    pub last_error: String,
}

/// What the server learnt about a family from one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The name as the scrape has it: OpenMetrics names a counter without `_total`.
    pub family: String,
    /// `counter`, `gauge`, `histogram` and so on.
    pub kind: String,
    /// The help text, unescaped.
    pub help: String,
    /// The unit; empty where the format or the family has none.
    pub unit: String,
}

pub(super) fn series(data: &Value) -> Option<Vec<Series>> {
    if data["resultType"] == "scalar" {
        let (_, value) = point(&data["result"])?;
        let labels = BTreeMap::new();
        return Some(vec![Series { labels, value }]);
    }
    each(&data["result"], |found| {
        Some(Series {
            labels: labels(&found["metric"])?,
            value: point(&found["value"])?.1,
        })
    })
}

pub(super) fn points(data: &Value) -> Option<Vec<Points>> {
    each(&data["result"], |found| {
        Some(Points {
            labels: labels(&found["metric"])?,
            points: each(&found["values"], point)?,
        })
    })
}

pub(super) fn native(data: &Value) -> Option<Vec<NativeSeries>> {
    each(&data["result"], |found| {
        let histogram = &found["histogram"][1];
        Some(NativeSeries {
            labels: labels(&found["metric"])?,
            count: number(&histogram["count"])?,
            sum: number(&histogram["sum"])?,
            buckets: match &histogram["buckets"] {
                Value::Null => Vec::new(),
                // The first says which of the bounds belong to the bucket.
                buckets => each(buckets, |bucket| {
                    Some((
                        number(&bucket[1])?,
                        number(&bucket[2])?,
                        number(&bucket[3])?,
                    ))
                })?,
            },
        })
    })
}

pub(super) fn exemplars(data: &Value) -> Option<Vec<StoredExemplar>> {
    let found = each(data, |found| {
        let series = labels(&found["seriesLabels"])?;
        each(&found["exemplars"], |exemplar| {
            Some(StoredExemplar {
                series: series.clone(),
                labels: labels(&exemplar["labels"])?,
                value: number(&exemplar["value"])?,
                at: exemplar["timestamp"].as_f64()?,
            })
        })
    })?;
    Some(found.concat())
}

pub(super) fn targets(data: &Value) -> Option<Vec<Target>> {
    each(&data["activeTargets"], |target| {
        Some(Target {
            job: target["labels"]["job"].as_str()?.to_owned(),
            url: target["scrapeUrl"].as_str()?.to_owned(),
            health: target["health"].as_str()?.to_owned(),
            last_error: target["lastError"].as_str()?.to_owned(),
        })
    })
}

pub(super) fn metadata(data: &Value) -> Option<Vec<Metadata>> {
    each(data, |found| {
        Some(Metadata {
            family: found["metric"].as_str()?.to_owned(),
            kind: found["type"].as_str()?.to_owned(),
            help: found["help"].as_str()?.to_owned(),
            unit: found["unit"].as_str()?.to_owned(),
        })
    })
}

/// Reads every element of a JSON array, or nothing.
fn each<T>(array: &Value, read: impl FnMut(&Value) -> Option<T>) -> Option<Vec<T>> {
    array.as_array()?.iter().map(read).collect()
}

fn point(printed: &Value) -> Option<(f64, f64)> {
    Some((printed[0].as_f64()?, number(&printed[1])?))
}
