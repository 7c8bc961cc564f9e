//! Predictions and labels in a file.

use std::{
    fmt,
    path::Path,
    time::{Duration, SystemTime},
};

use rusqlite::{
    Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params,
};

use super::{
    Bounds, Entry, Forgotten, Held, Label, Outcome, Prediction, Store, StoreError,
    slot::Slot,
    sql::{
        COUNT_LABELS, COUNT_PREDICTIONS, COUNT_STRANGERS, Clock, LABELS_OF_OLD, LABELS_OF_SURPLUS,
        LabelRow, OLD, OLD_STRANGERS, OnOperation, Operation, PAIRS, PredictionRow, SURPLUS,
        SURPLUS_STRANGERS, Table, VERSION, check_version, create, micros, oldest, surplus,
        unreadable,
    },
};

/// Remembers in a file of SQLite's.
///
/// What [`write`](Store::write) has returned is on the disk: it outlives a crash of the process and of the machine. Another process may read
/// the file meanwhile; while one writes to it, a write here waits for up to 5 seconds and then fails, to be tried again.
pub struct SqliteStore {
    connection: Connection,
    place: Box<str>,
    bounds: Bounds,
    clock: Clock,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the file at `path`, or makes it. Its tables are `predictions` and `labels`.
    ///
    /// # Errors
    /// Says why it can't be: the folder isn't there, the file is no database, or one of a later version.
    pub fn open(path: impl AsRef<Path>, bounds: Bounds) -> Result<Self, StoreError> {
        let place: Box<str> = path.as_ref().display().to_string().into();
        let failed = |error| failure("open", &place, error);
        let connection = Connection::open(path).map_err(failed)?;
        prepare(&connection).map_err(failed)?;
        let version = |row: &rusqlite::Row<'_>| row.get::<_, i32>(0);
        let found = connection
            .query_row("PRAGMA user_version", [], version)
            .map_err(failed)?;
        if found == 0 {
            connection
                .execute_batch(&create("WITHOUT ROWID"))
                .map_err(failed)?;
            connection
                .pragma_update(None, "user_version", VERSION)
                .map_err(failed)?;
        } else {
            check_version(&place, found)?;
        }
        Ok(Self {
            connection,
            place,
            bounds,
            clock: Clock::default(),
        })
    }

    /// Tells `told` of each operation and how long it took.
    #[must_use]
    pub fn on_operation(mut self, told: OnOperation) -> Self {
        self.clock = Clock(Some(told));
        self
    }

    fn transact<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>, &Around<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let context = Around {
            bounds: &self.bounds,
            clock: &self.clock,
        };
        let done = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .and_then(|transaction| {
                let result = work(&transaction, &context)?;
                transaction.commit()?;
                Ok(result)
            });
        done.map_err(|error| {
            let passing = !at_fault(&error);
            StoreError::new(doing, &*self.place, passing, error)
        })
    }
}

/// What a transaction needs of a store besides its connection.
struct Around<'a> {
    bounds: &'a Bounds,
    clock: &'a Clock,
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(32);
    // A commit is on the disk when it returns, and readers don't stop it.
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")
}

impl Store for SqliteStore {
    fn write(&mut self, entries: &[Entry]) -> Result<Vec<Outcome>, StoreError> {
        self.transact("write to", |transaction, context| {
            let settled = entries
                .iter()
                .map(|entry| settle(transaction, context.clock, entry));
            settled.collect()
        })
    }

    fn forget(&mut self, now: SystemTime) -> Result<Forgotten, StoreError> {
        self.transact("forget what is old in", |transaction, context| {
            let before = oldest(context.bounds, now);
            let delete = |table, text: &str, number: i64| -> rusqlite::Result<u64> {
                let work = || transaction.prepare_cached(text)?.execute([number]);
                let gone = context.clock.time(Operation::Delete, table, work)?;
                Ok(gone as u64)
            };
            let count = |table, text: &str| {
                let work = || transaction.query_row(text, [], |row| row.get::<_, i64>(0));
                context.clock.time(Operation::Select, table, work)
            };
            let labelled = delete(Table::Labels, LABELS_OF_OLD, before)?;
            let old = delete(Table::Predictions, OLD, before)?;
            let mut strangers = delete(Table::Labels, OLD_STRANGERS, before)?;
            let mut forgotten = Forgotten {
                expired: old.saturating_sub(labelled),
                ..Forgotten::default()
            };
            let beyond = surplus(
                context.bounds,
                count(Table::Predictions, COUNT_PREDICTIONS)?,
            );
            if beyond > 0 {
                let labelled = delete(Table::Labels, LABELS_OF_SURPLUS, beyond)?;
                let gone = delete(Table::Predictions, SURPLUS, beyond)?;
                forgotten.evicted = gone.saturating_sub(labelled);
            }
            let beyond = surplus(context.bounds, count(Table::Labels, COUNT_STRANGERS)?);
            if beyond > 0 {
                strangers += delete(Table::Labels, SURPLUS_STRANGERS, beyond)?;
            }
            forgotten.strangers = strangers;
            Ok(forgotten)
        })
    }

    fn replay(
        &mut self,
        take: &mut dyn FnMut(Prediction, Option<Label>),
    ) -> Result<(), StoreError> {
        let (connection, place) = (&self.connection, &self.place);
        let failed = |error| failure("read the predictions in", place, error);
        let unreadable = |error: serde_json::Error| unreadable(place, error);
        self.clock.time(Operation::Select, Table::Predictions, || {
            let mut statement = connection.prepare_cached(PAIRS).map_err(failed)?;
            let mut rows = statement.query([]).map_err(failed)?;
            while let Some(row) = rows.next().map_err(failed)? {
                let (prediction, label) = pair(row).map_err(failed)?;
                let label = label.map(LabelRow::read).transpose().map_err(unreadable)?;
                take(prediction.read().map_err(unreadable)?, label);
            }
            Ok(())
        })
    }

    fn held(&mut self) -> Result<Held, StoreError> {
        let count = |text| {
            let counted = self
                .connection
                .query_row(text, [], |row| row.get::<_, i64>(0));
            counted
                .map(i64::cast_unsigned)
                .map_err(|error| failure("count the rows of", &self.place, error))
        };
        Ok(Held {
            predictions: count(COUNT_PREDICTIONS)?,
            labels: count(COUNT_LABELS)?,
        })
    }
}

/// Few rows are there before their time: so each is put in first, and looked up only where that fails.
fn settle(
    transaction: &Transaction<'_>,
    clock: &Clock,
    entry: &Entry,
) -> rusqlite::Result<Outcome> {
    let rows = Rows { transaction, clock };
    let mut slot = Slot::default();
    match entry {
        Entry::Prediction(prediction) => {
            if !rows.insert_prediction(prediction)? {
                slot.prediction = rows.prediction(&prediction.id)?;
            }
            (slot.label, slot.early) = rows.label(&prediction.id)?;
        }
        Entry::Label(label) => {
            slot.prediction = rows.prediction(&label.id)?;
            if !rows.insert_label(label, slot.prediction.is_none())? {
                (slot.label, slot.early) = rows.label(&label.id)?;
            }
        }
    }
    Ok(slot.settle(entry).0)
}

struct Rows<'a> {
    transaction: &'a Transaction<'a>,
    clock: &'a Clock,
}

impl Rows<'_> {
    fn prediction(&self, id: &str) -> rusqlite::Result<Option<Prediction>> {
        let select = "SELECT id, model_version, dataset, output, at_us, token FROM predictions WHERE id = $1";
        let work = || {
            let mut statement = self.transaction.prepare_cached(select)?;
            statement.query_row([id], prediction).optional()
        };
        let row = self
            .clock
            .time(Operation::Select, Table::Predictions, work)?;
        row.map(|row| decoded(row.read())).transpose()
    }

    /// A label, and whether it was early.
    fn label(&self, id: &str) -> rusqlite::Result<(Option<Label>, bool)> {
        let select = "SELECT id, truth, at_us, token, early FROM labels WHERE id = $1";
        let work = || {
            let mut statement = self.transaction.prepare_cached(select)?;
            let row = |row: &rusqlite::Row<'_>| Ok((label(row, 1)?, row.get(4)?));
            statement.query_row([id], row).optional()
        };
        match self.clock.time(Operation::Select, Table::Labels, work)? {
            Some((row, early)) => Ok((Some(decoded(row.read())?), early)),
            None => Ok((None, false)),
        }
    }

    /// Whether there was none of this name.
    fn insert_prediction(&self, prediction: &Prediction) -> rusqlite::Result<bool> {
        let insert =
            "INSERT INTO predictions VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
        let output = encoded(serde_json::to_string(&prediction.output))?;
        let row = params![
            &*prediction.id,
            &*prediction.model_version,
            &*prediction.dataset,
            output,
            micros(prediction.at),
            prediction.token.cast_signed(),
        ];
        self.insert(Table::Predictions, insert, row)
    }

    /// Whether there was none of this name.
    fn insert_label(&self, label: &Label, early: bool) -> rusqlite::Result<bool> {
        let insert = "INSERT INTO labels VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
        let truth = encoded(serde_json::to_string(&label.truth))?;
        let (at, token) = (micros(label.at), label.token.cast_signed());
        self.insert(
            Table::Labels,
            insert,
            params![&*label.id, truth, at, token, early],
        )
    }

    fn insert(
        &self,
        table: Table,
        insert: &str,
        row: &[&dyn rusqlite::ToSql],
    ) -> rusqlite::Result<bool> {
        let work = || self.transaction.prepare_cached(insert)?.execute(row);
        Ok(self.clock.time(Operation::Insert, table, work)? > 0)
    }
}

fn prediction(row: &rusqlite::Row<'_>) -> rusqlite::Result<PredictionRow> {
    Ok(PredictionRow {
        id: row.get(0)?,
        model_version: row.get(1)?,
        dataset: row.get(2)?,
        output: row.get(3)?,
        at_us: row.get(4)?,
        token: row.get(5)?,
    })
}

/// A label whose truth is in column `first`; its id is in the first of all.
fn label(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<LabelRow> {
    Ok(LabelRow {
        id: row.get(0)?,
        truth: row.get(first)?,
        at_us: row.get(first + 1)?,
        token: row.get(first + 2)?,
    })
}

fn pair(row: &rusqlite::Row<'_>) -> rusqlite::Result<(PredictionRow, Option<LabelRow>)> {
    let labelled = row.get::<_, Option<String>>(6)?.is_some();
    let label = labelled.then(|| label(row, 6)).transpose()?;
    Ok((prediction(row)?, label))
}

fn decoded<T>(read: serde_json::Result<T>) -> rusqlite::Result<T> {
    read.map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
    })
}

fn encoded(text: serde_json::Result<String>) -> rusqlite::Result<String> {
    text.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// While a file is being opened, these can pass by themselves. Another error means that it isn't one of ours.
fn failure(doing: &'static str, place: &str, error: rusqlite::Error) -> StoreError {
    let passing = matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::OutOfMemory
        )
    );
    StoreError::new(doing, place, passing, error)
}

/// Once it is open, only these are about what was to be written. Another error is about the file, and can pass: also one that somebody
/// has to mend, because until then nothing may be given up.
fn at_fault(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(code) => matches!(
            code,
            ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch
        ),
        None => true,
    }
}
