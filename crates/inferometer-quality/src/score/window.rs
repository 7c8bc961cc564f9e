//! The latest pairs of prediction and truth, in panes.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{Output, Tally, Task, Truth, sum::Moments};

/// How far back a window of scores goes: at most so many labelled predictions, and none that was labelled longer ago than the period.
///
/// A window is kept in panes, and the oldest goes as a whole. So, when full, it holds all of its pairs but those of at most one pane:
/// of 10,000 samples in 10 panes, the last 9,001 to 10,000; of an hour, the last 54 to 60 minutes. Panes of time begin at multiples of
/// their length since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    samples: u64,
    period: Duration,
    panes: u32,
}

impl Default for Window {
    /// 10,000 samples, an hour, 10 panes.
    fn default() -> Self {
        Self::new(10_000, Duration::from_secs(3_600))
    }
}

impl Window {
    /// At most `samples` labelled predictions of at most `period`, in 10 panes; at least one of each sample and millisecond.
    pub fn new(samples: u64, period: Duration) -> Self {
        Self {
            samples,
            period,
            panes: 10,
        }
        .sound()
    }

    /// In so many panes, 2 to 1,000: more of them follow the bounds more closely and take more memory.
    #[must_use]
    pub fn panes(mut self, panes: u32) -> Self {
        self.panes = panes;
        self.sound()
    }

    /// At most so many labelled predictions.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Labelled at most so long ago.
    pub fn period(&self) -> Duration {
        self.period
    }

    fn sound(mut self) -> Self {
        self.panes = self.panes.clamp(2, 1_000);
        self.samples = self.samples.max(u64::from(self.panes));
        self.period = self.period.max(Duration::from_millis(self.panes.into()));
        self
    }

    /// Which pane of time `at` falls into. What was before 1970 falls into the first.
    fn index(&self, at: SystemTime) -> u64 {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let pane = (self.period / self.panes).as_nanos().max(1);
        u64::try_from(since / pane).unwrap_or(u64::MAX)
    }

    /// The first pane of time that belongs to the window whose last is `last`.
    fn first(&self, last: u64) -> u64 {
        last.saturating_sub(u64::from(self.panes) - 1)
    }
}

/// Pairs, and how late their labels were.
#[derive(Clone, Debug)]
pub(super) struct Pane {
    pub(super) tally: Tally,
    pub(super) lag: Lags,
    index: u64,
}

/// How long labels let predictions wait.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lags {
    seconds: Moments,
    longest: Duration,
}

impl Lags {
    pub(super) fn add(&mut self, lag: Duration) {
        self.seconds.add(lag.as_secs_f64());
        self.longest = self.longest.max(lag);
    }

    fn merge(&mut self, other: &Self) {
        self.seconds.merge(&other.seconds);
        self.longest = self.longest.max(other.longest);
    }

    pub(super) fn lag(&self) -> Option<super::Lag> {
        Some(super::Lag {
            mean: Duration::try_from_secs_f64(self.seconds.mean()?).unwrap_or_default(),
            longest: self.longest,
        })
    }
}

impl Pane {
    pub(super) fn new(task: &Task, index: u64) -> Self {
        Self {
            tally: Tally::new(task),
            lag: Lags::default(),
            index,
        }
    }

    fn merge(&mut self, other: &Self) {
        self.tally.merge(&other.tally);
        self.lag.merge(&other.lag);
    }
}

/// Predictions made in one pane of time, and how many of them have a label by now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cohort {
    pub(super) made: u64,
    pub(super) labelled: u64,
}

/// What a window holds.
#[derive(Debug)]
pub(super) struct Panes {
    window: Window,
    panes: VecDeque<Pane>,
    /// Of all panes.
    samples: u64,
    cohorts: BTreeMap<u64, Cohort>,
}

impl Panes {
    pub(super) fn new(window: Window) -> Self {
        Self {
            window,
            panes: VecDeque::new(),
            samples: 0,
            cohorts: BTreeMap::new(),
        }
    }

    /// A prediction was made.
    pub(super) fn made(&mut self, at: SystemTime) {
        let index = self.window.index(at);
        if let Some(cohort) = self.cohort(index) {
            cohort.made += 1;
        }
    }

    /// A prediction made at `made` met its label at `at`; the pair fits the task.
    pub(super) fn joined(
        &mut self,
        task: &Task,
        (output, truth): (&Output, Truth),
        (made, at): (SystemTime, SystemTime),
        lag: Duration,
    ) {
        let born = self.window.index(made);
        if let Some(cohort) = self.cohort(born) {
            cohort.labelled += 1;
        }
        let index = self.window.index(at);
        let full = self.window.samples / u64::from(self.window.panes);
        let open = |pane: &Pane| pane.index >= index && pane.tally.samples() < full;
        if !self.panes.back().is_some_and(open) {
            // A clock that went back doesn't make a pane of the past.
            let last = self.panes.back().map_or(index, |pane| pane.index);
            self.panes.push_back(Pane::new(task, index.max(last)));
        }
        if let Some(pane) = self.panes.back_mut()
            && pane.tally.add(output, truth).is_ok()
        {
            pane.lag.add(lag);
            self.samples += 1;
            let last = pane.index;
            self.trim(last);
        }
    }

    /// Drops what is too old, or too much.
    fn trim(&mut self, last: u64) {
        let first = self.window.first(last);
        while let Some(pane) = self.panes.front()
            && (pane.index < first || self.samples > self.window.samples)
        {
            self.samples -= pane.tally.samples();
            self.panes.pop_front();
        }
    }

    /// The cohort of `index`, unless it is too old.
    fn cohort(&mut self, index: u64) -> Option<&mut Cohort> {
        let last = self
            .cohorts
            .keys()
            .next_back()
            .map_or(index, |last| index.max(*last));
        let first = self.window.first(last);
        while let Some(entry) = self.cohorts.first_entry()
            && *entry.key() < first
        {
            entry.remove();
        }
        (index >= first).then(|| self.cohorts.entry(index).or_default())
    }

    /// All that is in the window at `now`, together.
    pub(super) fn whole(&self, task: &Task, now: SystemTime) -> (Pane, Cohort) {
        let first = self.window.first(self.window.index(now));
        let mut whole = Pane::new(task, 0);
        for pane in self.panes.iter().filter(|pane| pane.index >= first) {
            whole.merge(pane);
        }
        let mut cohort = Cohort::default();
        for (_, part) in self.cohorts.range(first..) {
            cohort.made += part.made;
            cohort.labelled += part.labelled;
        }
        (whole, cohort)
    }
}
