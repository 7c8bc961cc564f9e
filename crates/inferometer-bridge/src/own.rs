//! What the recorder counts about itself.

use inferometer::{Counter, LabelSet, LabelValue, MetricSet, RegisterError, Registry, Rule};

/// Why a metric records nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, LabelValue)]
pub(crate) enum Reason {
    Name,
    Taken,
    Limit,
}

impl From<&RegisterError> for Reason {
    fn from(refused: &RegisterError) -> Self {
        match refused.rule() {
            Rule::Collision { .. } => Self::Taken,
            _ => Self::Name,
        }
    }
}

#[derive(LabelSet)]
struct Refusal<'a> {
    reason: Reason,
    #[label(limit = 100)]
    metric: &'a str,
}

#[derive(MetricSet)]
#[metrics(namespace = "inferometer_bridge")]
pub(crate) struct Own {
    /// Times that a metric of the `metrics` facade was asked for, described or renamed in vain: its name isn't one, is another's, or it is one
    /// metric too many.
    refused: Counter<Refusal<'static>>,
}

impl Own {
    pub(crate) fn new(registry: &Registry) -> Result<Self, RegisterError> {
        registry.register()
    }

    #[cold]
    pub(crate) fn refuse(&self, metric: &str, reason: Reason) {
        self.refused.with(Refusal { reason, metric }).inc();
    }
}
