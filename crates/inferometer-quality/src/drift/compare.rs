//! A window beside its reference, by every method that fits.

use std::borrow::Cow;

use super::{Bins, Method, distance};
use crate::score::float;

/// What is compared: the same feature twice.
pub(super) enum Sides<'a> {
    Numeric {
        reference: Sample<'a>,
        window: Sample<'a>,
        scale: f64,
    },
    Categorical {
        reference: Table,
        window: Table,
    },
}

/// Sorted values, how many are in each bin, and which share of the rows has none.
pub(super) struct Sample<'a> {
    pub(super) sorted: Cow<'a, [f64]>,
    pub(super) binned: Vec<u64>,
    pub(super) missing: f64,
}

/// How many of each category, and how many rows without one.
pub(super) struct Table {
    pub(super) counts: Vec<u64>,
    pub(super) missing: u64,
}

/// A score before it is held against thresholds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw {
    pub(super) method: Method,
    pub(super) value: f64,
    pub(super) p_value: Option<f64>,
}

impl<'a> Sample<'a> {
    pub(super) fn new(sorted: &'a [f64], bins: &Bins, missing: f64) -> Self {
        Self {
            binned: bins.counts(sorted),
            sorted: Cow::Borrowed(sorted),
            missing,
        }
    }

    /// The share of the rows in each bin, and last without a value.
    fn shares(&self) -> Vec<f64> {
        let all = float(self.sorted.len() as u64).max(1.0);
        let share = |count: &u64| float(*count) / all * (1.0 - self.missing);
        self.binned
            .iter()
            .map(share)
            .chain([self.missing])
            .collect()
    }
}

impl Table {
    fn rows(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.missing
    }

    fn all(&self) -> Vec<u64> {
        self.counts.iter().copied().chain([self.missing]).collect()
    }

    fn shares(&self) -> Vec<f64> {
        let rows = float(self.rows()).max(1.0);
        self.all()
            .into_iter()
            .map(|count| float(count) / rows)
            .collect()
    }
}

/// Every score there is. Of no rows there is none, of no values none that needs them.
pub(super) fn scores(sides: &Sides<'_>) -> Vec<Raw> {
    let raw = |method, value| Raw {
        method,
        value,
        p_value: None,
    };
    let mut found = Vec::with_capacity(Method::ALL.len());
    let (expected, actual) = match sides {
        Sides::Numeric {
            reference,
            window,
            scale,
        } => {
            if let Some(apart) = distance::apart(&reference.sorted, &window.sorted) {
                found.push(Raw {
                    method: Method::KolmogorovSmirnov,
                    value: apart.test.statistic,
                    p_value: Some(apart.test.p_value),
                });
                found.push(raw(Method::Wasserstein, apart.area / scale));
            }
            (reference.shares(), window.shares())
        }
        Sides::Categorical { reference, window } => {
            if reference.rows() == 0 || window.rows() == 0 {
                return found;
            }
            if let Some(test) = distance::chi_squared(&reference.all(), &window.all()) {
                found.push(Raw {
                    method: Method::ChiSquared,
                    value: test.statistic,
                    p_value: Some(test.p_value),
                });
            }
            (reference.shares(), window.shares())
        }
    };
    found.push(raw(Method::Psi, distance::psi(&expected, &actual)));
    found.push(raw(
        Method::JensenShannon,
        distance::jensen_shannon(&expected, &actual),
    ));
    if let (Some(expected), Some(actual)) = (expected.last(), actual.last()) {
        found.push(raw(Method::Missing, (actual - expected).abs()));
    }
    found
}
