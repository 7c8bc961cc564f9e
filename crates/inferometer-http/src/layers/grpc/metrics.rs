//! Our own metrics of gRPC calls.

use inferometer::{
    AdditiveGauge, Counter, Histogram, LabelSet, MetricSet, buckets,
    lifecycle::Outcome,
    sample::http::{Call, Code, GrpcView},
};

use crate::layers::http::metrics::{BODY_BYTES, as_float};

/// By service and method.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByMethod<'a> {
    /// The service with its package, or `unmatched`. A hundred are told apart.
    #[label(limit = 100)]
    pub service: &'a str,
    /// The method, or `unmatched`. Two hundred are told apart.
    #[label(limit = 200)]
    pub method: &'a str,
}

/// By service, method, code and outcome.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByCall<'a> {
    /// The service with its package, or `unmatched`. A hundred are told apart.
    #[label(limit = 100)]
    pub service: &'a str,
    /// The method, or `unmatched`. Two hundred are told apart.
    #[label(limit = 200)]
    pub method: &'a str,
    /// The call's status.
    pub code: Code,
    /// How the call ended.
    pub outcome: Outcome,
}

/// A server's calls, as a [`GrpcLayer`](super::GrpcLayer) sees them: `started = Σ finished + active` at any quiet moment.
///
/// Durations carry exemplars with the call's `trace_id`.
#[derive(Clone, Debug, MetricSet)]
#[metrics(namespace = "inferometer_grpc_server")]
pub struct GrpcServer {
    /// Calls that have arrived.
    pub calls_started: Counter,
    /// Calls that have ended, by service, method, code and outcome; each ends once.
    #[metric(max_series = 5_000)]
    pub calls_finished: Counter<ByCall<'static>>,
    /// Calls that have arrived and whose answer isn't over.
    pub active_calls: AdditiveGauge,
    /// Time from a call's arrival to its status, by service and method.
    #[metric(unit = "seconds", buckets = buckets::LATENCY, max_series = 2_000)]
    pub call_duration: Histogram<ByMethod<'static>>,
    /// Time from a call's arrival to the first byte of its answer, by service and method; answers without a message aren't in it.
    #[metric(unit = "seconds", buckets = buckets::TIME_TO_FIRST_TOKEN, max_series = 2_000)]
    pub time_to_first_byte: Histogram<ByMethod<'static>>,
    /// Size of what a caller sent, framing included, as far as it was read, by service and method.
    #[metric(unit = "bytes", buckets = BODY_BYTES, max_series = 2_000)]
    pub request_body_size: Histogram<ByMethod<'static>>,
    /// Size of what was sent to a caller, framing included, by service and method.
    #[metric(unit = "bytes", buckets = BODY_BYTES, max_series = 2_000)]
    pub response_body_size: Histogram<ByMethod<'static>>,
    /// Pieces of answers, each a message or a few, by service and method.
    #[metric(max_series = 2_000)]
    pub response_chunks: Counter<ByMethod<'static>>,
}

impl GrpcView for GrpcServer {
    fn arrived(&self) {
        self.calls_started.inc();
        self.active_calls.inc();
    }

    fn ended(&self, call: &Call<'_>) {
        let Call {
            service,
            method,
            code,
            outcome,
            traffic,
            trace,
        } = *call;
        let by_method = ByMethod { service, method };
        let duration = self.call_duration.with(by_method);
        let seconds = traffic.duration.as_secs_f64();
        match trace {
            Some(trace) => {
                duration.observe_with_exemplar(seconds, &[("trace_id", trace.as_str())]);
            }
            None => duration.observe(seconds),
        }
        if let Some(first) = traffic.first_byte {
            self.time_to_first_byte
                .with(by_method)
                .observe_duration(first);
        }
        self.request_body_size
            .with(by_method)
            .observe(as_float(traffic.request_bytes));
        self.response_body_size
            .with(by_method)
            .observe(as_float(traffic.response_bytes));
        self.response_chunks.with(by_method).add(traffic.chunks);
        // Last: who sees the call finished sees the rest of it too.
        let by_call = ByCall {
            service,
            method,
            code,
            outcome,
        };
        self.calls_finished.with(by_call).inc();
        self.active_calls.dec();
    }
}
