//! The runs of an async task.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use tokio::{runtime::Handle, time::Instant};

use super::{
    RunOutcome, TaskResult,
    outcome::{Ended, panic_message},
    task::{Ending, Task},
    ticks::Ticks,
};

/// Now, by the clock of `runtime`; `None` where it has no timers.
pub(super) fn now(runtime: &Handle) -> Option<std::time::Instant> {
    let _entered = runtime.enter();
    // There is no asking beforehand: a sleep without timers panics where it is made.
    catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).ok()?;
    Some(Instant::now().into_std())
}

/// Makes the runs on `runtime`.
pub(super) fn start<R, F>(
    runtime: &Handle,
    task: Arc<Task>,
    ticks: Ticks,
    work: impl FnMut() -> F + Send + 'static,
) where
    R: TaskResult + 'static,
    F: Future<Output = R> + Send + 'static,
{
    // Made here, so that a runtime that is shutting down and drops the future unpolled ends the task, too.
    let ending = Ending(task);
    drop(runtime.spawn(drive(ending, ticks, work)));
}

async fn drive<R, F>(ending: Ending, mut ticks: Ticks, work: impl FnMut() -> F + Send + 'static)
where
    R: TaskResult + 'static,
    F: Future<Output = R> + Send + 'static,
{
    // Dropped before `ending`: what the task holds is gone when the task has ended.
    let mut work = work;
    let task = &ending.0;
    loop {
        let due = Instant::from_std(ticks.due());
        tokio::select! {
            biased;
            () = task.left() => break,
            () = tokio::time::sleep_until(due) => {}
        }
        if !task.begin(Instant::now().saturating_duration_since(due)) {
            break;
        }
        let ended = run(task, &mut work).await;
        let skipped = ticks.advance(Instant::now().into_std());
        task.end(ended, skipped);
    }
}

async fn run<R, F>(task: &Task, work: &mut impl FnMut() -> F) -> Ended
where
    R: TaskResult + 'static,
    F: Future<Output = R> + Send + 'static,
{
    let future = catch_unwind(AssertUnwindSafe(work))
        .map_err(|payload| (RunOutcome::Panicked, panic_message(&*payload)))?;
    // A run is a task of the runtime's own: its panic ends there, and it can be aborted.
    let run = tokio::spawn(async move { future.await.failure() });
    task.abort_with(run.abort_handle());
    match run.await {
        Ok(None) => Ok(()),
        Ok(Some(failure)) => Err((RunOutcome::Failed, failure)),
        Err(error) => Err(match error.try_into_panic() {
            Ok(payload) => (RunOutcome::Panicked, panic_message(&*payload)),
            Err(_) => (RunOutcome::Failed, "aborted".to_owned()),
        }),
    }
}
