//! Whether a service, and each thing that it depends on, can do its work.
//!
//! ```
//! use std::time::Duration;
//! use inferometer::{Registry, sample::health::{DATABASE, GPU}};
//! use inferometer_monitor::{health::{Gate, Health, Verdict}, scheduler::Scheduler};
//!
//! # fn ping() -> Result<(), String> { Ok(()) }
//! let registry = Registry::new();
//! let scheduler = Scheduler::new(&registry)?;
//! let health = Health::new(&registry, &scheduler)?;
//! health.component(DATABASE).timeout(Duration::from_secs(1)).check(ping)?;
//! health.component(GPU).gate(Gate::Nothing).check(|| Verdict::degraded("one of two is lost"))?;
//!
//! let page = serde_json::to_string(&health.report())?; // what `/health` may answer, at once
//! # assert!(page.contains("database"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Checks are tasks of the [scheduler](crate::scheduler): one at a time for each component, off the way of any request. **Whoever asks
//! is answered from memory**, with the age of what is known: a check that is slow or hangs delays no answer, it makes its component
//! unhealthy once it has taken longer than its timeout. A result that grows too old isn't believed any more.
//!
//! # Metrics
//!
//! | name | kind | labels | moves when |
//! |---|---|---|---|
//! | `inferometer_health_live`, `inferometer_health_ready` | gauge | | a scrape finds that the service should be let live, or is ready (1), or not (0) |
//! | `inferometer_health_state` | state set | `component` | a component's state changes |
//! | `inferometer_health_state_since_timestamp_seconds` | gauge | `component` | likewise |
//! | `inferometer_health_last_check_timestamp_seconds` | gauge | `component` | a check ends; absent before the first |
//! | `inferometer_health_checks_total` | counter | `component`, `outcome`: a state, `timed_out` or `panicked` | a check ends, or takes too long |
//! | `inferometer_health_check_duration_seconds` | histogram | `component` | a check ends |
//!
//! There are [`MAX_COMPONENTS`](inferometer::sample::health::MAX_COMPONENTS) components at most. Systems that have names of their own for
//! this have sets that [observe](Health::observe). When the scheduler stops, the gauges of the components are taken out of the
//! scrape: nobody would set them any more.

mod builder;
mod component;
mod error;
mod metrics;
mod record;
#[cfg(feature = "tokio")]
mod runtime;
mod stall;
mod verdict;
mod watch;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use inferometer::sample::health::{ComponentReport, Gate, HealthReport, Impaired};
use inferometer::{
    IntGauge, IntTracking, Registry,
    sample::health::{HealthObserver, HealthState},
};

pub use builder::{ComponentBuilder, Reporter};
pub use error::{HealthError, SetupError};
pub use verdict::{CheckResult, Verdict};

use crate::scheduler::{Scheduler, TaskHandle, moment::Moment};
use watch::{Watch, Watched};

/// How many bytes a component's name may have.
pub const MAX_NAME_BYTES: usize = 64;

/// The health of a service: see the [module](self). Clones share it; when the last one is dropped, it checks no more and leaves the
/// scrape.
#[derive(Clone, Debug)]
pub struct Health {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    scheduler: Scheduler,
    watched: Arc<Watched>,
    watch: TaskHandle,
    /// Held while a component is added or removed.
    adding: Mutex<()>,
    _tracking: [IntTracking; 2],
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.watch.cancel();
        for component in self.watched.components() {
            component.close();
        }
    }
}

impl Health {
    /// Health without components, whose metrics are declared in `registry` and whose checks `scheduler` makes.
    ///
    /// # Errors
    /// When the registry has a health already, or the scheduler is stopped or full.
    pub fn new(registry: &Registry, scheduler: &Scheduler) -> Result<Self, SetupError> {
        Self::watching_every(Duration::from_secs(1), registry, scheduler)
    }

    /// As [`new`](Self::new), which looks each second for what has timed out or grown too old, to tell the metrics and whoever else
    /// observes. What is asked for directly is never late.
    ///
    /// # Errors
    /// As there; and when `interval` is zero or longer than a year.
    pub fn watching_every(
        interval: Duration,
        registry: &Registry,
        scheduler: &Scheduler,
    ) -> Result<Self, SetupError> {
        let watched = Watched::new(registry.register()?);
        let watch = Watch(Arc::clone(&watched));
        let watch = scheduler.schedule_task("health", interval, move || watch.0.tell())?;
        let track = |gauge: &IntGauge, judge: fn(&[ComponentReport]) -> Result<(), Impaired>| {
            let watched = Arc::downgrade(&watched);
            gauge.track(move || {
                let reports = watched.upgrade()?.reports(Moment::now());
                Some(judge(&reports).is_ok().into())
            })
        };
        let metrics = &watched.told.metrics;
        let tracking = [
            track(&metrics.live, Impaired::life),
            track(&metrics.ready, Impaired::readiness),
        ];
        Ok(Self {
            inner: Arc::new(Inner {
                scheduler: scheduler.clone(),
                watched,
                watch,
                adding: Mutex::default(),
                _tracking: tracking,
            }),
        })
    }

    fn adding(&self) -> MutexGuard<'_, ()> {
        self.inner
            .adding
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A component that is to be watched, to be told more and then checked. [`sample::health`](inferometer::sample::health) has the
    /// usual names.
    pub fn component(&self, name: impl Into<String>) -> ComponentBuilder<'_> {
        ComponentBuilder::new(self, name.into())
    }

    /// Watches a component no more, and tells whether there was one. A check under way is left to end, and changes nothing any more.
    pub fn remove(&self, name: &str) -> bool {
        let _adding = self.adding();
        let component = self.inner.watched.take(name);
        component.inspect(|component| component.close()).is_some()
    }

    /// Tells `observer` of each component, now and from now on: the set of a system that has names of its own.
    pub fn observe(&self, observer: Arc<dyn HealthObserver>) {
        self.inner.watched.observe(observer);
    }

    /// Whether the service should be let live.
    ///
    /// # Errors
    /// Names the components that gate liveness and are unhealthy or stalled. One that isn't known yet is no reason.
    pub fn live(&self) -> Result<(), Impaired> {
        Impaired::life(&self.inner.watched.reports(Moment::now()))
    }

    /// Whether the service is ready for requests.
    ///
    /// # Errors
    /// Names the components that gate readiness or liveness and are neither healthy nor degraded.
    pub fn ready(&self) -> Result<(), Impaired> {
        Impaired::readiness(&self.inner.watched.reports(Moment::now()))
    }

    /// How a component is; `None` if there is none of this name.
    pub fn state(&self, name: &str) -> Option<HealthState> {
        let now = Moment::now();
        let components = self.inner.watched.components();
        let component = components.iter().find(|one| one.name() == name)?;
        Some(component.report(now).status)
    }

    /// Everything that is known.
    pub fn report(&self) -> HealthReport {
        let now = Moment::now();
        HealthReport::new(self.inner.watched.reports(now), now.unix_seconds)
    }
}
