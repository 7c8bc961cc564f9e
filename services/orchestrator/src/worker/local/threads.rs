//! Threads of their own for work that keeps a core busy.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

use tokio::sync::oneshot;

/// A piece of work and where its result goes.
type Job<J, R> = (J, oneshot::Sender<R>);

/// A fixed number of threads that take jobs in the order they come. They end when this is dropped and the job in
/// hand is done.
#[derive(Debug)]
pub(super) struct Threads<J, R> {
    jobs: mpsc::Sender<Job<J, R>>,
    count: usize,
}

impl<J: Send + 'static, R: Send + 'static> Threads<J, R> {
    /// Starts `count` threads (at least one) that `run` each job. A job that panics gets what `panicked` gives.
    pub(super) fn start(
        count: usize,
        run: impl Fn(&J) -> R + Send + Sync + 'static,
        panicked: impl Fn() -> R + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let count = count.max(1);
        let (jobs, taken) = mpsc::channel::<Job<J, R>>();
        let (taken, run) = (Arc::new(Mutex::new(taken)), Arc::new((run, panicked)));
        for index in 0..count {
            let (taken, run) = (Arc::clone(&taken), Arc::clone(&run));
            thread::Builder::new()
                .name(format!("generate-{index}"))
                .spawn(move || {
                    loop {
                        // The lock is held while waiting: the others wait for the lock instead of for the job.
                        let next = taken.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok((job, reply)) = next else { return };
                        // What a job changes is its own, and goes with it.
                        let result = catch_unwind(AssertUnwindSafe(|| (run.0)(&job)));
                        drop(job);
                        // Nobody waits when the request was given up.
                        let _gone = reply.send(result.unwrap_or_else(|_| (run.1)()));
                    }
                })?;
        }
        Ok(Self { jobs, count })
    }

    /// Hands in a job. The result comes through the receiver, which fails only if the threads are gone.
    pub(super) fn submit(&self, job: J) -> oneshot::Receiver<R> {
        let (reply, result) = oneshot::channel();
        // A failed send drops `reply`, and the receiver says so.
        let _gone = self.jobs.send((job, reply));
        result
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_costs_its_own_job_only() {
        let threads = Threads::start(
            1,
            |divisor: &i32| {
                assert_ne!(*divisor, 0, "this panic is part of the test");
                Some(12 / divisor)
            },
            || None,
        )
        .unwrap();
        let results = [3, 0, 4].map(|divisor| threads.submit(divisor));
        assert_eq!(
            results.map(|result| result.blocking_recv().unwrap()),
            [Some(4), None, Some(3)]
        );
    }

    #[test]
    fn jobs_run_side_by_side() {
        let meeting = Arc::new(std::sync::Barrier::new(3));
        let threads = Threads::start(
            3,
            move |(): &()| {
                meeting.wait();
            },
            || (),
        )
        .unwrap();
        assert_eq!(threads.count(), 3);
        // Each job waits for the two others: one after the other, this would never end.
        for result in [(), (), ()].map(|()| threads.submit(())) {
            result.blocking_recv().unwrap();
        }
    }
}
