//! Who is told of a component's health, and what keeps telling.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use inferometer::sample::health::HealthObserver;

use super::{ComponentReport, component::Component, metrics::Metrics};
use crate::scheduler::{moment::Moment, outcome::panic_message};

/// The metrics of health itself, and whoever else wants to be told.
pub(super) struct Told {
    pub(super) metrics: Metrics,
    observers: Mutex<Vec<Arc<dyn HealthObserver>>>,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").finish_non_exhaustive()
    }
}

impl Told {
    fn observers(&self) -> MutexGuard<'_, Vec<Arc<dyn HealthObserver>>> {
        self.observers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells each of them. One that panics keeps no other from being told.
    pub(super) fn each(&self, tell: impl Fn(&dyn HealthObserver)) {
        tell(&self.metrics);
        let observers = self.observers().clone();
        for observer in observers {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| tell(&*observer))) {
                let error = panic_message(&*payload);
                tracing::error!(error, "an observer of health failed");
            }
        }
    }
}

/// Everything that is watched.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) told: Arc<Told>,
    /// Held for no longer than it takes to copy or change the list: those who answer take it.
    components: Mutex<Vec<Arc<Component>>>,
}

impl Watched {
    pub(super) fn new(metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            told: Arc::new(Told {
                metrics,
                observers: Mutex::default(),
            }),
            components: Mutex::default(),
        })
    }

    fn list(&self) -> MutexGuard<'_, Vec<Arc<Component>>> {
        self.components
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn components(&self) -> Vec<Arc<Component>> {
        self.list().clone()
    }

    pub(super) fn add(&self, component: Arc<Component>) {
        self.list().push(component);
    }

    pub(super) fn take(&self, name: &str) -> Option<Arc<Component>> {
        let mut list = self.list();
        let at = list.iter().position(|one| one.name() == name)?;
        Some(list.remove(at))
    }

    pub(super) fn observe(&self, observer: Arc<dyn HealthObserver>) {
        self.told.observers().push(observer);
        self.tell();
    }

    /// Tells of every component.
    pub(super) fn tell(&self) {
        for component in self.components() {
            component.tell();
        }
    }

    pub(super) fn reports(&self, now: Moment) -> Vec<ComponentReport> {
        let components = self.components();
        components.iter().map(|one| one.report(now)).collect()
    }
}

/// Tells of every component for as long as it lives: what times out or grows stale does so without anybody's doing.
///
/// When it ends, no gauge is left behind that nobody would set any more.
pub(super) struct Watch(pub(super) Arc<Watched>);

impl Drop for Watch {
    fn drop(&mut self) {
        for component in self.0.components() {
            component.silence();
        }
    }
}
