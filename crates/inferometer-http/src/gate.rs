//! Between the socket and HTTP: nothing reaches the HTTP library before a request's head is whole and fits, and nothing takes
//! longer than it may.
//!
//! A connection is in one of these phases, and each has its time:
//!
//! | phase | until | limit |
//! |---|---|---|
//! | silent | the first byte | `first_byte` |
//! | head | the head is whole | `head` |
//! | answer | the answer is taken | `request`, and `write` for each standstill |
//! | idle | the next head's first byte | `idle` |
//!
//! An HTTP/1 connection is held back head by head, so a slow one costs a few hundred bytes. HTTP/2 multiplexes: it is let
//! through after its preface, its library bounds its frames, and the phases go by the requests that arrive.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use crate::{
    crowd::{Crowd, Seat},
    head::{self, Head},
    options::Limits,
    own::HttpMetrics,
    problem::{Problem, Refusal},
};

/// How long a client that was refused has to take the answer, and how much more of what it sends is thrown away meanwhile:
/// closing on unread bytes would take the answer back.
const LINGER: (Duration, usize) = (Duration::from_secs(1), 256 << 10);

/// What the gates of a server share.
pub(crate) struct Keeper {
    pub(crate) limits: Limits,
    pub(crate) crowd: Crowd,
    pub(crate) metrics: HttpMetrics,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Silent,
    Head,
    /// From when so many requests of this connection have begun, the last of them is being answered.
    Answer(u64),
    Idle,
}

/// An answer of the gate's own, being written.
struct Farewell {
    wire: Vec<u8>,
    written: usize,
    closed: bool,
    discarded: usize,
}

/// A stream behind the gate.
pub(crate) struct Gate<S> {
    stream: S,
    seat: Arc<Seat>,
    keeper: Arc<Keeper>,
    two: bool,
    phase: Phase,
    since: Instant,
    /// Bytes that have come and were not passed on: `passed` are, `cleared` may be, `seen` were looked at.
    held: Vec<u8>,
    passed: usize,
    cleared: usize,
    seen: usize,
    /// Since when a write waits for the client.
    stalled: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    farewell: Option<Farewell>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Gate<S> {
    /// `since` is when the connection was accepted.
    pub(crate) fn new(stream: S, seat: Arc<Seat>, keeper: Arc<Keeper>, since: Instant) -> Self {
        Self {
            stream,
            seat,
            keeper,
            two: false,
            phase: Phase::Silent,
            since,
            held: Vec::new(),
            passed: 0,
            cleared: 0,
            seen: 0,
            stalled: None,
            timer: Box::pin(sleep_until(since)),
            farewell: None,
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.since = Instant::now();
    }

    /// Looks whether the answers under way have been taken.
    ///
    /// HTTP asks for the next head once an answer is in its buffer; that the client has taken it comes later, and wakes the gate.
    fn settle(&mut self, cx: &Context<'_>) {
        self.seat.wake(cx.waker());
        let oldest = self.seat.oldest();
        match (self.phase, oldest) {
            (Phase::Answer(begun), None) if self.seat.begun() >= begun => {
                // What was sent ahead of its time is the start of the next head.
                self.enter(if self.held.is_empty() {
                    Phase::Idle
                } else {
                    Phase::Head
                });
                self.keeper.crowd.answered(&self.seat);
            }
            // HTTP/2: many at once, and the oldest has to be done in time.
            (phase, Some(oldest)) if self.two => {
                if !matches!(phase, Phase::Answer(_)) {
                    self.keeper.crowd.progressed(&self.seat);
                }
                self.phase = Phase::Answer(self.seat.begun());
                self.since = oldest;
            }
            _ => {}
        }
    }

    /// Whether the phase's time is over, and what that means.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<Refusal> {
        let limits = &self.keeper.limits;
        let (mut end, mut refusal) = match self.phase {
            Phase::Silent => (self.since + limits.first_byte, Refusal::Silent),
            Phase::Head => (self.since + limits.head, Refusal::HeadTimeout),
            Phase::Answer(_) => (self.since + limits.request, Refusal::RequestTimeout),
            Phase::Idle => (self.since + limits.idle, Refusal::Silent),
        };
        if let Some(stalled) = self.stalled
            && stalled + limits.write < end
        {
            (end, refusal) = (stalled + limits.write, Refusal::SlowReader);
        }
        if self.timer.deadline() != end {
            self.timer.as_mut().reset(end);
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(refusal)
    }

    /// Ends the connection: with an answer if it can still be given.
    fn refuse(&mut self, problem: &Problem) -> io::Result<()> {
        self.keeper.metrics.refused(problem.refusal);
        if self.two || problem.refusal.status().is_none() || self.seat.answering() > 0 {
            return Err(refused());
        }
        self.enter(Phase::Head);
        self.farewell = Some(Farewell {
            wire: problem.on_the_wire(),
            written: 0,
            closed: false,
            discarded: 0,
        });
        Ok(())
    }

    /// Writes the gate's own answer, closes its side, and waits a little for the client to close the other.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Some(farewell) = &mut self.farewell else {
            return Poll::Ready(refused());
        };
        let end = self.since + LINGER.0;
        if self.timer.deadline() != end {
            self.timer.as_mut().reset(end);
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(refused());
        }
        let mut stream = Pin::new(&mut self.stream);
        while farewell.written < farewell.wire.len() {
            match ready!(
                stream
                    .as_mut()
                    .poll_write(cx, &farewell.wire[farewell.written..])
            ) {
                Ok(written) if written > 0 => farewell.written += written,
                Ok(_) | Err(_) => return Poll::Ready(refused()),
            }
        }
        if !farewell.closed {
            let shut = ready!(stream.as_mut().poll_shutdown(cx));
            if shut.is_err() {
                return Poll::Ready(refused());
            }
            farewell.closed = true;
        }
        let mut scrap = [0; 2048];
        while farewell.discarded < LINGER.1 {
            let mut scrap = ReadBuf::new(&mut scrap);
            match ready!(stream.as_mut().poll_read(cx, &mut scrap)) {
                Ok(()) if !scrap.filled().is_empty() => farewell.discarded += scrap.filled().len(),
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(refused())
    }

    /// Passes on what is cleared.
    fn pass(&mut self, buffer: &mut ReadBuf<'_>) {
        let many = buffer.remaining().min(self.cleared - self.passed);
        buffer.put_slice(&self.held[self.passed..self.passed + many]);
        self.passed += many;
        if self.passed < self.cleared {
            return;
        }
        self.held.drain(..self.passed);
        (self.passed, self.cleared, self.seen) = (0, 0, 0);
        if self.held.is_empty() {
            // An idle connection holds nothing.
            self.held = Vec::new();
        }
    }

    /// Looks at what is held; `false` when more has to come.
    fn look(&mut self) -> io::Result<bool> {
        match head::read(&self.held, self.seen, &self.keeper.limits) {
            Head::Partial => {
                self.seen = self.held.len();
                Ok(false)
            }
            Head::Whole(length) => {
                self.cleared = length;
                self.enter(Phase::Answer(self.seat.begun() + 1));
                self.keeper.crowd.progressed(&self.seat);
                Ok(true)
            }
            Head::Two => {
                self.cleared = self.held.len();
                self.two = true;
                Ok(true)
            }
            Head::Refused(problem) => self.refuse(&problem).map(|()| true),
        }
    }

    /// Reads on while a head isn't whole. `Ready(false)` at the stream's end.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut chunk = [0; 2048];
        let mut chunk = ReadBuf::new(&mut chunk);
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, &mut chunk) {
            read?;
            if matches!(self.phase, Phase::Silent | Phase::Idle) && !chunk.filled().is_empty() {
                self.enter(Phase::Head);
            }
            self.held.extend_from_slice(chunk.filled());
            return Poll::Ready(Ok(!chunk.filled().is_empty()));
        }
        let refusal = ready!(self.poll_overdue(cx));
        if self.phase == Phase::Idle {
            return Poll::Ready(Ok(false));
        }
        let detail = format!(
            "the request's head was not whole after {:?}",
            self.keeper.limits.head
        );
        Poll::Ready(self.refuse(&Problem::new(refusal, detail)).map(|()| true))
    }

    /// Watches a write: when the client takes nothing for too long, it ends.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.stalled = None;
            return write;
        }
        self.stalled.get_or_insert_with(Instant::now);
        let refusal = ready!(self.poll_overdue(cx));
        self.keeper.metrics.refused(refusal);
        Poll::Ready(Err(refused()))
    }
}

fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "refused")
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Gate<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.farewell.is_some() {
                return Poll::Ready(Err(ready!(this.poll_farewell(cx))));
            }
            if this.cleared > 0 {
                this.pass(buffer);
                return Poll::Ready(Ok(()));
            }
            this.settle(cx);
            if this.two {
                if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(cx, buffer) {
                    return Poll::Ready(read);
                }
                let refusal = ready!(this.poll_overdue(cx));
                if this.phase != Phase::Idle {
                    this.keeper.metrics.refused(refusal);
                }
                return Poll::Ready(Err(refused()));
            }
            let answering = matches!(this.phase, Phase::Answer(_));
            if !answering && !this.held.is_empty() && this.look()? {
                continue;
            }
            if this.held.len() > this.keeper.limits.head_bytes {
                // More than one head has come before the answer is taken: it can wait. HTTP asks again after the answer.
                return Poll::Pending;
            }
            if !ready!(this.poll_more(cx))? {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(&write);
        self.watch(cx, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.wrote(&write);
        self.watch(cx, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flush = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shutdown = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(cx, shutdown)
    }
}

impl<S> Gate<S> {
    fn wrote(&self, write: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(1..)) = write {
            self.keeper.crowd.progressed(&self.seat);
        }
    }
}
