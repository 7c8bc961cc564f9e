//! The server and its thread.
//!
//! | route | answers |
//! |---|---|
//! | `GET /metrics` | the scrape, in the format that `Accept` asks for |
//! | `GET /health` | 200 or 503 with `{"status":"healthy"}` or `{"status":"unhealthy","reason":"…"}` |

use std::{
    future::{IntoFuture as _, pending},
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use inferometer::Registry;
use tokio::sync::oneshot;

use crate::{health::Health, negotiation::negotiate};

/// How long a server that was told to stop waits for the answers it is writing.
const DRAIN: Duration = Duration::from_secs(2);

type HealthCheck = Arc<dyn Fn() -> Health + Send + Sync>;

/// A metrics endpoint, to be started.
#[derive(Clone)]
pub struct MetricsServer {
    registry: Registry,
    health: HealthCheck,
}

impl std::fmt::Debug for MetricsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetricsServer")
            .field("registry", &self.registry)
            .finish_non_exhaustive()
    }
}

/// A server that couldn't be started.
#[derive(Debug)]
pub struct ServeError {
    address: String,
    source: io::Error,
}

impl std::fmt::Display for ServeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { address, source } = self;
        match source.kind() {
            io::ErrorKind::AddrInUse => write!(
                f,
                "can't serve metrics on {address}: the port is taken; choose another, or stop what has it"
            ),
            io::ErrorKind::PermissionDenied => write!(
                f,
                "can't serve metrics on {address}: not allowed; ports below 1024 need a privilege, choose a higher one"
            ),
            _ => write!(f, "can't serve metrics on {address}: {source}"),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// A running server. Dropping it stops the server too.
#[derive(Debug)]
#[must_use = "dropped, the server stops"]
pub struct ServerHandle {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ServerHandle {
    /// Where it listens; the real port when port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it and waits until its thread has ended, two seconds and a bit at the most.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.stop.take());
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
    /// Serves what `registry` holds.
    pub fn new(registry: Registry) -> Self {
        Self {
            registry,
            health: Arc::new(|| Health::Healthy),
        }
    }

    /// Asks `check` at each `GET /health`. It must not wait.
    #[must_use]
    pub fn with_health(mut self, check: impl Fn() -> Health + Send + Sync + 'static) -> Self {
        self.health = Arc::new(check);
        self
    }

    /// The routes, to be mounted in a service's own router.
    pub fn router(self) -> Router {
        Router::new()
            .route("/metrics", get(metrics))
            .route("/health", get(health))
            .with_state(self)
    }

    /// Starts the server on a thread and a runtime of its own. `address` is `host:port`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address can't be bound, or no thread can be had.
    pub fn start(self, address: &str) -> Result<ServerHandle, ServeError> {
        let listener = TcpListener::bind(address).map_err(|source| ServeError {
            address: address.into(),
            source,
        })?;
        self.start_on(listener)
    }

    /// Starts the server on a listener at hand, on a thread and a runtime of its own.
    ///
    /// # Errors
    /// When the listener can't be used, or no thread can be had.
    pub fn start_on(self, listener: TcpListener) -> Result<ServerHandle, ServeError> {
        let bound = listener.local_addr();
        let address = bound
            .as_ref()
            .map_or_else(|_| "a listener".into(), ToString::to_string);
        let error = |source| ServeError {
            address: address.clone(),
            source,
        };
        let bound = bound.map_err(error)?;
        listener.set_nonblocking(true).map_err(error)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(error)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new()
            .name("inferometer-http".into())
            .spawn(move || runtime.block_on(serve(listener, self.router(), stopped)))
            .map_err(error)?;
        Ok(ServerHandle {
            address: bound,
            stop: Some(stop),
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

async fn serve(listener: TcpListener, router: Router, stopped: oneshot::Receiver<()>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    let (drain, draining) = oneshot::channel::<()>();
    let told = async {
        // An error says that the handle is gone, which means the same.
        let _ = stopped.await;
        drop(drain);
    };
    let server = axum::serve(listener, router)
        .with_graceful_shutdown(told)
        .into_future();
    tokio::select! {
        _ = server => {}
        () = after(draining) => {}
    }
}

/// The moment when a drain has taken long enough.
async fn after(draining: oneshot::Receiver<()>) {
    let _ = draining.await;
    tokio::time::sleep(DRAIN).await;
}

async fn metrics(State(server): State<MetricsServer>, headers: HeaderMap) -> Response {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let format = negotiate(accept.unwrap_or_default());
    let headers = [
        (header::CONTENT_TYPE, format.content_type()),
        (header::VARY, "accept"),
    ];
    (headers, server.registry.encode(format)).into_response()
}

async fn health(State(server): State<MetricsServer>) -> Response {
    let health = (server.health)();
    let status = match health {
        Health::Healthy => StatusCode::OK,
        Health::Unhealthy(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, health.to_string()).into_response()
}
