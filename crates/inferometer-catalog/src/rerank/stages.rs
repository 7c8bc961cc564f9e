//! Where a request's time went.

use std::time::Duration;

/// A request's stages. One that it didn't go through is `None`, one that took no time is zero.
///
/// The stages don't overlap, so that they may be added up: their sum is at most the request's latency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimings {
    /// It waited for a tokenizer worker.
    pub tokenizer_queue_wait: Option<Duration>,
    /// Its pairs were tokenized.
    pub tokenization: Option<Duration>,
    /// It was handed to the batcher.
    pub queue_send: Option<Duration>,
    /// Its pairs waited to be put into a batch, and none of its batches was further.
    pub scheduler: Option<Duration>,
    /// Its batches waited for a model worker, and none of them was further.
    pub model_queue_wait: Option<Duration>,
    /// A model worker had taken a batch of it and not begun, and none of its batches was worked on.
    pub queue_receive: Option<Duration>,
    /// The model worked on its batches.
    pub inference: Option<Duration>,
    /// From the end of its last inference to its answer, back at the one who asked.
    pub overhead: Option<Duration>,
}

impl StageTimings {
    /// Every stage, in order.
    fn all(&self) -> [Option<Duration>; 8] {
        [
            self.tokenizer_queue_wait,
            self.tokenization,
            self.queue_send,
            self.scheduler,
            self.model_queue_wait,
            self.queue_receive,
            self.inference,
            self.overhead,
        ]
    }

    /// All stages added up.
    pub fn explained(&self) -> Duration {
        self.all().into_iter().flatten().sum()
    }

    /// The time in queues: for a tokenizer worker and for a model worker; `None` without either.
    pub fn queue_wait(&self) -> Option<Duration> {
        match (self.tokenizer_queue_wait, self.model_queue_wait) {
            (None, None) => None,
            (tokenizer, model) => Some(tokenizer.unwrap_or_default() + model.unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_is_absent_is_not_a_wait_of_zero() {
        assert_eq!(StageTimings::default().queue_wait(), None);
        let waited = StageTimings {
            model_queue_wait: Some(Duration::ZERO),
            ..StageTimings::default()
        };
        assert_eq!(waited.queue_wait(), Some(Duration::ZERO));
    }
}
