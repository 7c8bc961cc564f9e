//! From a snapshot to bytes. Nothing here reads a clock, does I/O or keeps state.

mod text;

use crate::snapshot::Snapshot;

/// A format in which a scrape can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// The Prometheus text format, version 0.0.4.
    PrometheusText,
    /// OpenMetrics text, version 1.0.0.
    OpenMetricsText,
}

impl Format {
    /// The value of the `Content-Type` header.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::PrometheusText => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetricsText => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes a snapshot; equal snapshots give equal bytes.
pub fn encode(snapshot: &Snapshot, format: Format) -> String {
    let mut page = String::with_capacity(4096);
    for family in &snapshot.families {
        text::family(&mut page, family, format);
    }
    if format == Format::OpenMetricsText {
        page.push_str("# EOF\n");
    }
    page
}

pub(crate) use text::escape_label_value;
