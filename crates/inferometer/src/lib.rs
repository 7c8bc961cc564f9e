//! Metrics for services that run models: typed, bounded, and honest about what they don't know.
//!
//! A struct is a set of metrics, a documented field is a metric, its doc comment is the HELP:
//!
//! ```
//! use inferometer::{Counter, Histogram, LabelSet, LabelValue, MetricSet, Registry};
//!
//! #[derive(Clone, Copy, LabelValue)]
//! enum Outcome { Ok, Failed }
//!
//! #[derive(LabelSet)]
//! struct ByOutcome { outcome: Outcome }
//!
//! #[derive(MetricSet)]
//! #[metrics(namespace = "translator")]
//! struct Translator {
//!     /// Requests answered, by outcome.
//!     requests: Counter<ByOutcome>,
//!     /// Time from arrival to answer.
//!     #[metric(unit = "seconds", buckets = [0.1, 1.0])]
//!     latency: Histogram,
//! }
//!
//! let registry = Registry::new();
//! let translator: Translator = registry.register()?;
//! translator.requests.with(ByOutcome { outcome: Outcome::Ok }).inc();
//! translator.latency.observe(0.25);
//! assert!(registry.encode_text().starts_with(
//! r#"# HELP translator_requests_total Requests answered, by outcome.
//! ## TYPE translator_requests_total counter
//! translator_requests_total{outcome="ok"} 1
//! translator_requests_total{outcome="failed"} 0
//! ## HELP translator_latency_seconds Time from arrival to answer.
//! ## TYPE translator_latency_seconds histogram
//! translator_latency_seconds_bucket{le="0.1"} 0
//! translator_latency_seconds_bucket{le="1.0"} 1
//! translator_latency_seconds_bucket{le="+Inf"} 1
//! translator_latency_seconds_sum 0.25
//! translator_latency_seconds_count 1
//! "#));
//! # Ok::<(), inferometer::RegisterError>(())
//! ```
//!
//! # Where to look
//!
//! | for | see |
//! |---|---|
//! | kinds of metric | [`Counter`], [`FloatCounter`], [`Gauge`], [`IntGauge`], [`AdditiveGauge`], [`Histogram`], [`Info`], [`StateSet`] |
//! | buckets without bounds | [`NativeBuckets`] |
//! | formats | [`Format`], [`Registry::encode_into`] |
//! | memory and threads | [`set_thread_shards`] |
//! | labels, closed and open | [`LabelValue`], [`LabelSet`] |
//! | sets and their attributes | [`MetricSet`] |
//! | declaring, scraping | [`Registry`] |
//! | families whose labels are known only at run time | [`dynamic`] |
//! | a request's life, from arrival to outcome | [`lifecycle`] |
//! | what monitors find, and who is told | [`sample`] |
//! | what is known of a metric without an instance | [`descriptors`], [`Descriptor`] |
//!
//! # The registry's own metrics
//!
//! | name | kind | labels | moves when |
//! |---|---|---|---|
//! | `inferometer_series` | gauge | `family` | a series appears or goes; a histogram's buckets count as one |
//! | `inferometer_label_values_dropped_total` | counter | `family`, `label` | a value beyond the limit, or too long, becomes `other` |
//! | `inferometer_labels_dropped_total` | counter | `family` | a [dynamic] family leaves a label out: its name isn't one, or one too many |
//! | `inferometer_recordings_refused_total` | counter | `family` | a recording is refused: NaN, a negative amount, a hand-set value on a computed series |
//! | `inferometer_scrape_failures_total` | counter | `family` | a series is left out because the code that computes it panicked |
//! | `inferometer_exemplars_refused_total` | counter | `family` | an exemplar's labels are too long, or have a name that isn't one |
//! | `inferometer_unwritten_samples_total` | counter | | a scrape had a sample or exemplar that its format can't write |

mod cell;
mod descriptor;
mod encode;
mod error;
mod exemplars;
mod family;
mod key;
mod label;
mod metric;
mod native;
mod own;
mod reading;
mod registry;
mod rules;
mod series;
mod set;
mod snapshot;
mod sync;

pub mod buckets;
pub mod dynamic;
pub mod lifecycle;
pub mod sample;

pub use cell::set_thread_shards;
pub use descriptor::{Descriptor, Kind, LabelBound, LabelDescriptor};
pub use encode::{EncodeOptions, Format, encode, encode_with};
pub use error::{RegisterError, Rule};
pub use inferometer_derive::{LabelSet, LabelValue, MetricSet};
#[doc(hidden)]
pub use key::KeySink;
pub use label::{AnyLabelValue, DEFAULT_LIMIT, LabelSet, LabelSpec, LabelValue, OVERFLOW};
pub use metric::{
    AdditiveGauge, AdditiveGaugeRef, Counter, CounterRef, FloatCounter, FloatCounterRef, Gauge,
    GaugeRef, Histogram, HistogramRef, InFlight, Info, IntGauge, IntGaugeRef, IntTracking, Metric,
    StateSet, StateSetRef, Timer, Tracking,
};
pub use native::NativeBuckets;
pub use registry::{Registrar, Registry};
pub use set::{FieldSpec, MetricSet, create_field, descriptors};
pub use snapshot::{
    Exemplar, FamilySnapshot, HistogramPoint, NativePoint, Point, SeriesSnapshot, Snapshot,
};

// The derives name this crate from outside; inside, too.
extern crate self as inferometer;

use std::sync::OnceLock;

/// The registry of the whole process, for code that has none of its own to hand.
pub fn global() -> &'static Registry {
    static GLOBAL: OnceLock<Registry> = OnceLock::new();
    GLOBAL.get_or_init(Registry::new)
}

/// The README's example, so that it compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
