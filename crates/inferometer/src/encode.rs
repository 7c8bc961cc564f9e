//! From readings to bytes. Nothing here reads a clock, does I/O or keeps state from one scrape to the next.
//!
//! | module | has |
//! |---|---|
//! | [`text`] | Prometheus text and OpenMetrics text |
//! | [`protobuf`] | Prometheus protobuf |
//! | [`gate`] | what of a family or reading can be written at all |
//! | [`labels`] | rendered labels: escaping, and reading them back |
//! | [`number`] | numbers and times as text |
//! | [`page`] | the bytes while they are written |

mod gate;
mod labels;
mod number;
mod page;
mod protobuf;
#[cfg(test)]
mod tests;
mod text;

use std::time::SystemTime;

use crate::{
    descriptor::Descriptor,
    reading::{LabelColumn, Reading, Sink},
    snapshot::Snapshot,
};

pub(crate) use labels::escape_label_value;

/// A format in which a scrape can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// The Prometheus text format, version 0.0.4.
    PrometheusText,
    /// OpenMetrics text, version 1.0.0.
    OpenMetricsText,
    /// The Prometheus protobuf format: messages of `io.prometheus.client.MetricFamily`, each after its length. The only one that
    /// has native buckets.
    Protobuf,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::PrometheusText, Self::OpenMetricsText, Self::Protobuf];

    /// The value of the `Content-Type` header.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::PrometheusText => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetricsText => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }
}

/// What may be left out of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EncodeOptions {
    /// Whether OpenMetrics gets a `_created` line for each series that counts. It doubles the lines of a page of counters, so it
    /// is off by default. Protobuf has these times in any case, the Prometheus text format never.
    pub created: bool,
}

/// Writes a snapshot; equal snapshots give equal bytes.
///
/// What can't be written is left out alone: a series whose labels are not as [`SeriesSnapshot`](crate::SeriesSnapshot) has them, a
/// histogram whose counts don't fit its bounds, an exemplar of more than 128 characters. That families differ in name, and a
/// family's series in labels, is up to the caller.
///
/// # Examples
/// ```
/// use inferometer::{Counter, Format, MetricSet, Registry, encode};
///
/// #[derive(MetricSet)]
/// struct Shop {
///     /// Orders taken.
///     orders: Counter,
/// }
///
/// let registry = Registry::new();
/// let shop: Shop = registry.register()?;
/// shop.orders.inc();
/// let page = encode(&registry.snapshot(), Format::OpenMetricsText);
/// assert!(page.starts_with(b"# TYPE orders counter\n# HELP orders Orders taken.\norders_total 1\n"));
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
pub fn encode(snapshot: &Snapshot, format: Format) -> Vec<u8> {
    encode_with(snapshot, format, EncodeOptions::default())
}

/// As [`encode`], with options.
pub fn encode_with(snapshot: &Snapshot, format: Format, options: EncodeOptions) -> Vec<u8> {
    let mut page = Vec::new();
    let mut sink = sink(format, options, &mut page);
    snapshot.replay(&mut sink);
    sink.finish();
    page
}

/// Writes what it is given into `page`, in place of what stands there; [`Encoder::finish`] ends it.
///
/// What stood in `page` is not kept, but its length is worth something: bytes that are there need not be cleared before they are
/// overwritten. So a page that is used again should come as it was left, and not emptied.
pub(crate) fn sink(format: Format, options: EncodeOptions, page: &mut Vec<u8>) -> Encoder<'_> {
    let page = page::Page::new(page);
    match format {
        Format::PrometheusText => Encoder::Text(text::Text::prometheus(page)),
        Format::OpenMetricsText => Encoder::Text(text::Text::open_metrics(page, options.created)),
        Format::Protobuf => Encoder::Protobuf(protobuf::Protobuf::new(page)),
    }
}

/// A format at work.
#[derive(Debug)]
pub(crate) enum Encoder<'p> {
    Text(text::Text<'p>),
    Protobuf(protobuf::Protobuf<'p>),
}

impl Encoder<'_> {
    /// How much was left out so far: series, exemplars and sums that can't be written.
    pub(crate) fn dropped(&self) -> u64 {
        match self {
            Self::Text(text) => text.dropped(),
            Self::Protobuf(protobuf) => protobuf.dropped(),
        }
    }

    /// Ends the page and cuts it to its length. Returns what [`dropped`](Self::dropped) has come to.
    pub(crate) fn finish(self) -> u64 {
        let dropped = self.dropped();
        match self {
            Self::Text(text) => text.finish(),
            Self::Protobuf(protobuf) => protobuf.finish(),
        }
        dropped
    }
}

impl Sink for Encoder<'_> {
    fn family(&mut self, descriptor: &Descriptor) {
        match self {
            Self::Text(text) => text.family(descriptor),
            Self::Protobuf(protobuf) => protobuf.family(descriptor),
        }
    }

    fn integers(
        &mut self,
        labels: &LabelColumn,
        first: usize,
        values: &[u64],
        created: Option<SystemTime>,
    ) {
        match self {
            Self::Text(text) => text.integers(labels, first, values, created),
            Self::Protobuf(protobuf) => protobuf.integers(labels, first, values, created),
        }
    }

    fn series(&mut self, reading: &Reading<'_>) {
        match self {
            Self::Text(text) => text.series(reading),
            Self::Protobuf(protobuf) => protobuf.series(reading),
        }
    }
}
