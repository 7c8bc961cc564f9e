//! The life of a request, as a type that can't lie.
//!
//! ```text
//! admit ─▶ queue ─▶ stage … stage ─▶ (first token ─▶ tokens …) ─▶ finish(outcome)
//! ```
//!
//! A [`Request`] is made when a request arrives and ends in exactly one [`Outcome`], whatever happens to it: finished by hand, or
//! dropped, which counts as cancelled, or as panicked while its thread unwinds. So
//! `started = finished (all outcomes) + in flight` holds at any quiet moment.

mod counts;
mod request;

pub use counts::{ByOutcome, Outcome, RequestCounts};
pub use request::{Request, StageTimer, Summary};

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

/// What a service has in hand at one moment, and when it last moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Requests that have arrived and not ended.
    pub in_flight: u64,
    /// A count that rises when work is completed: requests answered in full. One that was given up moves nothing.
    pub completed: u64,
    /// When something last moved, where that is known.
    pub last_progress: Option<Instant>,
}

/// What a service does with a request's timings. Its metric set implements it; every method but [`counts`](Self::counts) has an
/// empty default.
///
/// The methods run on the thread that moves the request, and should record and return.
pub trait Lifecycle: Send + Sync + 'static {
    /// The service's stages.
    type Stage: Copy + Debug + PartialEq + Send;

    /// What a request carries for its labels: a session, a model, a tier. `()` where there is nothing.
    type Context: Debug + Default + Send;

    /// The counts that make the equation.
    fn counts(&self) -> &RequestCounts;

    /// A request has left the queue before `stage` after `wait`.
    fn waited(&self, stage: Self::Stage, wait: Duration) {
        let _ = (stage, wait);
    }

    /// A request has been through `stage`, which took `duration`. Stages that a request leaves by failing don't end.
    fn stage_ended(&self, stage: Self::Stage, duration: Duration) {
        let _ = (stage, duration);
    }

    /// Something moved in `stage`.
    fn progressed(&self, stage: Self::Stage, at: Instant) {
        let _ = (stage, at);
    }

    /// When something last moved in any stage, by what [`progressed`](Self::progressed) was told; `None` where nothing has, or
    /// where that isn't kept.
    fn last_progress(&self) -> Option<Instant> {
        None
    }

    /// What is in hand and when it last moved, for those who want to see that it doesn't any more.
    fn activity(&self) -> Activity {
        let counts = self.counts();
        Activity {
            in_flight: u64::try_from(counts.in_flight()).unwrap_or(0),
            completed: counts.finished(Outcome::Ok),
            last_progress: self.last_progress(),
        }
    }

    /// The first token has come, `since_start` after the request.
    fn first_token(&self, since_start: Duration) {
        let _ = since_start;
    }

    /// `tokens` more have come, each after `gap`: the time since the tokens before, shared among these.
    fn next_tokens(&self, gap: Duration, tokens: u32) {
        let _ = (gap, tokens);
    }

    /// The request has ended.
    fn finished(&self, context: &Self::Context, summary: &Summary) {
        let _ = (context, summary);
    }
}
