//! Refusals at declaration.

use std::fmt;

use crate::descriptor::Descriptor;

/// A metric that can't be declared, and the rule it breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterError {
    metric: String,
    rule: Rule,
}

/// The rules of a declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// A metric's name is made of `a-z`, `A-Z`, `0-9` and `_`, and doesn't start with a digit.
    MetricName,
    /// A counter's name ends in `_total`, an info's in `_info`.
    Suffix(&'static str),
    /// No other name than a counter's ends in `_total`.
    ForeignSuffix(&'static str),
    /// A metric has a help text.
    Help,
    /// A label's name is made of `a-z`, `A-Z`, `0-9` and `_`, doesn't start with a digit or `__`, and isn't the one that the format
    /// itself uses for this kind.
    LabelName(String),
    /// A metric has a label once.
    RepeatedLabel(String),
    /// A closed label has values, no two of them alike.
    LabelValues(String),
    /// The values of the closed labels make no more combinations than a family may have series.
    TooManySeries {
        /// How many combinations they make.
        combinations: usize,
        /// How many series the family may have.
        max_series: usize,
    },
    /// A histogram has bounds, finite and rising.
    Buckets(String),
    /// No two metrics put the same name on the wire.
    Collision {
        /// The name that both would write.
        wire: String,
        /// The metric that has it.
        owner: String,
    },
    /// A declaration says the same each time it is read.
    Unsteady,
}

impl RegisterError {
    pub(crate) fn new(metric: &str, rule: Rule) -> Self {
        Self {
            metric: metric.into(),
            rule,
        }
    }

    pub(crate) fn collision(metric: &str, wire: &str, owner: &str) -> Self {
        Self::new(
            metric,
            Rule::Collision {
                wire: wire.into(),
                owner: owner.into(),
            },
        )
    }

    /// For a set that made other metrics than it had described.
    pub(crate) fn unsteady(described: &[Descriptor], made: &[Descriptor]) -> Self {
        let agreeing = described
            .iter()
            .zip(made)
            .take_while(|(one, other)| one == other)
            .count();
        let metric = described
            .get(agreeing)
            .or(made.get(agreeing))
            .map_or("", |one| &one.name);
        Self::new(metric, Rule::Unsteady)
    }

    /// The metric's name.
    pub fn metric(&self) -> &str {
        &self.metric
    }

    /// The rule it breaks.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metric = &self.metric;
        write!(f, "metric `{metric}` can't be declared: ")?;
        match &self.rule {
            Rule::MetricName => write!(
                f,
                "a name is made of letters, digits and `_`, and doesn't start with a digit"
            ),
            Rule::Suffix(suffix) => write!(f, "its kind asks for a name that ends in `{suffix}`"),
            Rule::ForeignSuffix(suffix) => {
                write!(
                    f,
                    "only a counter's name ends in `{suffix}`, and this isn't one"
                )
            }
            Rule::Help => write!(f, "it has no help text; document the field"),
            Rule::LabelName(label) => write!(
                f,
                "label `{label}` has a name that is reserved, or not made of letters, digits and `_`"
            ),
            Rule::RepeatedLabel(label) => write!(f, "label `{label}` stands twice"),
            Rule::LabelValues(label) => {
                write!(f, "label `{label}` has no values, or one of them twice")
            }
            Rule::TooManySeries {
                combinations,
                max_series,
            } => write!(
                f,
                "its closed labels make {combinations} combinations, and a family has {max_series} series at most; \
                 leave a label out, split the metric, or say `#[metric(max_series = {combinations})]`"
            ),
            Rule::Buckets(fault) => write!(f, "its buckets {fault}"),
            Rule::Collision { wire, owner } if wire == metric && owner == metric => {
                write!(f, "it is declared already")
            }
            Rule::Collision { wire, owner } => {
                write!(f, "its sample `{wire}` is already written by `{owner}`")
            }
            Rule::Unsteady => write!(
                f,
                "it was declared otherwise when it was made; let `describe` and `create` agree, and its buckets not change"
            ),
        }
    }
}

impl std::error::Error for RegisterError {}
