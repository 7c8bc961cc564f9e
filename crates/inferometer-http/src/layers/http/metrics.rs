//! Our own metrics of HTTP exchanges.

use inferometer::{
    AdditiveGauge, Counter, Histogram, LabelSet, MetricSet, buckets,
    lifecycle::Outcome,
    sample::http::{Exchange, HttpView, Method, Status, StatusClass},
};

/// From 64 bytes to 64 MiB in powers of 16 and 4, for the size of a body.
pub(in crate::layers) const BODY_BYTES: [f64; 9] = [
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    1_048_576.0,
    16_777_216.0,
    67_108_864.0,
];

/// By method.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByMethod {
    /// The method.
    pub method: Method,
}

/// By method and route.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByRoute<'a> {
    /// The method.
    pub method: Method,
    /// The route's template, or `unmatched`. A hundred are told apart.
    #[label(limit = 100)]
    pub route: &'a str,
}

/// By method, route and class of status.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByClass<'a> {
    /// The method.
    pub method: Method,
    /// The route's template, or `unmatched`. A hundred are told apart.
    #[label(limit = 100)]
    pub route: &'a str,
    /// The class of the answer's status.
    pub status: StatusClass,
}

/// By method, route, status and outcome.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByEnd<'a> {
    /// The method.
    pub method: Method,
    /// The route's template, or `unmatched`. A hundred are told apart.
    #[label(limit = 100)]
    pub route: &'a str,
    /// The answer's status code.
    pub code: Status,
    /// How the exchange ended.
    pub outcome: Outcome,
}

/// A server's exchanges, as a [`HttpLayer`](super::HttpLayer) sees them: `started = Σ finished + active` at any quiet moment.
///
/// Routes are templates, so their number is the service's own; methods and statuses are closed. What a client makes up reaches no label.
/// Durations carry exemplars with the request's `trace_id`.
#[derive(Clone, Debug, MetricSet)]
#[metrics(namespace = "inferometer_http_server")]
pub struct HttpServer {
    /// Requests that have arrived.
    #[metric(name = "inferometer_http_server_requests_started_total")]
    pub requests_started: Counter,
    /// Requests that have ended, by method, route, status and outcome; each ends once. Without an answer, the code is none.
    #[metric(
        name = "inferometer_http_server_requests_finished_total",
        max_series = 5_000
    )]
    pub requests_finished: Counter<ByEnd<'static>>,
    /// Requests that have arrived and whose answer isn't over, by method.
    pub active_requests: AdditiveGauge<ByMethod>,
    /// Time from a request's arrival to the last byte of its answer, or to the end that came before, by method, route and class of status.
    #[metric(unit = "seconds", buckets = buckets::LATENCY, max_series = 2_000)]
    pub request_duration: Histogram<ByClass<'static>>,
    /// Time from a request's arrival to the first byte of its answer's body, by method and route; answers without a body aren't in it.
    #[metric(unit = "seconds", buckets = buckets::TIME_TO_FIRST_TOKEN, max_series = 2_000)]
    pub time_to_first_byte: Histogram<ByRoute<'static>>,
    /// Size of a request's body, as far as it was read, by method and route.
    #[metric(unit = "bytes", buckets = BODY_BYTES, max_series = 2_000)]
    pub request_body_size: Histogram<ByRoute<'static>>,
    /// Size of an answer's body, as far as it was sent, by method and route.
    #[metric(unit = "bytes", buckets = BODY_BYTES, max_series = 2_000)]
    pub response_body_size: Histogram<ByRoute<'static>>,
    /// Pieces of answers' bodies, by method and route: one where the body is whole, many where it streams.
    #[metric(max_series = 2_000)]
    pub response_chunks: Counter<ByRoute<'static>>,
    /// Connections that are open, where a ConnectionsLayer counts them.
    pub open_connections: AdditiveGauge,
    /// Connections that were opened, where a ConnectionsLayer counts them.
    pub connections_opened: Counter,
}

#[expect(clippy::cast_precision_loss, reason = "a body is far below 2^53 bytes")]
pub(in crate::layers) fn as_float(bytes: u64) -> f64 {
    bytes as f64
}

impl HttpView for HttpServer {
    fn arrived(&self, method: Method) {
        self.requests_started.inc();
        self.active_requests.with(ByMethod { method }).inc();
    }

    fn ended(&self, exchange: &Exchange<'_>) {
        let Exchange {
            method,
            route,
            status,
            outcome,
            traffic,
            trace,
        } = *exchange;
        let seconds = traffic.duration.as_secs_f64();
        let duration = self.request_duration.with(ByClass {
            method,
            route,
            status: status.class(),
        });
        match trace {
            Some(trace) => {
                duration.observe_with_exemplar(seconds, &[("trace_id", trace.as_str())]);
            }
            None => duration.observe(seconds),
        }
        let by_route = ByRoute { method, route };
        if let Some(first) = traffic.first_byte {
            self.time_to_first_byte
                .with(by_route)
                .observe_duration(first);
        }
        self.request_body_size
            .with(by_route)
            .observe(as_float(traffic.request_bytes));
        self.response_body_size
            .with(by_route)
            .observe(as_float(traffic.response_bytes));
        self.response_chunks.with(by_route).add(traffic.chunks);
        // Last: who sees the request finished sees the rest of it too.
        let by_end = ByEnd {
            method,
            route,
            code: status,
            outcome,
        };
        self.requests_finished.with(by_end).inc();
        self.active_requests.with(ByMethod { method }).dec();
    }

    fn connected(&self) {
        self.connections_opened.inc();
        self.open_connections.inc();
    }

    fn disconnected(&self) {
        self.open_connections.dec();
    }
}
