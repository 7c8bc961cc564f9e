//! A queue before a store, so that predictions never wait for a database and no acknowledged label is lost.

mod queue;
mod writer;

use std::{
    fmt, io,
    sync::{Arc, atomic::Ordering::Relaxed},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use self::{
    queue::{Job, Queue, Reply},
    writer::Writer,
};
use crate::{
    score::Scoreboard,
    store::{Entry, Label, Outcome, Prediction, Store},
};

/// Writes predictions and labels to a [`Store`] on a thread of its own, and keeps a [`Scoreboard`] up to date with what comes of them.
///
/// **Predictions** are queued; without room they are dropped and counted, and nobody waits. **Labels** are queued with somebody to
/// acknowledge them to, who is called once the store has written them, or once it is known that it won't. So what was acknowledged
/// is in the store, whatever happens next.
///
/// While the store fails in a way that passes, the same batch is tried again, less and less often, and the queue fills. An entry that the store
/// refuses for good is dropped and counted, so that it doesn't stop those behind it.
///
/// **Bounds.** [`JournalOptions::queue`] entries, and one batch that is being written. A place in the queue stays taken until its entry is
/// written.
///
/// # Examples
/// ```
/// use std::{sync::{Arc, mpsc}, time::SystemTime};
///
/// use inferometer_quality::{
///     journal::{Journal, JournalOptions},
///     score::{Measure, Output, Scoreboard, Task, Truth},
///     store::{Label, MemoryStore, Outcome, Prediction},
/// };
///
/// let board = Arc::new(Scoreboard::new(Task::Regression, Default::default()));
/// let store = MemoryStore::new(Default::default());
/// let journal = Journal::start(store, Arc::clone(&board), JournalOptions::default())?;
///
/// let now = SystemTime::now();
/// journal.predicted(Prediction::new("a", "v1", "production", Output::Number(2.0), now));
/// let (acknowledge, acknowledged) = mpsc::channel();
/// journal.labelled(Label::new("a", Truth::Number(3.0), now), move |outcome| {
///     let _ = acknowledge.send(outcome);
/// })?;
///
/// assert!(matches!(acknowledged.recv()??, Outcome::Joined(_)));
/// let scores = board.scores(now);
/// assert_eq!(scores[0].lifetime.get(Measure::Mae).map(|score| score.value), Some(1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Journal {
    queue: Arc<Queue>,
    writer: Option<JoinHandle<()>>,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// How a [`Journal`] works.
#[derive(Clone, Copy, Debug)]
pub struct JournalOptions {
    /// At most so many entries wait.
    pub queue: usize,
    /// At most so many are written at once.
    pub batch: usize,
    /// After a failure the next try comes after this long, then after twice that, and so on.
    pub retry: Duration,
    /// But never later than this.
    pub retry_at_most: Duration,
    /// How often the store is asked to forget what is beyond its bounds.
    pub forget_every: Duration,
}

impl Default for JournalOptions {
    /// 65,536 entries in batches of 512; tries again after 100 ms to 5 s; forgets every 10 s.
    fn default() -> Self {
        Self {
            queue: 65_536,
            batch: 512,
            retry: Duration::from_millis(100),
            retry_at_most: Duration::from_secs(5),
            forget_every: Duration::from_secs(10),
        }
    }
}

/// How a [`Journal`] fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalStatus {
    /// Entries that wait or are being written.
    pub queued: usize,
    /// Predictions that found no room, or no journal any more.
    pub dropped_predictions: u64,
    /// Labels that found no room, or no journal any more; each was told so.
    pub refused_labels: u64,
    /// Entries that the store refused for good.
    pub unwritable: u64,
    /// Entries written.
    pub written: u64,
    /// Since when the store has failed without a success, and what it said last; `None` while it works.
    pub failing: Option<(SystemTime, Arc<str>)>,
    /// Why what the store had at the start could not be read, so that the scores began without it.
    pub unread: Option<Arc<str>>,
}

/// Why a label isn't in the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwritten {
    /// No room in the queue.
    #[error("{0} entries wait to be written, and there is room for no more; send it again later")]
    Full(usize),
    /// The store refuses it.
    #[error("{0}")]
    Refused(Arc<str>),
    /// The journal ended before it could be written. It may or may not be in the store; sent again, it is a duplicate at worst.
    #[error("the service stopped before this was written; send it again")]
    Stopped,
}

impl Journal {
    /// Starts the thread. The scoreboard is told first of what the store still has: so the first entries wait for that.
    ///
    /// # Errors
    /// Says that there is no thread to be had.
    pub fn start(
        store: impl Store + 'static,
        board: Arc<Scoreboard>,
        options: JournalOptions,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(options.queue));
        let writer = Writer::new(Box::new(store), board, Arc::clone(&queue), options);
        let thread = thread::Builder::new().name("quality-journal".to_owned());
        Ok(Self {
            writer: Some(thread.spawn(move || writer.run())?),
            queue,
        })
    }

    /// Queues a prediction. Without room it is dropped, counted, and `false` returned.
    pub fn predicted(&self, prediction: Prediction) -> bool {
        let queued = self.queue.push(Job {
            entry: Entry::Prediction(prediction),
            reply: Reply::nobody(),
        });
        if queued.is_err() {
            self.queue.dropped.fetch_add(1, Relaxed);
        }
        queued.is_ok()
    }

    /// Queues a label. `reply` is called once, on the journal's thread and to be quick: with what came of it once it is written, or with
    /// why it won't be.
    ///
    /// # Errors
    /// There is no room, or the journal has stopped; `reply` won't be called.
    pub fn labelled(
        &self,
        label: Label,
        reply: impl FnOnce(Result<Outcome, Unwritten>) + Send + 'static,
    ) -> Result<(), Unwritten> {
        let queued = self.queue.push(Job {
            entry: Entry::Label(label),
            reply: Reply::to(reply),
        });
        queued.inspect_err(|_| {
            self.queue.refused.fetch_add(1, Relaxed);
        })
    }

    /// How it fares.
    pub fn status(&self) -> JournalStatus {
        self.queue.status()
    }

    /// Waits until what is queued has been written, but no longer than `at_most`, and ends. Who still waits for an acknowledgement is told.
    /// Returns how it fared; `queued` is how many were not written.
    ///
    /// A store that hangs within a call is left to its thread.
    pub fn stop(mut self, at_most: Duration) -> JournalStatus {
        self.end(at_most)
    }

    fn end(&mut self, at_most: Duration) -> JournalStatus {
        let status = self.queue.close(at_most);
        if let Some(writer) = self.writer.take()
            && self.queue.has_ended()
        {
            // A panic of the store's has ended it: those who wait have been told by then.
            let _ = writer.join();
        }
        status
    }
}

impl Drop for Journal {
    /// As [`stop`](Self::stop), for at most a second.
    fn drop(&mut self) {
        if self.writer.is_some() {
            self.end(Duration::from_secs(1));
        }
    }
}
