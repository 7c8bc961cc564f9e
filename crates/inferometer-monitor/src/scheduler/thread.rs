//! The runs of a task that has a thread.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Instant,
};

use super::{
    RunOutcome, TaskResult,
    outcome::{Ended, panic_message},
    task::{Ending, Task},
    ticks::Ticks,
};

/// Makes the runs on a thread of the task's own.
pub(super) fn start<R: TaskResult>(
    task: Arc<Task>,
    mut ticks: Ticks,
    work: impl FnMut() -> R + Send + 'static,
) -> io::Result<()> {
    let name = task.name().to_string();
    let ending = Ending(task);
    thread::Builder::new().name(name).spawn(move || {
        let ending = ending;
        // Dropped before `ending`: what the task holds is gone when the task has ended.
        let mut work = work;
        let task = &ending.0;
        while task.wait_until(ticks.due()) {
            let lag = Instant::now().saturating_duration_since(ticks.due());
            if !task.begin(lag) {
                break;
            }
            let ended = run(&mut work);
            let skipped = ticks.advance(Instant::now());
            task.end(ended, skipped);
        }
    })?;
    Ok(())
}

fn run<R: TaskResult>(work: &mut impl FnMut() -> R) -> Ended {
    // What a task leaves half done by a panic is the task's own matter.
    match catch_unwind(AssertUnwindSafe(|| work().failure())) {
        Ok(None) => Ok(()),
        Ok(Some(failure)) => Err((RunOutcome::Failed, failure)),
        Err(payload) => Err((RunOutcome::Panicked, panic_message(&*payload))),
    }
}
