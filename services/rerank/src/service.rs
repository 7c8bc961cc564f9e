//! The whole service: the pipeline, gRPC, HTTP, and its metrics on a port and a thread of their own.

mod watch;

use std::{
    fmt,
    future::IntoFuture as _,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use axum::{Router, serve::ListenerExt as _};
use inferometer::{RegisterError, Registry};
use inferometer_http::{
    MetricsServer, ModelStats, QueueStats, ServeError, ServerHandle, ServerOptions, WorkerStats,
    layers::{ConnectionsLayer, ContextLayer, GrpcLayer, GrpcServer, HttpLayer, HttpServer},
};
use inferometer_monitor::{
    health::{HealthError, SetupError},
    scheduler::ScheduleError,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic_health::{ServingStatus, server::HealthReporter};
use tower_layer::Layer as _;

use self::watch::Watch;
pub use self::watch::WatchConfig;
use crate::{
    api::{self, ApiLimits},
    grpc,
    model::{Score, Tokenize},
    pipeline::{Pipeline, PipelineConfig, PipelineError},
};

/// The name under which the health service tells of the reranker; the empty name is the whole server.
pub const GRPC_SERVICE: &str = "inferometer.rerank.v1.Reranker";

/// How a service is set up.
#[derive(Clone)]
pub struct ServiceConfig {
    /// The pipeline.
    pub pipeline: PipelineConfig,
    /// What makes tokens.
    pub tokenizer: Arc<dyn Tokenize>,
    /// What scores.
    pub model: Arc<dyn Score>,
    /// What clients may send.
    pub limits: ApiLimits,
    /// How the metrics' endpoint is set up.
    pub endpoint: ServerOptions,
    /// What it watches, and how often.
    pub watch: WatchConfig,
}

impl ServiceConfig {
    /// The defaults for this model.
    pub fn new(tokenizer: Arc<dyn Tokenize>, model: Arc<dyn Score>) -> Self {
        Self {
            pipeline: PipelineConfig::default(),
            tokenizer,
            model,
            limits: ApiLimits::default(),
            endpoint: ServerOptions::default(),
            watch: WatchConfig::default(),
        }
    }
}

impl fmt::Debug for ServiceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceConfig")
            .field("pipeline", &self.pipeline)
            .field("model", &self.model.name())
            .field("watch", &self.watch)
            .finish_non_exhaustive()
    }
}

/// Where a service listens.
#[derive(Debug)]
pub struct Listeners {
    /// gRPC, usually on 50051.
    pub grpc: TcpListener,
    /// HTTP, usually on 8080.
    pub http: TcpListener,
    /// The metrics and health, usually on 8000; `None` for a service that shows none.
    pub metrics: Option<TcpListener>,
}

impl Listeners {
    /// All on free ports of loopback.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn on_free_ports() -> io::Result<Self> {
        let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        Ok(Self {
            grpc: free()?,
            http: free()?,
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
    /// The listener of gRPC or HTTP can't be used.
    #[error("can't serve gRPC or HTTP: {0}")]
    Listener(#[from] io::Error),
    /// The metrics' listener can't be used.
    #[error(transparent)]
    Metrics(#[from] ServeError),
    /// The registry has metrics of these names already.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The collection can't be scheduled.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The health can't be set up.
    #[error(transparent)]
    Health(#[from] SetupError),
    /// A component's health can't be checked.
    #[error(transparent)]
    Component(#[from] HealthError),
    /// The reflection service can't be made.
    #[error("can't serve gRPC reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// A running service.
#[derive(Debug)]
pub struct Service {
    pipeline: Pipeline,
    registry: Registry,
    grpc: SocketAddr,
    http: SocketAddr,
    metrics: Option<ServerHandle>,
    reporter: HealthReporter,
    stop: CancellationToken,
    servers: [JoinHandle<io::Result<()>>; 2],
    watch: Watch,
}

impl Service {
    /// Starts it on the runtime that calls it, with its metrics in `registry`.
    ///
    /// # Errors
    /// When a listener can't be used, the pipeline's set-up is at fault, or the registry has such metrics already.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn start(
        config: ServiceConfig,
        listeners: Listeners,
        registry: Registry,
    ) -> Result<Self, ServiceError> {
        let (grpc_listener, grpc) = adopt(listeners.grpc)?;
        let (http_listener, http) = adopt(listeners.http)?;
        let pipeline = Pipeline::start(config.pipeline, config.tokenizer, config.model, &registry)?;
        let http_metrics: Arc<HttpServer> = Arc::new(registry.register_once()?);
        let grpc_metrics: Arc<GrpcServer> = Arc::new(registry.register_once()?);
        let watch = Watch::start(config.watch, &pipeline, &registry)?;
        let metrics = listeners
            .metrics
            .map(|listener| {
                endpoint(&pipeline, &watch, &registry, config.endpoint).start_on(listener)
            })
            .transpose()?;

        let (calls, reporter) = grpc::router(pipeline.clone(), config.limits.body_bytes)?;
        for name in ["", GRPC_SERVICE] {
            reporter
                .set_service_status(name, ServingStatus::Serving)
                .await;
        }
        let calls = calls
            .layer(GrpcLayer::new(grpc_metrics))
            .layer(ContextLayer::new());
        let routes = api::router(pipeline.clone(), config.limits)
            .layer(HttpLayer::new(Arc::clone(&http_metrics)))
            .layer(ContextLayer::new());
        let stop = CancellationToken::new();
        let servers = [
            serve(grpc_listener, calls, &http_metrics, &stop),
            serve(http_listener, routes, &http_metrics, &stop),
        ];
        Ok(Self {
            pipeline,
            registry,
            grpc,
            http,
            metrics,
            reporter,
            stop,
            servers,
            watch,
        })
    }

    /// Where gRPC listens.
    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// Where HTTP listens.
    pub fn http(&self) -> SocketAddr {
        self.http
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

    /// What shows the machine, for a monitor that runs already.
    pub fn host_view(&self) -> inferometer_catalog::rerank::host::Host {
        self.pipeline.recorder().metrics.host.clone()
    }

    /// What shows the GPUs, for a monitor of them.
    pub fn gpu_view(&self) -> inferometer_catalog::rerank::gpu::Gpu {
        self.pipeline.recorder().metrics.gpu.clone()
    }

    /// Takes no request in any more, lets the ones under way end for `patience` at the most, and stops; `true` when all of them
    /// ended by themselves.
    pub async fn stop(mut self, patience: Duration) -> bool {
        self.pipeline.close();
        self.watch.closing();
        for name in ["", GRPC_SERVICE] {
            self.reporter
                .set_service_status(name, ServingStatus::NotServing)
                .await;
        }
        self.stop.cancel();
        let ended = self.pipeline.drain(patience).await;
        // Whoever watches has been told, and would keep the connection open for ever.
        for name in ["", GRPC_SERVICE] {
            self.reporter.clear_service_status(name).await;
        }
        // Idle connections end by themselves now; one that doesn't read isn't waited for.
        for server in self.servers {
            let grace = tokio::time::timeout(Duration::from_millis(500), server);
            let _ = grace
                .await
                .inspect_err(|_| tracing::debug!("a connection was still open at the end"));
        }
        let (metrics, watch) = (self.metrics, self.watch);
        let _ = tokio::task::spawn_blocking(move || {
            if let Some(metrics) = metrics {
                metrics.stop();
            }
            watch.stop();
        })
        .await;
        ended
    }
}

fn adopt(listener: TcpListener) -> io::Result<(tokio::net::TcpListener, SocketAddr)> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Serves HTTP/1 and HTTP/2, with a connection's end waiting for what is under way on it.
fn serve(
    listener: tokio::net::TcpListener,
    router: Router,
    metrics: &Arc<HttpServer>,
    stop: &CancellationToken,
) -> JoinHandle<io::Result<()>> {
    // A failure to set the option costs latency, not answers.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let service = ConnectionsLayer::new(Arc::clone(metrics)).layer(router.into_make_service());
    let server =
        axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
    tokio::spawn(server.into_future())
}

fn endpoint(
    pipeline: &Pipeline,
    watch: &Watch,
    registry: &Registry,
    options: ServerOptions,
) -> MetricsServer {
    let models = vec![ModelStats {
        name: pipeline.model().to_owned(),
        loaded: true,
        ..ModelStats::default()
    }];
    let asked = pipeline.clone();
    let server = MetricsServer::new(registry.clone())
        .with_options(options)
        .with_health_report(watch.report())
        .with_model_stats(move || models.clone())
        .with_queue_stats(move || queues(&asked));
    match watch.gpus.clone() {
        Some(gpus) => server.with_gpu_samples(move || gpus.stats_all()),
        None => server,
    }
}

fn queues(pipeline: &Pipeline) -> (Vec<QueueStats>, WorkerStats) {
    let queues = pipeline.queues().map(|(name, depth, capacity)| {
        let float = |size: usize| f64::from(u32::try_from(size).unwrap_or(u32::MAX));
        QueueStats {
            name: name.to_owned(),
            depth: Some(float(depth)),
            capacity: Some(float(capacity)),
        }
    });
    let config = pipeline.config();
    let total = config.tokenizer_workers + config.model_workers;
    let workers = WorkerStats {
        active: None,
        total: Some(total.into()),
    };
    (queues.into(), workers)
}
