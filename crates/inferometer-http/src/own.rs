//! The server's own metrics.

use inferometer::{
    AdditiveGauge, Counter, Histogram, LabelSet, LabelValue, MetricSet, Registry, buckets,
};

use crate::{problem::Refusal, route::Page};

/// By route.
#[derive(Clone, Copy, Debug, LabelSet)]
pub(crate) struct ByRoute {
    /// The route.
    pub(crate) route: Page,
}

/// By reason.
#[derive(Clone, Copy, Debug, LabelSet)]
pub(crate) struct ByRefusal {
    /// Why.
    pub(crate) reason: Refusal,
}

/// The format of a page.
#[derive(Clone, Copy, Debug, LabelValue)]
pub(crate) enum Exposition {
    Text,
    #[label(value = "openmetrics")]
    OpenMetrics,
    Protobuf,
}

impl From<inferometer::Format> for Exposition {
    fn from(format: inferometer::Format) -> Self {
        match format {
            inferometer::Format::PrometheusText => Self::Text,
            inferometer::Format::OpenMetricsText => Self::OpenMetrics,
            inferometer::Format::Protobuf => Self::Protobuf,
        }
    }
}

/// By format.
#[derive(Clone, Copy, Debug, LabelSet)]
pub(crate) struct ByFormat {
    /// The format.
    pub(crate) format: Exposition,
}

/// A file that is read again when it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, LabelValue)]
pub(crate) enum Watched {
    Keys,
    Certificate,
}

/// How reading it again went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, LabelValue)]
pub(crate) enum Reload {
    Taken,
    Refused,
}

/// By file and result.
#[derive(Clone, Copy, Debug, LabelSet)]
pub(crate) struct ByReload {
    /// The file.
    pub(crate) file: Watched,
    /// How it went.
    pub(crate) result: Reload,
}

/// What a server counts of itself. Servers of one registry share it.
#[derive(Clone, Debug, MetricSet)]
#[metrics(namespace = "inferometer_http")]
pub(crate) struct HttpMetrics {
    /// Requests that found a route and were let in, by route.
    pub(crate) requests: Counter<ByRoute>,
    /// Scrapes answered with a page, by its format.
    pub(crate) scrapes: Counter<ByFormat>,
    /// Time from a scrape's request to the last byte that the client took, or to its leaving.
    #[metric(unit = "seconds", buckets = buckets::LATENCY)]
    pub(crate) scrape_duration: Histogram,
    /// Size of a scrape's answer as sent, compressed or not.
    #[metric(unit = "bytes", buckets = buckets::exponential(1024.0, 4.0, 9))]
    pub(crate) scrape_size: Histogram,
    /// Requests that arrived and whose answer is not yet taken to its last byte.
    pub(crate) requests_in_flight: AdditiveGauge,
    /// Connections that are open.
    pub(crate) connections: AdditiveGauge,
    /// Connections that were accepted.
    pub(crate) connections_accepted: Counter,
    /// Requests and connections turned away, by reason.
    pub(crate) refusals: Counter<ByRefusal>,
    /// Requests with a key that is not one of ours or has not the scope, or with none where one is needed.
    pub(crate) authentication_failures: Counter,
    /// Times a file that had changed was read again, by file and result; a refused one leaves the one before in force.
    pub(crate) reloads: Counter<ByReload>,
}

impl HttpMetrics {
    /// Those of `registry`, declared when first asked for.
    pub(crate) fn of(registry: &Registry) -> Self {
        registry.register_once().unwrap_or_else(|error| {
            tracing::error!(%error, "the endpoint's own metrics have no place in this registry");
            Registry::new()
                .register()
                .expect("nothing stands in an empty registry")
        })
    }

    pub(crate) fn refused(&self, reason: Refusal) {
        self.refusals.with(ByRefusal { reason }).inc();
    }
}
