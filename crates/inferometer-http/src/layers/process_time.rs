//! How long an answer took, on the answer.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use http::{HeaderName, HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

const PROCESS_TIME: HeaderName = HeaderName::from_static("x-process-time");

/// Puts `X-Process-Time` on answers: the seconds from the request's arrival at the layer until the answer's head was there, with six digits after
/// the point. A body that streams takes longer.
///
/// It tells strangers how long things take; where that isn't wanted, [`enabled`](Self::enabled) switches it off.
///
/// # Examples
/// ```
/// use axum::{Router, routing::get};
/// use inferometer_http::layers::ProcessTimeLayer;
///
/// let app: Router = Router::new()
///     .route("/", get(async || "hello"))
///     .layer(ProcessTimeLayer::new().enabled(true));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ProcessTimeLayer {
    enabled: bool,
}

impl ProcessTimeLayer {
    /// The layer, switched on.
    pub fn new() -> Self {
        Self { enabled: true }
    }

    /// Switches it on or off.
    #[must_use]
    pub fn enabled(self, enabled: bool) -> Self {
        Self { enabled }
    }
}

impl Default for ProcessTimeLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for ProcessTimeLayer {
    type Service = ProcessTimeService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ProcessTimeService {
            inner,
            enabled: self.enabled,
        }
    }
}

/// A service whose answers say how long they took.
#[derive(Clone, Debug)]
pub struct ProcessTimeService<S> {
    inner: S,
    enabled: bool,
}

impl<S, B, A> Service<Request<B>> for ProcessTimeService<S>
where
    S: Service<Request<B>, Response = Response<A>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ProcessTimeFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let started = self.enabled.then(Instant::now);
        ProcessTimeFuture {
            inner: self.inner.call(request),
            started,
        }
    }
}

pin_project! {
    /// An answer that is being timed.
    #[derive(Debug)]
    pub struct ProcessTimeFuture<F> {
        #[pin]
        inner: F,
        started: Option<Instant>,
    }
}

impl<F, A, E> Future for ProcessTimeFuture<F>
where
    F: Future<Output = Result<Response<A>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut answer = ready!(this.inner.poll(cx));
        if let (Some(started), Ok(answer)) = (this.started, &mut answer) {
            let took = started.elapsed();
            let seconds = format!("{}.{:06}", took.as_secs(), took.subsec_micros());
            let value = HeaderValue::try_from(seconds).expect("digits and a point fit a header");
            answer.headers_mut().insert(PROCESS_TIME, value);
        }
        Poll::Ready(answer)
    }
}
