//! Asking about file systems, some of which may never answer.

use std::{
    collections::BTreeMap,
    io,
    panic::resume_unwind,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::super::super::options::{Measure, Space};

/// What is known of a file system.
pub(super) enum Answer {
    /// Its size, or why there is none.
    Given(io::Result<Space>),
    /// It has not answered yet.
    Stuck,
}

/// Asks about file systems on a thread that can be left behind: the kernel lets nobody go who waits for a disk that hangs.
///
/// A thread stays with each file system that hangs, and ends when it answers; until then it isn't asked again.
pub(super) struct Asker {
    measure: Measure,
    idle: Option<Thread>,
    stuck: BTreeMap<PathBuf, Thread>,
}

impl Asker {
    pub(super) fn new(measure: Measure) -> Self {
        Self {
            measure,
            idle: None,
            stuck: BTreeMap::new(),
        }
    }

    /// Asks about the file system at `path`, and waits no longer than `patience`.
    ///
    /// # Panics
    /// With the panic of what measures.
    pub(super) fn ask(&mut self, path: &Path, patience: Duration) -> Answer {
        let (thread, answer) = match self.stuck.remove(path) {
            Some(thread) => {
                let answer = thread.answers.try_recv();
                (thread, answer)
            }
            None => {
                let thread = match self.idle.take() {
                    Some(thread) => thread,
                    None => match Thread::start(&self.measure) {
                        Ok(thread) => thread,
                        Err(error) => return Answer::Given(Err(error)),
                    },
                };
                // A thread that is gone is found out below.
                let _ = thread.questions.send(path.to_owned());
                let answer = thread.answers.recv_timeout(patience);
                (
                    thread,
                    answer.map_err(|error| match error {
                        RecvTimeoutError::Timeout => TryRecvError::Empty,
                        RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
                    }),
                )
            }
        };
        match answer {
            Ok(answer) => {
                self.idle = Some(thread);
                Answer::Given(answer)
            }
            Err(TryRecvError::Empty) => {
                self.stuck.insert(path.to_owned(), thread);
                Answer::Stuck
            }
            Err(TryRecvError::Disconnected) => match thread.handle.join() {
                Err(panic) => resume_unwind(panic),
                Ok(()) => Answer::Given(Err(io::Error::other("the thread that asks has ended"))),
            },
        }
    }
}

/// A thread that asks, one question after another, until nobody is left to tell.
struct Thread {
    questions: Sender<PathBuf>,
    answers: Receiver<io::Result<Space>>,
    handle: JoinHandle<()>,
}

impl Thread {
    fn start(measure: &Measure) -> io::Result<Self> {
        let (questions, asked) = channel::<PathBuf>();
        let (tell, answers) = channel();
        let measure = Arc::clone(measure);
        let handle = thread::Builder::new()
            .name("host-disk".to_owned())
            .spawn(move || {
                for path in asked {
                    if tell.send(measure(&path)).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self {
            questions,
            answers,
            handle,
        })
    }
}
