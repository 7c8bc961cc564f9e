//! How a component is to be watched.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use inferometer::{lifecycle::Activity, sample::health::MAX_COMPONENTS};

use super::{
    CheckResult, Gate, Health, HealthError, MAX_NAME_BYTES, component::Component, record::Record,
    stall::Stall,
};
use crate::scheduler::{MAX_INTERVAL, ScheduleError, TaskBuilder, TaskHandle, moment::Moment};

/// A component that is about to be watched: see [`Health::component`].
///
/// | said by | without it | is |
/// |---|---|---|
/// | [`gate`](Self::gate) | [`Gate::Readiness`] | what the component's state decides |
/// | [`timeout`](Self::timeout) | 2 s | how long a check may take |
/// | [`cache`](Self::cache) | 10 s | how long a result is used before the next check: the time from check to check |
/// | [`believed_for`](Self::believed_for) | three cache times and a timeout | how old a result may be before the component is unknown |
#[derive(Debug)]
#[must_use = "nothing is watched before it is said how"]
pub struct ComponentBuilder<'a> {
    health: &'a Health,
    name: String,
    gate: Gate,
    timeout: Duration,
    cache: Duration,
    believed_for: Option<Duration>,
}

impl<'a> ComponentBuilder<'a> {
    pub(super) fn new(health: &'a Health, name: String) -> Self {
        Self {
            health,
            name,
            gate: Gate::default(),
            timeout: Duration::from_secs(2),
            cache: Duration::from_secs(10),
            believed_for: None,
        }
    }

    /// What its state decides.
    pub fn gate(mut self, gate: Gate) -> Self {
        self.gate = gate;
        self
    }

    /// How long a check may take. One that takes longer makes the component unhealthy, whatever it says in the end. On a thread it
    /// goes on, and no other begins before it ends; an async one is dropped.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long a result is used before the next check.
    pub fn cache(mut self, cache: Duration) -> Self {
        self.cache = cache;
        self
    }

    /// How old a result may be before the component is unknown.
    pub fn believed_for(mut self, time: Duration) -> Self {
        self.believed_for = Some(time);
        self
    }

    /// Checks it again and again on a thread of its own, for the first time at once.
    ///
    /// One check is made at a time. One that panics makes the component unhealthy.
    ///
    /// # Errors
    /// See [`HealthError`]: a name or time out of bounds, a name that is taken, too many components, or what the scheduler refuses.
    pub fn check<R: CheckResult>(
        self,
        mut check: impl FnMut() -> R + Send + 'static,
    ) -> Result<(), HealthError> {
        self.scheduled(|task, component| task.start(move || component.check(&mut check)))
    }

    /// Asks again and again what is in hand, on a thread of its own, and finds the component stalled when there is something and
    /// nothing has moved for `limit`.
    ///
    /// [`Lifecycle::activity`](inferometer::lifecycle::Lifecycle::activity) has the answer for requests. It is asked four times in
    /// `limit`, or at each cache time if that is shorter.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn stalled_after(
        mut self,
        limit: Duration,
        mut activity: impl FnMut() -> Activity + Send + 'static,
    ) -> Result<(), HealthError> {
        self.within_bounds("limit", limit)?;
        let often = (limit / 4).max(Duration::from_millis(1));
        self.cache = self.cache.min(often);
        let mut stall = Stall::new(limit, Instant::now());
        self.check(move || stall.judge(activity(), Instant::now()))
    }

    /// Checks it again and again on the Tokio runtime that this is called in, for the first time at once.
    ///
    /// # Errors
    /// As [`check`](Self::check); and when there is no runtime here, or it has no timers.
    #[cfg(feature = "tokio")]
    pub fn check_async<R, F>(
        self,
        check: impl FnMut() -> F + Send + 'static,
    ) -> Result<(), HealthError>
    where
        R: CheckResult + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => self.check_on(&runtime, check),
            Err(_) => Err(HealthError::Schedule {
                source: ScheduleError::NoRuntime {
                    name: self.task_name(),
                },
                name: self.name,
            }),
        }
    }

    /// As [`check_async`](Self::check_async), on a runtime that is given.
    ///
    /// # Errors
    /// As there.
    #[cfg(feature = "tokio")]
    pub fn check_on<R, F>(
        self,
        runtime: &tokio::runtime::Handle,
        mut check: impl FnMut() -> F + Send + 'static,
    ) -> Result<(), HealthError>
    where
        R: CheckResult + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        let timeout = self.timeout;
        self.scheduled(|task, component| {
            task.start_on(runtime, move || {
                let made = super::runtime::make(&mut check);
                super::runtime::run(Arc::clone(&component), timeout, made)
            })
        })
    }

    /// Nobody checks it: what knows how it is says so. Until then, it is unknown.
    ///
    /// What was said is believed for ever, unless [`believed_for`](Self::believed_for) says otherwise.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn reported(self) -> Result<Reporter, HealthError> {
        let adding = self.health.adding();
        let component = self.admit(self.believed_for)?;
        drop(adding);
        component.tell();
        Ok(Reporter(component))
    }

    fn task_name(&self) -> String {
        format!("health_{}", self.name)
    }

    fn scheduled(
        self,
        start: impl FnOnce(TaskBuilder<'a>, Arc<Component>) -> Result<TaskHandle, ScheduleError>,
    ) -> Result<(), HealthError> {
        let adding = self.health.adding();
        let believed_for = self
            .believed_for
            .unwrap_or_else(|| self.cache.saturating_mul(3).saturating_add(self.timeout));
        let component = self.admit(Some(believed_for))?;
        let health = self.health;
        health.inner.watched.told.metrics.prepare(component.name());
        component.tell();
        let task = health
            .inner
            .scheduler
            .task(self.task_name(), self.cache)
            .run_at_once()
            .overdue_after(self.timeout);
        match start(task, Arc::clone(&component)) {
            Ok(task) => component.checked_by(task),
            Err(source) => {
                drop(health.inner.watched.take(&self.name));
                component.close();
                return Err(HealthError::Schedule {
                    name: self.name,
                    source,
                });
            }
        }
        drop(adding);
        Ok(())
    }

    fn within_bounds(&self, what: &'static str, time: Duration) -> Result<(), HealthError> {
        if time.is_zero() || time > MAX_INTERVAL {
            return Err(HealthError::Time {
                name: self.name.clone(),
                what,
                time,
            });
        }
        Ok(())
    }

    /// Adds it to what is watched. No other is added meanwhile.
    fn admit(&self, believed_for: Option<Duration>) -> Result<Arc<Component>, HealthError> {
        let name = &self.name;
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(char::is_control) {
            return Err(HealthError::Name { name: name.clone() });
        }
        self.within_bounds("timeout", self.timeout)?;
        self.within_bounds("cache time", self.cache)?;
        if let Some(time) = self.believed_for {
            self.within_bounds("time to be believed", time)?;
        }
        let watched = &self.health.inner.watched;
        let components = watched.components();
        if components.iter().any(|one| one.name() == name) {
            return Err(HealthError::Duplicate { name: name.clone() });
        }
        if components.len() >= MAX_COMPONENTS {
            return Err(HealthError::Full { name: name.clone() });
        }
        let record = Record::new(self.timeout, believed_for, Moment::now());
        let told = Arc::clone(&watched.told);
        let component = Component::new(name.clone(), self.gate, record, told);
        watched.add(Arc::clone(&component));
        Ok(component)
    }
}

/// Says how a component is that nobody checks. Dropped, it leaves what it said last.
#[derive(Clone, Debug)]
pub struct Reporter(Arc<Component>);

impl Reporter {
    /// The component is so from now on.
    ///
    /// # Examples
    /// ```
    /// use inferometer::{Registry, sample::health::MODEL};
    /// use inferometer_monitor::{health::{Health, Verdict}, scheduler::Scheduler};
    ///
    /// let registry = Registry::new();
    /// let scheduler = Scheduler::new(&registry)?;
    /// let health = Health::new(&registry, &scheduler)?;
    /// let model = health.component(MODEL).reported()?;
    /// model.set(Verdict::unhealthy("its weights are being read"));
    /// assert_eq!(health.ready().unwrap_err().to_string(), "model: unhealthy: its weights are being read");
    /// model.set(Verdict::healthy());
    /// assert!(health.ready().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set(&self, found: impl CheckResult) {
        self.0.enter(found.verdict());
    }
}
