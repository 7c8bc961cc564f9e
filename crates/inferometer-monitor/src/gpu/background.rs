//! Polls at an interval, from a thread of their own.

use std::{
    io,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        mpsc::{self, Receiver},
    },
    thread,
    time::{Duration, Instant},
};

/// A task that is done again and again, the first time at once, until this is dropped or the task says `false`.
#[derive(Debug)]
pub(super) struct Background {
    stop: Arc<(Mutex<bool>, Condvar)>,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
}

impl Background {
    pub(super) fn start(
        interval: Duration,
        mut task: impl FnMut() -> bool + Send + 'static,
    ) -> io::Result<Self> {
        let stop: Arc<(Mutex<bool>, Condvar)> = Arc::default();
        let (end, ended) = mpsc::channel();
        let background = Self {
            stop: Arc::clone(&stop),
            ended,
        };
        thread::Builder::new()
            .name("gpu-polling".to_owned())
            .spawn(move || {
                let _end: mpsc::Sender<()> = end;
                let mut next = Instant::now();
                while task() {
                    // A late one isn't made up for.
                    next = (next + interval).max(Instant::now());
                    let (stopped, changed) = &*stop;
                    let mut stopped = stopped.lock().unwrap_or_else(PoisonError::into_inner);
                    while !*stopped {
                        let left = next.saturating_duration_since(Instant::now());
                        if left.is_zero() {
                            break;
                        }
                        stopped = changed
                            .wait_timeout(stopped, left)
                            .unwrap_or_else(PoisonError::into_inner)
                            .0;
                    }
                    if *stopped {
                        return;
                    }
                }
            })?;
        Ok(background)
    }

    /// Ends it, once the task that may be under way is done.
    pub(super) fn stop(self) {
        self.tell();
        // It says nothing: it is gone.
        let _ = self.ended.recv();
    }

    fn tell(&self) {
        let (stopped, changed) = &*self.stop;
        *stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.tell();
    }
}
