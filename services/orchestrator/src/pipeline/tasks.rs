//! The tasks that run the stages.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use futures_util::poll;
use inferometer_catalog::orchestrator::{ErrorType, Stage};
use tracing::Instrument as _;

use super::{
    deliver::deliver,
    departure::JobQueue,
    generate::generate,
    polish::polish,
    prepare::{assemble, retrieve},
    stages::Shared,
};

/// How many requests a stage takes out of its queue at a time.
const BATCH: usize = 64;

/// One stage: takes requests out of its queue until the queue is closed.
pub(super) async fn run(stage: Stage, shared: Arc<Shared>) {
    let queue = Arc::clone(shared.queue(stage));
    if stage == Stage::Inference {
        return dispatch(&queue, &shared).await;
    }
    let mut batch = Vec::with_capacity(BATCH);
    while queue.pop(&mut batch, BATCH).await {
        for job in batch.drain(..) {
            let work = || match stage {
                Stage::Rag => retrieve(&shared, job),
                Stage::Assemble => assemble(&shared, job),
                Stage::Post => polish(&shared, job),
                Stage::Inference | Stage::Stream => deliver(&shared, job),
            };
            // The request ends as panicked while the stack unwinds; the stage goes on with the next one.
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                shared.recorder.failed(stage, ErrorType::Panic);
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Inference takes a request out of its queue only when a worker has room for it.
async fn dispatch(queue: &JobQueue, shared: &Arc<Shared>) {
    let slots: usize = shared
        .pool
        .seats()
        .iter()
        .map(|seat| seat.concurrency)
        .sum();
    let slots = Arc::new(tokio::sync::Semaphore::new(
        slots.min(tokio::sync::Semaphore::MAX_PERMITS),
    ));
    let mut batch = Vec::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        if !queue.pop(&mut batch, 1).await {
            return;
        }
        for job in batch.drain(..) {
            let span = job.span.clone();
            let mut generation = Box::pin(generate(Arc::clone(shared), job).instrument(span));
            if poll!(&mut generation).is_ready() {
                continue;
            }
            tokio::spawn(async move {
                generation.await;
                drop(slot);
            });
            break;
        }
        tokio::task::consume_budget().await;
    }
}
