//! What came of the requests, counted as they end.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::mix::Kind;

/// How a request that was sent ended; every one ends in exactly one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Status 200 and a whole, well-formed answer.
    Ok,
    /// Status 429.
    Shed,
    /// Another status from 400 to 499.
    Rejected,
    /// No whole answer within the time limit; the connection was closed.
    Timeout,
    /// Status 500 and above, an error event within a stream, or an answer that can't be understood.
    Error,
    /// We closed the connection midway, as a leaving client or at an interruption.
    Left,
    /// No connection, or one that broke before the answer was whole.
    Connection,
}

impl Outcome {
    /// Every outcome, in the order of reports.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::Shed,
        Self::Rejected,
        Self::Timeout,
        Self::Error,
        Self::Left,
        Self::Connection,
    ];

    /// The name that reports give it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Shed => "shed",
            Self::Rejected => "rejected",
            Self::Timeout => "timeout",
            Self::Error => "error",
            Self::Left => "left",
            Self::Connection => "connection",
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

/// Counts of a running load, readable from any thread.
///
/// **Consistency**: each count is exact and only grows; two of them read one after the other may be a request apart.
#[derive(Debug, Default)]
pub struct Live {
    sent: AtomicU64,
    not_sent: AtomicU64,
    ended: [AtomicU64; Outcome::ALL.len()],
}

impl Live {
    /// Requests sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Arrivals that were not sent, because the most requests allowed were in flight.
    pub fn not_sent(&self) -> u64 {
        self.not_sent.load(Relaxed)
    }

    /// Requests that ended in `outcome`.
    pub fn ended(&self, outcome: Outcome) -> u64 {
        self.ended[outcome.index()].load(Relaxed)
    }

    /// Requests sent and not ended yet.
    pub fn in_flight(&self) -> u64 {
        let ended: u64 = Outcome::ALL
            .iter()
            .map(|&outcome| self.ended(outcome))
            .sum();
        self.sent().saturating_sub(ended)
    }
}

/// An answer's `usage`, as the server gave it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Usage {
    #[serde(default)]
    pub(crate) prompt_tokens: u64,
    #[serde(default)]
    pub(crate) completion_tokens: u64,
    #[serde(default)]
    pub(crate) prompt_tokens_details: Option<PromptDetails>,
}

/// The part of [`Usage`] that tells how much of the prompt was reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct PromptDetails {
    #[serde(default)]
    pub(crate) cached_tokens: u64,
}

/// Durations with three significant digits, whatever their number.
#[derive(Debug)]
pub(crate) struct Durations(Histogram<u64>);

impl Durations {
    /// Longer ones are counted as this long.
    const LONGEST: Duration = Duration::from_secs(24 * 3600);

    fn new() -> Self {
        let nanos =
            u64::try_from(Self::LONGEST.as_nanos()).expect("a day fits in 64 bits of nanoseconds");
        Self(
            Histogram::new_with_max(nanos, 3)
                .expect("the bounds and digits are constants within the limits"),
        )
    }

    fn record(&mut self, duration: Duration) {
        self.0
            .saturating_record(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn histogram(&self) -> &Histogram<u64> {
        &self.0
    }
}

/// The most different messages of failures that are kept.
const MESSAGES: usize = 8;

/// Everything a load counts; owned by its thread.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) sent: [u64; Kind::ALL.len()],
    pub(crate) not_sent: [u64; Kind::ALL.len()],
    pub(crate) ended: [[u64; Outcome::ALL.len()]; Kind::ALL.len()],
    pub(crate) by_status: BTreeMap<u16, u64>,
    pub(crate) failures: BTreeMap<(Outcome, String), u64>,
    pub(crate) answers_with_usage: u64,
    pub(crate) prompt_tokens: u64,
    pub(crate) cached_tokens: u64,
    pub(crate) completion_tokens: u64,
    pub(crate) stream_chunks: u64,
    pub(crate) answer: Durations,
    pub(crate) refusal: Durations,
    pub(crate) first_token: Durations,
    pub(crate) inter_token: Durations,
    pub(crate) send_lag: Durations,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            sent: [0; Kind::ALL.len()],
            not_sent: [0; Kind::ALL.len()],
            ended: [[0; Outcome::ALL.len()]; Kind::ALL.len()],
            by_status: BTreeMap::new(),
            failures: BTreeMap::new(),
            answers_with_usage: 0,
            prompt_tokens: 0,
            cached_tokens: 0,
            completion_tokens: 0,
            stream_chunks: 0,
            answer: Durations::new(),
            refusal: Durations::new(),
            first_token: Durations::new(),
            inter_token: Durations::new(),
            send_lag: Durations::new(),
        }
    }

    pub(crate) fn send(&mut self, kind: Kind, lag: Duration, live: &Live) {
        self.sent[kind.index()] += 1;
        self.send_lag.record(lag);
        live.sent.fetch_add(1, Relaxed);
    }

    pub(crate) fn skip(&mut self, kind: Kind, live: &Live) {
        self.not_sent[kind.index()] += 1;
        live.not_sent.fetch_add(1, Relaxed);
    }

    pub(crate) fn end(&mut self, kind: Kind, outcome: Outcome, took: Duration, live: &Live) {
        self.ended[kind.index()][outcome.index()] += 1;
        match outcome {
            Outcome::Ok | Outcome::Timeout => self.answer.record(took),
            Outcome::Shed | Outcome::Rejected => self.refusal.record(took),
            Outcome::Error | Outcome::Left | Outcome::Connection => {}
        }
        live.ended[outcome.index()].fetch_add(1, Relaxed);
    }

    /// Ends what is still in flight as left.
    pub(crate) fn abandon(&mut self, live: &Live) {
        for kind in Kind::ALL {
            let ended: u64 = self.ended[kind.index()].iter().sum();
            for _ in ended..self.sent[kind.index()] {
                self.end(kind, Outcome::Left, Duration::ZERO, live);
            }
        }
    }

    pub(crate) fn status(&mut self, status: u16) {
        *self.by_status.entry(status).or_default() += 1;
    }

    pub(crate) fn first_token(&mut self, took: Duration) {
        self.stream_chunks += 1;
        self.first_token.record(took);
    }

    pub(crate) fn next_token(&mut self, gap: Duration) {
        self.stream_chunks += 1;
        self.inter_token.record(gap);
    }

    pub(crate) fn usage(&mut self, usage: Usage) {
        self.answers_with_usage += 1;
        self.prompt_tokens += usage.prompt_tokens;
        self.completion_tokens += usage.completion_tokens;
        self.cached_tokens += usage
            .prompt_tokens_details
            .unwrap_or_default()
            .cached_tokens;
    }

    /// Remembers a failure's message, the first few different ones.
    pub(crate) fn failure(&mut self, outcome: Outcome, message: String) {
        let full = self.failures.len() >= MESSAGES;
        let key = (outcome, message);
        if let Some(count) = self.failures.get_mut(&key) {
            *count += 1;
        } else if !full {
            self.failures.insert(key, 1);
        }
    }
}
