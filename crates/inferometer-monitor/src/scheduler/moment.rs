//! One instant by two clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// When something happened: by the monotonic clock, for ages, and by the wall clock, for people.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) at: Instant,
    /// Seconds since 1970.
    pub(crate) unix_seconds: f64,
}

impl Moment {
    pub(crate) fn now() -> Self {
        let unix_seconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |since| since.as_secs_f64());
        Self {
            at: Instant::now(),
            unix_seconds,
        }
    }

    /// The moment `later` than this one.
    pub(crate) fn after(self, later: Duration) -> Self {
        Self {
            at: self.at + later,
            unix_seconds: self.unix_seconds + later.as_secs_f64(),
        }
    }
}
