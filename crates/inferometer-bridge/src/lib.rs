//! What libraries record with the [`metrics`] facade, in an [Inferometer registry](inferometer::Registry) and within its limits.
//!
//! It takes the place of `metrics-exporter-prometheus`: the same calls make the same series, in the same scrape as everything else that
//! the registry holds, in every format that it has.
//!
//! ```
//! let recorder = inferometer_bridge::builder()
//!     .set_buckets(&[0.1, 1.0])?
//!     .install()?;
//!
//! metrics::describe_counter!("jobs", "Jobs done.");
//! metrics::counter!("jobs", "queue" => "mail").increment(2);
//! metrics::gauge!("depth").set(3.0);
//! metrics::histogram!("wait").record(0.5);
//!
//! assert!(recorder.registry().encode_text().contains(
//! r#"# HELP jobs Jobs done.
//! ## TYPE jobs counter
//! jobs{queue="mail"} 2
//! ## HELP depth No description was given.
//! ## TYPE depth gauge
//! depth 3.0
//! ## HELP wait No description was given.
//! ## TYPE wait histogram
//! wait_bucket{le="0.1"} 0
//! wait_bucket{le="1.0"} 1
//! wait_bucket{le="+Inf"} 1
//! wait_sum 0.5
//! wait_count 1
//! "#));
//! # Ok::<(), inferometer_bridge::BuildError>(())
//! ```
//!
//! There is no server here: the registry is scraped where it is served, by `inferometer-http` or a handler of your own.
//!
//! # What is different from `metrics-exporter-prometheus`
//!
//! | | there | here |
//! |---|---|---|
//! | a histogram without buckets | a summary over the last minute | a histogram with [`DEFAULT_BUCKETS`], which can be summed over instances |
//! | native buckets | instead of bounds, and in protobuf only | beside the bounds that are named for the metric, which are what the text formats show |
//! | a metric that isn't described | has no HELP | has a neutral sentence |
//! | a metric that is described twice | has the last HELP before the first scrape | has the first |
//! | labels | in the order of the first call, global ones first | in the order of their names |
//! | a backslash in a value, or two | can become one of the other | is written as it is |
//! | two names that become the same (`a.b`, `a_b`) | overwrite each other | are one series |
//! | one name with two kinds, or `x` beside a counter `x_total` | a page that parsers refuse | the later one records nothing, and is counted |
//! | a label named `le` on a histogram, or `__…` on anything | is written | is left out, and counted |
//! | a series that is idle | goes; a handle that is left records to nothing | goes; a handle that is left makes it anew |
//! | NaN in a histogram | makes the sum NaN | is refused, and counted |
//! | number of series | no limit | see below |
//! | upkeep | must be called for | there is none |
//!
//! # Limits
//!
//! | of | is | beyond it | counted in |
//! |---|---|---|---|
//! | values of a label | [1,000](Builder::max_label_values) | the value is `other` | `inferometer_label_values_dropped_total` |
//! | series of a metric | [10,000](Builder::max_series) | all values are `other` | `inferometer_label_values_dropped_total` |
//! | label names of a metric | [32](Builder::max_labels) | the label is left out | `inferometer_labels_dropped_total` |
//! | metrics | [1,000](Builder::max_metrics) | the metric records nothing | `inferometer_bridge_refused_total` |
//!
//! What is counted is each time that a handle is asked for, which the macros do each time they run; with
//! [`idle_timeout`](Builder::idle_timeout) it is each recording. Sums stay right: what is recorded under a value that has become `other`
//! is in the series of the rest.
//!
//! `inferometer_bridge_refused_total` has a `reason` (`name`: it isn't one, not even after other characters have become `_`; `taken`: it, or a
//! sample of it, is another metric's; `limit`) and the `metric`, of which it shows 100.
//!
//! # Cost
//!
//! A macro that runs again finds its series without a lock and without taking memory; the facade hands the series out in an [`Arc`], which
//! is most of what is left. A handle that is kept records as fast as a metric of the registry's own, but for one call through a pointer.
//!
//! [`Arc`]: std::sync::Arc

mod builder;
mod cache;
mod families;
mod handles;
mod names;
mod own;
mod recorder;

pub use builder::{BuildError, Builder, Matcher, builder};
pub use recorder::Recorder;

/// The bounds of a histogram for which none are named. The facade doesn't say what is measured, so they serve both a latency in seconds and
/// a size: from a millisecond to 100 seconds finely, and on to a million.
pub const DEFAULT_BUCKETS: [f64; 20] = [
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    1_000.0,
    10_000.0,
    100_000.0,
    1_000_000.0,
];
