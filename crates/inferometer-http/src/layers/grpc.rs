//! The layer for gRPC.

mod metrics;

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body::Body;
use inferometer::{
    lifecycle::Outcome,
    sample::http::{Call, Code, GrpcView, TraceId, Traffic, UNMATCHED},
};
use tower_layer::Layer;
use tower_service::Service;

pub use self::metrics::{ByCall, ByMethod as ByGrpcMethod, GrpcServer};
use super::{
    body::{RequestBody, ResponseBody},
    context,
    future::{Asked, ResponseFuture},
    head::Head,
    tally::{Ending, Tally, Witness},
};

/// The longest name of a service or a method that is told; a longer one is no name.
const LONGEST_NAME: usize = 128;

/// Tells a [`GrpcView`] of every call of a service that speaks gRPC over `http` types, such as tonic's.
///
/// Service and method are those of the path. They come from the caller: where the answer is `UNIMPLEMENTED`, nobody has vouched for them,
/// and both are `unmatched`. The code is that of `grpc-status` in the answer's trailers, or in its headers when it has nothing else; a
/// caller that leaves midway makes it `CANCELLED`, a panic `INTERNAL`. Clock, cancellation and panics are as
/// [`HttpLayer`](super::HttpLayer) has them.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use inferometer::Registry;
/// use inferometer_http::layers::{GrpcLayer, GrpcServer};
///
/// let registry = Registry::new();
/// let metrics: GrpcServer = registry.register()?;
/// let layer = GrpcLayer::new(Arc::new(metrics));
/// // tonic::transport::Server::builder().layer(layer).add_service(…)
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
pub struct GrpcLayer<V> {
    view: Arc<V>,
}

impl<V: GrpcView> GrpcLayer<V> {
    /// Tells `view`. Several are told as a tuple.
    pub fn new(view: Arc<V>) -> Self {
        Self { view }
    }
}

impl<V> Clone for GrpcLayer<V> {
    fn clone(&self) -> Self {
        Self {
            view: Arc::clone(&self.view),
        }
    }
}

impl<V> fmt::Debug for GrpcLayer<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcLayer").finish_non_exhaustive()
    }
}

impl<S, V> Layer<S> for GrpcLayer<V> {
    type Service = GrpcService<S, V>;

    fn layer(&self, inner: S) -> Self::Service {
        GrpcService {
            inner,
            layer: self.clone(),
        }
    }
}

/// A service of which a [`GrpcLayer`] tells.
pub struct GrpcService<S, V> {
    inner: S,
    layer: GrpcLayer<V>,
}

impl<S: Clone, V> Clone for GrpcService<S, V> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            layer: self.layer.clone(),
        }
    }
}

impl<S: fmt::Debug, V> fmt::Debug for GrpcService<S, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S, V, B, A> Service<Request<B>> for GrpcService<S, V>
where
    S: Service<Request<RequestBody<B>>, Response = Response<A>>,
    V: GrpcView,
    B: Body,
    A: Body,
{
    type Response = Response<ResponseBody<A, GrpcWitness<V>>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, GrpcWitness<V>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let started = Instant::now();
        let trace = context::trace_of(Head::from(&request));
        let uri = request.uri().clone();
        let (parts, body) = request.into_parts();
        let (body, read) = RequestBody::new(body);
        let view = Arc::clone(&self.layer.view);
        let witness = GrpcWitness::arrived(view, uri, trace);
        let mut tally = Tally::new(witness, started, read);
        let inner = &mut self.inner;
        let answer = tally.watch(|| inner.call(Request::from_parts(parts, body)));
        // A call is a POST: its answer always has what its status says.
        ResponseFuture::new(answer, tally, Asked::Else)
    }
}

/// What a [`GrpcView`] is to be told of one call.
#[doc(hidden)]
pub struct GrpcWitness<V: GrpcView> {
    view: Arc<V>,
    uri: Uri,
    http: Option<StatusCode>,
    code: Option<Code>,
    trace: Option<TraceId>,
}

impl<V: GrpcView> GrpcWitness<V> {
    fn arrived(view: Arc<V>, uri: Uri, trace: Option<TraceId>) -> Self {
        view.arrived();
        Self {
            view,
            uri,
            http: None,
            code: None,
            trace,
        }
    }

    fn read(&mut self, headers: &HeaderMap) {
        if let Some(status) = headers.get("grpc-status") {
            self.code = Some(Code::from_header(status.as_bytes()));
        }
    }

    /// The code of a call that came to its end.
    fn answered_with(&self) -> Code {
        self.code.unwrap_or_else(|| {
            self.http
                .map_or(Code::Unknown, |status| Code::from_http(status.as_u16()))
        })
    }
}

/// The service and the method of a call to `path`, if they can be names.
fn names(path: &str) -> Option<(&str, &str)> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let name = |text: &str| {
        (1..=LONGEST_NAME).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    };
    (name(service) && name(method)).then_some((service, method))
}

impl<V: GrpcView> fmt::Debug for GrpcWitness<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcWitness")
            .field("uri", &self.uri)
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

impl<V: GrpcView> Witness for GrpcWitness<V> {
    fn answered(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.http = Some(status);
        self.read(headers);
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        self.read(trailers);
    }

    fn ended(&mut self, ending: Ending, traffic: &Traffic) {
        let (code, outcome) = match ending {
            Ending::Complete => {
                let code = self.answered_with();
                (code, code.outcome())
            }
            Ending::Cancelled => (Code::Cancelled, Outcome::Cancelled),
            Ending::Failed => (self.code.unwrap_or(Code::Unknown), Outcome::Error),
            Ending::Panicked => (Code::Internal, Outcome::Panicked),
        };
        // Before an answer nothing has vouched for the names.
        let vouched = self.http.is_some() && code != Code::Unimplemented;
        let (service, method) = names(self.uri.path())
            .filter(|_| vouched)
            .unwrap_or((UNMATCHED, UNMATCHED));
        self.view.ended(&Call {
            service,
            method,
            code,
            outcome,
            traffic: *traffic,
            trace: self.trace.as_ref(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_path() {
        assert_eq!(
            names("/grpc.health.v1.Health/Check"),
            Some(("grpc.health.v1.Health", "Check"))
        );
        let long = format!("/{}/m", "x".repeat(129));
        for bad in ["", "/", "a/b", "/a", "/a/", "//b", "/a/b/c", "/ä/b", &long] {
            assert_eq!(names(bad), None, "{bad}");
        }
    }
}
