//! What the robot inference API shows of its HTTP traffic.

use inferometer::{
    AdditiveGauge, Counter, Histogram, IntGauge, MetricSet, buckets,
    lifecycle::Outcome,
    sample::http::{Decision, Exchange, HttpView, LimitView, Status},
};

/// The API's exchanges and their errors, none by route: the five names have no labels.
///
/// [`HttpView`] moves all of them but [`errors`](Self::errors) and [`exceptions`](Self::exceptions) that no exchange shows, as those of work in the background:
/// these the service counts itself.
#[derive(Clone, Debug, MetricSet)]
pub struct Http {
    /// HTTP requests that have ended, whatever the outcome.
    #[metric(name = "vla_http_requests_total", unit = "requests")]
    pub requests: Counter,
    /// Time from a request's arrival to the last byte of its answer, or to the end that came before.
    #[metric(
        name = "vla_http_request_duration_seconds",
        unit = "seconds",
        buckets = buckets::LATENCY
    )]
    pub request_duration: Histogram,
    /// HTTP connections that are open.
    #[metric(name = "vla_http_connections_active", unit = "connections")]
    pub connections_active: AdditiveGauge,
    /// Errors of the service's own making: answers of 500 and above, deadlines that passed, answers that broke off, exceptions.
    #[metric(name = "vla_errors_total", unit = "errors")]
    pub errors: Counter,
    /// Errors that nobody had foreseen: panics, and requests that came to no answer. Each is an error, too.
    #[metric(name = "vla_exceptions_total", unit = "exceptions")]
    pub exceptions: Counter,
}

impl HttpView for Http {
    fn ended(&self, exchange: &Exchange<'_>) {
        self.requests.inc();
        self.request_duration
            .observe_duration(exchange.traffic.duration);
        self.errors.add(exchange.failed().into());
        let unanswered = exchange.failed() && exchange.status == Status::NONE;
        let unforeseen = exchange.outcome == Outcome::Panicked || unanswered;
        self.exceptions.add(unforeseen.into());
    }

    fn connected(&self) {
        self.connections_active.inc();
    }

    fn disconnected(&self) {
        self.connections_active.dec();
    }
}

/// What the API's rate limit decides.
#[derive(Clone, Debug, MetricSet)]
pub struct RateLimit {
    /// Requests that were turned away because their caller asks too often.
    #[metric(name = "vla_rate_limit_hits_total", unit = "hits")]
    pub hits: Counter,
    /// Requests that the caller who asked last could still make at once; absent before the first request.
    #[metric(name = "vla_rate_limit_tokens_remaining", unit = "tokens")]
    pub tokens_remaining: IntGauge,
}

impl LimitView for RateLimit {
    fn decided(&self, decision: &Decision) {
        self.hits.add((!decision.allowed).into());
        self.tokens_remaining.set(decision.remaining.into());
    }
}
