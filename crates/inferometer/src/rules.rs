//! What a declaration must hold to.

use std::collections::HashSet;

use crate::{
    cell::{Buckets, Slot},
    descriptor::{Descriptor, Kind, LabelBound},
    error::{RegisterError, Rule},
};

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether `name` can be a label's, of an exemplar for one.
pub(crate) fn is_label_name(name: &str) -> bool {
    is_name(name)
}

/// Whether the formats use a label of this name themselves, for this kind.
pub(crate) fn is_reserved_label(kind: Kind, name: &str) -> bool {
    name.starts_with("__") || (kind == Kind::Histogram && name == "le")
}

/// Checks a descriptor alone; names taken by others are the registry's business.
pub(crate) fn check(descriptor: &Descriptor) -> Result<(), RegisterError> {
    let refuse = |rule| Err(RegisterError::new(&descriptor.name, rule));
    if !is_name(&descriptor.name) {
        return refuse(Rule::MetricName);
    }
    let suffix = match descriptor.kind {
        Kind::Counter => "_total",
        Kind::Info => "_info",
        Kind::Gauge | Kind::Histogram | Kind::StateSet => "",
    };
    if !descriptor.name.ends_with(suffix) {
        return refuse(Rule::Suffix(suffix));
    }
    if descriptor.kind != Kind::Counter && descriptor.name.ends_with("_total") {
        return refuse(Rule::ForeignSuffix("_total"));
    }
    if descriptor.help.trim().is_empty() {
        return refuse(Rule::Help);
    }
    let mut seen = HashSet::new();
    let mut combinations = 1_usize;
    for label in &descriptor.labels {
        let name = &*label.name;
        let reserved = is_reserved_label(descriptor.kind, name)
            || (descriptor.kind != Kind::StateSet && name == descriptor.name);
        if !is_name(name) || reserved {
            return refuse(Rule::LabelName(name.into()));
        }
        if !seen.insert(name) {
            return refuse(Rule::RepeatedLabel(name.into()));
        }
        if let LabelBound::Closed(values) = label.bound {
            let distinct: HashSet<_> = values.iter().collect();
            if values.is_empty() || distinct.len() < values.len() {
                return refuse(Rule::LabelValues(name.into()));
            }
            combinations = combinations.saturating_mul(values.len());
        }
    }
    let max_series = descriptor.max_series.min(Slot::MOST_SIDE_BY_SIDE);
    if combinations > max_series {
        return refuse(Rule::TooManySeries {
            combinations,
            max_series,
        });
    }
    check_distribution(
        descriptor,
        "say `#[metric(buckets = …)]` or `#[metric(native)]`",
    )
}

/// Checks what is declared at run time, whose name is another's choice: it may have colons and any ending.
pub(crate) fn check_dynamic(descriptor: &Descriptor) -> Result<(), RegisterError> {
    let refuse = |rule| Err(RegisterError::new(&descriptor.name, rule));
    if !is_name(&descriptor.name.replace(':', "_")) {
        return refuse(Rule::MetricName);
    }
    if descriptor.help.trim().is_empty() {
        return refuse(Rule::Help);
    }
    check_distribution(descriptor, "name bounds, or make them native")
}

fn check_distribution(descriptor: &Descriptor, missing: &str) -> Result<(), RegisterError> {
    if descriptor.kind == Kind::Histogram {
        check_buckets(descriptor, missing)
            .map_err(|fault| RegisterError::new(&descriptor.name, Rule::Buckets(fault)))?;
    }
    Ok(())
}

fn check_buckets(descriptor: &Descriptor, missing: &str) -> Result<(), String> {
    let bounds = &descriptor.buckets;
    if let Some(native) = &descriptor.native {
        native.check()?;
    } else if bounds.is_empty() {
        return Err(format!("are missing; {missing}"));
    }
    if bounds.len() > Buckets::MOST_BOUNDS {
        let most = Buckets::MOST_BOUNDS;
        return Err(format!(
            "are {}, and more than {most} are no distribution but a load for whoever stores them",
            bounds.len()
        ));
    }
    if let Some(bound) = bounds.iter().find(|bound| !bound.is_finite()) {
        return Err(format!(
            "hold {bound}, and a bound must be finite; `+Inf` is added by itself"
        ));
    }
    match bounds.windows(2).find(|pair| pair[0] >= pair[1]) {
        Some(pair) => Err(format!("don't rise: {} comes before {}", pair[0], pair[1])),
        None => Ok(()),
    }
}
