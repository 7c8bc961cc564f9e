//! The server and its thread.

use std::{
    fmt,
    future::pending,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    thread::{self, JoinHandle},
};

use axum::{
    Router,
    extract::{ConnectInfo, Request},
    routing::any,
};
use hyper::body::Body as _;
use inferometer::Registry;
use tokio::sync::watch;

use crate::{
    accept::Doorman,
    health::{Component, Health},
    keys::KeyFileError,
    options::{OptionsError, ServerOptions},
    own::HttpMetrics,
    providers::Providers,
    route::{Access, Page},
    site::{Asked, Site, Visit},
    stats::{GpuStats, ModelStats, QueueStats, WorkerStats},
    tls::{Tls, TlsError},
};

/// Threads that render pages, compress them and ask providers: one for each kind of page and each kind of answer at the most.
const WORKERS: usize = 20;

/// A metrics endpoint, to be started.
///
/// | route | answers | access |
/// |---|---|---|
/// | `GET /metrics` | the scrape, in the format that `Accept` asks for | public |
/// | `GET /health` | 200 or 503 with `{"status":"healthy"…}` or `{"reason":"…","status":"unhealthy"…}` | public |
/// | `GET /health/live` | 200 as long as the server answers | public |
/// | `GET /health/ready` | 200 when requests are welcome, else 503 | public |
/// | `GET /health/detailed` | health, component by component | key |
/// | `GET /gpu/stats` | what is known of each GPU | key |
/// | `GET /queue/stats` | how full the queues are | key |
/// | `GET /models/stats` | which models are loaded, and where | key |
/// | `GET /openapi.json` | the OpenAPI 3.1 document of all these | key |
/// | `GET /` | a page that links the rest | key |
///
/// Everything else is refused, with an `application/problem+json` that says why: see [`Refusal`](crate::Refusal).
/// [`ServerOptions`] changes access, the path of the scrape, and what a client may do.
///
/// # Examples
/// ```no_run
/// use inferometer::Registry;
/// use inferometer_http::{Health, MetricsServer, ServerOptions};
///
/// let options = ServerOptions {
///     keys: Some("/etc/inferometer/keys".into()),
///     ..ServerOptions::default()
/// };
/// let server = MetricsServer::new(Registry::new())
///     .with_options(options)
///     .with_health(|| Health::Healthy)
///     .start("127.0.0.1:9090")?;
/// server.stop();
/// # Ok::<(), inferometer_http::ServeError>(())
/// ```
#[derive(Clone)]
pub struct MetricsServer {
    registry: Registry,
    options: ServerOptions,
    providers: Providers,
}

impl fmt::Debug for MetricsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsServer")
            .field("registry", &self.registry)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A server that couldn't be started.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address or the listener can't be used, or no thread can be had.
    #[error("can't serve metrics on {address}: {}", Remedy(.source))]
    Listen {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// An option can't be meant.
    #[error("can't serve metrics: {0}")]
    Options(#[from] OptionsError),
    /// The key file can't be used.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// The certificates can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// An error, and what to do about it where that is known.
struct Remedy<'a>(&'a io::Error);

impl fmt::Display for Remedy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind() {
            io::ErrorKind::AddrInUse => {
                f.write_str("the port is taken; choose another, or stop what has it")
            }
            io::ErrorKind::PermissionDenied => {
                f.write_str("not allowed; ports below 1024 need a privilege, choose a higher one")
            }
            _ => self.0.fmt(f),
        }
    }
}

/// A running server. Dropping it stops the server too.
#[derive(Debug)]
#[must_use = "dropped, the server stops"]
pub struct ServerHandle {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl ServerHandle {
    /// Where it listens; the real port when port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it: takes no connection in any more, closes those that have nothing under way, lets the others take their answers for
    /// [`drain`](ServerOptions::drain) at the most, and waits until its thread has ended.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // The thread catches nothing: it can only have panicked in a bug, which its own message tells.
            let _ = thread.join();
        }
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.end();
    }
}

impl MetricsServer {
    /// Serves what `registry` holds, its own metrics (`inferometer_http_…`) among it.
    pub fn new(registry: Registry) -> Self {
        Self {
            registry,
            options: ServerOptions::default(),
            providers: Providers::default(),
        }
    }

    /// Takes these options.
    #[must_use]
    pub fn with_options(mut self, options: ServerOptions) -> Self {
        self.options = options;
        self
    }

    /// Asks `check` at each `GET /health`, and for `/health/detailed`; without it, all is healthy. Like every closure here it runs on a thread that may
    /// wait, one call of a kind at a time; who asks meanwhile shares the next call.
    #[must_use]
    pub fn with_health(mut self, check: impl Fn() -> Health + Send + Sync + 'static) -> Self {
        self.providers.health = Arc::new(check);
        self
    }

    /// Asks `check` at each `GET /health/ready`; without it, a service is ready while it isn't unhealthy.
    #[must_use]
    pub fn with_ready(mut self, check: impl Fn() -> Health + Send + Sync + 'static) -> Self {
        self.providers.ready = Some(Arc::new(check));
        self
    }

    /// Asks `tell` at each `GET /health/detailed`.
    #[must_use]
    pub fn with_components(
        mut self,
        tell: impl Fn() -> Vec<Component> + Send + Sync + 'static,
    ) -> Self {
        self.providers.components = Some(Arc::new(tell));
        self
    }

    /// Asks `tell` at each `GET /gpu/stats`.
    #[must_use]
    pub fn with_gpu_stats(
        mut self,
        tell: impl Fn() -> Vec<GpuStats> + Send + Sync + 'static,
    ) -> Self {
        self.providers.gpu = Some(Arc::new(tell));
        self
    }

    /// Asks `tell` at each `GET /queue/stats`.
    #[must_use]
    pub fn with_queue_stats(
        mut self,
        tell: impl Fn() -> (Vec<QueueStats>, WorkerStats) + Send + Sync + 'static,
    ) -> Self {
        self.providers.queue = Some(Arc::new(tell));
        self
    }

    /// Asks `tell` at each `GET /models/stats`.
    #[must_use]
    pub fn with_model_stats(
        mut self,
        tell: impl Fn() -> Vec<ModelStats> + Send + Sync + 'static,
    ) -> Self {
        self.providers.models = Some(Arc::new(tell));
        self
    }

    /// The routes, to be mounted in a service's own router. Access, keys, problems, shared pages and the limit on requests in flight
    /// hold as in a server of its own; connections, their times and TLS are that service's affair. Who can tell clients
    /// apart is `into_make_service_with_connect_info::<SocketAddr>()`; without it, all share one allowance of wrong keys.
    ///
    /// # Errors
    /// When an option can't be meant, or the key file can't be used.
    pub fn router(self) -> Result<Router, ServeError> {
        self.options.validate()?;
        let options = self.options.clone();
        let site = Arc::new(self.site()?);
        let mut router = Router::new();
        for page in Page::all().filter(|page| options.access_of(*page) != Access::Off) {
            let site = Arc::clone(&site);
            let handler = any(move |request: Request| mounted(Arc::clone(&site), request));
            router = router.route(options.path_of(page), handler);
        }
        Ok(router)
    }

    fn site(self) -> Result<Site, KeyFileError> {
        let metrics = HttpMetrics::of(&self.registry);
        Site::new(self.registry, &self.options, self.providers, metrics)
    }

    /// Starts the server on a thread and a runtime of its own. `address` is `host:port`, or `:port` for loopback; port 0 takes a
    /// free one.
    ///
    /// Bound wider than loopback without a key file, it warns.
    ///
    /// # Errors
    /// When an option can't be meant, a file can't be used, the address can't be bound, or no thread can be had.
    pub fn start(self, address: &str) -> Result<ServerHandle, ServeError> {
        // Before binding: a fault in the options is worth more than a taken port.
        self.options.validate()?;
        let bound = match address.strip_prefix(':') {
            Some(port) => TcpListener::bind(format!("{}:{port}", Ipv4Addr::LOCALHOST)),
            None => TcpListener::bind(address),
        };
        let listener = bound.map_err(|source| ServeError::Listen {
            address: address.into(),
            source,
        })?;
        self.start_on(listener)
    }

    /// Starts the server on a listener at hand, on a thread and a runtime of its own.
    ///
    /// # Errors
    /// When an option can't be meant, a file or the listener can't be used, or no thread can be had.
    pub fn start_on(self, listener: TcpListener) -> Result<ServerHandle, ServeError> {
        self.options.validate()?;
        let bound = listener.local_addr();
        let address = bound
            .as_ref()
            .map_or_else(|_| "a listener".into(), ToString::to_string);
        let error = |source| ServeError::Listen {
            address: address.clone(),
            source,
        };
        let bound = bound.map_err(error)?;
        let options = self.options.clone();
        let site = Arc::new(self.site()?);
        let tls = options.tls.clone();
        let tls = tls
            .map(|tls| Tls::read(tls, site.metrics.clone()))
            .transpose()?;
        listener.set_nonblocking(true).map_err(error)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(WORKERS)
            .thread_name("inferometer-http-worker")
            .build()
            .map_err(error)?;
        warn_if_open(bound, &options);
        let (stop, stopping) = watch::channel(false);
        let doorman = Doorman::new(site, tls, &options, stopping);
        let serve = move || {
            runtime.block_on(async {
                if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                    doorman.run(listener).await;
                }
            });
            // A provider that waits for ever is not waited for.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new()
            .name("inferometer-http".into())
            .spawn(serve)
            .map_err(error)?;
        Ok(ServerHandle {
            address: bound,
            stop,
            thread: Some(thread),
        })
    }

    /// Starts the server and runs until the returned future is dropped or its task aborted; the server's own thread does the work.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn run(self, address: &str) -> Result<(), ServeError> {
        let _handle = self.start(address)?;
        pending().await
    }
}

fn warn_if_open(address: SocketAddr, options: &ServerOptions) {
    if address.ip().to_canonical().is_loopback() || options.keys.is_some() {
        return;
    }
    tracing::warn!(
        %address,
        "anyone who reaches this address can read the metrics: bind 127.0.0.1, or give a key file and let /metrics take a key"
    );
}

async fn mounted(site: Arc<Site>, request: Request) -> http::Response<axum::body::Body> {
    let (request, body) = request.into_parts();
    let client = request.extensions.get::<ConnectInfo<SocketAddr>>();
    let asked = Asked {
        method: &request.method,
        uri: &request.uri,
        headers: &request.headers,
        body: !body.is_end_stream(),
        client: client.map_or(Ipv4Addr::UNSPECIFIED.into(), |client| client.0.ip()),
    };
    // It is never read, and is not to be kept.
    drop(body);
    let visit = Visit::begin(&site.metrics, None);
    site.answer(&asked, visit).await.map(axum::body::Body::new)
}
