//! The three metrics that make the equation.

use crate::{AdditiveGauge, Counter, LabelSet, LabelValue, MetricSet};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub enum Outcome {
    /// Answered in full.
    Ok,
    /// Refused for what it asked: bad fields, a model that isn't there.
    Rejected,
    /// Turned away because a queue was full or the wait would have been too long.
    Shed,
    /// Its deadline passed.
    Timeout,
    /// Whoever asked has left.
    Cancelled,
    /// Something it needed failed.
    Error,
    /// The code that served it panicked.
    Panicked,
}

/// By outcome.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByOutcome {
    /// The outcome.
    pub outcome: Outcome,
}

/// Requests started, finished and in flight: `started = finished + in flight` at any quiet moment.
#[derive(Clone, Debug, MetricSet)]
pub struct RequestCounts {
    /// Requests that have arrived.
    requests_started: Counter,
    /// Requests that have ended, by outcome; each ends in exactly one.
    requests_finished: Counter<ByOutcome>,
    /// Requests that have arrived and not ended.
    requests_in_flight: AdditiveGauge,
}

impl RequestCounts {
    pub(super) fn start(&self) {
        self.requests_started.inc();
        self.requests_in_flight.inc();
    }

    pub(super) fn finish(&self, outcome: Outcome) {
        self.requests_finished.with(ByOutcome { outcome }).inc();
        self.requests_in_flight.dec();
    }

    /// Requests that have arrived.
    pub fn started(&self) -> u64 {
        self.requests_started.get()
    }

    /// Requests that have ended so.
    pub fn finished(&self, outcome: Outcome) -> u64 {
        self.requests_finished.with(ByOutcome { outcome }).get()
    }

    /// Requests that have ended, whatever the outcome.
    pub fn finished_in_all(&self) -> u64 {
        Outcome::ALL
            .iter()
            .map(|outcome| self.finished(*outcome))
            .sum()
    }

    /// Requests that have arrived and not ended.
    pub fn in_flight(&self) -> i64 {
        self.requests_in_flight.get()
    }
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::Rejected,
        Self::Shed,
        Self::Timeout,
        Self::Cancelled,
        Self::Error,
        Self::Panicked,
    ];
}
