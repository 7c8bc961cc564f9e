//! When to try again, and after how long.

use std::{
    hash::{BuildHasher, RandomState},
    time::{Duration, SystemTime},
};

use reqwest::header::HeaderMap;

/// Exponential backoff with full jitter: the n-th wait is anything between 0 and `min(cap, base · 2ⁿ)`, so that clients
/// that failed together don't come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The most that the first wait can be.
    pub base: Duration,
    /// The most that any wait can be.
    pub cap: Duration,
}

impl Backoff {
    /// The wait before the try after `retries` earlier retries, with `random` drawn from 0 to 1.
    pub(super) fn wait(self, retries: u32, random: f64) -> Duration {
        let longest = self
            .base
            .saturating_mul(2_u32.saturating_pow(retries))
            .min(self.cap);
        longest.mul_f64(random)
    }
}

/// A number from 0 to 1, different each time; not for secrets.
pub(super) fn random() -> f64 {
    // The standard library's map keys: random for each thread, and another pair on each call.
    let bits = RandomState::new().hash_one(0_u8) >> 11;
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    let whole = bits as f64;
    whole / 9_007_199_254_740_992.0
}

/// How long the upstream asks to be left alone: `retry-after-ms`, else `Retry-After` in seconds or as a date.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::trim)
    };
    let number = |text: &str| {
        text.parse::<f64>()
            .ok()
            .filter(|number| number.is_finite() && *number >= 0.0)
    };
    if let Some(milliseconds) = text("retry-after-ms").and_then(number) {
        return Duration::try_from_secs_f64(milliseconds / 1000.0).ok();
    }
    let value = text("retry-after")?;
    match number(value) {
        Some(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        None => httpdate::parse_http_date(value)
            .ok()
            .map(|until| until.duration_since(now).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_never_past_it() {
        let backoff = Backoff {
            base: Duration::from_millis(100),
            cap: Duration::from_secs(2),
        };
        let longest: Vec<_> = (0..7)
            .map(|retries| backoff.wait(retries, 1.0).as_millis())
            .collect();
        assert_eq!(longest, [100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(backoff.wait(u32::MAX, 1.0), backoff.cap);
        assert_eq!(backoff.wait(3, 0.0), Duration::ZERO);
    }

    #[test]
    fn random_numbers_spread_over_zero_to_one() {
        let draws: Vec<f64> = (0..1000).map(|_| random()).collect();
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
        let mean = draws.iter().sum::<f64>() / 1000.0;
        assert!((0.4..0.6).contains(&mean), "{mean}");
    }

    #[test]
    fn retry_after_is_read_in_all_its_forms() {
        let read = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            retry_after(
                &headers,
                SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770),
            )
        };
        assert_eq!(read("retry-after", "3"), Some(Duration::from_secs(3)));
        assert_eq!(read("retry-after", "0.5"), Some(Duration::from_millis(500)));
        assert_eq!(
            read("retry-after-ms", "250"),
            Some(Duration::from_millis(250))
        );
        assert_eq!(
            read("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::from_secs(7))
        );
        assert_eq!(
            read("retry-after", "Sun, 06 Nov 1994 08:49:20 GMT"),
            Some(Duration::ZERO)
        );
        for bad in ["soon", "-1", "NaN", "inf"] {
            assert_eq!(read("retry-after", bad), None, "{bad}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), SystemTime::UNIX_EPOCH), None);
    }
}
