//! One generation, from messages to the last token.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use candle_core::{Device, Tensor};
use candle_transformers::models::quantized_llama::ModelWeights;
use inferometer_catalog::orchestrator::ErrorType;

use super::{
    gguf,
    prefixes::Prefixes,
    sampler::Sampler,
    template::{self, Template},
    text::{Characters, Stops},
    tokenizer::Tokenizer,
};
use crate::worker::{FinishReason, Message, Prompt, Sink, Usage, WorkerError};

/// The most prompt tokens computed at once. Cancellation is noticed in between, and the memory that attention takes
/// stays in proportion to the window, not to its square; rows are computed one by one anyway, so more at once gains
/// nothing.
const CHUNK: usize = 64;

/// The model, and everything that a generation reads. Shared by all threads; each generation has a state of its own.
pub(super) struct Engine {
    pub(super) model: String,
    pub(super) context: usize,
    pub(super) tokenizer: Tokenizer,
    template: Template,
    /// No state in it: the start of every generation that reuses none. A clone shares the weights.
    fresh: ModelWeights,
    prefixes: Mutex<Prefixes<ModelWeights>>,
}

impl Engine {
    pub(super) fn new(
        model: String,
        context: usize,
        tokenizer: Tokenizer,
        template: Template,
        fresh: ModelWeights,
        prefix_tokens: usize,
    ) -> Self {
        let prefixes = Mutex::new(Prefixes::new(prefix_tokens));
        Self {
            model,
            context,
            tokenizer,
            template,
            fresh,
            prefixes,
        }
    }

    /// Generates the answer to `prompt` into `sink`.
    pub(super) fn generate(&self, prompt: &Prompt, sink: &Sink) -> Result<Usage, WorkerError> {
        self.go_on(prompt)?;
        let tokens = self.tokens(&prompt.messages)?;
        let most = self.context - 1;
        if tokens.len() > most {
            return Err(invalid(format!(
                "the prompt takes {} tokens, and {} takes {most} at most (a context window of {}, and one token to \
                 answer): shorten the conversation or the retrieved context",
                tokens.len(),
                self.model,
                self.context
            )));
        }
        if tokens.is_empty() {
            return Err(invalid(format!(
                "{} was given no text at all: send a message",
                self.model
            )));
        }
        let mut answer = Answer::new(prompt, tokens.len());
        if prompt.sampling.max_tokens == 0 {
            return Ok(answer.usage(0, FinishReason::Length));
        }
        let (mut state, cached, mut scores) = self.prefill(prompt, &tokens)?;
        let mut seen = tokens;
        let finish = loop {
            self.go_on(prompt)?;
            let Some(token) = answer.sampler.pick(&scores) else {
                return Err(self.broken("its scores are not numbers"));
            };
            if self.tokenizer.ends(token) {
                break FinishReason::Stop;
            }
            answer.generated += 1;
            let text = answer.characters.push(self.tokenizer.bytes(token));
            let stopped = answer.stops.push(&text);
            if !sink.push(text, 1) {
                return Err(self.left());
            }
            if stopped {
                break FinishReason::Stop;
            }
            if answer.generated >= u64::from(prompt.sampling.max_tokens)
                || seen.len() + 1 >= self.context
            {
                break FinishReason::Length;
            }
            scores = self.forward(&mut state, &[token], seen.len())?;
            seen.push(token);
        };
        self.prefixes().keep(&seen, state);
        Ok(answer.usage(cached, finish))
    }

    /// The prompt's tokens, with control tokens only where the template has them.
    fn tokens(&self, messages: &[Message]) -> Result<Vec<u32>, WorkerError> {
        let marked = self
            .template
            .render(messages, &self.tokenizer)
            .map_err(|error| {
                invalid(format!(
                    "{} can't put these messages into its chat format: {}",
                    self.model,
                    template::describe(&error)
                ))
            })?;
        Ok(self.tokenizer.encode_marked(&marked))
    }

    /// Computes the prompt. Gives the state after it, how many tokens were reused, and the scores of the next token.
    fn prefill(
        &self,
        prompt: &Prompt,
        tokens: &[u32],
    ) -> Result<(ModelWeights, usize, Vec<f32>), WorkerError> {
        let (known, pause) = {
            let mut prefixes = self.prefixes();
            let known = prefixes.longest(tokens);
            let reused = known.as_ref().map_or(0, |(reused, _)| *reused);
            (known, prefixes.pause(tokens, reused))
        };
        let (cached, mut state) = known.unwrap_or_else(|| (0, self.fresh.clone()));
        let mut done = cached;
        let mut scores = Vec::new();
        while done < tokens.len() {
            self.go_on(prompt)?;
            let mut end = tokens.len().min(done + CHUNK);
            if let Some(pause) = pause.filter(|pause| *pause > done) {
                end = end.min(pause);
            }
            scores = self.forward(&mut state, &tokens[done..end], done)?;
            if pause == Some(end) {
                self.prefixes().keep(&tokens[..end], state.clone());
            }
            done = end;
        }
        Ok((state, cached, scores))
    }

    fn forward(
        &self,
        state: &mut ModelWeights,
        tokens: &[u32],
        position: usize,
    ) -> Result<Vec<f32>, WorkerError> {
        Tensor::new(tokens, &Device::Cpu)
            .and_then(|tokens| {
                state
                    .forward(&tokens.unsqueeze(0)?, position)?
                    .squeeze(0)?
                    .to_vec1()
            })
            .map_err(|error| self.broken(&gguf::plain(&error)))
    }

    /// Refuses to go on when nobody waits any more.
    fn go_on(&self, prompt: &Prompt) -> Result<(), WorkerError> {
        if prompt.cancel.is_cancelled() {
            return Err(self.left());
        }
        if prompt
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
        {
            return Err(self.late());
        }
        Ok(())
    }

    fn prefixes(&self) -> std::sync::MutexGuard<'_, Prefixes<ModelWeights>> {
        // The store is whole between any two statements that could panic.
        self.prefixes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn left(&self) -> WorkerError {
        let message = format!("the client left while {} was generating", self.model);
        WorkerError {
            kind: ErrorType::Other,
            message,
            retryable: false,
            retries: 0,
        }
    }

    pub(super) fn late(&self) -> WorkerError {
        let message = format!(
            "the deadline passed before {} had ended its answer: allow more time, or ask for fewer tokens",
            self.model
        );
        WorkerError {
            kind: ErrorType::Timeout,
            message,
            retryable: false,
            retries: 0,
        }
    }

    pub(super) fn panicked(&self) -> WorkerError {
        let message = format!(
            "{} panicked while generating: this request is lost, the next ones start afresh; the log has the place",
            self.model
        );
        WorkerError {
            kind: ErrorType::Panic,
            message,
            retryable: true,
            retries: 0,
        }
    }

    fn broken(&self, detail: &str) -> WorkerError {
        let message = format!(
            "{} failed while generating: {detail}; try another model",
            self.model
        );
        WorkerError {
            kind: ErrorType::Model,
            message,
            retryable: true,
            retries: 0,
        }
    }
}

fn invalid(message: String) -> WorkerError {
    WorkerError {
        kind: ErrorType::InvalidRequest,
        message,
        retryable: false,
        retries: 0,
    }
}

/// What one answer has come to.
struct Answer<'a> {
    sampler: Sampler,
    characters: Characters,
    stops: Stops<'a>,
    prompt_tokens: usize,
    generated: u64,
}

impl<'a> Answer<'a> {
    fn new(prompt: &'a Prompt, prompt_tokens: usize) -> Self {
        Self {
            sampler: Sampler::new(&prompt.sampling),
            characters: Characters::default(),
            stops: Stops::new(&prompt.sampling.stop),
            prompt_tokens,
            generated: 0,
        }
    }

    fn usage(&self, cached: usize, finish: FinishReason) -> Usage {
        Usage {
            prompt_tokens: Some(self.prompt_tokens as u64),
            cached_tokens: Some(cached as u64),
            generated_tokens: Some(self.generated),
            finish,
        }
    }
}
