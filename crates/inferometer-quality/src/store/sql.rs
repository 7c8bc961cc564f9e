//! What the databases have in common: the tables, their text, and how they are told of.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use inferometer::LabelValue;

use super::{Bounds, Label, Prediction, StoreError};

/// A table of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, LabelValue)]
pub enum Table {
    /// Predictions, one row each.
    Predictions,
    /// Labels, one row each.
    Labels,
}

/// What is done to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, LabelValue)]
pub enum Operation {
    /// Rows are looked up or read.
    Select,
    /// Rows are written.
    Insert,
    /// Rows are forgotten.
    Delete,
}

/// Who is told of each operation and of how long it took, failed ones included.
pub type OnOperation = Arc<dyn Fn(Operation, Table, Duration) + Send + Sync>;

/// The version of the tables, which an earlier program may not know how to read.
pub(super) const VERSION: i32 = 1;

/// Makes the tables. `kept` says how, in words of the database's own.
pub(super) fn create(kept: &str) -> String {
    format!(
        "
CREATE TABLE IF NOT EXISTS predictions (
    id TEXT NOT NULL PRIMARY KEY,
    model_version TEXT NOT NULL,
    dataset TEXT NOT NULL,
    output TEXT NOT NULL,
    at_us BIGINT NOT NULL,
    token BIGINT NOT NULL
) {kept};
CREATE INDEX IF NOT EXISTS predictions_at ON predictions (at_us);
CREATE TABLE IF NOT EXISTS labels (
    id TEXT NOT NULL PRIMARY KEY,
    truth TEXT NOT NULL,
    at_us BIGINT NOT NULL,
    token BIGINT NOT NULL,
    early BOOLEAN NOT NULL
) {kept};
CREATE INDEX IF NOT EXISTS labels_at ON labels (at_us);
"
    )
}

pub(super) const LABELS_OF_OLD: &str =
    "DELETE FROM labels WHERE id IN (SELECT id FROM predictions WHERE at_us < $1)";
pub(super) const OLD: &str = "DELETE FROM predictions WHERE at_us < $1";
pub(super) const OLD_STRANGERS: &str = "DELETE FROM labels WHERE at_us < $1
    AND NOT EXISTS (SELECT 1 FROM predictions WHERE predictions.id = labels.id)";
pub(super) const LABELS_OF_SURPLUS: &str = "DELETE FROM labels
    WHERE id IN (SELECT id FROM predictions ORDER BY at_us, id LIMIT $1)";
pub(super) const SURPLUS: &str = "DELETE FROM predictions
    WHERE id IN (SELECT id FROM predictions ORDER BY at_us, id LIMIT $1)";
pub(super) const SURPLUS_STRANGERS: &str = "DELETE FROM labels WHERE id IN (
    SELECT id FROM labels
    WHERE NOT EXISTS (SELECT 1 FROM predictions WHERE predictions.id = labels.id)
    ORDER BY at_us, id LIMIT $1)";
pub(super) const COUNT_PREDICTIONS: &str = "SELECT count(*) FROM predictions";
pub(super) const COUNT_LABELS: &str = "SELECT count(*) FROM labels";
pub(super) const COUNT_STRANGERS: &str = "SELECT count(*) FROM labels
    WHERE NOT EXISTS (SELECT 1 FROM predictions WHERE predictions.id = labels.id)";
pub(super) const PAIRS: &str = "
SELECT p.id, p.model_version, p.dataset, p.output, p.at_us, p.token, l.truth, l.at_us, l.token
FROM predictions p LEFT JOIN labels l ON l.id = p.id
ORDER BY CASE WHEN l.at_us > p.at_us THEN l.at_us ELSE p.at_us END, p.id";

/// Times operations for whoever listens.
#[derive(Clone, Default)]
pub(super) struct Clock(pub(super) Option<OnOperation>);

impl Clock {
    pub(super) fn time<T>(
        &self,
        operation: Operation,
        table: Table,
        work: impl FnOnce() -> T,
    ) -> T {
        let Some(told) = &self.0 else { return work() };
        let began = Instant::now();
        let result = work();
        told(operation, table, began.elapsed());
        result
    }
}

/// A row of predictions.
pub(super) struct PredictionRow {
    pub(super) id: String,
    pub(super) model_version: String,
    pub(super) dataset: String,
    pub(super) output: String,
    pub(super) at_us: i64,
    pub(super) token: i64,
}

/// A row of labels.
pub(super) struct LabelRow {
    pub(super) id: String,
    pub(super) truth: String,
    pub(super) at_us: i64,
    pub(super) token: i64,
}

impl PredictionRow {
    pub(super) fn read(self) -> Result<Prediction, serde_json::Error> {
        Ok(Prediction {
            output: serde_json::from_str(&self.output)?,
            id: self.id.into(),
            model_version: self.model_version.into(),
            dataset: self.dataset.into(),
            at: time(self.at_us),
            token: self.token.cast_unsigned(),
        })
    }
}

impl LabelRow {
    pub(super) fn read(self) -> Result<Label, serde_json::Error> {
        Ok(Label {
            truth: serde_json::from_str(&self.truth)?,
            id: self.id.into(),
            at: time(self.at_us),
            token: self.token.cast_unsigned(),
        })
    }
}

/// A time as it is stored: microseconds since 1970. What doesn't fit is as near as can be.
pub(super) fn micros(at: SystemTime) -> i64 {
    let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    match at.duration_since(UNIX_EPOCH) {
        Ok(since) => micros(since),
        Err(before) => -micros(before.duration()),
    }
}

fn time(micros: i64) -> SystemTime {
    let since = Duration::from_micros(micros.unsigned_abs());
    let time = if micros < 0 {
        UNIX_EPOCH.checked_sub(since)
    } else {
        UNIX_EPOCH.checked_add(since)
    };
    time.unwrap_or(UNIX_EPOCH)
}

/// Before which time the bounds let nothing be kept.
pub(super) fn oldest(bounds: &Bounds, now: SystemTime) -> i64 {
    now.checked_sub(bounds.age).map_or(i64::MIN, micros)
}

/// By how much `count` is beyond the bounds.
pub(super) fn surplus(bounds: &Bounds, count: i64) -> i64 {
    let entries = i64::try_from(bounds.entries.max(1)).unwrap_or(i64::MAX);
    (count - entries).max(0)
}

/// An error about the tables that no time will mend.
pub(super) fn unreadable(
    place: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    StoreError::new("read the predictions in", place, false, source)
}

/// The tables are of a version that isn't ours.
pub(super) fn check_version(place: &str, found: i32) -> Result<(), StoreError> {
    if found == VERSION {
        return Ok(());
    }
    let told = format!("its tables are of version {found}, and this program knows {VERSION}");
    Err(StoreError::new("use the tables of", place, false, told))
}
