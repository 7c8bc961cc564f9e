//! rag and assemble: from a question to the prompt that a worker gets.

use std::{sync::Arc, time::Instant};

use inferometer_catalog::orchestrator::{BySource, ContextSource, ErrorType, Stage};

use super::{exchange::FailureReason, job::Job, stages::Shared};
use crate::{
    assembly::{Budget, Parts},
    worker::Message,
};

/// rag: finds the passages that say most about the last message.
pub(super) fn retrieve(shared: &Shared, job: Box<Job>) {
    let Some(mut job) = job.still_wanted(Stage::Rag, Instant::now()) else {
        return;
    };
    if let Some(question) = job.ask.messages.last() {
        let config = &shared.config;
        job.passages = config.library.search(&question.content, config.passages);
    }
    job.request.end();
    shared.enqueue(Stage::Assemble, job);
}

/// assemble: puts the prompt together, within the window of the model that is asked first.
///
/// At most half the window is kept free for the answer, however many tokens the client allows it: a client that sends the same
/// limit to every model still gets an answer from a small one.
pub(super) fn assemble(shared: &Shared, job: Box<Job>) {
    let Some(mut job) = job.still_wanted(Stage::Assemble, Instant::now()) else {
        return;
    };
    let Some(worker) = shared.pool.first(job.ask.model.as_deref()) else {
        return;
    };
    let window = worker.context_window();
    let wanted = usize::try_from(job.ask.sampling.max_tokens).unwrap_or(usize::MAX);
    let history: Arc<[Message]> = match &job.ask.session {
        Some(session) => shared.config.sessions.history(session),
        None => Arc::new([]),
    };
    let parts = Parts {
        model: worker.model(),
        messages: &job.ask.messages,
        history: &history,
        passages: &job.passages,
        budget: Budget::new(window, wanted.min(window / 2)),
    };
    match shared
        .config
        .assembler
        .assemble(&parts, &|text| worker.count_tokens(text))
    {
        Ok(assembled) => {
            let dropped = &shared.recorder.metrics.context_tokens_dropped;
            for (source, tokens) in [
                (ContextSource::Retrieval, assembled.dropped.context),
                (ContextSource::History, assembled.dropped.history),
            ] {
                if tokens > 0 {
                    dropped.with(BySource { source }).add(tokens as u64);
                }
            }
            job.prompt_tokens = assembled.prompt_tokens as u64;
            job.messages = assembled.messages;
            job.request.end();
            shared.enqueue(Stage::Inference, job);
        }
        Err(error) => {
            let reason = FailureReason::Invalid;
            job.fail(
                Stage::Assemble,
                ErrorType::InvalidRequest,
                reason,
                error.to_string(),
            );
        }
    }
}
