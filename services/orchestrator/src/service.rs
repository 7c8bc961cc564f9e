//! The whole service: the pipeline, its API, and its metrics on a port and a thread of their own.

use std::{
    future::IntoFuture as _,
    io,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use axum::serve::ListenerExt as _;
use inferometer::Registry;
use inferometer_http::{Health, MetricsServer, ServeError, ServerHandle};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{self, ApiLimits},
    pipeline::{Pipeline, PipelineConfig, PipelineError},
    worker::Worker,
};

/// How a service is set up.
#[derive(Clone)]
pub struct ServiceConfig {
    /// Where the API listens, as `host:port`; port 0 takes a free one.
    pub api: String,
    /// Where the metrics are, likewise.
    pub metrics: String,
    /// The pipeline.
    pub pipeline: PipelineConfig,
    /// The workers, the preferred first.
    pub workers: Vec<Arc<dyn Worker>>,
    /// What the API takes.
    pub limits: ApiLimits,
}

impl std::fmt::Debug for ServiceConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceConfig")
            .field("api", &self.api)
            .field("metrics", &self.metrics)
            .finish_non_exhaustive()
    }
}

/// A service that can't be started.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The pipeline's set-up is at fault.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The API's address can't be bound.
    #[error("can't serve the API on {address}: {source}")]
    Api {
        /// The address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The metrics' address can't be bound.
    #[error(transparent)]
    Metrics(#[from] ServeError),
}

/// A running service.
#[derive(Debug)]
pub struct Service {
    pipeline: Pipeline,
    registry: Registry,
    api: SocketAddr,
    metrics: ServerHandle,
    stop: CancellationToken,
    task: JoinHandle<io::Result<()>>,
}

impl Service {
    /// Starts it on the runtime that calls it.
    ///
    /// # Errors
    /// When an address can't be bound, or the pipeline's set-up is at fault.
    pub async fn start(config: ServiceConfig) -> Result<Self, ServiceError> {
        Self::start_in(config, Registry::new()).await
    }

    /// The same, with its metrics in `registry`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_in(config: ServiceConfig, registry: Registry) -> Result<Self, ServiceError> {
        let ServiceConfig { api: address, metrics, pipeline, workers, limits } = config;
        let bound = TcpListener::bind(&address).await;
        let listener = bound.map_err(|source| ServiceError::Api { address: address.clone(), source })?;
        let api = listener.local_addr().map_err(|source| ServiceError::Api { address, source })?;
        let pipeline = Pipeline::start(pipeline, workers, &registry)?;
        let judged = pipeline.clone();
        let health = move || {
            if judged.is_open() {
                Health::Healthy
            } else {
                Health::Unhealthy("shutting down".into())
            }
        };
        let metrics = MetricsServer::new(registry.clone()).with_health(health).start(&metrics)?;
        let stop = CancellationToken::new();
        let router = api::router(pipeline.clone(), limits);
        // A failure to set the option costs latency, not answers.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let server = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        let task = tokio::spawn(server.into_future());
        Ok(Self { pipeline, registry, api, metrics, stop, task })
    }

    /// Where the API listens.
    pub fn api(&self) -> SocketAddr {
        self.api
    }

    /// Where the metrics are.
    pub fn metrics(&self) -> SocketAddr {
        self.metrics.address()
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
        let _ = grace.await.inspect_err(|_| tracing::debug!("a connection was still open at the end"));
        let metrics = self.metrics;
        let _ = tokio::task::spawn_blocking(move || metrics.stop()).await;
        ended
    }
}
