//! The whole service: the pipeline, its API, and its metrics on a port and a thread of their own.

use std::{
    future::IntoFuture as _,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use axum::serve::ListenerExt as _;
use inferometer::Registry;
use inferometer_http::{
    Health, MetricsServer, ModelStats, QueueStats, ServeError, ServerHandle, ServerOptions,
    WorkerStats,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    api::{self, ApiLimits},
    pipeline::{Pipeline, PipelineConfig, PipelineError},
    worker::Worker,
};

/// How a service is set up.
#[derive(Clone)]
pub struct ServiceConfig {
    /// The pipeline.
    pub pipeline: PipelineConfig,
    /// The workers, the preferred first.
    pub workers: Vec<Arc<dyn Worker>>,
    /// What the API takes.
    pub limits: ApiLimits,
    /// How the metrics' endpoint is set up.
    pub endpoint: ServerOptions,
}

impl ServiceConfig {
    /// The defaults, for these workers, the preferred first.
    pub fn new(workers: Vec<Arc<dyn Worker>>) -> Self {
        Self {
            pipeline: PipelineConfig::default(),
            workers,
            limits: ApiLimits::default(),
            endpoint: ServerOptions::default(),
        }
    }
}

impl std::fmt::Debug for ServiceConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceConfig")
            .field("pipeline", &self.pipeline)
            .finish_non_exhaustive()
    }
}

/// Where a service listens.
#[derive(Debug)]
pub struct Listeners {
    /// The API.
    pub api: TcpListener,
    /// The metrics and health; `None` for a service that shows none.
    pub metrics: Option<TcpListener>,
}

impl Listeners {
    /// Both on free ports of loopback.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn on_free_ports() -> io::Result<Self> {
        let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        Ok(Self {
            api: free()?,
            metrics: Some(free()?),
        })
    }
}

/// A service that can't be started.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The pipeline's set-up is at fault.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The API's listener can't be used.
    #[error("can't serve the API: {0}")]
    Api(#[from] io::Error),
    /// The metrics' listener can't be used.
    #[error(transparent)]
    Metrics(#[from] ServeError),
}

/// A running service.
#[derive(Debug)]
pub struct Service {
    pipeline: Pipeline,
    registry: Registry,
    api: SocketAddr,
    metrics: Option<ServerHandle>,
    stop: CancellationToken,
    task: JoinHandle<io::Result<()>>,
}

impl Service {
    /// Starts it on the runtime that calls it, with its metrics in `registry`.
    ///
    /// # Errors
    /// When a listener can't be used, or the pipeline's set-up is at fault.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(
        config: ServiceConfig,
        listeners: Listeners,
        registry: Registry,
    ) -> Result<Self, ServiceError> {
        let ServiceConfig {
            pipeline,
            workers,
            limits,
            endpoint,
        } = config;
        listeners.api.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listeners.api)?;
        let api = listener.local_addr()?;
        let models: Vec<_> = workers.iter().map(|worker| model(&**worker)).collect();
        let pipeline = Pipeline::start(pipeline, workers, &registry)?;
        let judged = pipeline.clone();
        let health = move || {
            if judged.is_open() {
                Health::Healthy
            } else {
                Health::Unhealthy("shutting down".into())
            }
        };
        let server = MetricsServer::new(registry.clone())
            .with_options(endpoint)
            .with_health(health)
            .with_queue_stats({
                let pipeline = pipeline.clone();
                move || (queues(&pipeline), WorkerStats::default())
            })
            .with_model_stats(move || models.clone());
        let metrics = listeners
            .metrics
            .map(|listener| server.start_on(listener))
            .transpose()?;
        let stop = CancellationToken::new();
        let router = api::router(pipeline.clone(), limits);
        // A failure to set the option costs latency, not answers.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let server =
            axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        let task = tokio::spawn(server.into_future());
        Ok(Self {
            pipeline,
            registry,
            api,
            metrics,
            stop,
            task,
        })
    }

    /// Where the API listens.
    pub fn api(&self) -> SocketAddr {
        self.api
    }

    /// Where the metrics are, if they are shown.
    pub fn metrics(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(ServerHandle::address)
    }

    /// The pipeline.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// The metrics.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Takes no request in any more, lets the ones under way end for `patience` at the most, and stops; `true` when all of them
    /// ended by themselves.
    pub async fn stop(self, patience: Duration) -> bool {
        self.stop.cancel();
        let ended = self.pipeline.drain(patience).await;
        // Idle connections end by themselves now; one that doesn't read isn't waited for.
        let grace = tokio::time::timeout(Duration::from_millis(500), self.task);
        let _ = grace
            .await
            .inspect_err(|_| tracing::debug!("a connection was still open at the end"));
        let metrics = self.metrics;
        let _ = tokio::task::spawn_blocking(move || metrics.map(ServerHandle::stop)).await;
        ended
    }
}

fn model(worker: &dyn Worker) -> ModelStats {
    ModelStats {
        name: worker.model().to_owned(),
        loaded: true,
        ..ModelStats::default()
    }
}

fn queues(pipeline: &Pipeline) -> Vec<QueueStats> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a queue has at most a million places"
    )]
    let count = |requests: usize| Some(requests as f64);
    let queues = pipeline.queues().into_iter();
    let stats = queues.map(|queue| QueueStats {
        name: queue.stage.to_owned(),
        depth: count(queue.depth),
        capacity: count(queue.capacity),
    });
    stats.collect()
}
