//! Limits on how often a caller may ask.

mod answer;
mod buckets;
mod caller;
mod metrics;

use std::{
    fmt,
    num::NonZeroU32,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use inferometer::sample::http::LimitView;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

pub use self::{
    answer::LimitBody,
    caller::{Caller, by_api_key, by_client_address},
    metrics::{Bucket, ByDecision, Passage, RateLimit},
};
use self::{
    answer::refusal,
    buckets::{Buckets, Verdict},
};
use super::head::Head;

/// How many callers have a bucket of their own, where nothing else is said.
pub const DEFAULT_CALLERS: usize = 10_000;

/// How often a caller may ask: `burst` at once, and one more each time a `period / burst` has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota(governor::Quota);

impl Quota {
    /// `requests` in each `period`, all of them at once if need be. `None` when that comes to none at all, or to more than one a nanosecond.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use inferometer_http::layers::Quota;
    ///
    /// assert!(Quota::new(100, Duration::from_secs(60)).is_some());
    /// assert!(Quota::new(0, Duration::from_secs(60)).is_none());
    /// ```
    pub fn new(requests: u32, period: Duration) -> Option<Self> {
        let burst = NonZeroU32::new(requests)?;
        let quota = governor::Quota::with_period(period / requests)?;
        Some(Self(quota.allow_burst(burst)))
    }

    /// The same rate with `requests` at once.
    #[must_use]
    pub fn with_burst(self, requests: NonZeroU32) -> Self {
        Self(self.0.allow_burst(requests))
    }
}

/// Turns away who asks too often: 429 with `Retry-After` in whole seconds, and a problem (RFC 9457) as its body.
///
/// Who a caller is says a function: [`by_api_key`], [`by_client_address`], or one of the service's own. Two layers, one after the other, limit by both.
///
/// **Memory** is bounded. A caller has a bucket of its own (about 50 bytes) for as long as it isn't full again, and at most
/// [`with_callers`](Self::with_callers) have one; the rest, and those of whom the function knows nothing, share one bucket. So a flood of made-up callers takes
/// from itself, and from real ones that come while it lasts, never from those who are there already. What is kept of a caller is a
/// hash with random keys, no key and no address.
///
/// # Examples
/// ```
/// use std::{sync::Arc, time::Duration};
/// use axum::{Router, routing::get};
/// use inferometer::Registry;
/// use inferometer_http::layers::{Quota, RateLimit, RateLimitLayer, by_client_address};
///
/// let metrics: Arc<RateLimit> = Arc::new(Registry::new().register()?);
/// let quota = Quota::new(100, Duration::from_secs(60)).expect("a hundred a minute");
/// let app: Router = Router::new()
///     .route("/", get(async || "hello"))
///     .layer(RateLimitLayer::new(quota, by_client_address, metrics));
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
pub struct RateLimitLayer<V, K = fn(Head<'_>) -> Option<Caller>> {
    buckets: Arc<Buckets>,
    view: Arc<V>,
    callers: K,
}

impl<V, K> RateLimitLayer<V, K>
where
    V: LimitView,
    K: Fn(Head<'_>) -> Option<Caller> + Clone,
{
    /// Holds each of those that `callers` tells apart to `quota`, and tells `view`.
    pub fn new(quota: Quota, callers: K, view: Arc<V>) -> Self {
        Self {
            buckets: Arc::new(Buckets::new(quota.0, DEFAULT_CALLERS)),
            view,
            callers,
        }
    }

    /// Lets `most` callers have a bucket of their own. What was counted so far is forgotten.
    #[must_use]
    pub fn with_callers(self, most: usize) -> Self {
        Self {
            buckets: Arc::new(self.buckets.emptied(most)),
            ..self
        }
    }
}

impl<V, K: Clone> Clone for RateLimitLayer<V, K> {
    fn clone(&self) -> Self {
        Self {
            buckets: Arc::clone(&self.buckets),
            view: Arc::clone(&self.view),
            callers: self.callers.clone(),
        }
    }
}

impl<V, K> fmt::Debug for RateLimitLayer<V, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayer").finish_non_exhaustive()
    }
}

impl<S, V, K: Clone> Layer<S> for RateLimitLayer<V, K> {
    type Service = RateLimitService<S, V, K>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimitService {
            inner,
            layer: self.clone(),
        }
    }
}

/// A service that a [`RateLimitLayer`] guards. Its clones share their buckets.
pub struct RateLimitService<S, V, K = fn(Head<'_>) -> Option<Caller>> {
    inner: S,
    layer: RateLimitLayer<V, K>,
}

impl<S: Clone, V, K: Clone> Clone for RateLimitService<S, V, K> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            layer: self.layer.clone(),
        }
    }
}

impl<S: fmt::Debug, V, K> fmt::Debug for RateLimitService<S, V, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S, V, K, B, A> Service<Request<B>> for RateLimitService<S, V, K>
where
    S: Service<Request<B>, Response = Response<A>>,
    V: LimitView,
    K: Fn(Head<'_>) -> Option<Caller>,
    A: Body<Data = Bytes>,
{
    type Response = Response<LimitBody<A>>;
    type Error = S::Error;
    type Future = LimitFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let caller = (self.layer.callers)(Head::from(&request));
        let Verdict { decision, wait } = self.layer.buckets.decide(caller);
        self.layer.view.decided(&decision);
        LimitFuture {
            served: wait.is_none().then(|| self.inner.call(request)),
            wait: wait.unwrap_or_default(),
        }
    }
}

pin_project! {
    /// An answer that is being made, or that one asks too often.
    #[derive(Debug)]
    pub struct LimitFuture<F> {
        #[pin]
        served: Option<F>,
        // How long a caller is to wait whose request isn't served.
        wait: Duration,
    }
}

impl<F, A, E> Future for LimitFuture<F>
where
    F: Future<Output = Result<Response<A>, E>>,
    A: Body<Data = Bytes>,
{
    type Output = Result<Response<LimitBody<A>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        Poll::Ready(match this.served.as_pin_mut() {
            Some(served) => ready!(served.poll(cx)).map(|answer| answer.map(LimitBody::served)),
            None => Ok(refusal(*this.wait)),
        })
    }
}
