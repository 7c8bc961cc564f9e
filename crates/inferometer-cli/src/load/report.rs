//! What a load found, in a shape that other programs may rely on.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use super::{
    mix::Kind,
    plan::{Pace, Plan},
    schedule::Arrivals,
    tally::{Durations, Outcome, Tally},
};

/// What a load found. Serialized, it is what `inferometer load --json` writes.
///
/// The JSON has every key always, in the order of the fields here. New keys may be added; a change of meaning raises `version`.
/// What was not observed is `null`, never 0. Durations are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The version of this shape: 1.
    pub version: u32,
    /// The server.
    pub target: String,
    /// The model asked for.
    pub model: String,
    /// What decided when requests were sent.
    pub pace: Pacing,
    /// The kinds of request and their weights, as `--mix` takes them.
    pub mix: String,
    /// The seed of arrivals and kinds.
    pub seed: u64,
    /// Whether the load was stopped before its time.
    pub interrupted: bool,
    /// From the start to the end of the last request.
    pub elapsed_seconds: f64,
    /// All requests.
    pub counts: Counts,
    /// The same by kind of request.
    pub by_kind: ByKind,
    /// Answers by HTTP status, from the moment their head arrived, whatever became of the rest.
    pub by_status: BTreeMap<u16, u64>,
    /// Tokens, as the servers' `usage` counted them.
    pub tokens: Tokens,
    /// Events of streams that carried text.
    pub stream_chunks: u64,
    /// What was achieved, a second.
    pub rates: Rates,
    /// How long things took.
    pub latency_seconds: Latencies,
    /// The first few different failures, and how often each came.
    pub failures: Vec<Failure>,
}

/// What decided when requests were sent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "loop", rename_all = "lowercase")]
pub enum Pacing {
    /// The clock.
    Open {
        /// Requests a second that were asked for.
        rate: f64,
        /// How they were spread.
        arrivals: Arrivals,
        /// The most requests in flight.
        max_in_flight: usize,
    },
    /// The answers.
    Closed {
        /// Requests always in flight.
        connections: usize,
    },
}

/// Requests by what came of them.
///
/// `scheduled = sent + not_sent`, and `sent` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Arrivals that the schedule had; in a closed loop, the same as `sent`.
    pub scheduled: u64,
    /// Arrivals beyond the most requests in flight.
    pub not_sent: u64,
    /// Requests that were sent, or whose connection was tried.
    pub sent: u64,
    /// Whole answers.
    pub ok: u64,
    /// Status 429.
    pub shed: u64,
    /// Another status from 400 to 499.
    pub rejected: u64,
    /// No whole answer in time.
    pub timeout: u64,
    /// Status 500 and above, errors within streams, answers that make no sense.
    pub error: u64,
    /// Connections that we closed midway.
    pub left: u64,
    /// Connections that couldn't be made or broke.
    pub connection: u64,
}

/// [`Counts`] of each kind of request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ByKind {
    /// [`Kind::Short`].
    pub short: Counts,
    /// [`Kind::Long`].
    pub long: Counts,
    /// [`Kind::Stream`].
    pub stream: Counts,
    /// [`Kind::Session`].
    pub session: Counts,
    /// [`Kind::Bad`].
    pub bad: Counts,
    /// [`Kind::Leave`].
    pub leave: Counts,
}

impl ByKind {
    /// The counts of one kind.
    pub const fn get(&self, kind: Kind) -> &Counts {
        match kind {
            Kind::Short => &self.short,
            Kind::Long => &self.long,
            Kind::Stream => &self.stream,
            Kind::Session => &self.session,
            Kind::Bad => &self.bad,
            Kind::Leave => &self.leave,
        }
    }
}

/// Tokens that the answers' `usage` named; answers that were cut short name none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tokens {
    /// Of prompts.
    pub prompt: u64,
    /// Of these, reused.
    pub cached: u64,
    /// Generated.
    pub completion: u64,
    /// How many answers gave their usage.
    pub answers_with_usage: u64,
}

/// What was achieved, a second of the time elapsed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rates {
    /// Requests sent; `null` when no time passed.
    pub sent: Option<f64>,
    /// Whole answers.
    pub ok: Option<f64>,
    /// Tokens generated.
    pub completion_tokens: Option<f64>,
}

/// How long things took; `null` where nothing of the kind happened.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latencies {
    /// From scheduled arrival to the end of a whole answer. A request that timed out counts with the time it waited: to leave it
    /// out would flatter the server.
    pub answer: Option<Quantiles>,
    /// From scheduled arrival to a stream's first text.
    pub first_token: Option<Quantiles>,
    /// Between two texts of a stream; 0 where they came in one piece.
    pub inter_token: Option<Quantiles>,
    /// From scheduled arrival to the end of a refusal (status 400 to 499).
    pub refusal: Option<Quantiles>,
    /// From scheduled arrival to sending: how late this program was itself. `null` in a closed loop, which has no schedule.
    pub send_lag: Option<Quantiles>,
}

/// Quantiles in seconds, to three significant digits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quantiles {
    /// How many there were.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// Half took no longer.
    pub p50: f64,
    /// 90 % took no longer.
    pub p90: f64,
    /// 95 % took no longer.
    pub p95: f64,
    /// 99 % took no longer.
    pub p99: f64,
    /// 99.9 % took no longer.
    pub p999: f64,
    /// None took longer.
    pub max: f64,
}

/// A way in which requests failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What they were counted as.
    pub outcome: Outcome,
    /// What went wrong, in the server's words or ours.
    pub message: String,
    /// How often.
    pub count: u64,
}

impl Report {
    pub(crate) fn new(plan: &Plan, tally: &Tally, elapsed: Duration, interrupted: bool) -> Self {
        let by_kind = ByKind {
            short: Counts::of(tally, &[Kind::Short]),
            long: Counts::of(tally, &[Kind::Long]),
            stream: Counts::of(tally, &[Kind::Stream]),
            session: Counts::of(tally, &[Kind::Session]),
            bad: Counts::of(tally, &[Kind::Bad]),
            leave: Counts::of(tally, &[Kind::Leave]),
        };
        let counts = Counts::of(tally, &Kind::ALL);
        let (pace, scheduled) = match plan.pace {
            Pace::Open { rate, arrivals } => (
                Pacing::Open {
                    rate,
                    arrivals,
                    max_in_flight: plan.max_in_flight,
                },
                true,
            ),
            Pace::Closed { connections } => (Pacing::Closed { connections }, false),
        };
        let elapsed_seconds = elapsed.as_secs_f64();
        let rate =
            |count: u64| (elapsed_seconds > 0.0).then(|| approximately(count) / elapsed_seconds);
        Self {
            version: 1,
            target: plan.target.to_string(),
            model: plan.model.clone().unwrap_or_default(),
            pace,
            mix: plan.mix.to_string(),
            seed: plan.seed,
            interrupted,
            elapsed_seconds,
            counts,
            by_kind,
            by_status: tally.by_status.clone(),
            tokens: Tokens {
                prompt: tally.prompt_tokens,
                cached: tally.cached_tokens,
                completion: tally.completion_tokens,
                answers_with_usage: tally.answers_with_usage,
            },
            stream_chunks: tally.stream_chunks,
            rates: Rates {
                sent: rate(counts.sent),
                ok: rate(counts.ok),
                completion_tokens: rate(tally.completion_tokens),
            },
            latency_seconds: Latencies {
                answer: Quantiles::of(&tally.answer),
                first_token: Quantiles::of(&tally.first_token),
                inter_token: Quantiles::of(&tally.inter_token),
                refusal: Quantiles::of(&tally.refusal),
                send_lag: scheduled.then(|| Quantiles::of(&tally.send_lag)).flatten(),
            },
            failures: tally
                .failures
                .iter()
                .map(|((outcome, message), &count)| Failure {
                    outcome: *outcome,
                    message: message.clone(),
                    count,
                })
                .collect(),
        }
    }
}

impl Counts {
    fn of(tally: &Tally, kinds: &[Kind]) -> Self {
        let ended = |outcome: Outcome| {
            kinds
                .iter()
                .map(|kind| tally.ended[kind.index()][outcome as usize])
                .sum()
        };
        let sent = kinds.iter().map(|kind| tally.sent[kind.index()]).sum();
        let not_sent = kinds.iter().map(|kind| tally.not_sent[kind.index()]).sum();
        Self {
            scheduled: sent + not_sent,
            not_sent,
            sent,
            ok: ended(Outcome::Ok),
            shed: ended(Outcome::Shed),
            rejected: ended(Outcome::Rejected),
            timeout: ended(Outcome::Timeout),
            error: ended(Outcome::Error),
            left: ended(Outcome::Left),
            connection: ended(Outcome::Connection),
        }
    }

    /// The count of one outcome.
    pub const fn ended(&self, outcome: Outcome) -> u64 {
        match outcome {
            Outcome::Ok => self.ok,
            Outcome::Shed => self.shed,
            Outcome::Rejected => self.rejected,
            Outcome::Timeout => self.timeout,
            Outcome::Error => self.error,
            Outcome::Left => self.left,
            Outcome::Connection => self.connection,
        }
    }
}

impl Quantiles {
    fn of(durations: &Durations) -> Option<Self> {
        let histogram = durations.histogram();
        let seconds = |nanos: u64| Duration::from_nanos(nanos).as_secs_f64();
        // A bucket's upper edge may lie beyond the longest duration that was recorded.
        let at =
            |quantile: f64| seconds(histogram.value_at_quantile(quantile).min(histogram.max()));
        (!histogram.is_empty()).then(|| Self {
            count: histogram.len(),
            mean: histogram.mean() / 1e9,
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            max: seconds(histogram.max()),
        })
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate needs no more than 15 digits"
)]
fn approximately(count: u64) -> f64 {
    count as f64
}
