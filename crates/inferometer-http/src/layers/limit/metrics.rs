//! Our own metrics of limits.

use inferometer::{
    Counter, Histogram, IntGauge, LabelSet, LabelValue, MetricSet,
    sample::http::{Decision, LimitView},
};

/// What became of a request at a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, LabelValue)]
pub enum Passage {
    /// It went through.
    Allowed,
    /// It was turned away.
    Limited,
}

/// Whose bucket it took from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, LabelValue)]
pub enum Bucket {
    /// The caller's own.
    Own,
    /// That of all who have none.
    Shared,
}

/// By what became of it and whose bucket it was.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByDecision {
    /// What became of it.
    pub outcome: Passage,
    /// Whose bucket.
    pub bucket: Bucket,
}

/// What a [`RateLimitLayer`](super::RateLimitLayer) decides. Nothing of a caller is in any label.
#[derive(Clone, Debug, MetricSet)]
#[metrics(namespace = "inferometer_http_server_rate_limit")]
pub struct RateLimit {
    /// Requests that came to the limit, by what became of them and by whose bucket they took from.
    pub hits: Counter<ByDecision>,
    /// What was left of the bucket after a request, as a share of a full one; 0 when it was turned away.
    #[metric(unit = "ratio", buckets = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0])]
    pub remaining: Histogram,
    /// Callers with a bucket of their own, as of the last request; those that had rested are let go of.
    pub callers: IntGauge,
    /// Callers that may have a bucket of their own; the rest share one.
    pub callers_capacity: IntGauge,
}

impl LimitView for RateLimit {
    fn decided(&self, decision: &Decision) {
        let outcome = if decision.allowed {
            Passage::Allowed
        } else {
            Passage::Limited
        };
        let bucket = if decision.shared {
            Bucket::Shared
        } else {
            Bucket::Own
        };
        self.hits.with(ByDecision { outcome, bucket }).inc();
        let share = f64::from(decision.remaining) / f64::from(decision.burst.max(1));
        self.remaining.observe(share);
        for (gauge, number) in [
            (&self.callers, decision.keys),
            (&self.callers_capacity, decision.most_keys),
        ] {
            gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
        }
    }
}
