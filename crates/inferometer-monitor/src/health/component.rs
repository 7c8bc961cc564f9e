//! A component, as its checks and those who read it share it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use inferometer::sample::health::HealthSample;

use super::{
    CheckResult, ComponentReport, Gate, Verdict,
    metrics::Outcome,
    record::{Record, View},
    watch::Told,
};
use crate::scheduler::{TaskHandle, moment::Moment, outcome::panic_message};

#[derive(Debug)]
pub(super) struct Component {
    name: String,
    gate: Gate,
    /// Held for no longer than it takes to read or write it: those who answer take it.
    record: Mutex<Record>,
    /// Whether the component may still be told of. Held while its observers are told, so that they are told in order.
    telling: Mutex<bool>,
    told: Arc<Told>,
    task: OnceLock<TaskHandle>,
}

impl Component {
    pub(super) fn new(name: String, gate: Gate, record: Record, told: Arc<Told>) -> Arc<Self> {
        Arc::new(Self {
            name,
            gate,
            record: Mutex::new(record),
            telling: Mutex::new(true),
            told,
            task: OnceLock::new(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What makes its checks.
    pub(super) fn checked_by(&self, task: TaskHandle) {
        // It is told so once, by what has made it.
        let _first = self.task.set(task);
    }

    /// One check, on the thread that makes it.
    pub(super) fn check<R: CheckResult>(&self, check: impl FnOnce() -> R) {
        self.record().begin(Moment::now());
        match catch_unwind(AssertUnwindSafe(|| check().verdict())) {
            Ok(verdict) => self.finish(verdict, None),
            Err(payload) => {
                let verdict = Verdict::unhealthy(format!("the check {}", panic_message(&*payload)));
                self.finish(verdict, Some(Outcome::Panicked));
                // The scheduler counts it, too.
                resume_unwind(payload);
            }
        }
    }

    /// A check begins that ends with the guard.
    #[cfg(feature = "tokio")]
    pub(super) fn begin(self: Arc<Self>) -> Checking {
        self.record().begin(Moment::now());
        Checking {
            component: self,
            finished: false,
        }
    }

    /// The check under way has found this. `outcome` says what to count it as, if that isn't the state's own.
    fn finish(&self, verdict: Verdict, outcome: Option<Outcome>) {
        let outcome = outcome.unwrap_or(Outcome::of(verdict.state));
        let telling = self.telling();
        let mut record = self.record();
        let marked = record.marked();
        let finished = record.finish(verdict, Moment::now());
        drop(record);
        if *telling {
            let metrics = &self.told.metrics;
            metrics.took(&self.name, finished.took);
            if finished.in_time {
                metrics.counted(&self.name, outcome);
            } else if !marked {
                metrics.counted(&self.name, Outcome::TimedOut);
            }
        }
        drop(telling);
        self.tell();
    }

    /// Somebody says how it is.
    pub(super) fn enter(&self, verdict: Verdict) {
        self.record().enter(verdict, Moment::now());
        self.tell();
    }

    fn telling(&self) -> MutexGuard<'_, bool> {
        self.telling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the observers what is to be made of it now.
    pub(super) fn tell(&self) {
        let telling = self.telling();
        if !*telling {
            return;
        }
        let now = Moment::now();
        let mut record = self.record();
        let timed_out = record.mark_timeout(now.at);
        let view = record.view(now.at);
        drop(record);
        if timed_out {
            self.told.metrics.counted(&self.name, Outcome::TimedOut);
        }
        let sample = HealthSample {
            component: &self.name,
            state: view.state,
            reason: view.reason.as_deref(),
            since: view.since.unix_seconds,
            checked: view.checked.map(|at| at.unix_seconds),
        };
        self.told.each(|observer| observer.observed(&sample));
    }

    /// Nobody looks at it any more: it leaves the scrape, and is told of no more.
    pub(super) fn close(&self) {
        if let Some(task) = self.task.get() {
            task.cancel();
        }
        let mut telling = self.telling();
        *telling = false;
        self.told.each(|observer| observer.gone(&self.name));
        self.told.metrics.forget(&self.name);
    }

    /// Nobody looks any more, but what was counted stays in the scrape.
    pub(super) fn silence(&self) {
        let mut telling = self.telling();
        if std::mem::take(&mut *telling) {
            self.told.each(|observer| observer.gone(&self.name));
        }
    }

    pub(super) fn report(&self, now: Moment) -> ComponentReport {
        let View {
            state,
            since,
            reason,
            checked,
            took,
            running_for,
        } = self.record().view(now.at);
        let seconds = |time: Duration| time.as_secs_f64();
        ComponentReport {
            component: self.name.clone(),
            status: state,
            reason: reason.as_deref().map(str::to_owned),
            gates: self.gate,
            since_timestamp_seconds: since.unix_seconds,
            checked_timestamp_seconds: checked.map(|at| at.unix_seconds),
            age_seconds: checked.map(|at| seconds(now.at.saturating_duration_since(at.at))),
            duration_seconds: took.map(seconds),
            running_seconds: running_for.map(seconds),
        }
    }
}

/// An async check under way. Dropped without a result, it leaves what was found before.
#[cfg(feature = "tokio")]
pub(super) struct Checking {
    component: Arc<Component>,
    finished: bool,
}

#[cfg(feature = "tokio")]
impl Checking {
    pub(super) fn finish(mut self, verdict: Verdict, outcome: Option<Outcome>) {
        self.finished = true;
        self.component.finish(verdict, outcome);
    }
}

#[cfg(feature = "tokio")]
impl Drop for Checking {
    fn drop(&mut self) {
        if !self.finished {
            self.component.record().abandon();
        }
    }
}
