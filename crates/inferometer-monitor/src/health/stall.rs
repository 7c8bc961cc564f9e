//! Whether work in hand still moves.

use std::time::{Duration, Instant};

use inferometer::lifecycle::Activity;

use super::Verdict;

/// Looks at a service's activity again and again, and remembers when something last moved.
#[derive(Debug)]
pub(super) struct Stall {
    limit: Duration,
    completed: Option<u64>,
    moved: Instant,
}

impl Stall {
    pub(super) fn new(limit: Duration, now: Instant) -> Self {
        Self {
            limit,
            completed: None,
            moved: now,
        }
    }

    /// What is to be made of the activity at `now`. A service that has nothing in hand isn't stalled, and the time that it had
    /// nothing doesn't count.
    pub(super) fn judge(&mut self, activity: Activity, now: Instant) -> Verdict {
        let Activity {
            in_flight,
            completed,
            last_progress,
        } = activity;
        if self.completed.replace(completed) != Some(completed) || in_flight == 0 {
            self.moved = now;
        }
        self.moved = last_progress.map_or(self.moved, |at| at.max(self.moved));
        let still = now.saturating_duration_since(self.moved);
        if in_flight == 0 || still <= self.limit {
            return Verdict::healthy();
        }
        Verdict::stalled(format!(
            "{in_flight} in flight, and nothing has moved for {still:.0?}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use inferometer::sample::health::HealthState;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What is found at each second, with a limit of 10 s, when so much is in flight and completed and something moved then.
    fn judged(activities: &[(u32, u64, u64, Option<u32>)]) -> Vec<HealthState> {
        let start = Instant::now();
        let mut stall = Stall::new(SECOND * 10, start);
        activities
            .iter()
            .map(|&(at, in_flight, completed, moved)| {
                let activity = Activity {
                    in_flight,
                    completed,
                    last_progress: moved.map(|moved| start + SECOND * moved),
                };
                stall.judge(activity, start + SECOND * at).state
            })
            .collect()
    }

    use HealthState::{Healthy, Stalled};

    #[test]
    fn in_flight_and_nothing_moves_is_stalled_after_the_limit_and_well_again_when_something_does() {
        let seen = judged(&[
            (0, 3, 7, None),
            (10, 3, 7, None),
            (11, 3, 7, None),
            (60, 4, 7, None),
            (61, 3, 8, None),
            (71, 3, 8, None),
            (72, 3, 8, None),
        ]);
        assert_eq!(
            seen,
            [
                Healthy, Healthy, Stalled, Stalled, Healthy, Healthy, Stalled
            ]
        );
    }

    #[test]
    fn a_service_with_nothing_in_hand_is_never_stalled_and_its_idle_time_does_not_count() {
        let seen = judged(&[
            (0, 0, 7, Some(0)),
            (600, 0, 7, Some(0)),
            (605, 1, 7, Some(0)),
            (611, 1, 7, Some(0)),
        ]);
        assert_eq!(seen, [Healthy, Healthy, Healthy, Stalled]);
    }

    #[test]
    fn a_stage_that_moves_is_enough() {
        let seen = judged(&[
            (0, 1, 0, Some(0)),
            (20, 1, 0, Some(15)),
            (25, 1, 0, Some(15)),
            (26, 1, 0, Some(15)),
        ]);
        assert_eq!(seen, [Healthy, Healthy, Healthy, Stalled]);
    }

    #[test]
    fn the_reason_says_what_is_in_hand_and_for_how_long() {
        let start = Instant::now();
        let mut stall = Stall::new(SECOND, start);
        let activity = Activity {
            in_flight: 3,
            ..Activity::default()
        };
        stall.judge(activity, start);
        let verdict = stall.judge(activity, start + SECOND * 61);
        assert_eq!(
            verdict.reason(),
            Some("3 in flight, and nothing has moved for 61s")
        );
    }
}
