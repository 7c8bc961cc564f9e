//! The layer for HTTP.

pub(super) mod metrics;

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body;
use inferometer::{
    lifecycle::Outcome,
    sample::http::{Exchange, HttpView, Method, Status, TraceId, Traffic},
};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    body::{RequestBody, ResponseBody},
    context,
    future::{Asked, ResponseFuture},
    head::{Head, Route, matched_route},
    tally::{Ending, Tally, Witness},
};

/// Tells a [`HttpView`] of every exchange of a service: axum's, hyper's, or any other of `http` types.
///
/// The clock runs from the request's arrival at the layer until the last byte of the answer's body is handed to the server; what the
/// server's and the kernel's buffers hold then isn't seen. A future or a body that is dropped before its end is a client that has
/// left, and ends as cancelled. A panic goes on to whoever catches it, and the exchange ends as panicked.
///
/// The route is axum's, where the layer is put on a router with `Router::layer`; [`with_routes`](Self::with_routes) takes it from
/// elsewhere. The trace is that of a [`ContextLayer`](super::ContextLayer) further out, or of the request's `traceparent`.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use axum::{Router, routing::get};
/// use inferometer::Registry;
/// use inferometer_http::layers::{HttpLayer, HttpServer};
///
/// let registry = Registry::new();
/// let metrics: HttpServer = registry.register()?;
/// let app: Router = Router::new()
///     .route("/models/{id}", get(async || "a model"))
///     .layer(HttpLayer::new(Arc::new(metrics)));
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
pub struct HttpLayer<V, R = fn(Head<'_>) -> Route> {
    view: Arc<V>,
    routes: R,
}

impl<V: HttpView> HttpLayer<V> {
    /// Tells `view`. Several are told as a tuple.
    pub fn new(view: Arc<V>) -> Self {
        Self {
            view,
            routes: matched_route,
        }
    }
}

impl<V: HttpView, R> HttpLayer<V, R> {
    /// Asks `routes` for the route of each request, for services that axum doesn't route. It must answer with templates: what it takes
    /// from the client becomes `other` once the label has as many values as it may.
    pub fn with_routes<F>(self, routes: F) -> HttpLayer<V, F>
    where
        F: Fn(Head<'_>) -> Route + Clone,
    {
        HttpLayer {
            view: self.view,
            routes,
        }
    }
}

impl<V, R: Clone> Clone for HttpLayer<V, R> {
    fn clone(&self) -> Self {
        Self {
            view: Arc::clone(&self.view),
            routes: self.routes.clone(),
        }
    }
}

impl<V, R> fmt::Debug for HttpLayer<V, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpLayer").finish_non_exhaustive()
    }
}

impl<S, V, R: Clone> Layer<S> for HttpLayer<V, R> {
    type Service = HttpService<S, V, R>;

    fn layer(&self, inner: S) -> Self::Service {
        HttpService {
            inner,
            layer: self.clone(),
        }
    }
}

/// A service of which a [`HttpLayer`] tells.
pub struct HttpService<S, V, R = fn(Head<'_>) -> Route> {
    inner: S,
    layer: HttpLayer<V, R>,
}

impl<S: Clone, V, R: Clone> Clone for HttpService<S, V, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            layer: self.layer.clone(),
        }
    }
}

impl<S: fmt::Debug, V, R> fmt::Debug for HttpService<S, V, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S, V, R, B, A> Service<Request<B>> for HttpService<S, V, R>
where
    S: Service<Request<RequestBody<B>>, Response = Response<A>>,
    V: HttpView,
    R: Fn(Head<'_>) -> Route,
    B: Body,
    A: Body,
{
    type Response = Response<ResponseBody<A, HttpWitness<V>>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, HttpWitness<V>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let started = Instant::now();
        let head = Head::from(&request);
        let method = Method::from_name(head.method.as_str());
        let route = (self.layer.routes)(head);
        let trace = context::trace_of(head);
        let asked = Asked::by(head.method);
        let (parts, body) = request.into_parts();
        let (body, read) = RequestBody::new(body);
        let view = Arc::clone(&self.layer.view);
        let witness = HttpWitness::arrived(view, method, route, trace);
        let mut tally = Tally::new(witness, started, read);
        let inner = &mut self.inner;
        let answer = tally.watch(|| inner.call(Request::from_parts(parts, body)));
        ResponseFuture::new(answer, tally, asked)
    }
}

/// What a [`HttpView`] is to be told of one exchange.
#[doc(hidden)]
pub struct HttpWitness<V: HttpView> {
    view: Arc<V>,
    method: Method,
    route: Route,
    status: Status,
    trace: Option<TraceId>,
}

impl<V: HttpView> HttpWitness<V> {
    fn arrived(view: Arc<V>, method: Method, route: Route, trace: Option<TraceId>) -> Self {
        view.arrived(method);
        Self {
            view,
            method,
            route,
            status: Status::NONE,
            trace,
        }
    }
}

impl<V: HttpView> fmt::Debug for HttpWitness<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpWitness")
            .field("method", &self.method)
            .field("route", &self.route)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl<V: HttpView> Witness for HttpWitness<V> {
    fn answered(&mut self, status: StatusCode, _headers: &HeaderMap) {
        self.status = Status::of(status.as_u16());
    }

    fn ended(&mut self, ending: Ending, traffic: &Traffic) {
        let outcome = match ending {
            Ending::Complete => self.status.outcome(),
            Ending::Cancelled => Outcome::Cancelled,
            Ending::Failed => Outcome::Error,
            Ending::Panicked => Outcome::Panicked,
        };
        self.view.ended(&Exchange {
            method: self.method,
            route: self.route.as_str(),
            status: self.status,
            outcome,
            traffic: *traffic,
            trace: self.trace.as_ref(),
        });
    }
}
