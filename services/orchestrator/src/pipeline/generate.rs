//! Inference: generations by workers, each in a task of its own once it has to wait.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures_util::FutureExt as _;
use inferometer::{AdditiveGauge, lifecycle::StageTimer};
use inferometer_catalog::orchestrator::{
    ByFailover, ByWorker, ErrorType, Recorder, Stage, WorkerType,
};
use tokio::{sync::oneshot, time::sleep_until};

use super::{
    exchange::FailureReason,
    job::{Flow, FlowEnd, Job, late},
    routing::{Seat, Tried},
    stages::Shared,
};
use crate::worker::{Piece, Prompt, Sink, Tally, Usage, WorkerError};

/// Takes one request through generation, and hands it on with its first piece.
pub(super) async fn generate(shared: Arc<Shared>, job: Box<Job>) {
    let recorder = Arc::clone(&shared.recorder);
    if AssertUnwindSafe(run(&shared, job))
        .catch_unwind()
        .await
        .is_err()
    {
        recorder.failed(Stage::Inference, ErrorType::Panic);
    }
}

async fn run(shared: &Arc<Shared>, job: Box<Job>) {
    let Some(mut job) = job.still_wanted(Stage::Inference, Instant::now()) else {
        return;
    };
    let mut tried = Tried::default();
    let model = job.ask.model.clone();
    let mut seat = shared.pool.next(model.as_deref(), &mut tried);
    while let Some(current) = seat {
        let failed = match attempt(shared, current, job).await {
            Attempt::Over => return,
            Attempt::Failed(back, error) => {
                job = back;
                error
            }
        };
        let next = failed
            .retryable
            .then(|| shared.pool.next(model.as_deref(), &mut tried))
            .flatten();
        if failed.retryable {
            shared.pool.rest(current);
        }
        let Some(next) = next else {
            job.fail_in_worker(Stage::Inference, failed);
            return;
        };
        let (from, to) = (current.worker.worker_type(), next.worker.worker_type());
        shared
            .recorder
            .metrics
            .worker_failovers
            .with(ByFailover { from, to })
            .inc();
        tracing::warn!(error = %failed, ?from, ?to, "a worker failed, another takes over");
        seat = Some(next);
    }
    let message = "no worker serves this model; GET /v1/models lists the ones there are".into();
    job.fail(
        Stage::Inference,
        ErrorType::InvalidRequest,
        FailureReason::UnknownModel,
        message,
    );
}

/// What came of asking one worker.
enum Attempt {
    /// The request went on, or ended.
    Over,
    /// Nothing was generated: another worker may try.
    Failed(Box<Job>, WorkerError),
}

async fn attempt(shared: &Arc<Shared>, seat: &Seat, mut job: Box<Job>) -> Attempt {
    let cancel = job.whereabouts.cancel.clone();
    let deadline = job.deadline;
    let _slot = match seat.slots.try_acquire() {
        Ok(slot) => slot,
        Err(_) => tokio::select! {
            slot = seat.slots.acquire() => slot.expect("the semaphore of a seat is never closed"),
            () = cancel.cancelled() => { job.left(Stage::Inference); return Attempt::Over; }
            () = sleep_until(deadline.into()) => { time_out(job); return Attempt::Over; }
        },
    };
    let worker_type = seat.worker.worker_type();
    let by = ByWorker { worker_type };
    let metrics = &shared.recorder.metrics;
    let _under_way = UnderWay::new(&metrics.generations_in_flight, by);
    let live = (worker_type != WorkerType::Openai).then(|| shared.tokens_of(worker_type));
    let (sink, mut pieces) = Sink::counting(live);
    let mut settlement = Settlement {
        shared,
        worker_type,
        tally: sink.tally(),
        live: worker_type != WorkerType::Openai,
    };
    let prompt = Prompt {
        model: Arc::clone(&seat.model),
        messages: job.messages.clone(),
        sampling: job.ask.sampling.clone(),
        deadline: Some(deadline),
        cancel: cancel.clone(),
    };
    let retried = || metrics.worker_retries.with(by).inc();
    let mut generation = seat.worker.generate(prompt, sink, &retried);

    // A generation that needs no waiting is over with its first poll: no timer, no task.
    let first = tokio::select! {
        biased;
        result = &mut generation => First::End(result),
        piece = pieces.recv() => First::Piece(piece),
        () = cancel.cancelled() => First::Left,
        () = sleep_until(deadline.into()) => First::Late,
    };
    let head = match first {
        First::Left => {
            job.left(Stage::Inference);
            return Attempt::Over;
        }
        First::Late => {
            time_out(job);
            return Attempt::Over;
        }
        First::End(Err(error)) => match pieces.try_recv() {
            Ok(head) => {
                let flow = Flow {
                    head: Some(head),
                    pieces,
                    end: FlowEnd::Known(Err(error)),
                };
                hand_on(shared, seat, job, flow);
                return Attempt::Over;
            }
            Err(_) => return Attempt::Failed(job, error),
        },
        First::End(Ok(usage)) => {
            settlement.settle(&mut job, &usage);
            let flow = Flow {
                head: None,
                pieces,
                end: FlowEnd::Known(Ok(usage)),
            };
            job.request.end();
            hand_on(shared, seat, job, flow);
            return Attempt::Over;
        }
        First::Piece(head) => head,
    };

    let timer = job.request.detach_stage();
    let prompt_tokens = job.prompt_tokens;
    let (end, awaited) = oneshot::channel();
    hand_on(
        shared,
        seat,
        job,
        Flow {
            head,
            pieces,
            end: FlowEnd::Awaited(awaited),
        },
    );
    let result = tokio::select! {
        biased;
        result = &mut generation => result,
        // Post-processing has met a stop sequence, or the client has left.
        () = cancel.cancelled() => return Attempt::Over,
        () = sleep_until(deadline.into()) => Err(WorkerError {
            kind: ErrorType::Timeout,
            message: late(Stage::Inference),
            retryable: false,
            retries: 0,
        }),
    };
    if let Ok(usage) = &result {
        settlement.settle_prompt(usage, prompt_tokens);
        if let Some(timer) = timer {
            StageTimer::end_at(timer, Instant::now());
        }
    }
    // Nobody listens when the request is over already.
    let _ = end.send(result);
    Attempt::Over
}

enum First {
    End(Result<Usage, WorkerError>),
    Piece(Option<Piece>),
    Left,
    Late,
}

fn time_out(job: Box<Job>) {
    job.fail(
        Stage::Inference,
        ErrorType::Timeout,
        FailureReason::Timeout,
        late(Stage::Inference),
    );
}

fn hand_on(shared: &Shared, seat: &Seat, mut job: Box<Job>, flow: Flow) {
    // A request is handed on once, by the worker that answers it.
    let _ = job.whereabouts.model.set(Arc::clone(&seat.model));
    job.flow = Some(flow);
    shared.enqueue(Stage::Post, job);
}

/// Holds the number of generations one higher.
struct UnderWay<'a> {
    gauge: &'a AdditiveGauge<ByWorker>,
    by: ByWorker,
}

impl<'a> UnderWay<'a> {
    fn new(gauge: &'a AdditiveGauge<ByWorker>, by: ByWorker) -> Self {
        gauge.with(by).inc();
        Self { gauge, by }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.gauge.with(self.by).dec();
    }
}

/// Counts a generation's tokens exactly once, whether it ends or is broken off.
///
/// A worker on this machine counts each token as it comes. An upstream's pieces are only an estimate, until it tells its own count;
/// broken off before, the estimate stands.
struct Settlement<'a> {
    shared: &'a Shared,
    worker_type: WorkerType,
    tally: Tally,
    live: bool,
}

impl Settlement<'_> {
    fn settle(&mut self, job: &mut Job, usage: &Usage) {
        let prompt = usage.prompt_tokens.unwrap_or(job.prompt_tokens);
        job.request
            .prompt_tokens(prompt, usage.cached_tokens.unwrap_or(0));
        self.settle_prompt(usage, job.prompt_tokens);
    }

    fn settle_prompt(&mut self, usage: &Usage, assembled: u64) {
        let by = ByWorker {
            worker_type: self.worker_type,
        };
        let metrics = &self.shared.recorder.metrics;
        metrics
            .prompt_tokens
            .with(by)
            .add(usage.prompt_tokens.unwrap_or(assembled));
        metrics
            .prompt_tokens_cached
            .with(by)
            .add(usage.cached_tokens.unwrap_or(0));
        if let Some(generated) = usage.generated_tokens {
            self.tally.correct(generated);
        }
    }
}

impl Drop for Settlement<'_> {
    fn drop(&mut self) {
        let recorder: &Recorder = &self.shared.recorder;
        let counted = if self.live { self.tally.counted() } else { 0 };
        let by = ByWorker {
            worker_type: self.worker_type,
        };
        recorder
            .metrics
            .tokens_generated
            .with(by)
            .add(self.tally.total().saturating_sub(counted));
    }
}
