//! Wall-clock seconds out of the monotonic clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Gives the wall-clock time of monotonic instants by one reading of both clocks, so that a timestamp costs no clock of its own.
///
/// A step of the wall clock after the start isn't seen; a timestamp is for telling how long nothing has moved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnixClock {
    instant: Instant,
    seconds: f64,
}

impl UnixClock {
    pub(crate) fn start() -> Self {
        let seconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |since| since.as_secs_f64());
        Self {
            instant: Instant::now(),
            seconds,
        }
    }

    /// Seconds since 1970 at `at`, which isn't before the start.
    pub(crate) fn seconds(&self, at: Instant) -> f64 {
        self.seconds + at.saturating_duration_since(self.instant).as_secs_f64()
    }

    /// The instant of so many seconds since 1970, which [`seconds`](Self::seconds) gave, to about a microsecond.
    pub(crate) fn instant(&self, seconds: f64) -> Instant {
        let since = Duration::try_from_secs_f64(seconds - self.seconds).unwrap_or_default();
        self.instant + since
    }
}
