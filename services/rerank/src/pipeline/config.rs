//! How a pipeline is set up.

use std::{io, time::Duration};

use inferometer::RegisterError;

use super::{
    choice::BatchLimits,
    exchange::{Ask, Failure},
};

/// How a pipeline is set up.
#[derive(Clone, Debug, PartialEq)]
pub struct PipelineConfig {
    /// Tokenizer workers, 64 at the most.
    pub tokenizer_workers: u32,
    /// Model workers, 64 at the most.
    pub model_workers: u32,
    /// Requests that may wait for a tokenizer worker; one more is turned away.
    pub tokenizer_queue: usize,
    /// Requests whose pairs may wait to be put into a batch; beyond, tokenizer workers wait.
    pub batch_queue: usize,
    /// Batches that may wait for a model worker.
    pub model_queue: usize,
    /// How large a batch may be.
    pub batch: BatchLimits,
    /// How long a pair may wait for others while a model worker has nothing to do.
    pub max_wait: Duration,
    /// How long a request may take that sets no deadline, and the most for one that does.
    pub timeout: Duration,
    /// The most pairs of a request.
    pub max_pairs: usize,
    /// The most tokens of a pair, where that is less than the model takes.
    pub max_tokens: Option<usize>,
    /// What the throughputs and means are taken over.
    pub window: Duration,
}

impl Default for PipelineConfig {
    /// Two tokenizer workers and one model worker; 256 requests wait; batches of 32 pairs and 8,192 tokens, a quarter of them padding at the
    /// most; pairs wait
    /// 5 ms for others; requests of 1,024 pairs within a minute; a window of 30 s.
    fn default() -> Self {
        Self {
            tokenizer_workers: 2,
            model_workers: 1,
            tokenizer_queue: 256,
            batch_queue: 256,
            model_queue: 2,
            batch: BatchLimits {
                pairs: 32,
                tokens: 8192,
                sort_by_length: true,
                padding: 0.25,
            },
            max_wait: Duration::from_millis(5),
            timeout: Duration::from_secs(60),
            max_pairs: 1024,
            max_tokens: None,
            window: Duration::from_secs(30),
        }
    }
}

/// A pipeline that can't be started.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// A value can't be meant.
    #[error("{field} is {value}: {remedy}")]
    Config {
        /// Which.
        field: &'static str,
        /// The value.
        value: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The registry has metrics of these names already.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// A worker's thread can't be started.
    #[error(
        "can't start a worker's thread: {0}; lower the number of workers, or allow more threads"
    )]
    Thread(#[from] io::Error),
}

impl PipelineConfig {
    pub(super) fn check(&self) -> Result<(), PipelineError> {
        let fault = |field, value: String, remedy| {
            Err(PipelineError::Config {
                field,
                value,
                remedy,
            })
        };
        for (field, workers) in [
            ("tokenizer_workers", self.tokenizer_workers),
            ("model_workers", self.model_workers),
        ] {
            if !(1..=64).contains(&workers) {
                return fault(field, workers.to_string(), "take 1 to 64");
            }
        }
        for (field, size) in [
            ("tokenizer_queue", self.tokenizer_queue),
            ("batch_queue", self.batch_queue),
            ("model_queue", self.model_queue),
            ("batch.pairs", self.batch.pairs),
            ("batch.tokens", self.batch.tokens),
            ("max_pairs", self.max_pairs),
            ("max_tokens", self.max_tokens.unwrap_or(1)),
        ] {
            if !(1..=1 << 20).contains(&size) {
                return fault(field, size.to_string(), "take 1 to 1048576");
            }
        }
        let padding = self.batch.padding;
        if !(0.0..=1.0).contains(&padding) {
            let remedy = "take a share from 0 to 1";
            return fault("batch.padding", padding.to_string(), remedy);
        }
        for (field, time) in [("timeout", self.timeout), ("window", self.window)] {
            if time.is_zero() || time > Duration::from_secs(3600) {
                let remedy = "take more than nothing and an hour or less";
                return fault(field, format!("{time:?}"), remedy);
            }
        }
        Ok(())
    }

    /// Refuses what can't be served as asked.
    pub(super) fn admits(&self, ask: &Ask) -> Result<(), Failure> {
        let pairs = ask.pairs.len();
        if pairs == 0 {
            let message = "there is nothing to score: send a query and one passage or more";
            return Err(Failure::Invalid("passages", message.to_owned()));
        }
        if pairs > self.max_pairs {
            let most = self.max_pairs;
            let message = format!(
                "the request has {pairs} passages, and {most} are the most: send it in several"
            );
            return Err(Failure::Invalid("passages", message));
        }
        for (at, pair) in ask.pairs.iter().enumerate() {
            if pair.query.trim().is_empty() {
                let message = "the query is empty: send some text".to_owned();
                return Err(Failure::Invalid("query", message));
            }
            if pair.passage.trim().is_empty() {
                let message = format!("passage {at} is empty: leave it out, or send some text");
                return Err(Failure::Invalid("passages", message));
            }
        }
        Ok(())
    }
}
