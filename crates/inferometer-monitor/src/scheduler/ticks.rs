//! When a task is due.

use std::time::{Duration, Instant};

use fastrand::Rng;

/// When the first run is due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum First {
    /// After so long.
    After(Duration),
    /// After a random part of the interval.
    Random,
}

/// A task's times: a grid that never drifts, each of its points moved by a random delay.
#[derive(Debug)]
pub(super) struct Ticks {
    interval: Duration,
    jitter: Duration,
    random: Rng,
    /// The grid's next point.
    point: Instant,
    due: Instant,
}

impl Ticks {
    /// The times of a task scheduled at `now`. The interval isn't zero, and neither it nor what `first` says is more than
    /// [`MAX_INTERVAL`](super::MAX_INTERVAL).
    pub(super) fn new(
        interval: Duration,
        first: First,
        jitter: Duration,
        mut random: Rng,
        now: Instant,
    ) -> Self {
        let point = now
            + match first {
                First::After(delay) => delay,
                First::Random => interval.mul_f64(random.f64()),
            };
        let mut ticks = Self {
            interval,
            jitter,
            random,
            point,
            due: point,
        };
        ticks.draw();
        ticks
    }

    /// When the next run is due.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Goes on to the next point that isn't before `ended`, when a run ended, and returns how many points were passed over.
    pub(super) fn advance(&mut self, ended: Instant) -> u64 {
        self.point += self.interval;
        let behind = ended.saturating_duration_since(self.point).as_nanos();
        let interval = self.interval.as_nanos();
        let skipped = behind.div_ceil(interval);
        if skipped > 0 {
            let left = (interval - behind % interval) % interval;
            self.point = ended + Duration::from_nanos(u64::try_from(left).unwrap_or(u64::MAX));
        }
        self.draw();
        u64::try_from(skipped).unwrap_or(u64::MAX)
    }

    fn draw(&mut self) {
        self.due = self.point + self.jitter.mul_f64(self.random.f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ticks(first: First, jitter: Duration, now: Instant) -> Ticks {
        Ticks::new(SECOND, first, jitter, Rng::with_seed(7), now)
    }

    #[test]
    fn runs_that_are_in_time_keep_to_the_grid_without_drift() {
        let start = Instant::now();
        let mut ticks = ticks(First::After(SECOND), Duration::ZERO, start);
        for count in 1..=100 {
            assert_eq!(ticks.due(), start + SECOND * count);
            let late = Duration::from_millis(u64::from(count) * 9);
            assert_eq!(ticks.advance(start + SECOND * count + late), 0);
        }
    }

    #[test]
    fn a_run_that_takes_several_intervals_skips_the_points_within_it() {
        let start = Instant::now();
        let mut ticks = ticks(First::After(Duration::ZERO), Duration::ZERO, start);
        assert_eq!(ticks.advance(start + SECOND * 7 / 2), 3);
        assert_eq!(ticks.due(), start + SECOND * 4);
        assert_eq!(
            ticks.advance(start + SECOND * 6),
            1,
            "a point that is just reached isn't missed"
        );
        assert_eq!(ticks.due(), start + SECOND * 6);
    }

    #[test]
    fn a_machine_that_slept_for_a_year_owes_one_run() {
        let start = Instant::now();
        let mut ticks = Ticks::new(
            Duration::from_nanos(3),
            First::After(Duration::ZERO),
            Duration::ZERO,
            Rng::with_seed(7),
            start,
        );
        let year = SECOND * 31_536_000;
        assert!(ticks.advance(start + year) > 10_000_000_000_000_000);
        let ahead = ticks.due().duration_since(start + year);
        assert!(ahead < Duration::from_nanos(3), "{ahead:?}");
    }

    #[test]
    fn jitter_moves_each_point_forward_within_its_bound_and_is_the_same_for_a_seed() {
        let start = Instant::now();
        let jitter = SECOND / 2;
        let delays = || {
            let mut ticks = ticks(First::After(Duration::ZERO), jitter, start);
            (0..50)
                .map(|count| {
                    let delay = ticks.due() - (start + SECOND * count);
                    ticks.advance(ticks.due());
                    delay
                })
                .collect::<Vec<_>>()
        };
        let first = delays();
        assert!(first.iter().all(|delay| *delay < jitter));
        assert!(first.windows(2).any(|pair| pair[0] != pair[1]));
        assert_eq!(first, delays());
    }

    #[test]
    fn a_random_start_lies_within_the_first_interval() {
        let start = Instant::now();
        let starts: Vec<_> = (0..20)
            .map(|seed| {
                let random = Rng::with_seed(seed);
                Ticks::new(SECOND, First::Random, Duration::ZERO, random, start).due() - start
            })
            .collect();
        assert!(starts.iter().all(|delay| *delay < SECOND));
        assert!(starts.iter().any(|delay| *delay > SECOND / 2));
        assert!(starts.iter().any(|delay| *delay < SECOND / 2));
    }
}
