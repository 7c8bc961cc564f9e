//! Calls that may hang, made on a thread of their own so that whoever wants the answer waits no longer than it likes.

use std::{
    io,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError},
    thread,
    time::Duration,
};

type Job = Box<dyn FnOnce() + Send>;

/// A thread that makes one call after another.
///
/// When a call doesn't return in time, its thread is left to it, for a thread can't be ended, and the next call gets a new one. So there
/// are as many threads as calls that hang, and one more: who asks sees to it that nothing that hangs is asked again.
#[derive(Debug)]
pub(super) struct Caller {
    name: &'static str,
    lane: Option<Sender<Job>>,
}

/// Why a call has no answer.
#[derive(Debug)]
pub(super) enum Unanswered<T> {
    /// It didn't return in time.
    Hung(Pending<T>),
    /// It panicked.
    Panicked,
    /// There is no thread to make it on.
    NoThread(io::Error),
}

/// A call that didn't return in time. What it holds is dropped when it returns.
#[derive(Debug)]
pub(super) struct Pending<T>(Receiver<T>);

impl<T> Pending<T> {
    /// Whether it has returned by now. Its answer is dropped.
    pub(super) fn returned(&self) -> bool {
        !matches!(self.0.try_recv(), Err(TryRecvError::Empty))
    }

    /// Its answer if it has returned by now: `None` when it panicked. Otherwise itself.
    pub(super) fn answer(self) -> Result<Option<T>, Self> {
        match self.0.try_recv() {
            Ok(answer) => Ok(Some(answer)),
            Err(TryRecvError::Disconnected) => Ok(None),
            Err(TryRecvError::Empty) => Err(self),
        }
    }
}

impl Caller {
    /// Its thread gets `name`, when there is something to call.
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, lane: None }
    }

    /// Makes a call, and waits for its answer up to `limit`.
    pub(super) fn call<T: Send + 'static>(
        &mut self,
        limit: Duration,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unanswered<T>> {
        let (answer, answers) = mpsc::channel();
        let job: Job = Box::new(move || {
            // Nobody may be left to hear it.
            let _ = answer.send(call());
        });
        if self.lane.is_none() {
            self.lane = Some(lane(self.name).map_err(Unanswered::NoThread)?);
        }
        let sent = self
            .lane
            .as_ref()
            .is_some_and(|lane| lane.send(job).is_ok());
        match answers.recv_timeout(limit) {
            Ok(answer) => Ok(answer),
            Err(RecvTimeoutError::Timeout) if sent => {
                self.lane = None;
                Err(Unanswered::Hung(Pending(answers)))
            }
            Err(_) => {
                self.lane = None;
                Err(Unanswered::Panicked)
            }
        }
    }
}

fn lane(name: &str) -> io::Result<Sender<Job>> {
    let (lane, jobs) = mpsc::channel::<Job>();
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            for job in jobs {
                job();
            }
        })?;
    Ok(lane)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_call_that_hangs_costs_its_limit_and_the_next_one_gets_through() {
        let mut caller = Caller::new("test");
        let (release, released) = mpsc::channel::<()>();
        let Err(Unanswered::Hung(pending)) =
            caller.call(Duration::from_millis(10), move || released.recv().is_ok())
        else {
            panic!("it answered");
        };
        assert_eq!(caller.call(LONG, || 7).unwrap(), 7);
        assert!(!pending.returned());
        release.send(()).unwrap();
        let until = std::time::Instant::now() + LONG;
        while !pending.returned() {
            assert!(std::time::Instant::now() < until);
            thread::yield_now();
        }
    }

    #[test]
    fn a_call_that_panics_is_told_from_one_that_hangs_and_the_next_one_gets_through() {
        let mut caller = Caller::new("test");
        let panicked = caller.call(LONG, || panic!("on purpose"));
        assert!(matches!(panicked, Err(Unanswered::<()>::Panicked)));
        assert_eq!(caller.call(LONG, || 7).unwrap(), 7);
    }
}
