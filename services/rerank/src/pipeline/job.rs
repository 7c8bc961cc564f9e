//! A request on its way through the pools.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use inferometer_catalog::rerank::{Stage, StageTimings};
use tokio::sync::oneshot;

use super::exchange::{Failure, Pair};

/// What the pools know of a request. Whoever asked holds one end, the pools the other.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) pairs: Vec<Pair>,
    pub(super) deadline: Instant,
    left: AtomicBool,
    stage: AtomicU8,
    /// Pairs that wait to be put into a batch; written under the batcher's lock.
    pub(super) waiting: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    answer: Option<oneshot::Sender<Result<Scored, Failure>>>,
    scores: Vec<f32>,
    missing: usize,
    truncated: u32,
    tokens: u64,
    marks: Marks,
}

/// All of a job's scores, and where its time went.
#[derive(Debug)]
pub(super) struct Scored {
    pub(super) scores: Vec<f32>,
    pub(super) truncated: u32,
    pub(super) tokens: u64,
    pub(super) marks: Marks,
}

/// Readings of one clock at the ends of a job's stages.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) queued: Option<Instant>,
    pub(super) taken: Option<Instant>,
    pub(super) tokenized: Option<Instant>,
    pub(super) handed: Option<Instant>,
    pub(super) batches: Vec<BatchMarks>,
}

/// The same of one of its batches.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchMarks {
    pub(super) released: Instant,
    pub(super) taken: Instant,
    pub(super) begun: Instant,
    pub(super) ended: Instant,
}

impl Job {
    pub(super) fn new(
        pairs: Vec<Pair>,
        deadline: Instant,
    ) -> (Arc<Self>, oneshot::Receiver<Result<Scored, Failure>>) {
        let (answer, answered) = oneshot::channel();
        let count = pairs.len();
        let job = Self {
            pairs,
            deadline,
            left: AtomicBool::new(false),
            stage: AtomicU8::new(0),
            waiting: AtomicUsize::new(0),
            state: Mutex::new(State {
                answer: Some(answer),
                scores: vec![0.0; count],
                missing: count,
                truncated: 0,
                tokens: 0,
                marks: Marks::default(),
            }),
        };
        (Arc::new(job), answered)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever asked has left, or was answered.
    pub(super) fn leave(&self) {
        self.left.store(true, Relaxed);
    }

    /// Whether there is still somebody who wants an answer, and in time.
    pub(super) fn wanted(&self, now: Instant) -> bool {
        !self.left.load(Relaxed) && now < self.deadline
    }

    pub(super) fn enter(&self, stage: Stage) {
        // Batches may be at different stages: the furthest counts.
        self.stage.fetch_max(stage as u8, Relaxed);
    }

    pub(super) fn stage(&self) -> Stage {
        Stage::ALL[usize::from(self.stage.load(Relaxed)).min(Stage::ALL.len() - 1)]
    }

    pub(super) fn mark(&self, mark: impl FnOnce(&mut Marks)) {
        mark(&mut self.state().marks);
    }

    pub(super) fn tokenized(&self, tokens: u64, truncated: u32) {
        let mut state = self.state();
        state.tokens = tokens;
        state.truncated = truncated;
    }

    /// Some of its pairs have their scores; `Some` when none is missing any more, once.
    pub(super) fn scored(
        &self,
        scores: impl Iterator<Item = (usize, f32)>,
        batch: BatchMarks,
    ) -> Option<Finished> {
        let mut state = self.state();
        for (at, score) in scores {
            state.scores[at] = score;
            state.missing = state.missing.saturating_sub(1);
        }
        state.marks.batches.push(batch);
        if state.missing > 0 {
            return None;
        }
        let answer = state.answer.take()?;
        let scored = Scored {
            scores: std::mem::take(&mut state.scores),
            truncated: state.truncated,
            tokens: state.tokens,
            marks: std::mem::take(&mut state.marks),
        };
        Some(Finished { answer, scored })
    }

    /// It can't be answered. What comes later of it is of no use.
    pub(super) fn fail(&self, failure: Failure) {
        self.leave();
        if let Some(answer) = self.state().answer.take() {
            // Nobody waits any more: then nobody has to be told.
            let _ = answer.send(Err(failure));
        }
    }
}

/// A job whose scores are all there, to be sent once everything is recorded.
#[derive(Debug)]
pub(super) struct Finished {
    answer: oneshot::Sender<Result<Scored, Failure>>,
    scored: Scored,
}

impl Finished {
    pub(super) fn send(self) {
        // Whoever asked may have left meanwhile.
        let _ = self.answer.send(Ok(self.scored));
    }
}

impl Marks {
    /// Where the time went until `now`, when the answer is back. What lies between two marks is counted once, to the stage that was
    /// furthest: a job with several batches is inferred while any of them is.
    pub(super) fn timings(&self, now: Instant) -> StageTimings {
        let between =
            |from: Option<Instant>, to: Option<Instant>| Some(to?.saturating_duration_since(from?));
        let mut timings = StageTimings {
            tokenizer_queue_wait: between(self.queued, self.taken),
            tokenization: between(self.taken, self.tokenized),
            queue_send: between(self.tokenized, self.handed),
            ..StageTimings::default()
        };
        let ended = self.batches.iter().map(|batch| batch.ended).max();
        let (Some(handed), Some(ended)) = (self.handed, ended) else {
            return timings;
        };
        let since = |from: fn(&BatchMarks) -> Instant| {
            covered(self.batches.iter().map(|batch| (from(batch), batch.ended)))
        };
        let inferring = since(|batch| batch.begun);
        let taken = since(|batch| batch.taken);
        let released = since(|batch| batch.released);
        let whole = ended.saturating_duration_since(handed);
        timings.inference = Some(inferring);
        timings.queue_receive = Some(taken.saturating_sub(inferring));
        timings.model_queue_wait = Some(released.saturating_sub(taken));
        timings.scheduler = Some(whole.saturating_sub(released));
        timings.overhead = Some(now.saturating_duration_since(ended));
        timings
    }
}

/// How long at least one of the spans lasted.
fn covered(spans: impl Iterator<Item = (Instant, Instant)>) -> Duration {
    let mut spans: Vec<_> = spans.collect();
    spans.sort_unstable();
    let mut covered = Duration::ZERO;
    let mut until = None;
    for (from, to) in spans {
        let from = until.map_or(from, |until| from.max(until));
        covered += to.saturating_duration_since(from);
        until = Some(until.map_or(to, |until| to.max(until)));
    }
    covered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_that_overlap_are_counted_once() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let spans = [
            (at(10), at(20)),
            (at(0), at(5)),
            (at(12), at(18)),
            (at(15), at(30)),
        ];
        assert_eq!(covered(spans.into_iter()), Duration::from_millis(25));
    }

    #[test]
    fn stages_of_a_request_in_two_batches_add_up_to_the_whole() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let batch = |released, taken, begun, ended| BatchMarks {
            released: at(released),
            taken: at(taken),
            begun: at(begun),
            ended: at(ended),
        };
        let marks = Marks {
            queued: Some(at(1)),
            taken: Some(at(3)),
            tokenized: Some(at(6)),
            handed: Some(at(7)),
            batches: vec![batch(8, 9, 10, 20), batch(12, 20, 22, 40)],
        };
        let timings = marks.timings(at(43));
        let millis = |millis| Some(Duration::from_millis(millis));
        assert_eq!(timings.inference, millis(10 + 18));
        assert_eq!(timings.queue_receive, millis(1 + 2));
        assert_eq!(timings.model_queue_wait, millis(1));
        assert_eq!(timings.scheduler, millis(1));
        assert_eq!(timings.overhead, millis(3));
        // All but what lay before the queue.
        assert_eq!(timings.explained(), Duration::from_millis(42));
    }
}
