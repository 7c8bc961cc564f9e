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
