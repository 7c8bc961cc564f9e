//! Predictions and labels on a server of PostgreSQL's.

mod batch;

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use postgres::{Client, Config, NoTls, Socket, Transaction, tls::MakeTlsConnect};

use self::batch::{Labels, Predictions, Statements, known, prediction};
use super::{
    Bounds, Entry, Forgotten, Held, Label, Outcome, Prediction, Store, StoreError,
    sql::{
        COUNT_LABELS, COUNT_PREDICTIONS, COUNT_STRANGERS, Clock, LABELS_OF_OLD, LABELS_OF_SURPLUS,
        LabelRow, OLD, OLD_STRANGERS, OnOperation, Operation, PAIRS, SURPLUS, SURPLUS_STRANGERS,
        Table, VERSION, check_version, create, oldest, surplus, unreadable,
    },
};

/// Two processes that write at once would each miss what the other brings. So batches come one after another.
const TURN: &str = "SELECT pg_advisory_xact_lock(8107218354470131)";

/// For a batch, which is looked up by its keys: a server that hasn't noticed yet how the tables grow would read them whole.
const TURN_BY_KEY: &str = "SET LOCAL enable_seqscan = off;
    SELECT pg_advisory_xact_lock(8107218354470131)";

type Connect = Box<dyn Fn() -> Result<Client, postgres::Error> + Send>;

/// Remembers on a server of PostgreSQL's.
///
/// What [`write`](Store::write) has returned is committed: it outlives a crash of the process and of the server, as far as the server's own
/// settings (`synchronous_commit`, `fsync`) have it. A connection that broke is made anew with the next call.
///
/// It blocks, and must not be called on a thread that runs async tasks: a [`Journal`](crate::journal::Journal) has a thread for it.
pub struct PostgresStore {
    connect: Connect,
    connected: Option<Connected>,
    /// There was a connection once.
    proven: bool,
    place: Box<str>,
    bounds: Bounds,
    clock: Clock,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Connects to the server at `url` without TLS, such as `postgresql://user@localhost/quality`, and makes the tables `predictions` and
    /// `labels` if they aren't there.
    ///
    /// A server that doesn't answer is given up after 10 seconds, unless the URL says otherwise.
    ///
    /// # Errors
    /// Says why it can't be: no such server, no right to make tables, or tables of a later version.
    pub fn connect(url: &str, bounds: Bounds) -> Result<Self, StoreError> {
        Self::connect_with(url, NoTls, bounds)
    }

    /// As [`connect`](Self::connect), with TLS of the caller's making.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn connect_with<T>(url: &str, tls: T, bounds: Bounds) -> Result<Self, StoreError>
    where
        T: MakeTlsConnect<Socket> + Clone + Send + 'static,
        T::TlsConnect: Send,
        T::Stream: Send,
        <T::TlsConnect as postgres::tls::TlsConnect<Socket>>::Future: Send,
    {
        let mut config: Config = url.parse().map_err(|error: postgres::Error| {
            StoreError::new("read the URL of", "PostgreSQL", false, error)
        })?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(10));
        }
        let mut store = Self {
            place: named(&config).into(),
            connect: Box::new(move || config.connect(tls.clone())),
            connected: None,
            proven: false,
            bounds,
            clock: Clock::default(),
        };
        store.connected()?;
        Ok(store)
    }

    /// Tells `told` of each operation and how long it took.
    #[must_use]
    pub fn on_operation(mut self, told: OnOperation) -> Self {
        self.clock = Clock(Some(told));
        self
    }

    fn connected(&mut self) -> Result<&mut Connected, StoreError> {
        let closed = |connected: &mut Connected| connected.client.is_closed();
        let _ = self.connected.take_if(closed);
        if self.connected.is_none() {
            let opened = self.open().map_err(|error| StoreError {
                // What once was a server of ours is one that will be again.
                passing: error.passing || self.proven,
                ..error
            });
            self.connected = Some(opened?);
            self.proven = true;
        }
        Ok(self.connected.as_mut().expect("it was put there above"))
    }

    fn open(&self) -> Result<Connected, StoreError> {
        let failed = |error| failure("connect to", &self.place, &error);
        let mut client = (self.connect)().map_err(failed)?;
        let failed = |error| failure("make the tables of", &self.place, &error);
        check_version(&self.place, prepare(&mut client).map_err(failed)?)?;
        let statements = Statements::prepare(&mut client).map_err(failed)?;
        Ok(Connected { client, statements })
    }

    fn transact<T>(
        &mut self,
        (doing, turn): (&'static str, &str),
        work: impl FnOnce(&mut Transaction<'_>, &Around<'_>) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let (place, bounds, clock) = (self.place.clone(), self.bounds, self.clock.clone());
        let Connected { client, statements } = self.connected()?;
        let around = Around {
            bounds: &bounds,
            clock: &clock,
            statements,
        };
        let done = (|| {
            let mut transaction = client.transaction()?;
            transaction.batch_execute(turn)?;
            let result = work(&mut transaction, &around)?;
            transaction.commit()?;
            Ok(result)
        })();
        done.map_err(|error| match error {
            Failure::Server(error) => StoreError {
                passing: !at_fault(&error),
                ..failure(doing, &place, &error)
            },
            Failure::Content(error) => unreadable(&place, error),
        })
    }
}

/// A connection, and what it has prepared.
struct Connected {
    client: Client,
    statements: Statements,
}

/// What a transaction needs of a store besides its connection.
struct Around<'a> {
    bounds: &'a Bounds,
    clock: &'a Clock,
    statements: &'a Statements,
}

/// What goes wrong within a transaction.
enum Failure {
    Server(postgres::Error),
    Content(serde_json::Error),
}

impl From<postgres::Error> for Failure {
    fn from(error: postgres::Error) -> Self {
        Self::Server(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Content(error)
    }
}

/// Makes what isn't there, and returns the version of what is.
fn prepare(client: &mut Client) -> Result<i32, postgres::Error> {
    let mut transaction = client.transaction()?;
    transaction.batch_execute(TURN)?;
    let there = "SELECT to_regclass('inferometer_quality_version') IS NOT NULL";
    if !transaction.query_one(there, &[])?.get::<_, bool>(0) {
        transaction
            .batch_execute("CREATE TABLE inferometer_quality_version (version INTEGER NOT NULL)")?;
        transaction.execute(
            "INSERT INTO inferometer_quality_version VALUES ($1)",
            &[&VERSION],
        )?;
        transaction.batch_execute(&create(""))?;
    }
    let found =
        transaction.query_one("SELECT max(version) FROM inferometer_quality_version", &[])?;
    transaction.commit()?;
    Ok(found.get::<_, Option<i32>>(0).unwrap_or_default())
}

impl Store for PostgresStore {
    fn write(&mut self, entries: &[Entry]) -> Result<Vec<Outcome>, StoreError> {
        self.transact(("write to", TURN_BY_KEY), |transaction, around| {
            let mut slots = known(transaction, around, entries)?;
            let (mut predictions, mut labels) = (Predictions::default(), Labels::default());
            let mut outcomes = Vec::with_capacity(entries.len());
            for entry in entries {
                let slot = slots.entry(entry.id()).or_default();
                let (outcome, new) = slot.settle(entry);
                match entry {
                    _ if !new => {}
                    Entry::Prediction(prediction) => predictions.push(prediction)?,
                    Entry::Label(label) => labels.push(label, slot.early)?,
                }
                outcomes.push(outcome);
            }
            predictions.insert(transaction, around)?;
            labels.insert(transaction, around)?;
            Ok(outcomes)
        })
    }

    fn forget(&mut self, now: SystemTime) -> Result<Forgotten, StoreError> {
        self.transact(("forget what is old in", TURN), |transaction, around| {
            let (bounds, clock) = (around.bounds, around.clock);
            let before = oldest(bounds, now);
            let mut delete = |table, text: &str, number: i64| {
                clock.time(Operation::Delete, table, || {
                    transaction.execute(text, &[&number])
                })
            };
            let labelled = delete(Table::Labels, LABELS_OF_OLD, before)?;
            let old = delete(Table::Predictions, OLD, before)?;
            let strangers = delete(Table::Labels, OLD_STRANGERS, before)?;
            let mut forgotten = Forgotten {
                expired: old.saturating_sub(labelled),
                evicted: 0,
                strangers,
            };
            let mut count = |table, text: &str| {
                let row = clock.time(Operation::Select, table, || {
                    transaction.query_one(text, &[])
                });
                row.map(|row| surplus(bounds, row.get(0)))
            };
            let beyond = count(Table::Predictions, COUNT_PREDICTIONS)?;
            let strange = count(Table::Labels, COUNT_STRANGERS)?;
            let mut delete = |table, text: &str, number: i64| {
                clock.time(Operation::Delete, table, || {
                    transaction.execute(text, &[&number])
                })
            };
            // Before predictions go, whose labels go along: else those would be counted among the strangers.
            if strange > 0 {
                forgotten.strangers += delete(Table::Labels, SURPLUS_STRANGERS, strange)?;
            }
            if beyond > 0 {
                let labelled = delete(Table::Labels, LABELS_OF_SURPLUS, beyond)?;
                let gone = delete(Table::Predictions, SURPLUS, beyond)?;
                forgotten.evicted = gone.saturating_sub(labelled);
            }
            Ok(forgotten)
        })
    }

    fn replay(
        &mut self,
        take: &mut dyn FnMut(Prediction, Option<Label>),
    ) -> Result<(), StoreError> {
        use postgres::fallible_iterator::FallibleIterator;
        self.transact(("read the predictions in", TURN), |transaction, around| {
            around
                .clock
                .time(Operation::Select, Table::Predictions, || {
                    let none: [&str; 0] = [];
                    let mut rows = transaction.query_raw(PAIRS, none)?;
                    while let Some(row) = rows.next()? {
                        let label = row.get::<_, Option<String>>(6).map(|truth| LabelRow {
                            id: row.get(0),
                            truth,
                            at_us: row.get(7),
                            token: row.get(8),
                        });
                        take(
                            prediction(&row).read()?,
                            label.map(LabelRow::read).transpose()?,
                        );
                    }
                    Ok(())
                })
        })
    }

    fn held(&mut self) -> Result<Held, StoreError> {
        self.transact(("count the rows of", TURN), |transaction, _| {
            let mut count = |text: &str| {
                let row = transaction.query_one(text, &[])?;
                Ok::<_, Failure>(row.get::<_, i64>(0).cast_unsigned())
            };
            Ok(Held {
                predictions: count(COUNT_PREDICTIONS)?,
                labels: count(COUNT_LABELS)?,
            })
        })
    }
}

/// Where the server is, without what is secret.
fn named(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(postgres::config::Host::Tcp(host)) => host.clone(),
        #[cfg(unix)]
        Some(postgres::config::Host::Unix(path)) => path.display().to_string(),
        None => "the default host".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    format!("PostgreSQL at {host}:{port}")
}

/// Without an answer of the server's own, it is away. With one, these are passing: it is starting or stopping (57), short of something
/// (53), at odds with another transaction (40), or lost the connection (08).
fn failure(doing: &'static str, place: &str, error: &postgres::Error) -> StoreError {
    let passing = error.code().is_none_or(|code| {
        ["08", "40", "53", "57"]
            .iter()
            .any(|class| code.code().starts_with(class))
    });
    let told = match error.as_db_error() {
        Some(answer) => format!("{} ({})", answer.message(), answer.code().code()),
        None => chain(error),
    };
    StoreError::new(doing, place, passing, told)
}

/// Whether it is what was to be written that the server can't take: a value (22), a rule about values (23), or a size (54).
fn at_fault(error: &postgres::Error) -> bool {
    error.code().is_some_and(|code| {
        let class = code.code();
        ["22", "23", "54"].iter().any(|own| class.starts_with(own))
    })
}

/// An error with what it comes from, which its own text leaves out.
fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        told.push_str(": ");
        told.push_str(&error.to_string());
        source = error.source();
    }
    told
}
