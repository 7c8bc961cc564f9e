//! What was served within a window.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use fastrand::Rng;

use super::{
    Counts, FeatureReference, Reference, Value,
    compare::{Sample, Sides, Table},
    reference::Shape,
    reservoir::Reservoir,
};

/// When a window is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowOptions {
    /// After so many rows; `None` for as many as come.
    pub rows: Option<u64>,
    /// After so long since it was opened; `None` for as long as it takes.
    pub period: Option<Duration>,
    /// At most so many values of a numeric feature are kept. Beyond, each has the same chance to be.
    pub sample: usize,
}

impl Default for WindowOptions {
    /// Full after 1,000 rows, however long that takes; up to 10,000 values are kept.
    fn default() -> Self {
        Self {
            rows: Some(1_000),
            period: None,
            sample: 10_000,
        }
    }
}

/// The rows of a window that is complete, waiting to be judged.
///
/// **Bounds.** [`WindowOptions::sample`] values for each numeric feature, a count for each category.
#[derive(Clone, Debug)]
#[must_use = "what isn't judged tells nothing"]
pub struct ClosedWindow {
    pub(super) opened: SystemTime,
    pub(super) closed: SystemTime,
    pub(super) rows: u64,
    pub(super) sketches: Vec<Sketch>,
}

/// What is kept of a feature.
#[derive(Clone, Debug)]
pub(super) struct Sketch {
    pub(super) counts: Counts,
    kept: Kept,
}

#[derive(Clone, Debug)]
enum Kept {
    Values(Reservoir<f64>),
    /// By place of the category; the last of all that have none.
    Categories(Box<[u64]>),
}

impl ClosedWindow {
    /// Begins a window.
    pub(super) fn open(
        reference: &Reference,
        sample: usize,
        random: &mut Rng,
        at: SystemTime,
    ) -> Self {
        let sketch = |feature: &FeatureReference| Sketch {
            counts: Counts::default(),
            kept: match &feature.shape {
                Shape::Numeric(_) => Kept::Values(Reservoir::new(sample, random.fork())),
                Shape::Categorical(own) => {
                    Kept::Categories(vec![0; own.categories.len() + 1].into())
                }
            },
        };
        Self {
            opened: at,
            closed: at,
            rows: 0,
            sketches: reference.features.iter().map(sketch).collect(),
        }
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes in the rows of `other`, so that windows of several threads, or processes, are judged as one.
    ///
    /// Of windows against different references nothing good comes: they are left as they are, and `false` is returned. Up to the bound of
    /// the samples, the result is what one window of all rows would have been.
    pub fn merge(&mut self, other: Self) -> bool {
        let alike = self.sketches.len() == other.sketches.len()
            && self
                .sketches
                .iter()
                .zip(&other.sketches)
                .all(|(own, other)| own.is_like(other));
        if !alike {
            return false;
        }
        self.opened = self.opened.min(other.opened);
        self.closed = self.closed.max(other.closed);
        self.rows += other.rows;
        for (own, other) in self.sketches.iter_mut().zip(other.sketches) {
            own.merge(other);
        }
        true
    }

    /// Takes a row of as many values as there are features.
    #[inline]
    pub(super) fn push(&mut self, reference: &Reference, row: &[Value<'_>]) {
        self.rows += 1;
        let features = self.sketches.iter_mut().zip(&reference.features);
        for ((sketch, feature), value) in features.zip(row) {
            sketch.push(feature, *value);
        }
    }
}

impl Sketch {
    fn is_like(&self, other: &Self) -> bool {
        match (&self.kept, &other.kept) {
            (Kept::Values(_), Kept::Values(_)) => true,
            (Kept::Categories(own), Kept::Categories(other)) => own.len() == other.len(),
            (Kept::Values(_), Kept::Categories(_)) | (Kept::Categories(_), Kept::Values(_)) => {
                false
            }
        }
    }

    #[inline]
    fn push(&mut self, feature: &FeatureReference, value: Value<'_>) {
        match (&mut self.kept, value) {
            (Kept::Values(values), Value::Number(number)) => {
                if number.is_finite() {
                    self.counts.valid += 1;
                    values.push(number);
                } else {
                    self.counts.odd(number);
                }
            }
            (Kept::Categories(counts), Value::Category(category)) => {
                self.counts.valid += 1;
                if let Shape::Categorical(own) = &feature.shape {
                    let place = own.place(category);
                    counts[place] += 1;
                    self.counts.unseen += u64::from(place == own.categories.len());
                }
            }
            (_, Value::Missing) => self.counts.missing += 1,
            (Kept::Categories(_), Value::Number(number)) if !number.is_finite() => {
                self.counts.odd(number);
            }
            (Kept::Values(_), Value::Category(_)) | (Kept::Categories(_), Value::Number(_)) => {
                self.counts.mismatch();
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.counts.merge(&other.counts);
        match (&mut self.kept, other.kept) {
            (Kept::Values(own), Kept::Values(other)) => own.merge(other),
            (Kept::Categories(own), Kept::Categories(other)) => {
                for (own, other) in own.iter_mut().zip(other) {
                    *own += other;
                }
            }
            (Kept::Values(_), Kept::Categories(_)) | (Kept::Categories(_), Kept::Values(_)) => {}
        }
    }

    /// How many values the scores are of: fewer than were valid where a sample stands for them.
    pub(super) fn kept(&self) -> u64 {
        match &self.kept {
            Kept::Values(values) => values.kept().len() as u64,
            Kept::Categories(_) => self.counts.valid,
        }
    }

    /// Beside its reference; `None` without a row.
    pub(super) fn sides<'a>(&'a mut self, feature: &'a FeatureReference) -> Option<Sides<'a>> {
        let missing = self.counts.missing_share()?;
        match (&mut self.kept, &feature.shape) {
            (Kept::Values(values), Shape::Numeric(own)) => {
                let sorted = values.kept_mut();
                sorted.sort_unstable_by(f64::total_cmp);
                let expected = feature.counts.missing_share().unwrap_or_default();
                Some(Sides::Numeric {
                    reference: Sample::new(&own.sample, &own.bins, expected),
                    window: Sample::new(sorted, &own.bins, missing),
                    scale: own.scale,
                })
            }
            (Kept::Categories(counts), Shape::Categorical(own)) => Some(Sides::Categorical {
                reference: Table {
                    counts: own.counts(),
                    missing: feature.counts.missing,
                },
                window: Table {
                    counts: counts.to_vec(),
                    missing: self.counts.missing,
                },
            }),
            (Kept::Values(_), Shape::Categorical(_)) | (Kept::Categories(_), Shape::Numeric(_)) => {
                None
            }
        }
    }
}

/// The window that rows go into.
#[derive(Debug)]
pub(super) struct Open {
    window: ClosedWindow,
    random: Rng,
    options: WindowOptions,
    pub(super) empty: u64,
    pub(super) refused: u64,
}

impl Open {
    pub(super) fn new(reference: &Reference, options: WindowOptions, at: SystemTime) -> Self {
        let mut random = Rng::with_seed(0);
        Self {
            window: ClosedWindow::open(reference, options.sample, &mut random, at),
            random,
            options,
            empty: 0,
            refused: 0,
        }
    }

    #[inline]
    pub(super) fn push(
        &mut self,
        reference: &Arc<Reference>,
        row: &[Value<'_>],
        at: SystemTime,
    ) -> Option<ClosedWindow> {
        // A row that comes after the period belongs to the next window.
        let before = self.close_due(reference, at);
        self.window.push(reference, row);
        if self
            .options
            .rows
            .is_some_and(|rows| self.window.rows >= rows)
        {
            let full = self.close(reference, at);
            return Some(match before {
                // Both at once only where a window has one row: then it is as if they had been one.
                Some(mut before) => {
                    before.merge(full);
                    before
                }
                None => full,
            });
        }
        before
    }

    pub(super) fn close_due(
        &mut self,
        reference: &Reference,
        now: SystemTime,
    ) -> Option<ClosedWindow> {
        let period = self.options.period?;
        // A clock that was set back lets the window wait for its period anew.
        match now.duration_since(self.window.opened) {
            Ok(open) if open >= period => {}
            Ok(_) => return None,
            Err(_) => {
                self.window.opened = now;
                return None;
            }
        }
        if self.window.rows == 0 {
            self.empty += 1;
            self.window.opened = now;
            return None;
        }
        Some(self.close(reference, now))
    }

    fn close(&mut self, reference: &Reference, now: SystemTime) -> ClosedWindow {
        let next = ClosedWindow::open(reference, self.options.sample, &mut self.random, now);
        let mut full = std::mem::replace(&mut self.window, next);
        full.closed = now;
        full
    }
}
