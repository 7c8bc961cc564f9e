//! Drift as metrics.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use inferometer::{
    Counter, Gauge, LabelSet, LabelValue, MetricSet, RegisterError, Registry, Tracking,
};

use super::{VERSIONS, show};
use crate::{
    drift::{Counts, FeatureDrift, Method, Report},
    score::float,
};

#[derive(Clone, Copy, Debug, LabelSet)]
struct ByVersion<'a> {
    #[label(limit = VERSIONS)]
    model_version: &'a str,
}

#[derive(Clone, Copy, Debug, LabelSet)]
struct ByFeature<'a> {
    #[label(limit = VERSIONS)]
    model_version: &'a str,
    #[label(limit = 256)]
    feature: &'a str,
}

#[derive(Clone, Copy, Debug, LabelSet)]
struct ByMethod<'a> {
    #[label(limit = VERSIONS)]
    model_version: &'a str,
    #[label(limit = 256)]
    feature: &'a str,
    method: Method,
}

/// What a value was.
#[derive(Clone, Copy, Debug, LabelValue)]
enum Sort {
    Valid,
    Unseen,
    Missing,
    Nan,
    Infinite,
    Mismatched,
}

#[derive(Clone, Copy, Debug, LabelSet)]
struct BySort<'a> {
    #[label(limit = VERSIONS)]
    model_version: &'a str,
    #[label(limit = 256)]
    feature: &'a str,
    sort: Sort,
}

#[derive(Debug, MetricSet)]
#[metrics(namespace = "inferometer_quality_drift")]
struct Set {
    /// How far a feature, or the prediction, was from the reference in the latest window, by the method's own scale.
    score: Gauge<ByMethod<'static>>,
    /// The score that windows like the training data hardly ever exceed.
    threshold: Gauge<ByMethod<'static>>,
    /// Whether the latest window has drifted: 1 or 0; absent where it had too few rows to tell.
    alert: Gauge<ByMethod<'static>>,
    /// Values that the scores of the latest window are of.
    samples: Gauge<ByFeature<'static>>,
    /// Rows in the latest window.
    rows: Gauge<ByVersion<'static>>,
    /// How long ago the latest window was full.
    #[metric(unit = "seconds")]
    age: Gauge<ByVersion<'static>>,
    /// Windows judged.
    windows: Counter<ByVersion<'static>>,
    /// Values in judged windows by what they were: usable ones, of them categories that the reference doesn't have; and missing ones, of
    /// them NaN, infinite, and of the wrong kind.
    values: Counter<BySort<'static>>,
}

/// Shows what a [`DriftMonitor`](crate::drift::DriftMonitor) has found.
///
/// **When it moves.** With each [`show`](Self::show) of a report; the age at each scrape.
/// **Labels.** `model_version` (at most 16), `feature` (at most 256), `method`, `sort`. `valid` of `sort` doesn't count the unseen again, nor
/// `missing` the others: the six add up to all.
#[derive(Debug)]
pub struct DriftMetrics {
    set: Set,
    ages: Mutex<BTreeMap<Arc<str>, Age>>,
}

/// When a version's latest window was full, in milliseconds since 1970, and what shows how long ago that is.
#[derive(Debug)]
struct Age {
    closed: Arc<AtomicU64>,
    _shown: Tracking,
}

impl DriftMetrics {
    /// Declares them.
    ///
    /// # Errors
    /// A name is taken.
    pub fn register(registry: &Registry) -> Result<Self, RegisterError> {
        Ok(Self {
            set: registry.register()?,
            ages: Mutex::default(),
        })
    }

    /// Shows a report. Scores that its window has none of become absent. Each report is to be shown once.
    pub fn show(&self, report: &Report) {
        let model_version = &*report.model_version;
        for feature in &report.features {
            self.feature(model_version, feature);
        }
        let labels = ByVersion { model_version };
        self.set.rows.with(labels).set(float(report.rows));
        self.set.windows.with(labels).inc();
        let closed = millis(report.closed);
        let mut ages = self.ages.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let closed = Arc::new(AtomicU64::new(closed));
            let shown = Arc::clone(&closed);
            let age = move || {
                Some(float(millis(SystemTime::now()).saturating_sub(shown.load(Relaxed))) / 1e3)
            };
            Age {
                closed,
                _shown: self.set.age.series(labels).track(age),
            }
        };
        let age = ages
            .entry(Arc::clone(&report.model_version))
            .or_insert_with(new);
        age.closed.store(closed, Relaxed);
    }

    /// Removes what is shown of a version that is no longer served, whose latest report this is.
    pub fn remove(&self, report: &Report) {
        let model_version = &*report.model_version;
        self.ages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(model_version);
        self.set.rows.remove(ByVersion { model_version });
        self.set.age.remove(ByVersion { model_version });
        for feature in &report.features {
            let feature = &*feature.name;
            for method in Method::ALL {
                let labels = ByMethod {
                    model_version,
                    feature,
                    method,
                };
                self.set.score.remove(labels);
                self.set.threshold.remove(labels);
                self.set.alert.remove(labels);
            }
            self.set.samples.remove(ByFeature {
                model_version,
                feature,
            });
        }
    }

    fn feature(&self, model_version: &str, drift: &FeatureDrift) {
        let feature = &*drift.name;
        for method in Method::ALL
            .into_iter()
            .filter(|method| method.is_for(drift.kind))
        {
            let labels = ByMethod {
                model_version,
                feature,
                method,
            };
            let score = drift.get(method);
            let alert = drift
                .alert_by(method)
                .map(|alert| f64::from(u8::from(alert)));
            show(
                &self.set.score.series(labels),
                score.map(|score| score.value),
            );
            show(
                &self.set.threshold.series(labels),
                score.and_then(|score| score.threshold),
            );
            show(&self.set.alert.series(labels), alert);
        }
        let labels = ByFeature {
            model_version,
            feature,
        };
        self.set.samples.with(labels).set(float(drift.kept));
        for (sort, count) in sorts(drift.counts) {
            let labels = BySort {
                model_version,
                feature,
                sort,
            };
            self.set.values.with(labels).add(count);
        }
    }
}

fn sorts(counts: Counts) -> [(Sort, u64); 6] {
    let odd = counts.nan + counts.infinite + counts.mismatched;
    [
        (Sort::Valid, counts.valid.saturating_sub(counts.unseen)),
        (Sort::Unseen, counts.unseen),
        (Sort::Missing, counts.missing.saturating_sub(odd)),
        (Sort::Nan, counts.nan),
        (Sort::Infinite, counts.infinite),
        (Sort::Mismatched, counts.mismatched),
    ]
}

fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
