//! `tower` layers that instrument any service of `http` types: axum's, hyper's, tonic's.
//!
//! | layer | does |
//! |---|---|
//! | [`HttpLayer`] | tells sets of metrics of every exchange: [`HttpServer`], and whatever implements [`HttpView`](inferometer::sample::http::HttpView) |
//! | [`GrpcLayer`] | the same for calls over gRPC: [`GrpcServer`], [`GrpcView`](inferometer::sample::http::GrpcView) |
//! | [`ConnectionsLayer`] | tells them of connections |
//! | [`ContextLayer`] | gives a request its id and its place in a trace, in logs, exemplars and headers |
//! | [`ProcessTimeLayer`] | puts `X-Process-Time` on answers |
//! | [`RateLimitLayer`] | turns away who asks too often |
//!
//! **Order.** From the outside in: context, so that all others know the trace; HTTP or gRPC, so that what is refused further in is counted; process
//! time; limits. `Router::layer` puts the layer named last outermost.
//!
//! # Examples
//! ```
//! use std::{sync::Arc, time::Duration};
//! use axum::{Router, routing::get};
//! use inferometer::Registry;
//! use inferometer_http::layers::{
//!     ContextLayer, HttpLayer, HttpServer, ProcessTimeLayer, Quota, RateLimit, RateLimitLayer, by_client_address,
//! };
//!
//! let registry = Registry::new();
//! let http: Arc<HttpServer> = Arc::new(registry.register()?);
//! let limit: Arc<RateLimit> = Arc::new(registry.register()?);
//! let quota = Quota::new(100, Duration::from_secs(60)).expect("a hundred a minute");
//! let app: Router = Router::new()
//!     .route("/models/{id}", get(async || "a model"))
//!     .layer(RateLimitLayer::new(quota, by_client_address, limit))
//!     .layer(ProcessTimeLayer::new())
//!     .layer(HttpLayer::new(http))
//!     .layer(ContextLayer::new());
//! # Ok::<(), inferometer::RegisterError>(())
//! ```

mod body;
mod connections;
mod context;
mod future;
mod grpc;
mod head;
mod http;
mod limit;
mod process_time;
mod tally;

pub use self::{
    body::{RequestBody, ResponseBody},
    connections::{
        Connected, ConnectionsLayer, MakeConnected, MakeConnectedFuture, OpenConnection,
    },
    context::{
        ContextFuture, ContextLayer, ContextService, RequestContext, SpannedBody, TraceContext,
    },
    future::ResponseFuture,
    grpc::{ByCall, ByGrpcMethod, GrpcLayer, GrpcServer, GrpcService},
    head::{Head, Route, matched_route},
    http::{
        HttpLayer, HttpService,
        metrics::{ByClass, ByEnd, ByMethod, ByRoute, HttpServer},
    },
    limit::{
        Bucket, ByDecision, Caller, DEFAULT_CALLERS, LimitBody, LimitFuture, Passage, Quota,
        RateLimit, RateLimitLayer, RateLimitService, by_api_key, by_client_address,
    },
    process_time::{ProcessTimeFuture, ProcessTimeLayer, ProcessTimeService},
};
#[doc(hidden)]
pub use self::{
    grpc::GrpcWitness,
    http::HttpWitness,
    tally::{Ending, Witness},
};
