//! Connections that are open.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use inferometer::sample::http::HttpView;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

/// Tells a [`HttpView`] of connections. It goes on what makes a service for each connection, not on the service.
///
/// A server that makes no such services, as a loop around hyper's `serve_connection`, keeps an [`OpenConnection`] itself.
///
/// # Examples
/// ```no_run
/// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use axum::{Router, routing::get};
/// use inferometer::Registry;
/// use inferometer_http::layers::{ConnectionsLayer, HttpLayer, HttpServer};
/// use tower_layer::Layer as _;
///
/// let metrics: Arc<HttpServer> = Arc::new(Registry::new().register()?);
/// let app: Router = Router::new()
///     .route("/", get(async || "hello"))
///     .layer(HttpLayer::new(Arc::clone(&metrics)));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
/// axum::serve(listener, ConnectionsLayer::new(metrics).layer(app.into_make_service())).await?;
/// # Ok(())
/// # }
/// ```
pub struct ConnectionsLayer<V> {
    view: Arc<V>,
}

impl<V: HttpView> ConnectionsLayer<V> {
    /// Tells `view`.
    pub fn new(view: Arc<V>) -> Self {
        Self { view }
    }
}

impl<V> Clone for ConnectionsLayer<V> {
    fn clone(&self) -> Self {
        Self {
            view: Arc::clone(&self.view),
        }
    }
}

impl<V> fmt::Debug for ConnectionsLayer<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionsLayer").finish_non_exhaustive()
    }
}

impl<M, V> Layer<M> for ConnectionsLayer<V> {
    type Service = MakeConnected<M, V>;

    fn layer(&self, inner: M) -> Self::Service {
        MakeConnected {
            inner,
            view: Arc::clone(&self.view),
        }
    }
}

/// A connection that is open until this is dropped.
pub struct OpenConnection<V: HttpView> {
    view: Arc<V>,
}

impl<V: HttpView> OpenConnection<V> {
    /// A client has connected.
    #[must_use = "dropped, the connection is closed"]
    pub fn open(view: Arc<V>) -> Self {
        view.connected();
        Self { view }
    }
}

impl<V: HttpView> fmt::Debug for OpenConnection<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenConnection").finish_non_exhaustive()
    }
}

impl<V: HttpView> Drop for OpenConnection<V> {
    fn drop(&mut self) {
        self.view.disconnected();
    }
}

/// What makes a service for each connection, and tells of it.
pub struct MakeConnected<M, V> {
    inner: M,
    view: Arc<V>,
}

impl<M: Clone, V> Clone for MakeConnected<M, V> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            view: Arc::clone(&self.view),
        }
    }
}

impl<M: fmt::Debug, V> fmt::Debug for MakeConnected<M, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MakeConnected")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<M, V, T> Service<T> for MakeConnected<M, V>
where
    M: Service<T>,
    V: HttpView,
{
    type Response = Connected<M::Response, V>;
    type Error = M::Error;
    type Future = MakeConnectedFuture<M::Future, V>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, target: T) -> Self::Future {
        MakeConnectedFuture {
            connection: Arc::new(OpenConnection::open(Arc::clone(&self.view))),
            inner: self.inner.call(target),
        }
    }
}

pin_project! {
    /// A connection's service that is being made.
    #[derive(Debug)]
    pub struct MakeConnectedFuture<F, V>
    where
        V: HttpView,
    {
        #[pin]
        inner: F,
        connection: Arc<OpenConnection<V>>,
    }
}

impl<F, V, S, E> Future for MakeConnectedFuture<F, V>
where
    F: Future<Output = Result<S, E>>,
    V: HttpView,
{
    type Output = Result<Connected<S, V>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let made = ready!(this.inner.poll(cx));
        Poll::Ready(made.map(|inner| Connected {
            inner,
            connection: Arc::clone(this.connection),
        }))
    }
}

/// A connection's service. The connection is open for as long as a clone of it lives.
#[derive(Debug)]
pub struct Connected<S, V: HttpView> {
    inner: S,
    connection: Arc<OpenConnection<V>>,
}

impl<S: Clone, V: HttpView> Clone for Connected<S, V> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            connection: Arc::clone(&self.connection),
        }
    }
}

impl<S, V, R> Service<R> for Connected<S, V>
where
    S: Service<R>,
    V: HttpView,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        self.inner.call(request)
    }
}
