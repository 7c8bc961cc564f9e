//! How long a request would have to wait.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

/// How much of the mean a new batch makes.
const SHARE: f64 = 0.2;

/// The work that is in hand, and how fast it goes.
#[derive(Debug)]
pub(super) struct Forecast {
    workers: f64,
    /// Pairs that were admitted and whose request hasn't ended.
    pairs: AtomicUsize,
    /// The seconds of a pair at one worker, a moving mean, as bits; 0 before the first batch.
    ///
    /// Two workers may learn at the same moment, and one of the two batches be lost: it is a mean.
    seconds: AtomicU64,
}

impl Forecast {
    pub(super) fn new(workers: u32) -> Self {
        Self {
            workers: workers.max(1).into(),
            pairs: AtomicUsize::new(0),
            seconds: AtomicU64::new(0),
        }
    }

    /// A worker took so long for so many pairs.
    #[expect(clippy::cast_precision_loss, reason = "a batch has few pairs")]
    pub(super) fn learn(&self, took: Duration, pairs: u64) {
        let new = took.as_secs_f64() / pairs.max(1) as f64;
        let old = f64::from_bits(self.seconds.load(Relaxed));
        let mean = if old > 0.0 {
            old + SHARE * (new - old)
        } else {
            new
        };
        self.seconds.store(mean.to_bits(), Relaxed);
    }

    /// What is in hand will take so long. Nothing in hand takes no time, whatever was learnt: so there is always something to learn
    /// from.
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 pairs wait")]
    pub(super) fn wait(&self) -> Duration {
        let pairs = self.pairs.load(Relaxed) as f64;
        let seconds = f64::from_bits(self.seconds.load(Relaxed));
        Duration::try_from_secs_f64(pairs * seconds / self.workers).unwrap_or(Duration::MAX)
    }

    /// A request with so many pairs is in hand until the load is dropped.
    pub(super) fn load(self: &Arc<Self>, pairs: usize) -> Load {
        self.pairs.fetch_add(pairs, Relaxed);
        Load {
            forecast: Arc::clone(self),
            pairs,
        }
    }
}

/// A request that is in hand.
#[derive(Debug)]
pub(super) struct Load {
    forecast: Arc<Forecast>,
    pairs: usize,
}

impl Drop for Load {
    fn drop(&mut self) {
        self.forecast.pairs.fetch_sub(self.pairs, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_what_is_in_hand_shared_among_the_workers() {
        let forecast = Arc::new(Forecast::new(2));
        assert_eq!(forecast.wait(), Duration::ZERO);
        let load = forecast.load(100);
        // Nothing is known yet.
        assert_eq!(forecast.wait(), Duration::ZERO);
        forecast.learn(Duration::from_millis(80), 8);
        assert_eq!(forecast.wait(), Duration::from_millis(500));
        drop(load);
        assert_eq!(forecast.wait(), Duration::ZERO);
    }
}
