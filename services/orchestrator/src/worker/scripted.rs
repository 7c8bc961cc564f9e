//! The scripted worker: latency and failures by script, for tests, benchmarks and rehearsals.
//!
//! It generates no meaning, only text of a given length in a given time, and fails when it is told to. All it does follows
//! from its script and the order in which generations arrive: the n-th generation of two workers with equal scripts is equal.
//!
//! A script has a text form, for the command line: `scripted:first=20ms,per_token=5ms,tokens=32,fail=0.01`.
//!
//! | key | what | default |
//! |---|---|---|
//! | `first` | time to the first token: a number and `us`, `ms` or `s` | `0` |
//! | `per_token` | time from each token to the next | `0` |
//! | `jitter` | share by which both vary, evenly: `0.2` is ±20 % | `0` |
//! | `tokens` | tokens (words) of an answer | `16` |
//! | `pieces` | `whole` or `each`: without a `per_token` time, hand on the answer at once or by the token | `whole` |
//! | `fail` | a failure, see below; may be given several times, the first that applies counts | none |
//! | `seed` | the seed of jitter and chance | `0` |
//! | `model` | the model's id | `scripted` |
//! | `context` | context window in tokens | `8192` |
//! | `concurrency` | generations at once | `1024` |
//! | `text` | the words that answers repeat; the last key, since it takes all that follows | a sentence |
//!
//! A failure is `WHEN` or `HOW@WHEN`. `WHEN` is a probability (`0.01`) or every n-th generation (`1/100`). `HOW` is `error` (the
//! default: an upstream's error status), one of `timeout`, `connection`, `authentication`, `rate_limited`, `bad_response`,
//! `model` and `invalid_request`, or `hang` (nothing, until the deadline or the client's leaving), `panic`, `cut` (half the
//! answer, then a stream closed) or `stall` (half the answer, then a hang).

mod script;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use inferometer_catalog::orchestrator::{ErrorType, WorkerType};
use tokio::time::{Instant, sleep_until};

pub use self::script::{Fault, Rule, Script, ScriptError, When};
use super::{FinishReason, Generation, Prompt, Sink, Usage, Worker, WorkerError};

/// A worker that follows a [`Script`].
#[derive(Debug)]
pub struct ScriptedWorker {
    script: Script,
    /// A whole answer.
    answer: String,
    /// Where each token of `answer` ends, the space before it included.
    ends: Vec<usize>,
    /// Generations so far.
    generations: AtomicU64,
}

impl ScriptedWorker {
    /// A worker for `script`. A script whose text has no word answers with nothing.
    pub fn new(script: Script) -> Self {
        let mut answer = String::new();
        let mut ends = Vec::new();
        if script.text.split_ascii_whitespace().next().is_some() {
            for word in script
                .text
                .split_ascii_whitespace()
                .cycle()
                .take(script.tokens as usize)
            {
                if !answer.is_empty() {
                    answer.push(' ');
                }
                answer.push_str(word);
                ends.push(answer.len());
            }
        }
        Self {
            script,
            answer,
            ends,
            generations: AtomicU64::new(0),
        }
    }

    /// How many tokens a prompt gets, and why no more.
    fn extent(&self, max_tokens: u32) -> (u32, FinishReason) {
        let whole = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        if max_tokens < whole {
            (max_tokens, FinishReason::Length)
        } else {
            (whole, FinishReason::Stop)
        }
    }

    /// The text of the tokens from `from` up to `to`.
    fn text(&self, from: u32, to: u32) -> &str {
        let end = |token: u32| {
            if token == 0 {
                0
            } else {
                self.ends[token as usize - 1]
            }
        };
        &self.answer[end(from)..end(to)]
    }

    /// Hands on tokens that take no time; `false` when nobody reads.
    fn hand_on(&self, sink: &Sink, from: u32, to: u32) -> bool {
        if self.script.by_token {
            (from..to).all(|token| sink.push(self.text(token, token + 1), 1))
        } else {
            from == to || sink.push(self.text(from, to), to - from)
        }
    }

    fn instant(&self, prompt: &Prompt, sink: &Sink) -> Result<Usage, WorkerError> {
        let (tokens, finish) = self.extent(prompt.sampling.max_tokens);
        if prompt.cancel.is_cancelled() || !self.hand_on(sink, 0, tokens) {
            return Err(departed());
        }
        Ok(usage(tokens, finish))
    }

    async fn play(&self, prompt: Prompt, sink: Sink, ordinal: u64) -> Result<Usage, WorkerError> {
        let fault = self.script.fault(ordinal);
        match fault {
            Some(Fault::Error(kind)) => {
                self.pause(&prompt, self.delay(self.script.first_token, ordinal, 0))
                    .await?;
                return Err(scripted(kind, "failed"));
            }
            Some(Fault::Hang) => return Err(hang(&prompt).await),
            #[expect(clippy::panic, reason = "a panic is what the script asks for")]
            Some(Fault::Panic) => panic!("the script of a test worker asked for this panic"),
            Some(Fault::Cut | Fault::Stall) | None => {}
        }
        let (tokens, finish) = self.extent(prompt.sampling.max_tokens);
        let until = if fault.is_some() { tokens / 2 } else { tokens };
        self.pause(&prompt, self.delay(self.script.first_token, ordinal, 0))
            .await?;
        if self.script.per_token.is_zero() {
            if prompt.cancel.is_cancelled() || !self.hand_on(&sink, 0, until) {
                return Err(departed());
            }
        } else {
            for token in 0..until {
                if token > 0 {
                    self.pause(
                        &prompt,
                        self.delay(self.script.per_token, ordinal, u64::from(token)),
                    )
                    .await?;
                }
                if !sink.push(self.text(token, token + 1), 1) {
                    return Err(departed());
                }
            }
        }
        match fault {
            Some(Fault::Stall) => Err(hang(&prompt).await),
            Some(_) => Err(scripted(ErrorType::StreamClosed, "closed its stream")),
            None => Ok(usage(tokens, finish)),
        }
    }

    /// `mean` with the script's jitter on it.
    fn delay(&self, mean: Duration, ordinal: u64, token: u64) -> Duration {
        if self.script.jitter == 0.0 || mean.is_zero() {
            return mean;
        }
        let draw = script::draw(self.script.seed, ordinal, token);
        mean.mul_f64(1.0 + self.script.jitter * (2.0 * draw - 1.0))
    }

    /// Waits, but no longer than the client or the deadline.
    async fn pause(&self, prompt: &Prompt, delay: Duration) -> Result<(), WorkerError> {
        if prompt.cancel.is_cancelled() {
            return Err(departed());
        }
        if delay.is_zero() {
            return Ok(());
        }
        let wake = Instant::now() + delay;
        let deadline = prompt
            .deadline
            .map(Instant::from_std)
            .filter(|deadline| *deadline < wake);
        tokio::select! {
            biased;
            () = prompt.cancel.cancelled() => Err(departed()),
            () = sleep_until(deadline.unwrap_or(wake)) => match deadline {
                Some(_) => Err(late()),
                None => Ok(()),
            },
        }
    }
}

/// Waits for the deadline or the client's leaving.
async fn hang(prompt: &Prompt) -> WorkerError {
    let deadline = async {
        match prompt.deadline {
            Some(deadline) => sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = prompt.cancel.cancelled() => departed(),
        () = deadline => late(),
    }
}

fn usage(tokens: u32, finish: FinishReason) -> Usage {
    // The prompt's tokens are left to the pipeline, which has counted them: counting again would cost more than the rest.
    Usage {
        prompt_tokens: None,
        cached_tokens: None,
        generated_tokens: Some(u64::from(tokens)),
        finish,
    }
}

fn scripted(kind: ErrorType, what: &str) -> WorkerError {
    let message = format!(
        "the scripted worker {what}, as its script asks; change the script's fail rules if it should not"
    );
    WorkerError {
        kind,
        message,
        retryable: kind != ErrorType::InvalidRequest,
        retries: 0,
    }
}

fn late() -> WorkerError {
    let message = "the deadline passed before the scripted worker had answered; allow more time or shorten its script";
    WorkerError {
        kind: ErrorType::Timeout,
        message: message.to_owned(),
        retryable: false,
        retries: 0,
    }
}

fn departed() -> WorkerError {
    let message = "the client left before the scripted worker had answered";
    WorkerError {
        kind: ErrorType::Other,
        message: message.to_owned(),
        retryable: false,
        retries: 0,
    }
}

impl Worker for ScriptedWorker {
    fn worker_type(&self) -> WorkerType {
        WorkerType::Scripted
    }

    fn model(&self) -> &str {
        &self.script.model
    }

    /// The words of `text`, ASCII white space between them.
    fn count_tokens(&self, text: &str) -> usize {
        let mut words = 0;
        let mut between = true;
        for byte in text.bytes() {
            let space = byte.is_ascii_whitespace();
            words += usize::from(between & !space);
            between = space;
        }
        words
    }

    fn context_window(&self) -> usize {
        self.script.context_window
    }

    fn concurrency(&self) -> usize {
        self.script.concurrency
    }

    fn generate<'a>(
        &'a self,
        prompt: Prompt,
        sink: Sink,
        _on_retry: &'a (dyn Fn() + Send + Sync),
    ) -> Generation<'a> {
        let ordinal = self.generations.fetch_add(1, Ordering::Relaxed);
        if self.script.is_instant() {
            // Nothing to wait for and nothing to go wrong: the smallest future there is keeps benchmarks about the pipeline.
            return Box::pin(std::future::ready(self.instant(&prompt, &sink)));
        }
        Box::pin(self.play(prompt, sink, ordinal))
    }
}

#[cfg(test)]
mod tests;
