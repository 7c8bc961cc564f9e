//! Where predictions wait for their labels.
//!
//! A [`Store`] remembers both by the prediction's id, joins them in whichever order they come, and forgets within its [`Bounds`].
//! [`MemoryStore`] keeps them while the process lives; `SqliteStore` (feature `sqlite`) and `PostgresStore` (feature `postgres`)
//! beyond that. A [`Journal`](crate::journal::Journal) queues what is to be written, so that nobody waits for a database.

mod entry;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
mod slot;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::time::SystemTime;

#[cfg(feature = "postgres")]
pub use self::postgres::PostgresStore;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use self::sql::{OnOperation, Operation, Table};
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteStore;
pub use self::{
    entry::{Bounds, Entry, Forgotten, Held, Label, Outcome, Pair, Prediction},
    memory::MemoryStore,
};

/// Remembers predictions and labels by id, and joins them.
///
/// **Consistency.** One writer at a time: the trait takes `&mut self`. Several processes may write to one PostgreSQL; their batches
/// come one after another.
pub trait Store: Send {
    /// Writes `entries` in their order, and returns what came of each, in that order.
    ///
    /// All or none: once this has returned, all of them will be found after a crash, as far as the store outlives one. After an error
    /// the same entries can be written again, also when nobody knows whether the first time went through.
    ///
    /// # Errors
    /// Says why nothing was written, or that nobody knows.
    fn write(&mut self, entries: &[Entry]) -> Result<Vec<Outcome>, StoreError>;

    /// Forgets what at `now` is beyond the bounds, and returns what was given up since the last call.
    ///
    /// A prediction goes together with its label.
    ///
    /// # Errors
    /// Says why nothing was forgotten.
    fn forget(&mut self, now: SystemTime) -> Result<Forgotten, StoreError>;

    /// Hands over every prediction with the label it has, in the order in which they were complete: so that scores can be made anew
    /// after a restart.
    ///
    /// # Errors
    /// Says why they can't be read. What was handed over until then stays so.
    fn replay(&mut self, take: &mut dyn FnMut(Prediction, Option<Label>))
    -> Result<(), StoreError>;

    /// How much there is.
    ///
    /// # Errors
    /// Says why it can't be counted.
    fn held(&mut self) -> Result<Held, StoreError>;
}

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("can't {doing} {place}: {source}; {}", if *.passing { "it is tried again" } else { "mend it, then start again" })]
pub struct StoreError {
    pub(crate) doing: &'static str,
    pub(crate) place: Box<str>,
    /// It can pass by itself: a server that is away, a file that another writes to, a disk that is full.
    pub(crate) passing: bool,
    pub(crate) source: Box<dyn std::error::Error + Send + Sync>,
}

impl StoreError {
    /// An error of a store of one's own.
    ///
    /// `doing` and `place` are words: "can't {doing} {place}". `passing` says that the same may work later.
    pub fn new(
        doing: &'static str,
        place: impl Into<Box<str>>,
        passing: bool,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            doing,
            place: place.into(),
            passing,
            source: source.into(),
        }
    }

    /// Whether the same may work later: the server was away, the file locked, the disk full. Otherwise it is the entry, or the
    /// database isn't one of ours.
    pub fn is_passing(&self) -> bool {
        self.passing
    }
}
