//! What the API needs of a pipeline.

use std::{future::Future, sync::Arc};

use crate::pipeline::{Answer, Event, Failure, Model, Pipeline, PromptRequest};

/// Something that answers prompts.
pub trait Prompts: Clone + Send + Sync + 'static {
    /// The receiving end of one request; dropping it cancels the request.
    type Answer: Events;

    /// Admits a request.
    ///
    /// # Errors
    /// It can't be taken in, a full queue say; this has been counted.
    fn submit(&self, request: PromptRequest) -> Result<Self::Answer, Failure>;

    /// Counts a request that was refused before it could be admitted.
    fn refuse(&self);

    /// The models that can be asked for.
    fn models(&self) -> Vec<Model>;
}

/// The events of one request.
pub trait Events: Send + 'static {
    /// The request's id.
    fn id(&self) -> &Arc<str>;

    /// The model that answers, once that is known: with the first event at the latest.
    fn model(&self) -> Option<Arc<str>> {
        None
    }

    /// The next event; `None` after the last. A future dropped before it was ready loses no event.
    fn next(&mut self) -> impl Future<Output = Option<Event>> + Send;
}

impl Prompts for Pipeline {
    type Answer = Answer;

    fn submit(&self, request: PromptRequest) -> Result<Answer, Failure> {
        Self::submit(self, request)
    }

    fn refuse(&self) {
        Self::refuse(self);
    }

    fn models(&self) -> Vec<Model> {
        Self::models(self)
    }
}

impl Events for Answer {
    fn id(&self) -> &Arc<str> {
        Self::id(self)
    }

    fn model(&self) -> Option<Arc<str>> {
        Self::model(self)
    }

    fn next(&mut self) -> impl Future<Output = Option<Event>> + Send {
        Self::next(self)
    }
}
