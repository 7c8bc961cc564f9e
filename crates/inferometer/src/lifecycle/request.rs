//! One request on its way.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{Lifecycle, Outcome, RequestCounts};

/// A request from its arrival to its end.
///
/// It moves with the work, from task to task. Ending it twice can't be written; forgetting to end it counts it as cancelled.
///
/// **Order.** `enqueue` before `begin`, `begin` before `end`; a call out of order records nothing and harms nothing, because a
/// stage that can't be timed is absent, not zero.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use inferometer::{MetricSet, Registry, lifecycle::{Lifecycle, Outcome, Request, RequestCounts}};
///
/// #[derive(MetricSet)]
/// #[metrics(namespace = "echo")]
/// struct Echo {
///     #[metric(flatten)]
///     counts: RequestCounts,
/// }
///
/// impl Lifecycle for Echo {
///     type Stage = ();
///     type Context = ();
///     fn counts(&self) -> &RequestCounts { &self.counts }
/// }
///
/// let registry = Registry::new();
/// let echo: Arc<Echo> = Arc::new(registry.register()?);
/// let request = Request::admit(&echo);
/// request.finish(Outcome::Ok);
/// drop(Request::admit(&echo)); // nobody said how it went: cancelled
/// assert_eq!(echo.counts.started(), 2);
/// assert_eq!(echo.counts.finished(Outcome::Cancelled), 1);
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
#[derive(Debug)]
#[must_use = "a request that is dropped counts as cancelled"]
pub struct Request<M: Lifecycle> {
    metrics: Arc<M>,
    context: M::Context,
    started: Instant,
    queued: Option<(M::Stage, Instant)>,
    stage: Option<(M::Stage, Instant)>,
    tokens: Tokens,
    prompt_tokens: u64,
    cached_tokens: u64,
    /// What a drop means.
    unfinished: Option<Outcome>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tokens {
    first: Option<Instant>,
    last: Option<Instant>,
    /// All of them, and those that came after the first piece.
    generated: u64,
    after_first: u64,
}

/// A request's figures at its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// How it ended.
    pub outcome: Outcome,
    /// From arrival to end.
    pub duration: Duration,
    /// From arrival to the first token, if one came.
    pub time_to_first_token: Option<Duration>,
    /// The mean time of the tokens after the first piece, if any came.
    pub time_per_output_token: Option<Duration>,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Of these, the ones whose state was reused.
    pub cached_tokens: u64,
    /// Tokens that reached whoever asked.
    pub generated_tokens: u64,
}

impl<M: Lifecycle> Request<M> {
    /// A request has arrived.
    pub fn admit(metrics: &Arc<M>) -> Self {
        Self::admit_at(metrics, M::Context::default(), Instant::now())
    }

    /// A request arrived at `started`, by a clock reading that is shared with something else.
    pub fn admit_at(metrics: &Arc<M>, context: M::Context, started: Instant) -> Self {
        metrics.counts().start();
        Self {
            metrics: Arc::clone(metrics),
            context,
            started,
            queued: None,
            stage: None,
            tokens: Tokens::default(),
            prompt_tokens: 0,
            cached_tokens: 0,
            unfinished: Some(Outcome::Cancelled),
        }
    }

    /// When it arrived.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// What it carries for its labels.
    pub fn context(&self) -> &M::Context {
        &self.context
    }

    /// What it carries for its labels, to be changed as more is known.
    pub fn context_mut(&mut self) -> &mut M::Context {
        &mut self.context
    }

    /// The metrics it records to.
    pub fn metrics(&self) -> &Arc<M> {
        &self.metrics
    }

    /// It waits for `stage` from `now` on.
    pub fn enqueue_at(&mut self, stage: M::Stage, now: Instant) {
        self.queued = Some((stage, now));
    }

    /// It waits for `stage` from now on.
    pub fn enqueue(&mut self, stage: M::Stage) {
        self.enqueue_at(stage, Instant::now());
    }

    /// `stage` takes it up at `now`; the wait ends, if it waited for this stage.
    pub fn begin_at(&mut self, stage: M::Stage, now: Instant) {
        if let Some((_, since)) = self.queued.take_if(|(waited, _)| *waited == stage) {
            self.metrics
                .waited(stage, now.saturating_duration_since(since));
        }
        self.metrics.progressed(stage, now);
        self.stage = Some((stage, now));
    }

    /// `stage` takes it up now.
    pub fn begin(&mut self, stage: M::Stage) {
        self.begin_at(stage, Instant::now());
    }

    /// The stage that has it is through with it at `now`.
    pub fn end_at(&mut self, now: Instant) {
        if let Some((stage, since)) = self.stage.take() {
            self.metrics.progressed(stage, now);
            self.metrics
                .stage_ended(stage, now.saturating_duration_since(since));
        }
    }

    /// The stage that has it is through with it.
    pub fn end(&mut self) {
        self.end_at(Instant::now());
    }

    /// The stage that has it goes on beside the request, as generation does while its first tokens are delivered: the timer ends
    /// the stage, and the request may begin another meanwhile.
    pub fn detach_stage(&mut self) -> Option<StageTimer<M>> {
        let (stage, since) = self.stage.take()?;
        Some(StageTimer {
            metrics: Arc::clone(&self.metrics),
            stage,
            since,
        })
    }

    /// What the prompt took, in the model's own tokens, and how many of these were reused.
    pub fn prompt_tokens(&mut self, tokens: u64, cached: u64) {
        self.prompt_tokens = tokens;
        self.cached_tokens = cached;
    }

    /// `tokens` were delivered at `now`. None are ignored.
    pub fn tokens_at(&mut self, tokens: u32, now: Instant) {
        if tokens == 0 {
            return;
        }
        self.tokens.generated += u64::from(tokens);
        if let Some(last) = self.tokens.last.replace(now) {
            self.tokens.after_first += u64::from(tokens);
            let gap = now.saturating_duration_since(last) / tokens;
            self.metrics.next_tokens(gap, tokens);
        } else {
            self.tokens.first = Some(now);
            self.metrics
                .first_token(now.saturating_duration_since(self.started));
        }
    }

    /// `tokens` were delivered now.
    pub fn tokens(&mut self, tokens: u32) {
        self.tokens_at(tokens, Instant::now());
    }

    /// Tokens delivered so far.
    pub fn generated(&self) -> u64 {
        self.tokens.generated
    }

    /// What a drop will count as, instead of cancelled. Unwinding still counts as panicked.
    pub fn expect(&mut self, outcome: Outcome) {
        self.unfinished = Some(outcome);
    }

    /// It ends so.
    pub fn finish(self, outcome: Outcome) -> Summary {
        self.finish_at(outcome, Instant::now())
    }

    /// It ends so, at `now`.
    pub fn finish_at(mut self, outcome: Outcome, now: Instant) -> Summary {
        self.unfinished = None;
        self.settle(outcome, now)
    }

    fn settle(&self, outcome: Outcome, now: Instant) -> Summary {
        let Tokens {
            first,
            last,
            generated,
            after_first,
        } = self.tokens;
        let generating = first
            .zip(last)
            .map(|(first, last)| last.saturating_duration_since(first));
        let summary = Summary {
            outcome,
            duration: now.saturating_duration_since(self.started),
            time_to_first_token: first.map(|at| at.saturating_duration_since(self.started)),
            time_per_output_token: generating
                .filter(|_| after_first > 0)
                .map(|whole| Duration::from_secs_f64(whole.as_secs_f64() / as_float(after_first))),
            prompt_tokens: self.prompt_tokens,
            cached_tokens: self.cached_tokens,
            generated_tokens: generated,
        };
        let _counted = Ending(self.metrics.counts(), outcome);
        self.metrics.finished(&self.context, &summary);
        summary
    }
}

/// Counts a request's end when it is dropped: after the service's own recording, and though that panics.
struct Ending<'a>(&'a RequestCounts, Outcome);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.finish(self.1);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a request has far fewer than 2^53 tokens"
)]
fn as_float(tokens: u64) -> f64 {
    tokens as f64
}

impl<M: Lifecycle> Drop for Request<M> {
    fn drop(&mut self) {
        if let Some(expected) = self.unfinished.take() {
            let outcome = if thread::panicking() {
                Outcome::Panicked
            } else {
                expected
            };
            let _ = self.settle(outcome, Instant::now());
        }
    }
}

/// A stage that goes on beside its request. Dropped, it records nothing: the stage never ended.
#[derive(Debug)]
#[must_use = "a stage that isn't ended isn't timed"]
pub struct StageTimer<M: Lifecycle> {
    metrics: Arc<M>,
    stage: M::Stage,
    since: Instant,
}

impl<M: Lifecycle> StageTimer<M> {
    /// Something moved.
    pub fn progress_at(&self, now: Instant) {
        self.metrics.progressed(self.stage, now);
    }

    /// The stage ends at `now`.
    pub fn end_at(self, now: Instant) {
        let since = self.since;
        self.end_having_taken(now.saturating_duration_since(since), now);
    }

    /// The stage ends at `now` and worked for `duration` of the time, waiting for something else in the rest.
    pub fn end_having_taken(self, duration: Duration, now: Instant) {
        self.metrics.progressed(self.stage, now);
        self.metrics.stage_ended(self.stage, duration);
    }
}
