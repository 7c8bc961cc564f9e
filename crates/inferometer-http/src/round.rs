//! Work that many ask for at once is done once for all of them.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, watch};

/// One kind of work.
///
/// **Consistency.** Who asks gets the result of work that began after the question: who asks while work is under way waits for the next
/// round, together with everyone else who does. So an answer is never older than its question, and however many ask, one round
/// is at work and one waits.
pub(crate) struct Round<T> {
    next: Mutex<Option<watch::Receiver<Outcome<T>>>>,
    turn: Semaphore,
}

/// `None` until the work is done; then its result, unless it panicked.
type Outcome<T> = Option<Result<T, Panicked>>;

/// The work panicked. What it said went to the panic hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panicked;

impl<T: Clone + Send + Sync + 'static> Round<T> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            next: Mutex::default(),
            turn: Semaphore::new(1),
        })
    }

    /// The result of the next round, in which everyone's `work` must be the same. It runs on a thread that may wait, and is done
    /// even if nobody waits for it any more.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Panicked> {
        let mut result = self.join(work);
        let done = result.wait_for(Option::is_some).await;
        done.map_or(Err(Panicked), |result| {
            result.clone().unwrap_or(Err(Panicked))
        })
    }

    fn join(
        self: &Arc<Self>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> watch::Receiver<Outcome<T>> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = &*next {
            return waiting.clone();
        }
        let (done, result) = watch::channel(None);
        *next = Some(result.clone());
        let round = Arc::clone(self);
        tokio::spawn(async move {
            let _turn = round.turn.acquire().await;
            // From here on, who asks is in the next round.
            round
                .next
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            let result = tokio::task::spawn_blocking(work).await;
            done.send_replace(Some(result.map_err(|_| Panicked)));
        });
        result
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    };

    use super::*;

    #[tokio::test]
    async fn who_asks_during_a_round_shares_the_next_one() {
        let round = Round::new();
        let runs = Arc::new(AtomicUsize::new(0));
        let (begun, begins) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let first = {
            let (runs, round) = (Arc::clone(&runs), Arc::clone(&round));
            tokio::spawn(async move {
                let work = move || {
                    begun.send(()).unwrap();
                    gate.recv().unwrap();
                    runs.fetch_add(1, SeqCst)
                };
                round.ask(work).await
            })
        };
        tokio::task::spawn_blocking(move || begins.recv().unwrap())
            .await
            .unwrap();
        let work = || {
            let runs = Arc::clone(&runs);
            move || runs.fetch_add(1, SeqCst)
        };
        let asked: Vec<_> = (0..10).map(|_| round.join(work())).collect();
        assert_eq!(runs.load(SeqCst), 0, "nothing runs beside the first");
        go.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(0));
        for mut one in asked {
            let result = *one.wait_for(Option::is_some).await.unwrap();
            assert_eq!(result, Some(Ok(1)), "ten share one round");
        }
        assert_eq!(round.ask(work()).await, Ok(2));
    }

    #[tokio::test]
    async fn panic_is_told_and_the_next_round_is_well() {
        let round = Round::new();
        let panics: fn() -> u32 = || panic!("as the test wants it");
        assert_eq!(round.ask(panics).await, Err(Panicked));
        assert_eq!(round.ask(|| 1).await, Ok(1));
    }
}
