//! Where tokens come from: one trait, three kinds of worker.
//!
//! - [`upstream`](crate::worker): any OpenAI-compatible server, by URL;
//! - [`local`](crate::worker): a GGUF model of the Llama family, on this machine's CPU;
//! - [`scripted`](crate::worker): latency and failures by script, for tests and benchmarks.

pub mod local;
pub mod scripted;
pub mod upstream;

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use inferometer::Counter;
use inferometer_catalog::orchestrator::{ErrorType, WorkerType};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// One message of a conversation, as the worker's model is to see it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: Arc<str>,
    /// Its text.
    pub content: Arc<str>,
}

/// How the next token is chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// 0 takes the likeliest token always; higher is more varied.
    pub temperature: f32,
    /// Only the likeliest tokens that together hold this share of the probability are drawn from.
    pub top_p: f32,
    /// Equal seeds give equal text on a local model.
    pub seed: u64,
    /// The most tokens to generate.
    pub max_tokens: u32,
    /// Text that ends the generation; it is not part of the answer. The worker may stop early on these; the post stage cuts them exactly.
    pub stop: Arc<[String]>,
}

/// What a worker is asked to generate.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// The model, by the id that [`Worker::model`] gives.
    pub model: Arc<str>,
    /// The conversation, retrieved context included.
    pub messages: Vec<Message>,
    /// How to choose tokens.
    pub sampling: Sampling,
    /// The moment after which nobody waits for the answer.
    pub deadline: Option<Instant>,
    /// Cancelled when the client has left: generation must end before the next token.
    pub cancel: CancellationToken,
}

/// A piece of generated text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The text, whole characters only; may be empty when a token ends inside a character.
    pub text: String,
    /// How many of the model's tokens it took.
    pub tokens: u32,
}

/// Where a worker puts what it generates. Never blocks: what a request may generate is bounded by `max_tokens`.
#[derive(Debug)]
pub struct Sink {
    pieces: mpsc::UnboundedSender<Piece>,
    live: Option<Counter>,
    tally: Tally,
}

impl Sink {
    /// A sink and the end that reads from it.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Piece>) {
        Self::counting(None)
    }

    /// A sink that counts each piece's tokens in `live` as it comes.
    pub(crate) fn counting(live: Option<Counter>) -> (Self, mpsc::UnboundedReceiver<Piece>) {
        let (pieces, receiver) = mpsc::unbounded_channel();
        (
            Self {
                pieces,
                live,
                tally: Tally::default(),
            },
            receiver,
        )
    }

    /// Hands on a piece; `false` when nobody reads any more, and the generation should end.
    pub fn push(&self, text: impl Into<String>, tokens: u32) -> bool {
        self.tally
            .counted
            .fetch_add(tokens.into(), Ordering::Relaxed);
        if let Some(live) = &self.live {
            live.add(tokens.into());
        }
        self.pieces
            .send(Piece {
                text: text.into(),
                tokens,
            })
            .is_ok()
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally.clone()
    }
}

/// How many tokens a generation has come to, shared with its [`Sink`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    counted: Arc<AtomicU64>,
    told: Option<u64>,
}

impl Tally {
    /// What the pieces add up to.
    pub(crate) fn counted(&self) -> u64 {
        self.counted.load(Ordering::Relaxed)
    }

    /// The worker has told its own count.
    pub(crate) fn correct(&mut self, told: u64) {
        self.told = Some(told);
    }

    /// The worker's own count, or else what the pieces add up to.
    pub(crate) fn total(&self) -> u64 {
        self.told.unwrap_or_else(|| self.counted())
    }
}

/// Why a generation ended, in the OpenAI API's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended its answer, or a stop sequence was met.
    Stop,
    /// `max_tokens` or the context window was used up.
    Length,
}

/// What a finished generation took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt, as the model counted them; `None` where the worker doesn't say.
    pub prompt_tokens: Option<u64>,
    /// Of these, the ones whose state was reused; `None` where the worker doesn't say.
    pub cached_tokens: Option<u64>,
    /// Tokens generated, as the model counted them; `None` where the worker doesn't say.
    pub generated_tokens: Option<u64>,
    /// Why it ended.
    pub finish: FinishReason,
}

/// A generation that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct WorkerError {
    /// The kind of failure, as the metrics count it.
    pub kind: ErrorType,
    /// What was tried, on what, and what to do about it. Never holds a key or a prompt.
    pub message: String,
    /// Whether another worker, or another try, may succeed.
    pub retryable: bool,
    /// How many tries the worker itself made beyond the first.
    pub retries: u32,
}

/// A worker's answer to [`Worker::generate`].
pub type Generation<'a> = Pin<Box<dyn Future<Output = Result<Usage, WorkerError>> + Send + 'a>>;

/// Something that turns prompts into text.
pub trait Worker: Send + Sync + 'static {
    /// The kind, as the metrics label it.
    fn worker_type(&self) -> WorkerType;

    /// The id of the model it serves, as `GET /v1/models` lists it.
    fn model(&self) -> &str;

    /// How many of the model's own tokens `text` takes; an estimate where the model is elsewhere.
    fn count_tokens(&self, text: &str) -> usize;

    /// The most tokens that prompt and answer may take together.
    fn context_window(&self) -> usize;

    /// How many generations may run at once.
    fn concurrency(&self) -> usize;

    /// Generates, handing pieces to `sink` as they come.
    ///
    /// Cancellation (`prompt.cancel`, or the returned future dropped) ends the generation before its next token.
    /// `on_retry` is called once before each try beyond the first.
    fn generate<'a>(
        &'a self,
        prompt: Prompt,
        sink: Sink,
        on_retry: &'a (dyn Fn() + Send + Sync),
    ) -> Generation<'a>;
}
