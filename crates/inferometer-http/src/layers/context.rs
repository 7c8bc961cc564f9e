//! Who a request is: its id and its trace, in logs, in exemplars and on its answer.

mod ids;
mod span;
mod traceparent;

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderName, HeaderValue, Request, Response};
use inferometer::sample::http::TraceId;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use tracing::Span;

pub use self::{span::SpannedBody, traceparent::TraceContext};
use super::head::Head;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");

/// The longest request id that is kept.
const LONGEST_ID: usize = 128;

/// Who a request is. A [`ContextLayer`] leaves it in the request's extensions.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The request's id: 1 to 128 visible ASCII characters.
    pub request_id: HeaderValue,
    /// Its place in a trace.
    pub trace: TraceContext,
}

/// The trace of a request: that of its [`RequestContext`], or else of its `traceparent`.
pub(super) fn trace_of(head: Head<'_>) -> Option<TraceId> {
    match head.extensions.get::<RequestContext>() {
        Some(context) => Some(context.trace.trace_id),
        None => Some(TraceContext::of(head.headers)?.trace_id),
    }
}

/// Gives each request an id and a place in a trace.
///
/// | | kept | otherwise |
/// |---|---|---|
/// | `x-request-id` | when it is 1 to 128 visible ASCII characters | one is made, of 32 hexadecimal digits, and put on the request |
/// | `traceparent` | when there is one, and it is as W3C Trace Context has it; the request is a child of it | a trace is begun, and what was wrong is taken off the request, `tracestate` included |
///
/// Both stand in a `tracing` span named `request` (level INFO, target `inferometer_http`) around the service and its answer's body, in the request's
/// extensions as [`RequestContext`], and on the answer as headers. Layers further in, such as [`HttpLayer`](super::HttpLayer), make the trace's id an
/// exemplar of what they record.
///
/// A trace that is begun here is marked as sampled, because its id is logged; whoever samples by the parent's mark goes by that.
///
/// # Examples
/// ```
/// use axum::{Extension, Router, routing::get};
/// use inferometer_http::layers::{ContextLayer, RequestContext};
///
/// async fn who(Extension(context): Extension<RequestContext>) -> String {
///     context.trace.to_string()
/// }
/// let app: Router = Router::new().route("/", get(who)).layer(ContextLayer::new());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ContextLayer(());

impl ContextLayer {
    /// The layer.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<S> Layer<S> for ContextLayer {
    type Service = ContextService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ContextService { inner }
    }
}

/// A service whose requests have a [`RequestContext`].
#[derive(Clone, Debug)]
pub struct ContextService<S> {
    inner: S,
}

/// The id that a client gave its request, if it can be one.
fn given_id(value: &HeaderValue) -> Option<&HeaderValue> {
    let bytes = value.as_bytes();
    let sane = (1..=LONGEST_ID).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
    sane.then_some(value)
}

impl RequestContext {
    /// That of a request, whose headers are made to agree with it.
    fn of<B>(request: &mut Request<B>) -> Self {
        let headers = request.headers_mut();
        let request_id = if let Some(given) = headers.get(&REQUEST_ID).and_then(given_id) {
            given.clone()
        } else {
            let made = ids::request_id();
            headers.insert(REQUEST_ID, made.clone());
            made
        };
        let trace = TraceContext::of(headers).map_or_else(
            || {
                headers.remove(&TRACE_PARENT);
                headers.remove(&TRACE_STATE);
                TraceContext::begin()
            },
            TraceContext::child,
        );
        let context = Self { request_id, trace };
        request.extensions_mut().insert(context.clone());
        context
    }

    fn span(&self, method: &http::Method) -> Span {
        tracing::info_span!(
            target: "inferometer_http",
            "request",
            method = method_name(method),
            request_id = self.request_id.to_str().unwrap_or_default(),
            trace_id = self.trace.trace_id.as_str(),
            span_id = %format_args!("{:016x}", self.trace.span_id),
        )
    }
}

/// A method as logs show it: what clients make up isn't repeated.
fn method_name(method: &http::Method) -> &'static str {
    use inferometer::{LabelValue as _, sample::http::Method};
    let method = Method::from_name(method.as_str());
    Method::VALUES
        .and_then(|names| names.get(method.index()))
        .copied()
        .unwrap_or_default()
}

impl<S, B, A> Service<Request<B>> for ContextService<S>
where
    S: Service<Request<B>, Response = Response<A>>,
{
    type Response = Response<SpannedBody<A>>;
    type Error = S::Error;
    type Future = ContextFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let context = RequestContext::of(&mut request);
        let span = context.span(request.method());
        let inner = {
            let _entered = span.enter();
            self.inner.call(request)
        };
        ContextFuture {
            inner,
            context,
            span,
        }
    }
}

pin_project! {
    /// An answer that is being made within its request's span.
    #[derive(Debug)]
    pub struct ContextFuture<F> {
        #[pin]
        inner: F,
        context: RequestContext,
        span: Span,
    }
}

impl<F, A, E> Future for ContextFuture<F>
where
    F: Future<Output = Result<Response<A>, E>>,
{
    type Output = Result<Response<SpannedBody<A>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = {
            let _entered = this.span.enter();
            ready!(this.inner.poll(cx))
        };
        Poll::Ready(answer.map(|answer| {
            let mut answer = answer.map(|body| SpannedBody::new(body, this.span.clone()));
            let headers = answer.headers_mut();
            headers.insert(REQUEST_ID, this.context.request_id.clone());
            headers.insert(TRACE_PARENT, this.context.trace.header());
            answer
        }))
    }
}
