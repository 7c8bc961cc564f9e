//! What goes into the pipeline and what comes out of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use inferometer_catalog::orchestrator::{ErrorType, Stage};
use tokio::{sync::mpsc, time::timeout_at};

use crate::worker::{FinishReason, Message, Sampling};

/// A prompt, as a client sends it.
#[derive(Clone, Debug)]
pub struct PromptRequest {
    /// The conversation it belongs to; `None` keeps no history.
    pub session: Option<Arc<str>>,
    /// The model to answer; `None` leaves the choice to the routing.
    pub model: Option<Arc<str>>,
    /// What the client said, system message included when it sent one. The last one is the user's.
    pub messages: Vec<Message>,
    /// How to choose tokens.
    pub sampling: Sampling,
    /// How long the client waits; `None` takes the pipeline's own limit, which is also the most it may be.
    pub timeout: Option<Duration>,
}

/// What a client gets, in order: any number of `Text`, then one `Done` or one `Failed`.
#[derive(Clone, Debug)]
pub enum Event {
    /// A piece of the answer.
    Text(String),
    /// The answer is whole.
    Done(Finished),
    /// The answer can't be had, or not to its end.
    Failed(Failure),
}

/// A whole answer's figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Why it ended.
    pub finish: FinishReason,
    /// Tokens of the prompt, in the model's own count where it gives one.
    pub prompt_tokens: u64,
    /// Of these, the ones whose state was reused.
    pub cached_tokens: u64,
    /// Tokens generated.
    pub generated_tokens: u64,
}

/// A request that got no answer, or not all of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What went wrong.
    pub reason: FailureReason,
    /// What was tried, on what, and what to do about it. Never holds a key or a prompt.
    pub message: String,
}

/// The kinds of failure that a client can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureReason {
    /// A stage's queue was full; try again after the time given.
    Shed {
        /// The stage whose queue was full.
        stage: Stage,
        /// A guess, from the queue's depth and recent pace.
        retry_after: Duration,
    },
    /// The deadline passed.
    Timeout,
    /// The request can't be served as asked.
    Invalid,
    /// No worker serves the model asked for.
    UnknownModel,
    /// A worker failed.
    Worker(ErrorType),
    /// The pipeline is shutting down.
    ShuttingDown,
}

/// The receiving end of one request. Dropping it cancels the request and frees its place at once, in whatever stage it is.
#[derive(Debug)]
pub struct Answer {
    pub(crate) id: Arc<str>,
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) deadline: Instant,
    pub(crate) over: bool,
    pub(crate) departure: super::Departure,
}

impl Answer {
    /// The request's id, as the logs name it.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// The model that answers: the one asked for, or the one that the routing chose. Known with the first event at the latest.
    pub fn model(&self) -> Option<Arc<str>> {
        self.departure.model().cloned()
    }

    /// The next event; `None` after `Done` or `Failed`.
    ///
    /// When the deadline passes meanwhile, the request ends wherever it is, and the event is a failure that says so.
    pub async fn next(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        let event = match timeout_at(self.deadline.into(), self.events.recv()).await {
            Ok(Some(event)) => event,
            // A stage that ends a request at its deadline can't say so to a reader who has left no room for it.
            Ok(None) if Instant::now() >= self.deadline => too_late(),
            Ok(None) => Event::Failed(Failure {
                reason: FailureReason::Worker(ErrorType::Panic),
                message: "the request was broken off inside the service; its log says why".into(),
            }),
            Err(_) => {
                self.departure.time_out();
                // A stage may have ended the request at the same moment.
                self.events.try_recv().unwrap_or_else(|_| too_late())
            }
        };
        self.over = !matches!(event, Event::Text(_));
        Some(event)
    }
}

fn too_late() -> Event {
    Event::Failed(Failure {
        reason: FailureReason::Timeout,
        message: "the deadline passed; allow more time, or send less load".into(),
    })
}
