//! One exchange under way: what went over the wire so far, and that it ends once.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use http::{HeaderMap, StatusCode};
use inferometer::sample::http::Traffic;

/// How an exchange ended, whatever its status says.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The answer was handed over to its last byte.
    Complete,
    /// The client left: what was made for it was dropped before the end.
    Cancelled,
    /// The service, or the answer's body, gave up.
    Failed,
    /// The code that served it panicked.
    Panicked,
}

/// What a layer does with what it sees of one exchange.
#[doc(hidden)]
pub trait Witness {
    /// The answer's head is there.
    fn answered(&mut self, status: StatusCode, headers: &HeaderMap);

    /// The answer's trailers are there.
    fn trailers(&mut self, trailers: &HeaderMap) {
        let _ = trailers;
    }

    /// It is over. Called once.
    fn ended(&mut self, ending: Ending, traffic: &Traffic);
}

/// Bytes of a request's body, counted where it is read.
pub(super) type Read = Arc<AtomicU64>;

/// An exchange under way. Dropped before its end, it was cancelled.
#[derive(Debug)]
pub(super) struct Tally<W: Witness> {
    witness: W,
    started: Instant,
    first_byte: Option<Duration>,
    response_bytes: u64,
    chunks: u64,
    read: Option<Read>,
    over: bool,
}

impl<W: Witness> Tally<W> {
    pub(super) fn new(witness: W, started: Instant, read: Option<Read>) -> Self {
        Self {
            witness,
            started,
            first_byte: None,
            response_bytes: 0,
            chunks: 0,
            read,
            over: false,
        }
    }

    pub(super) fn answered(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.witness.answered(status, headers);
    }

    pub(super) fn trailers(&mut self, trailers: &HeaderMap) {
        self.witness.trailers(trailers);
    }

    /// A piece of the answer's body is handed over; empty ones are no pieces.
    pub(super) fn sent(&mut self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.response_bytes += bytes as u64;
        self.chunks += 1;
        if self.first_byte.is_none() {
            self.first_byte = Some(self.started.elapsed());
        }
    }

    pub(super) fn response_bytes(&self) -> u64 {
        self.response_bytes
    }

    /// The piece just handed over was the last.
    pub(super) fn end_with_last_piece(&mut self) {
        // A body of one piece ends with its first: one clock reading serves both.
        match self.first_byte {
            Some(first) if self.chunks == 1 => self.end_after(Ending::Complete, first),
            _ => self.end(Ending::Complete),
        }
    }

    /// Ends it, unless it has ended.
    pub(super) fn end(&mut self, ending: Ending) {
        if !self.over {
            self.end_after(ending, self.started.elapsed());
        }
    }

    fn end_after(&mut self, ending: Ending, duration: Duration) {
        if mem::replace(&mut self.over, true) {
            return;
        }
        let traffic = Traffic {
            duration,
            first_byte: self.first_byte,
            request_bytes: self.read.as_ref().map_or(0, |read| read.load(Relaxed)),
            response_bytes: self.response_bytes,
            chunks: self.chunks,
        };
        self.witness.ended(ending, &traffic);
    }

    /// Runs code of others; when it panics, that is how the exchange ended, even where somebody further out catches the panic.
    #[inline]
    pub(super) fn watch<T>(&mut self, work: impl FnOnce() -> T) -> T {
        struct Unwinding<'a, W: Witness>(&'a mut Tally<W>);
        impl<W: Witness> Drop for Unwinding<'_, W> {
            fn drop(&mut self) {
                self.0.end(Ending::Panicked);
            }
        }
        let unwinding = Unwinding(self);
        let done = work();
        mem::forget(unwinding);
        done
    }
}

impl<W: Witness> Drop for Tally<W> {
    fn drop(&mut self) {
        if !self.over {
            self.end(if thread::panicking() {
                Ending::Panicked
            } else {
                Ending::Cancelled
            });
        }
    }
}
