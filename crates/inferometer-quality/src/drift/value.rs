//! What a row consists of.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name by which the model's own predictions are known, where they are a column too.
pub const PREDICTION: &str = "prediction";

/// A value of a feature.
///
/// NaN and infinities are no values: each is counted, and then missing. So is a number where the feature has categories, and the other
/// way round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A number.
    Number(f64),
    /// A category.
    Category(&'a str),
    /// Nothing.
    Missing,
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(category: &'a str) -> Self {
        Self::Category(category)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value<'_> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Missing, Into::into)
    }
}

/// What a feature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Numbers.
    Numeric,
    /// Categories.
    Categorical,
}

/// A feature's name and kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: Arc<str>,
    /// What it is.
    pub kind: Kind,
}

/// How many values of a feature there were, of which sort.
///
/// `rows = valid + missing`, and `missing` includes those that were no values. `unseen` is a part of `valid`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Values that could be used.
    pub valid: u64,
    /// Rows without a value, for whatever reason.
    pub missing: u64,
    /// Of those, the ones that were NaN.
    pub nan: u64,
    /// Of those, the ones that were infinite.
    pub infinite: u64,
    /// Of those, the ones of the wrong kind: a number for a category, or the other way round.
    pub mismatched: u64,
    /// Categories that the reference doesn't have.
    pub unseen: u64,
}

impl Counts {
    /// All of them.
    pub fn rows(&self) -> u64 {
        self.valid + self.missing
    }

    /// Share of the rows that have no value; `None` without a row.
    pub fn missing_share(&self) -> Option<f64> {
        use crate::score::float;
        (self.rows() > 0).then(|| float(self.missing) / float(self.rows()))
    }

    /// Counts `other` in.
    pub(super) fn merge(&mut self, other: &Self) {
        self.valid += other.valid;
        self.missing += other.missing;
        self.nan += other.nan;
        self.infinite += other.infinite;
        self.mismatched += other.mismatched;
        self.unseen += other.unseen;
    }

    /// A number that isn't one.
    #[cold]
    pub(super) fn odd(&mut self, number: f64) {
        self.missing += 1;
        if number.is_nan() {
            self.nan += 1;
        } else {
            self.infinite += 1;
        }
    }

    #[cold]
    pub(super) fn mismatch(&mut self) {
        self.missing += 1;
        self.mismatched += 1;
    }

    /// Whether they can be of one feature.
    pub(super) fn is_sound(&self) -> bool {
        let odd = self.nan.checked_add(self.infinite);
        let odd = odd.and_then(|odd| odd.checked_add(self.mismatched));
        odd.is_some_and(|odd| odd <= self.missing)
            && self.unseen <= self.valid
            && self.valid.checked_add(self.missing).is_some()
    }
}
