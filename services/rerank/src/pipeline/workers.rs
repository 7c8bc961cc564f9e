//! The threads of the two pools.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Instant,
};

use inferometer_catalog::rerank::{PaddingStats, Stage, WorkerType};

use super::{
    Shared,
    exchange::Failure,
    floor::{Batch, as_count},
    job::{BatchMarks, Job},
};
use crate::model::Encoded;

/// Starts the workers of a kind.
pub(super) fn start(
    shared: &Arc<Shared>,
    kind: WorkerType,
    count: u32,
) -> io::Result<Vec<JoinHandle<()>>> {
    (0..count)
        .map(|id| {
            let shared = Arc::clone(shared);
            let name = match kind {
                WorkerType::Tokenizer => format!("tokenizer-{id}"),
                WorkerType::Model => format!("model-{id}"),
            };
            thread::Builder::new()
                .name(name)
                .spawn(move || keep_running(&shared, kind, id))
        })
        .collect()
}

/// Runs a worker, anew after each panic: what it had in hand has got its error by then.
fn keep_running(shared: &Shared, kind: WorkerType, id: u32) {
    let work = || match kind {
        WorkerType::Tokenizer => tokenize(shared, id),
        WorkerType::Model => infer(shared, id),
    };
    while catch_unwind(AssertUnwindSafe(work)).is_err() {
        tracing::error!(
            worker_id = id,
            worker_type = ?kind,
            "a worker panicked: its requests got an error, and it is started anew"
        );
        if let Some(series) = shared.recorder.worker(kind, id) {
            series.restarted();
        }
    }
}

/// What a worker has in hand. Should it panic, these requests are told.
struct InHand<'a>(&'a [Arc<Job>]);

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            for job in self.0 {
                job.fail(Failure::Panicked);
            }
        }
    }
}

/// A request that a tokenizer worker has: whatever happens, the floor doesn't expect it any more.
struct OnItsWay<'a>(&'a Shared);

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        self.0.floor.expect_one_less();
    }
}

fn tokenize(shared: &Shared, id: u32) {
    while let Some(job) = shared.queue.pop() {
        let _on_its_way = OnItsWay(shared);
        let _in_hand = InHand(std::slice::from_ref(&job));
        let taken = Instant::now();
        if !job.wanted(taken) {
            continue;
        }
        job.enter(Stage::Tokenization);
        let mut encoded = Vec::with_capacity(job.pairs.len());
        let mut failed = None;
        for pair in &job.pairs {
            // Whoever asked may leave while a long request is made into tokens.
            if !job.wanted(Instant::now()) {
                break;
            }
            let made = shared
                .tokenizer
                .encode(&pair.query, &pair.passage, shared.max_tokens);
            match made {
                Ok(pair) => encoded.push(pair),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        let tokenized = Instant::now();
        let latency = tokenized.saturating_duration_since(taken);
        if let Some(error) = failed {
            job.fail(Failure::Tokenizer(error.to_string()));
            continue;
        }
        if encoded.len() < job.pairs.len() {
            continue;
        }
        let truncated = encoded.iter().filter(|pair| pair.truncated).count();
        let tokens = encoded.iter().map(|pair| as_count(pair.ids.len())).sum();
        shared
            .recorder
            .metrics
            .pairs_truncated
            .add(as_count(truncated));
        shared
            .recorder
            .record_tokenizer_worker_stats(id, latency, 1);
        shared.recorder.progress(tokenized);
        job.tokenized(tokens, u32::try_from(truncated).unwrap_or(u32::MAX));
        job.mark(|marks| {
            marks.taken = Some(taken);
            marks.tokenized = Some(tokenized);
        });
        shared.floor.bring(&job, encoded);
    }
}

fn infer(shared: &Shared, id: u32) {
    while let Some(mut batch) = shared.floor.next() {
        let taken = Instant::now();
        batch.pairs.retain(|pair| pair.job.wanted(taken));
        if batch.pairs.is_empty() {
            continue;
        }
        let jobs = batch.jobs();
        let _in_hand = InHand(&jobs);
        for job in &jobs {
            job.enter(Stage::Inference);
        }
        let inputs: Vec<&Encoded> = batch.pairs.iter().map(|pair| &pair.encoded).collect();
        let begun = Instant::now();
        let scores = shared.model.score(&inputs);
        let ended = Instant::now();
        let marks = BatchMarks {
            released: batch.released,
            taken,
            begun,
            ended,
        };
        shared.recorder.progress(ended);
        match checked(scores, batch.pairs.len()) {
            Ok(scores) => deliver(shared, id, &batch, &jobs, &scores, marks),
            Err(message) => {
                tracing::error!(worker_id = id, error = %message, "a batch could not be scored");
                shared
                    .recorder
                    .record_worker_stats(id, ended.saturating_duration_since(begun), 0);
                for job in &jobs {
                    job.fail(Failure::Model(message.clone()));
                }
            }
        }
    }
}

/// The scores, if there is a number for each pair.
fn checked(
    scores: Result<Vec<f32>, crate::model::WorkError>,
    pairs: usize,
) -> Result<Vec<f32>, String> {
    let scores = scores.map_err(|error| error.to_string())?;
    if scores.len() != pairs {
        return Err(format!("it gave {} scores for {pairs} pairs", scores.len()));
    }
    match scores.iter().find(|score| !score.is_finite()) {
        Some(score) => Err(format!("it gave {score} as a score")),
        None => Ok(scores),
    }
}

/// Records what a batch was, and then hands out its scores: whoever has an answer finds it in the metrics.
fn deliver(
    shared: &Shared,
    id: u32,
    batch: &Batch,
    jobs: &[Arc<Job>],
    scores: &[f32],
    marks: BatchMarks,
) {
    let recorder = &shared.recorder;
    let lengths = || batch.pairs.iter().map(|pair| pair.encoded.ids.len());
    let longest = as_count(lengths().max().unwrap_or(0));
    let real: u64 = lengths().map(as_count).sum();
    let count = as_count(batch.pairs.len());
    for length in lengths() {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        recorder.metrics.sequence.observe(length.into());
    }
    recorder.record_padding_stats(&PaddingStats {
        padded_tokens: longest * count - real,
        total_tokens: longest * count,
        max_seq_length: longest,
    });
    recorder.metrics.pairs.add(count);
    let took = marks.ended.saturating_duration_since(marks.begun);
    shared.forecast.learn(took, count);

    let finished: Vec<_> = jobs
        .iter()
        .filter_map(|job| {
            let own = batch.pairs.iter().zip(scores);
            let own = own.filter(|(pair, _)| Arc::ptr_eq(&pair.job, job));
            job.scored(own.map(|(pair, score)| (pair.at, *score)), marks)
        })
        .collect();
    recorder.record_worker_stats(id, took, as_count(finished.len()));
    for finished in finished {
        finished.send();
    }
}
