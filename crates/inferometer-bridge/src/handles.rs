//! What the facade is given to record with.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use inferometer::{
    Counter, Gauge, Histogram,
    dynamic::{Counters, Gauges, Histograms},
};
use metrics::{CounterFn, GaugeFn, HistogramFn};

/// Names and values; the later of two values of a name counts.
pub(crate) type Labels<'a> = [(Cow<'a, str>, &'a str)];

/// A series that stays for as long as its handle does.
pub(crate) struct Kept<M>(pub(crate) M);

/// A series that is looked for with each recording, so that it can go while nobody records.
pub(crate) struct Sought<F> {
    pub(crate) family: F,
    /// By name, each name once: they are found faster so.
    pub(crate) labels: Vec<(String, String)>,
}

impl<F> Sought<F> {
    pub(crate) fn new(family: F, labels: &Labels<'_>) -> Self {
        let labels = labels
            .iter()
            .map(|(name, value)| (name.as_ref().to_owned(), (*value).to_owned()));
        let labels: BTreeMap<_, _> = labels.collect();
        Self {
            family,
            labels: labels.into_iter().collect(),
        }
    }
}

/// Raises a counter to `value`, unless it is there. Increments of other threads that come meanwhile count on top, as if they had come after.
fn raise(value: u64, get: impl FnOnce() -> u64, add: impl FnOnce(u64)) {
    /// Two threads that raise the same counter would both add what is missing.
    static ALONE: Mutex<()> = Mutex::new(());

    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    add(value.saturating_sub(get()));
}

impl CounterFn for Kept<Counter> {
    fn increment(&self, value: u64) {
        self.0.add(value);
    }

    fn absolute(&self, value: u64) {
        raise(value, || self.0.get(), |missing| self.0.add(missing));
    }
}

impl CounterFn for Sought<Counters> {
    fn increment(&self, value: u64) {
        self.family.with(&self.labels).add(value);
    }

    fn absolute(&self, value: u64) {
        let counter = self.family.with(&self.labels);
        raise(value, || counter.get(), |missing| counter.add(missing));
    }
}

impl GaugeFn for Kept<Gauge> {
    fn increment(&self, value: f64) {
        self.0.add(value);
    }

    fn decrement(&self, value: f64) {
        self.0.add(-value);
    }

    fn set(&self, value: f64) {
        self.0.set(value);
    }
}

impl GaugeFn for Sought<Gauges> {
    fn increment(&self, value: f64) {
        self.family.with(&self.labels).add(value);
    }

    fn decrement(&self, value: f64) {
        self.family.with(&self.labels).add(-value);
    }

    fn set(&self, value: f64) {
        self.family.with(&self.labels).set(value);
    }
}

impl HistogramFn for Kept<Histogram> {
    fn record(&self, value: f64) {
        self.0.observe(value);
    }

    fn record_many(&self, value: f64, count: usize) {
        self.0.observe_times(value, count as u64);
    }
}

impl HistogramFn for Sought<Histograms> {
    fn record(&self, value: f64) {
        self.family.with(&self.labels).observe(value);
    }

    fn record_many(&self, value: f64, count: usize) {
        let histogram = self.family.with(&self.labels);
        histogram.observe_times(value, count as u64);
    }
}
