//! Load on an OpenAI-compatible endpoint, counted exactly and timed from when it should have begun.
//!
//! ```text
//! schedule ─ arrivals ─▶ engine ─▶ exchange ─▶ client ─▶ the server
//!   mix, prompts            └──────── tally ◀────┘
//!                                       └─▶ report
//! ```
//!
//! Arrivals are decided beforehand and don't wait for answers. A request's latency counts from its scheduled arrival, so the
//! requests that a stalled server kept from being sent in time show the wait that users would have had.
//!
//! Every arrival is accounted for: `scheduled = sent + not sent`, and `sent` is the sum of the seven outcomes.

mod client;
mod engine;
mod exchange;
mod mix;
mod plan;
mod prompts;
mod report;
mod schedule;
mod sse;
mod tally;
mod target;

pub use self::{
    engine::{Running, start},
    mix::{Kind, Mix},
    plan::{LoadError, Pace, Plan},
    prompts::Prompts,
    report::{ByKind, Counts, Failure, Latencies, Pacing, Quantiles, Rates, Report, Tokens},
    schedule::Arrivals,
    tally::{Live, Outcome},
    target::Target,
};
pub(crate) use self::{prompts::BUILT_IN as QUESTIONS, schedule::Schedule};
