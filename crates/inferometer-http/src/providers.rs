//! Who tells what `/health` and the statistics say: closures of the service.

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use crate::{
    health::{self, Component, Health},
    route::Page,
    stats::{self, GpuStats, ModelStats, QueueStats, WorkerStats},
};

type Provider<T> = Arc<dyn Fn() -> T + Send + Sync>;

/// Each runs on a thread that may wait, one call of a kind at a time.
#[derive(Clone)]
pub(crate) struct Providers {
    pub(crate) health: Provider<Health>,
    pub(crate) ready: Option<Provider<Health>>,
    pub(crate) components: Option<Provider<Vec<Component>>>,
    pub(crate) gpu: Option<Provider<Vec<GpuStats>>>,
    pub(crate) queue: Option<Provider<(Vec<QueueStats>, WorkerStats)>>,
    pub(crate) models: Option<Provider<Vec<ModelStats>>>,
}

impl Default for Providers {
    fn default() -> Self {
        Self {
            health: Arc::new(|| Health::Healthy),
            ready: None,
            components: None,
            gpu: None,
            queue: None,
            models: None,
        }
    }
}

impl Providers {
    /// The answer of a page that is made of JSON; `None` for others. `stopping` servers don't want to be sent requests.
    pub(crate) fn tell(&self, page: Page, stopping: bool) -> Option<(StatusCode, Value)> {
        let told = |value| Some((StatusCode::OK, value));
        let report = |health: &Health| Some((health.status(), health.report()));
        match page {
            Page::Health => report(&(self.health)()),
            Page::HealthLive => report(&Health::Healthy),
            Page::HealthReady if stopping => report(&Health::Unhealthy("stopping".into())),
            Page::HealthReady => report(&self.ready.as_ref().unwrap_or(&self.health)()),
            Page::HealthDetailed => {
                let health = (self.health)();
                let components = self.components.as_ref().map(|tell| tell());
                let report = health::detailed(&health, components.unwrap_or_default());
                Some((health.status(), report))
            }
            Page::GpuStats => told(stats::gpu(self.gpu.as_ref().map(|tell| tell()).as_deref())),
            Page::QueueStats => {
                let queue = self.queue.as_ref().map(|tell| tell());
                let queue = queue
                    .as_ref()
                    .map(|(queues, workers)| (&**queues, *workers));
                told(stats::queue(queue))
            }
            Page::ModelsStats => {
                let models = self.models.as_ref().map(|tell| tell());
                told(stats::models(models.as_deref()))
            }
            Page::Metrics | Page::OpenApi | Page::Index => None,
        }
    }
}
