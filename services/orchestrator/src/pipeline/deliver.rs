//! stream: the answer's way to the client.

use std::{sync::Arc, time::Instant};

use inferometer::lifecycle::{Outcome, StageTimer};
use inferometer_catalog::orchestrator::{ErrorType, Recorder, Stage};
use tokio::{
    sync::mpsc,
    time::{Sleep, sleep_until},
};

use super::{
    exchange::{Event, FailureReason, Finished},
    job::{Ended, Job, Out, Polished, late},
    stages::Shared,
};
use crate::worker::WorkerError;

/// Delivers one request: at once when its text is whole and there is room, beside its generation when not.
pub(super) fn deliver(shared: &Arc<Shared>, job: Box<Job>) {
    let Some(mut job) = job.still_wanted(Stage::Stream, Instant::now()) else {
        return;
    };
    match job.polished.take() {
        Some(Polished::Whole { text, tokens, end }) => {
            if !text.is_empty() {
                job.request.tokens(tokens);
                remember(shared, &job, &text, end.is_ok());
                // The channel is new: there is room for this and one more.
                let _ = job.events.try_send(Event::Text(text));
            }
            match end {
                Ok(ended) => {
                    job.request.end();
                    let events = job.events.clone();
                    let done = finish(job, &ended);
                    let _ = events.try_send(Event::Done(done));
                }
                Err(error) => job.fail_in_worker(Stage::Inference, error),
            }
        }
        Some(Polished::Flowing(flowing)) => {
            let timer = job.request.detach_stage();
            let deadline = sleep_until(job.deadline.into());
            let delivery = Delivery {
                shared: Arc::clone(shared),
                timer,
                answer: String::new(),
            };
            tokio::spawn(delivery.run(job, flowing, deadline));
        }
        None => {}
    }
}

/// A delivery beside the generation.
struct Delivery {
    shared: Arc<Shared>,
    timer: Option<StageTimer<Recorder>>,
    /// The answer so far, where a conversation remembers it.
    answer: String,
}

/// Why a delivery stops before its end.
enum Stopped {
    Left,
    Late,
}

impl Delivery {
    async fn run(
        mut self,
        mut job: Box<Job>,
        mut flowing: mpsc::UnboundedReceiver<Out>,
        deadline: Sleep,
    ) {
        let mut deadline = std::pin::pin!(deadline);
        loop {
            let cancel = job.whereabouts.cancel.clone();
            let step = tokio::select! {
                biased;
                () = cancel.cancelled() => Err(Stopped::Left),
                out = flowing.recv() => Ok(out),
                () = &mut deadline => Err(Stopped::Late),
            };
            let out = match step {
                Ok(Some(out)) => out,
                // Post-processing was broken off.
                Ok(None) if job.whereabouts.left() => return job.left(Stage::Stream),
                Ok(None) => return job.fail_in_worker(Stage::Post, broken_off()),
                Err(stopped) => return stop(job, &stopped),
            };
            let place = {
                let events = job.events.clone();
                let place = tokio::select! {
                    biased;
                    () = cancel.cancelled() => Err(Stopped::Left),
                    place = events.reserve_owned() => place.map_err(|_| Stopped::Left),
                    () = &mut deadline => Err(Stopped::Late),
                };
                match place {
                    Ok(place) => place,
                    Err(stopped) => return stop(job, &stopped),
                }
            };
            match out {
                Out::Text { text, tokens } => {
                    job.request.tokens(tokens);
                    if job.ask.session.is_some() {
                        self.answer.push_str(&text);
                    }
                    place.send(Event::Text(text));
                }
                Out::End { end: Ok(ended), at } => {
                    remember(&self.shared, &job, &self.answer, true);
                    if let Some(timer) = self.timer.take() {
                        let now = Instant::now();
                        timer.end_having_taken(now.saturating_duration_since(at), now);
                    }
                    place.send(Event::Done(finish(job, &ended)));
                    return;
                }
                Out::End {
                    end: Err(error), ..
                } => {
                    let failure = job.end_in_worker(Stage::Inference, error);
                    place.send(Event::Failed(failure));
                    return;
                }
            }
        }
    }
}

fn broken_off() -> WorkerError {
    WorkerError {
        kind: ErrorType::Panic,
        message: "post-processing broke off; see the service's log".into(),
        retryable: false,
        retries: 0,
    }
}

fn stop(job: Box<Job>, stopped: &Stopped) {
    match stopped {
        Stopped::Left => job.left(Stage::Stream),
        Stopped::Late => {
            job.fail(
                Stage::Stream,
                ErrorType::Timeout,
                FailureReason::Timeout,
                late(Stage::Stream),
            );
        }
    }
}

/// Adds a whole answer to its conversation.
fn remember(shared: &Shared, job: &Job, answer: &str, whole: bool) {
    if let (Some(session), Some(question), true) =
        (&job.ask.session, job.ask.messages.last(), whole)
    {
        shared
            .config
            .sessions
            .append(session, Arc::clone(&question.content), answer.into());
    }
}

/// Ends a request that was answered in full. What it counts is counted before the client hears of it.
fn finish(mut job: Box<Job>, ended: &Ended) -> Finished {
    let usage = &ended.usage;
    let delivered = job.request.generated() + u64::from(ended.rest);
    let finished = Finished {
        finish: usage.finish,
        prompt_tokens: usage.prompt_tokens.unwrap_or(job.prompt_tokens),
        cached_tokens: usage.cached_tokens.unwrap_or(0),
        generated_tokens: usage.generated_tokens.unwrap_or(delivered),
    };
    job.request
        .prompt_tokens(finished.prompt_tokens, finished.cached_tokens);
    let Job { request, .. } = *job;
    request.finish(Outcome::Ok);
    finished
}
