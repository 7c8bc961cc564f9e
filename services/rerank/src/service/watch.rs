//! What watches a running service: its collection, the machine, the GPUs, and its health.

use std::{path::PathBuf, sync::Arc, time::Duration, time::Instant};

use inferometer::{
    Registry,
    sample::health::{GPU, Gate, HealthReport, MODEL, QUEUE},
};
use inferometer_monitor::{
    gpu::{GpuMonitor, Nvml},
    health::{Health, Reporter, Verdict},
    host::{self, HostMonitor},
    scheduler::{Scheduler, TaskHandle},
};

use super::ServiceError;
use crate::pipeline::Pipeline;

/// How long requests may be under way with nothing moving before the service is found stalled. A batch of the slowest model on the
/// slowest machine takes less.
const STALLED: Duration = Duration::from_secs(30);

/// Whether, and how, a service watches what it runs on. A registry has one monitor of each: whoever has them already tells them to
/// [`Service::host_view`](super::Service::host_view) and [`Service::gpu_view`](super::Service::gpu_view).
#[derive(Clone, Debug)]
pub struct WatchConfig {
    /// How often throughputs, means and the figures of machine and GPUs are collected.
    pub interval: Duration,
    /// What collects; one of its own without it. A registry has one.
    pub scheduler: Option<Scheduler>,
    /// Whether it watches the machine, for `cpu_percent`.
    pub host: bool,
    /// Whether it watches the GPUs, for `gpu_memory_mb` and `gpu_utilization_pct`. Without a GPU they are absent.
    pub gpus: bool,
    /// The GPU driver's library, where it isn't the system's.
    pub nvml: Option<PathBuf>,
}

impl Default for WatchConfig {
    /// Everything, every 5 s.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            scheduler: None,
            host: true,
            gpus: true,
            nvml: None,
        }
    }
}

/// The watch over a service, until it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    health: Health,
    model: Reporter,
    collection: TaskHandle,
    host: Option<(Arc<HostMonitor>, TaskHandle)>,
    pub(super) gpus: Option<GpuMonitor>,
    /// Held, so that it goes on.
    _scheduler: Scheduler,
}

impl Watch {
    pub(super) fn start(
        config: WatchConfig,
        pipeline: &Pipeline,
        registry: &Registry,
    ) -> Result<Self, ServiceError> {
        let scheduler = match config.scheduler {
            Some(scheduler) => scheduler,
            None => Scheduler::new(registry)?,
        };
        let recorder = Arc::clone(pipeline.recorder());
        let metrics = &pipeline.recorder().metrics;
        let collection = scheduler
            .task("rerank", config.interval)
            .run_at_once()
            .start(move || recorder.collect(Instant::now()))?;
        let health = Health::new(registry, &scheduler)?;
        let model = health.component(MODEL).reported()?;
        model.set(Verdict::healthy());
        let active = pipeline.clone();
        health
            .component(QUEUE)
            .stalled_after(STALLED, move || active.activity())?;
        let host = config.host.then(|| {
            let options = host::Options::default().view(Arc::new(metrics.host.clone()));
            let monitor = Arc::new(HostMonitor::new(registry, options)?);
            let task = monitor.start(&scheduler, config.interval)?;
            Ok::<_, ServiceError>((monitor, task))
        });
        let gpus = config.gpus.then(|| {
            let mut builder = GpuMonitor::builder().view(metrics.gpu.clone());
            if let Some(path) = &config.nvml {
                builder = builder.source(Nvml::at(path));
            }
            let monitor = builder.register(registry)?;
            monitor.start(&scheduler, config.interval)?;
            let watched = monitor.clone();
            health
                .component(GPU)
                // The models run without one.
                .gate(Gate::Nothing)
                .cache(config.interval)
                .check(move || watched.verdict())?;
            Ok::<_, ServiceError>(monitor)
        });
        Ok(Self {
            health,
            model,
            collection,
            host: host.transpose()?,
            gpus: gpus.transpose()?,
            _scheduler: scheduler,
        })
    }

    /// What asks it how the service is.
    pub(super) fn report(&self) -> impl Fn() -> HealthReport + Send + Sync + 'static + use<> {
        let health = self.health.clone();
        move || health.report()
    }

    /// Says that the service takes no request in any more.
    pub(super) fn closing(&self) {
        self.model.set(Verdict::unhealthy("shutting down"));
    }

    /// Ends what it runs.
    pub(super) fn stop(self) {
        self.collection.cancel();
        if let Some((_, task)) = &self.host {
            task.cancel();
        }
        if let Some(gpus) = &self.gpus {
            gpus.shutdown();
        }
    }
}
