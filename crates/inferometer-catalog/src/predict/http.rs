//! What the prediction API shows of its HTTP traffic.

use inferometer::{
    AdditiveGauge, Counter, Histogram, LabelSet, LabelValue, MetricSet, buckets,
    lifecycle::Outcome,
    sample::http::{Exchange, HttpView, Method, Status, StatusClass},
};

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub enum ErrorType {
    /// An answer of 500 and above that no other kind explains.
    Internal,
    /// The deadline passed.
    Timeout,
    /// Turned away because the service had too much to do.
    Unavailable,
    /// The answer broke off, or none was made.
    Aborted,
    /// The code that served it panicked.
    Panic,
    /// The model failed.
    Model,
    /// The database failed.
    Database,
    /// Any other.
    Other,
}

/// By method, endpoint and status.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByAnswer<'a> {
    /// The method.
    pub method: Method,
    /// The route's template, or `unmatched`; never the path. A hundred are told apart.
    #[label(limit = 100)]
    pub endpoint: &'a str,
    /// The answer's status code; `none` when there was no answer.
    pub status_code: Status,
}

/// By method and endpoint.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByEndpoint<'a> {
    /// The method.
    pub method: Method,
    /// The route's template, or `unmatched`; never the path. A hundred are told apart.
    #[label(limit = 100)]
    pub endpoint: &'a str,
}

/// By kind of error and endpoint.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByError<'a> {
    /// What went wrong.
    pub error_type: ErrorType,
    /// The route's template, or `unmatched`; never the path. A hundred are told apart.
    #[label(limit = 100)]
    pub endpoint: &'a str,
}

/// The API's exchanges and their errors.
#[derive(Clone, Debug, MetricSet)]
pub struct Http {
    /// API requests that have ended, by method, endpoint and status code.
    #[metric(name = "api_requests_total", unit = "requests", max_series = 5_000)]
    pub requests: Counter<ByAnswer<'static>>,
    /// Time from an API request's arrival to the last byte of its answer, or to the end that came before, by method and endpoint.
    #[metric(
        name = "api_request_duration_seconds",
        unit = "seconds",
        buckets = buckets::LATENCY,
        max_series = 2_000
    )]
    pub request_duration: Histogram<ByEndpoint<'static>>,
    /// Errors of the service's own making, by kind and endpoint; what a client asked wrongly is none.
    #[metric(name = "errors_total", unit = "errors")]
    pub errors: Counter<ByError<'static>>,
    /// API connections that are open.
    #[metric(name = "active_connections_count", unit = "connections")]
    pub active_connections: AdditiveGauge,
}

impl Http {
    /// An error at `endpoint` that no answer shows: a batch that was answered in part, a write that was given up. What an exchange comes to
    /// counts by itself.
    pub fn failed(&self, error_type: ErrorType, endpoint: &str) {
        self.errors
            .with(ByError {
                error_type,
                endpoint,
            })
            .inc();
    }
}

/// What went wrong in an exchange, if it was the service's doing.
fn error_type(exchange: &Exchange<'_>) -> Option<ErrorType> {
    if !exchange.failed() {
        return None;
    }
    Some(match exchange.outcome {
        Outcome::Panicked => ErrorType::Panic,
        Outcome::Timeout => ErrorType::Timeout,
        Outcome::Shed => ErrorType::Unavailable,
        _ if exchange.status.class() == StatusClass::ServerError => ErrorType::Internal,
        _ => ErrorType::Aborted,
    })
}

impl HttpView for Http {
    fn ended(&self, exchange: &Exchange<'_>) {
        let (method, endpoint) = (exchange.method, exchange.route);
        self.requests
            .with(ByAnswer {
                method,
                endpoint,
                status_code: exchange.status,
            })
            .inc();
        let duration = self.request_duration.with(ByEndpoint { method, endpoint });
        let seconds = exchange.traffic.duration.as_secs_f64();
        match exchange.trace {
            Some(trace) => {
                duration.observe_with_exemplar(seconds, &[("trace_id", trace.as_str())]);
            }
            None => duration.observe(seconds),
        }
        if let Some(error_type) = error_type(exchange) {
            self.failed(error_type, endpoint);
        }
    }

    fn connected(&self) {
        self.active_connections.inc();
    }

    fn disconnected(&self) {
        self.active_connections.dec();
    }
}
