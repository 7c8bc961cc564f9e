//! What is kept of a component, and what it means at a later moment.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use inferometer::sample::health::HealthState;

use super::Verdict;
use crate::scheduler::moment::Moment;

/// The last result, and the check under way. It runs no clock and no thread: [`view`](Self::view) says what it means now.
#[derive(Debug)]
pub(super) struct Record {
    /// A check that takes longer has failed.
    timeout: Duration,
    /// A result that is older isn't believed any more.
    believed_for: Option<Duration>,
    state: HealthState,
    since: Moment,
    reason: Option<Arc<str>>,
    checked: Option<Moment>,
    took: Option<Duration>,
    running: Option<Running>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    since: Moment,
    /// Whether it was told of that it takes too long.
    marked: bool,
}

/// A component at one moment.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) state: HealthState,
    pub(super) since: Moment,
    pub(super) reason: Option<Arc<str>>,
    pub(super) checked: Option<Moment>,
    pub(super) took: Option<Duration>,
    pub(super) running_for: Option<Duration>,
}

/// How a check ended.
#[derive(Debug, PartialEq)]
pub(super) struct Finished {
    pub(super) took: Duration,
    /// In its time.
    pub(super) in_time: bool,
}

/// What a check is that takes too long.
pub(super) fn timed_out(timeout: Duration) -> Verdict {
    Verdict::unhealthy(format!("timed out after {timeout:?}"))
}

impl Record {
    pub(super) fn new(timeout: Duration, believed_for: Option<Duration>, now: Moment) -> Self {
        Self {
            timeout,
            believed_for,
            state: HealthState::Unknown,
            since: now,
            reason: Some("not checked yet".into()),
            checked: None,
            took: None,
            running: None,
        }
    }

    /// A check begins.
    pub(super) fn begin(&mut self, now: Moment) {
        self.running = Some(Running {
            since: now,
            marked: false,
        });
    }

    /// The check under way ends without a result.
    #[cfg(any(feature = "tokio", test))]
    pub(super) fn abandon(&mut self) {
        self.running = None;
    }

    /// The check under way ends with `verdict`; the time that it took counts more.
    pub(super) fn finish(&mut self, verdict: Verdict, now: Moment) -> Finished {
        let took = self.running.map_or(Duration::ZERO, |run| {
            now.at.saturating_duration_since(run.since.at)
        });
        let in_time = took <= self.timeout;
        let verdict = if in_time {
            verdict
        } else {
            timed_out(self.timeout)
        };
        self.enter(verdict, now);
        self.running = None;
        self.took = Some(took);
        Finished { took, in_time }
    }

    /// Somebody says how it is.
    pub(super) fn enter(&mut self, verdict: Verdict, now: Moment) {
        let before = self.view(now.at);
        self.since = if before.state == verdict.state {
            before.since
        } else {
            now
        };
        self.state = verdict.state;
        self.reason = verdict.reason.map(Into::into);
        self.checked = Some(now);
    }

    /// Whether the check under way takes too long and nobody was told yet; now somebody is.
    pub(super) fn mark_timeout(&mut self, now: Instant) -> bool {
        let timeout = self.timeout;
        self.running.as_mut().is_some_and(|run| {
            run.since.after(timeout).at < now && !std::mem::replace(&mut run.marked, true)
        })
    }

    /// Whether somebody was told that the check under way takes too long.
    pub(super) fn marked(&self) -> bool {
        self.running.is_some_and(|run| run.marked)
    }

    /// What is to be made of it at `now`.
    pub(super) fn view(&self, now: Instant) -> View {
        let overdue = self
            .running
            .map(|run| run.since.after(self.timeout))
            .filter(|limit| limit.at < now);
        let (state, since, reason) = match overdue {
            Some(limit) => {
                let (state, since, _) = self.believed(limit.at);
                let since = if state == HealthState::Unhealthy {
                    since
                } else {
                    limit
                };
                let Verdict { state, reason } = timed_out(self.timeout);
                (state, since, reason.map(Into::into))
            }
            None => self.believed(now),
        };
        View {
            state,
            since,
            reason,
            checked: self.checked,
            took: self.took,
            running_for: self
                .running
                .map(|run| now.saturating_duration_since(run.since.at)),
        }
    }

    /// The last result, as long as it is believed.
    fn believed(&self, now: Instant) -> (HealthState, Moment, Option<Arc<str>>) {
        let stale = self
            .checked
            .zip(self.believed_for)
            .map(|(checked, time)| (checked, checked.after(time)))
            .filter(|(_, limit)| limit.at < now);
        match stale {
            Some((checked, limit)) if self.state != HealthState::Unknown => {
                let age = now.saturating_duration_since(checked.at);
                let reason = format!("{} when last checked, {age:.0?} ago", self.state.as_str());
                (HealthState::Unknown, limit, Some(reason.into()))
            }
            _ => (self.state, self.since, self.reason.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    struct Clocked {
        start: Moment,
        record: Record,
    }

    /// A record whose checks may take 2 s, and whose results are believed for 10 s.
    fn record() -> Clocked {
        let start = Moment::now();
        Clocked {
            start,
            record: Record::new(SECOND * 2, Some(SECOND * 10), start),
        }
    }

    impl Clocked {
        fn at(&self, seconds: u32) -> Moment {
            self.start.after(SECOND * seconds)
        }

        fn check(&mut self, from: u32, to: u32, verdict: Verdict) -> Finished {
            self.record.begin(self.at(from));
            self.record.finish(verdict, self.at(to))
        }

        /// The state at a time, the second since when, and the reason.
        fn seen(&self, at: u32) -> (HealthState, u64, String) {
            let view = self.record.view(self.at(at).at);
            let since = view.since.at - self.start.at;
            let reason = view.reason.as_deref().unwrap_or_default().to_owned();
            (view.state, since.as_secs(), reason)
        }
    }

    #[test]
    fn a_component_is_unknown_until_its_first_check_ends() {
        let mut clocked = record();
        let expected = (HealthState::Unknown, 0, "not checked yet".to_owned());
        assert_eq!(clocked.seen(0), expected);
        clocked.record.begin(clocked.at(1));
        assert_eq!(clocked.seen(3), expected);
        clocked.record.finish(Verdict::healthy(), clocked.at(3));
        assert_eq!(clocked.seen(3), (HealthState::Healthy, 3, String::new()));
    }

    #[test]
    fn a_state_is_as_old_as_its_first_result() {
        let mut clocked = record();
        clocked.check(0, 1, Verdict::healthy());
        clocked.check(5, 6, Verdict::healthy());
        assert_eq!(clocked.seen(7), (HealthState::Healthy, 1, String::new()));
        clocked.check(8, 9, Verdict::unhealthy("refused"));
        clocked.check(10, 11, Verdict::unhealthy("reset"));
        let expected = (HealthState::Unhealthy, 9, "reset".to_owned());
        assert_eq!(clocked.seen(11), expected);
    }

    #[test]
    fn a_check_over_its_timeout_is_unhealthy_from_then_on_whatever_it_says_at_last() {
        let mut clocked = record();
        clocked.check(0, 1, Verdict::healthy());
        clocked.record.begin(clocked.at(5));
        assert_eq!(clocked.seen(7).0, HealthState::Healthy);
        let timed_out = (HealthState::Unhealthy, 7, "timed out after 2s".to_owned());
        assert_eq!(clocked.seen(8), timed_out);
        assert_eq!(clocked.seen(5_000), timed_out);
        let finished = clocked.record.finish(Verdict::healthy(), clocked.at(9));
        assert!(!finished.in_time);
        assert_eq!(clocked.seen(9), timed_out);
        assert_eq!(finished.took, SECOND * 4);
        assert!(clocked.check(10, 11, Verdict::healthy()).in_time);
        assert_eq!(clocked.seen(11).0, HealthState::Healthy);
    }

    #[test]
    fn a_hung_check_of_a_component_that_was_unhealthy_keeps_its_age() {
        let mut clocked = record();
        clocked.check(0, 1, Verdict::unhealthy("refused"));
        clocked.record.begin(clocked.at(2));
        let expected = (HealthState::Unhealthy, 1, "timed out after 2s".to_owned());
        assert_eq!(clocked.seen(60), expected);
    }

    #[test]
    fn a_timeout_is_told_of_once_a_check() {
        let mut clocked = record();
        clocked.record.begin(clocked.at(0));
        let mut marks = |at| {
            clocked
                .record
                .mark_timeout(clocked.start.after(SECOND * at).at)
        };
        assert_eq!([1, 3, 4].map(&mut marks), [false, true, false]);
        assert!(clocked.record.marked());
        clocked.check(5, 6, Verdict::healthy());
        assert!(!clocked.record.marked());
    }

    #[test]
    fn a_result_that_is_too_old_is_not_believed() {
        let mut clocked = record();
        clocked.check(0, 1, Verdict::healthy());
        assert_eq!(clocked.seen(11).0, HealthState::Healthy);
        let expected = "healthy when last checked, 19s ago".to_owned();
        assert_eq!(clocked.seen(20), (HealthState::Unknown, 11, expected));
        clocked.check(20, 21, Verdict::healthy());
        assert_eq!(clocked.seen(21), (HealthState::Healthy, 21, String::new()));
    }

    #[test]
    fn a_check_that_ends_without_a_result_changes_nothing() {
        let mut clocked = record();
        clocked.check(0, 1, Verdict::degraded("slow"));
        clocked.record.begin(clocked.at(2));
        clocked.record.abandon();
        let expected = (HealthState::Degraded, 1, "slow".to_owned());
        assert_eq!(clocked.seen(8), expected);
    }
}
