use std::collections::BTreeMap;

use serde_json::Value;

use crate::{JudgeError, program};

/// A scrape as a parser that is not ours read it.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The families, in the order of the scrape.
    pub families: Vec<Family>,
}

/// One family of a [`Summary`].
#[derive(Debug, Clone)]
pub struct Family {
    /// The name as OpenMetrics has it: a counter's without `_total`.
    pub name: String,
    /// `counter`, `gauge`, `histogram` and so on.
    pub kind: String,
    /// The help text, unescaped.
    pub help: String,
    /// The unit; empty where the format or the family has none.
    pub unit: String,
    /// The samples, in the order of the scrape.
    pub samples: Vec<Sample>,
}

/// One sample of a [`Family`].
#[derive(Debug, Clone)]
pub struct Sample {
    /// The name as it stands in the line, with `_total`, `_bucket` and so on.
    pub name: String,
    /// The labels, unescaped.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
    /// The labels and the value of the exemplar.
    pub exemplar: Option<(BTreeMap<String, String>, f64)>,
}

impl Summary {
    /// The family of this name.
    #[must_use]
    pub fn family(&self, name: &str) -> Option<&Family> {
        self.families.iter().find(|family| family.name == name)
    }

    /// All samples whose line starts with `name`.
    pub fn samples<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.families
            .iter()
            .flat_map(|family| &family.samples)
            .filter(move |sample| sample.name == name)
    }

    /// The value of the sample with exactly these labels, in any order.
    #[must_use]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.samples(name)
            .find(|sample| {
                sample.labels.len() == labels.len()
                    && labels.iter().all(|&(label, value)| {
                        sample.labels.get(label).is_some_and(|found| found == value)
                    })
            })
            .map(|sample| sample.value)
    }

    /// The sum over all samples of this name; 0 where there is none.
    #[must_use]
    pub fn sum(&self, name: &str) -> f64 {
        self.samples(name).map(|sample| sample.value).sum()
    }
}

/// Has a scrape read by `prometheus_client` (the strict OpenMetrics parser, or the one of the text format, as the content type
/// says) and checks what that parser lets pass: duplicate samples, buckets that fall, `_count` unlike the `+Inf` bucket, missing
/// HELP or TYPE, bounds that are not floats, a content type without its version.
///
/// # Errors
/// Every complaint, a line each; or that `scripts/setup` was not run.
pub fn judge_exposition(body: &[u8], content_type: &str) -> Result<Summary, JudgeError> {
    let printed = program::run_python("exposition.py", &[content_type], body)?;
    serde_json::from_slice(&printed)
        .ok()
        .and_then(|printed: Value| summary(&printed))
        .ok_or_else(|| {
            JudgeError::new("exposition.py printed another shape than this crate expects")
        })
}

fn summary(printed: &Value) -> Option<Summary> {
    let families = printed["families"]
        .as_array()?
        .iter()
        .map(family)
        .collect::<Option<_>>()?;
    Some(Summary { families })
}

fn family(printed: &Value) -> Option<Family> {
    Some(Family {
        name: printed["name"].as_str()?.to_owned(),
        kind: printed["type"].as_str()?.to_owned(),
        help: printed["help"].as_str()?.to_owned(),
        unit: printed["unit"].as_str()?.to_owned(),
        samples: printed["samples"]
            .as_array()?
            .iter()
            .map(sample)
            .collect::<Option<_>>()?,
    })
}

fn sample(printed: &Value) -> Option<Sample> {
    let exemplar = match &printed["exemplar"] {
        Value::Null => None,
        exemplar => Some((labels(&exemplar["labels"])?, number(&exemplar["value"])?)),
    };
    Some(Sample {
        name: printed["name"].as_str()?.to_owned(),
        labels: labels(&printed["labels"])?,
        value: number(&printed["value"])?,
        exemplar,
    })
}

/// Reads a JSON object of strings.
pub(crate) fn labels(printed: &Value) -> Option<BTreeMap<String, String>> {
    printed
        .as_object()?
        .iter()
        .map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// Reads a number printed as a string, as Prometheus does too: `NaN`, `+Inf`, `1.5`.
pub(crate) fn number(printed: &Value) -> Option<f64> {
    printed.as_str()?.parse().ok()
}
