//! post: what is cut out of an answer before anyone sees it.

use std::{sync::Arc, time::Instant};

use inferometer_catalog::orchestrator::{ErrorType, Stage};
use tokio::sync::mpsc;

use super::{
    departure::Whereabouts,
    job::{Busy, Ended, Flow, FlowEnd, Job, Out, Polished},
    stages::Shared,
};
use crate::{
    postprocess::{self, Post},
    worker::{FinishReason, Piece, Usage, WorkerError},
};

/// Takes one request through post-processing: at once when its generation is over, beside it when not.
pub(super) fn polish(shared: &Arc<Shared>, job: Box<Job>) {
    let begun = Instant::now();
    let Some(mut job) = job.still_wanted(Stage::Post, begun) else {
        return;
    };
    let (Some(flow), Some(post)) = (job.flow.take(), job.post.take()) else {
        return;
    };
    let Flow {
        head,
        mut pieces,
        end,
    } = flow;
    let redactions = shared.recorder.metrics.redactions.clone();
    let mut polisher = Polisher {
        post,
        text: String::new(),
        tokens: 0,
        redactions,
    };
    polisher.feed_all(head);
    while let Ok(piece) = pieces.try_recv() {
        polisher.feed(&piece);
    }
    match end {
        FlowEnd::Known(result) => {
            let end = polisher.finish(result);
            let (text, tokens) = polisher.take();
            job.polished = Some(Polished::Whole { text, tokens, end });
            job.request.end();
            shared.enqueue(Stage::Stream, job);
        }
        FlowEnd::Awaited(result) => {
            let mut busy = Busy::new(job.request.detach_stage());
            busy.add(begun, Instant::now());
            let (out, flowing) = mpsc::unbounded_channel();
            job.polished = Some(Polished::Flowing(flowing));
            let whereabouts = Arc::clone(&job.whereabouts);
            tokio::spawn(async move {
                let beside = Beside {
                    polisher,
                    busy,
                    out,
                    whereabouts,
                };
                beside.run(pieces, result).await;
            });
            shared.enqueue(Stage::Stream, job);
        }
    }
}

/// One answer's post-processing, and what it has let through so far.
struct Polisher {
    post: Post,
    text: String,
    /// Tokens of the pieces whose text isn't handed on yet.
    tokens: u32,
    redactions: inferometer::Counter,
}

impl Polisher {
    fn feed(&mut self, piece: &Piece) {
        self.tokens += piece.tokens;
        if self.post.ended().is_none() {
            self.post.push(&piece.text, &mut self.text);
        }
    }

    fn feed_all(&mut self, pieces: impl IntoIterator<Item = Piece>) {
        for piece in pieces {
            self.feed(&piece);
        }
    }

    /// Whether a stop sequence or a limit has ended the answer.
    fn ended(&self) -> Option<FinishReason> {
        self.post.ended().map(|end| match end {
            postprocess::Ended::Stop(_) => FinishReason::Stop,
            postprocess::Ended::Length => FinishReason::Length,
        })
    }

    /// The text that may go out, and the tokens it took.
    fn take(&mut self) -> (String, u32) {
        (
            std::mem::take(&mut self.text),
            std::mem::take(&mut self.tokens),
        )
    }

    /// Nothing more comes: what was held back goes out, unless the generation failed.
    fn finish(&mut self, result: Result<Usage, WorkerError>) -> Result<Ended, WorkerError> {
        self.post.finish(&mut self.text);
        self.redactions.add(self.post.redactions());
        let ended = self.ended();
        // A stop sequence or a limit came first: how the generation went on after it is nobody's business.
        match (result, ended) {
            (Ok(usage), finish) => Ok(Ended {
                usage: Usage {
                    finish: finish.unwrap_or(usage.finish),
                    ..usage
                },
                rest: 0,
            }),
            (Err(_), Some(finish)) => Ok(cut(finish)),
            (Err(error), None) => Err(error),
        }
    }
}

/// The end of an answer that was cut before its generation could tell what it took.
fn cut(finish: FinishReason) -> Ended {
    let usage = Usage {
        prompt_tokens: None,
        cached_tokens: None,
        generated_tokens: None,
        finish,
    };
    Ended { usage, rest: 0 }
}

/// Post-processing beside a generation that goes on.
struct Beside {
    polisher: Polisher,
    busy: Busy,
    out: mpsc::UnboundedSender<Out>,
    whereabouts: Arc<Whereabouts>,
}

impl Beside {
    async fn run(
        mut self,
        mut pieces: mpsc::UnboundedReceiver<Piece>,
        result: tokio::sync::oneshot::Receiver<Result<Usage, WorkerError>>,
    ) {
        self.hand_on();
        let mut at = Instant::now();
        while self.polisher.ended().is_none() {
            let piece = tokio::select! {
                piece = pieces.recv() => piece,
                // Nobody takes what comes out any more.
                () = self.out.closed() => return,
            };
            let Some(piece) = piece else { break };
            at = Instant::now();
            self.polisher.feed(&piece);
            self.busy.add(at, Instant::now());
            self.hand_on();
        }
        let end = match self.polisher.ended() {
            Some(finish) => {
                // The worker's next piece finds nobody to take it, which ends the generation.
                drop(pieces);
                self.polisher.finish(Ok(cut(finish).usage))
            }
            None => match result.await {
                Ok(result) => self.polisher.finish(result),
                // The generation was broken off: by the one who asked, or by a panic that is counted where it happened.
                Err(_) if self.whereabouts.left() => return,
                Err(_) => Err(WorkerError {
                    kind: ErrorType::Panic,
                    message: "the worker broke off; see the service's log".into(),
                    retryable: false,
                    retries: 0,
                }),
            },
        };
        let now = Instant::now();
        if end.is_ok() {
            self.busy.end(now);
        }
        let (text, tokens) = self.polisher.take();
        let end = if text.is_empty() {
            end.map(|end| Ended {
                rest: tokens,
                ..end
            })
        } else {
            let _ = self.out.send(Out::Text { text, tokens });
            end
        };
        let _ = self.out.send(Out::End { end, at });
    }

    fn hand_on(&mut self) {
        if !self.polisher.text.is_empty() {
            let (text, tokens) = self.polisher.take();
            // Nobody to take it: the loop sees that next.
            let _ = self.out.send(Out::Text { text, tokens });
        }
    }
}
