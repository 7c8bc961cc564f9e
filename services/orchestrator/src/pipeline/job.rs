//! A request on its way through the stages.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use inferometer::lifecycle::{Outcome, Request, StageTimer};
use inferometer_catalog::orchestrator::{ErrorType, Recorder, Stage};
use tokio::sync::{mpsc, oneshot};
use tracing::Span;

use super::{
    departure::{Active, Whereabouts},
    exchange::{Event, Failure, FailureReason, PromptRequest},
};
use crate::{
    postprocess::Post,
    retrieval::Passages,
    worker::{Message, Piece, Usage, WorkerError},
};

/// Everything a stage needs, and what the stages before it found.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) request: Request<Recorder>,
    pub(super) whereabouts: Arc<Whereabouts>,
    pub(super) _active: Active,
    pub(super) ask: PromptRequest,
    /// The span of whoever asked, so that a log line of a later stage names the request.
    pub(super) span: Span,
    pub(super) deadline: Instant,
    pub(super) events: mpsc::Sender<Event>,
    /// What rag found.
    pub(super) passages: Passages,
    /// What assemble made.
    pub(super) messages: Vec<Message>,
    /// The prompt's length by assemble's own count.
    pub(super) prompt_tokens: u64,
    /// What will be done to the answer; post takes it.
    pub(super) post: Option<Post>,
    /// What inference hands on.
    pub(super) flow: Option<Flow>,
    /// What post hands on.
    pub(super) polished: Option<Polished>,
}

/// A generation, under way or whole.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) head: Option<Piece>,
    pub(super) pieces: mpsc::UnboundedReceiver<Piece>,
    pub(super) end: FlowEnd,
}

/// How the generation ends.
#[derive(Debug)]
pub(super) enum FlowEnd {
    Known(Result<Usage, WorkerError>),
    Awaited(oneshot::Receiver<Result<Usage, WorkerError>>),
}

/// Text that may go out, under way or whole.
#[derive(Debug)]
pub(super) enum Polished {
    Whole {
        text: String,
        tokens: u32,
        end: Result<Ended, WorkerError>,
    },
    Flowing(mpsc::UnboundedReceiver<Out>),
}

/// What post hands to stream, in order: texts, then one end.
#[derive(Debug)]
pub(super) enum Out {
    Text {
        text: String,
        tokens: u32,
    },
    End {
        end: Result<Ended, WorkerError>,
        at: Instant,
    },
}

/// A generation that came to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) usage: Usage,
    /// Tokens generated after the last text went out, held back or cut off.
    pub(super) rest: u32,
}

impl Job {
    /// Ends the request for whoever has left, or whose deadline has passed; gives back what is still wanted.
    pub(super) fn still_wanted(
        mut self: Box<Self>,
        stage: Stage,
        now: Instant,
    ) -> Option<Box<Self>> {
        if self.whereabouts.left() {
            self.left(stage);
            return None;
        }
        if now >= self.deadline {
            self.fail(
                stage,
                ErrorType::Timeout,
                FailureReason::Timeout,
                late(stage),
            );
            return None;
        }
        self.request.begin_at(stage, now);
        Some(self)
    }

    /// Ends the request of one who has left.
    pub(super) fn left(self: Box<Self>, stage: Stage) {
        let outcome = self.whereabouts.outcome();
        if outcome == Outcome::Timeout {
            self.request.metrics().failed(stage, ErrorType::Timeout);
        }
        self.request.finish(outcome);
    }

    /// Ends the request with a failure in `stage`, and tells the client where there is room: before an answer has begun there is.
    pub(super) fn fail(
        self: Box<Self>,
        stage: Stage,
        error: ErrorType,
        reason: FailureReason,
        message: String,
    ) {
        let events = self.events.clone();
        let failure = self.end_badly(stage, error, reason, message);
        // A closed channel means that nobody wants to know.
        let _ = events.try_send(Event::Failed(failure));
    }

    /// Ends the request with a worker's error, and tells the client where there is room.
    pub(super) fn fail_in_worker(self: Box<Self>, stage: Stage, error: WorkerError) {
        let events = self.events.clone();
        let failure = self.end_in_worker(stage, error);
        let _ = events.try_send(Event::Failed(failure));
    }

    /// Ends the request with a worker's error; the client is told by the caller.
    pub(super) fn end_in_worker(self: Box<Self>, stage: Stage, error: WorkerError) -> Failure {
        let reason = match error.kind {
            ErrorType::Timeout => FailureReason::Timeout,
            ErrorType::InvalidRequest => FailureReason::Invalid,
            kind => FailureReason::Worker(kind),
        };
        self.end_badly(stage, error.kind, reason, error.message)
    }

    fn end_badly(
        self: Box<Self>,
        stage: Stage,
        error: ErrorType,
        reason: FailureReason,
        message: String,
    ) -> Failure {
        // A worker that sees the client leave fails for that reason: the request was given up, and nothing failed.
        if self.whereabouts.left() {
            self.left(stage);
            return Failure { reason, message };
        }
        let metrics = self.request.metrics();
        let outcome = match reason {
            FailureReason::Shed { stage, .. } => {
                metrics.shed(stage);
                Outcome::Shed
            }
            FailureReason::Timeout => Outcome::Timeout,
            FailureReason::Invalid | FailureReason::UnknownModel => Outcome::Rejected,
            FailureReason::ShuttingDown => Outcome::Shed,
            FailureReason::Worker(_) => Outcome::Error,
        };
        if outcome != Outcome::Shed {
            metrics.failed(stage, error);
        }
        let Self { request, .. } = *self;
        request.finish(outcome);
        Failure { reason, message }
    }
}

/// What a passed deadline says.
pub(super) fn late(stage: Stage) -> String {
    let stage = name(stage);
    format!("the deadline passed in stage `{stage}`; allow more time, or send less load")
}

/// A stage's name, as the metrics label it.
pub(super) fn name(stage: Stage) -> &'static str {
    use inferometer::LabelValue as _;
    Stage::VALUES.map_or("", |names| names[stage.index()])
}

/// Adds up the time in which a stage works, as against the time in which it waits for something else.
#[derive(Debug)]
pub(super) struct Busy {
    pub(super) timer: Option<StageTimer<Recorder>>,
    worked: Duration,
}

impl Busy {
    pub(super) fn new(timer: Option<StageTimer<Recorder>>) -> Self {
        Self {
            timer,
            worked: Duration::ZERO,
        }
    }

    pub(super) fn add(&mut self, from: Instant, to: Instant) {
        self.worked += to.saturating_duration_since(from);
        if let Some(timer) = &self.timer {
            timer.progress_at(to);
        }
    }

    pub(super) fn end(self, now: Instant) {
        if let Some(timer) = self.timer {
            timer.end_having_taken(self.worked, now);
        }
    }
}
