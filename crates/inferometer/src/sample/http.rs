//! An exchange over HTTP, a call over gRPC, and the traits of those who want to be told of them.
//!
//! A layer sees the traffic and names no metric; a set of metrics implements [`HttpView`], [`GrpcView`] or [`LimitView`] and knows no
//! server. Several sets are told at once as a tuple.

mod grpc;
mod limit;
mod status;
mod trace;

use std::{sync::Arc, time::Duration};

pub use grpc::{Call, Code, GrpcView};
pub use limit::{Decision, LimitView};
pub use status::{Status, StatusClass};
pub use trace::TraceId;

use crate::{LabelValue, lifecycle::Outcome};

/// The route of a request that no route takes.
pub const UNMATCHED: &str = "unmatched";

/// The method of a request: one of the nine that are registered, or any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub enum Method {
    /// `GET`.
    #[label(value = "GET")]
    Get,
    /// `HEAD`.
    #[label(value = "HEAD")]
    Head,
    /// `POST`.
    #[label(value = "POST")]
    Post,
    /// `PUT`.
    #[label(value = "PUT")]
    Put,
    /// `DELETE`.
    #[label(value = "DELETE")]
    Delete,
    /// `CONNECT`.
    #[label(value = "CONNECT")]
    Connect,
    /// `OPTIONS`.
    #[label(value = "OPTIONS")]
    Options,
    /// `TRACE`.
    #[label(value = "TRACE")]
    Trace,
    /// `PATCH`.
    #[label(value = "PATCH")]
    Patch,
    /// Whatever else a client made up.
    Other,
}

impl Method {
    /// The method that is written so; the case counts.
    ///
    /// # Examples
    /// ```
    /// use inferometer::sample::http::Method;
    ///
    /// assert_eq!(Method::from_name("GET"), Method::Get);
    /// assert_eq!(Method::from_name("BREW"), Method::Other);
    /// ```
    pub fn from_name(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "CONNECT" => Self::Connect,
            "OPTIONS" => Self::Options,
            "TRACE" => Self::Trace,
            "PATCH" => Self::Patch,
            _ => Self::Other,
        }
    }
}

/// What went over the wire for one request, and how long it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// From arrival until the last byte of the answer's body was handed to the server, or until the end that came before.
    pub duration: Duration,
    /// From arrival until the first byte of the answer's body; `None` when there was none.
    pub first_byte: Option<Duration>,
    /// Bytes of the request's body that were read.
    pub request_bytes: u64,
    /// Bytes of the answer's body that were handed over.
    pub response_bytes: u64,
    /// In how many pieces they came.
    pub chunks: u64,
}

/// An exchange that has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exchange<'a> {
    /// The request's method.
    pub method: Method,
    /// The template of the route that took it, such as `/models/{id}`; [`UNMATCHED`] without one. Never the path itself.
    pub route: &'a str,
    /// The answer's status; [`Status::NONE`] when it came to none.
    pub status: Status,
    /// How it ended. A client that left is [`Outcome::Cancelled`], whatever the status was.
    pub outcome: Outcome,
    /// Bytes and times.
    pub traffic: Traffic,
    /// The trace that it belongs to.
    pub trace: Option<&'a TraceId>,
}

impl Exchange<'_> {
    /// Whether the service is to blame for how it ended: it panicked, failed, broke off, ran out of time, or had too much to do. What a client asked
    /// wrongly, too slowly (408) or too often (429) is no failure of the service.
    pub fn failed(&self) -> bool {
        match self.outcome {
            Outcome::Error | Outcome::Panicked => true,
            Outcome::Timeout => self.status != Status::of(408),
            Outcome::Shed => self.status != Status::of(429),
            Outcome::Ok | Outcome::Rejected | Outcome::Cancelled => false,
        }
    }
}

/// Whoever wants to be told of exchanges. It is called on the hot path: it must not wait, and must not panic.
///
/// Each [`arrived`](Self::arrived) is followed by exactly one [`ended`](Self::ended) with the same method, and each
/// [`connected`](Self::connected) by one [`disconnected`](Self::disconnected), whatever happens in between: so what one raises the other may lower.
///
/// # Examples
/// ```
/// use inferometer::{Counter, MetricSet, Registry, sample::http::{Exchange, HttpView}};
///
/// #[derive(MetricSet)]
/// struct Traffic {
///     /// Bytes of answers.
///     #[metric(unit = "bytes")]
///     sent: Counter,
/// }
///
/// impl HttpView for Traffic {
///     fn ended(&self, exchange: &Exchange<'_>) {
///         self.sent.add(exchange.traffic.response_bytes);
///     }
/// }
/// # Registry::new().register::<Traffic>()?;
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
pub trait HttpView: Send + Sync {
    /// A request has arrived.
    fn arrived(&self, method: Method) {
        let _ = method;
    }

    /// It has ended.
    fn ended(&self, exchange: &Exchange<'_>);

    /// A client has connected.
    fn connected(&self) {}

    /// A connection is closed.
    fn disconnected(&self) {}
}

impl<V: HttpView + ?Sized> HttpView for Arc<V> {
    fn arrived(&self, method: Method) {
        self.as_ref().arrived(method);
    }

    fn ended(&self, exchange: &Exchange<'_>) {
        self.as_ref().ended(exchange);
    }

    fn connected(&self) {
        self.as_ref().connected();
    }

    fn disconnected(&self) {
        self.as_ref().disconnected();
    }
}

impl<A: HttpView, B: HttpView> HttpView for (A, B) {
    fn arrived(&self, method: Method) {
        self.0.arrived(method);
        self.1.arrived(method);
    }

    fn ended(&self, exchange: &Exchange<'_>) {
        self.0.ended(exchange);
        self.1.ended(exchange);
    }

    fn connected(&self) {
        self.0.connected();
        self.1.connected();
    }

    fn disconnected(&self) {
        self.0.disconnected();
        self.1.disconnected();
    }
}
