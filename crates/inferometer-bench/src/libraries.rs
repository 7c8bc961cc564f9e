//! The libraries, each behind the same two doors: a hot loop to time, and a set of many series to fill and scrape.
//!
//! Each is used as its own documentation advises for the case at hand. What that meant is said where it isn't obvious.

use std::hint::black_box;

use anyhow::Result;

use crate::{
    labels::{INPUTS, Size},
    page::Totals,
};

mod fastmetrics;
mod measured;
mod metrics;
mod opentelemetry;
mod ours;
mod prometheus;
mod prometheus_client;
mod static_metric;

/// Every library, ours first.
pub(crate) static ALL: [&dyn Library; 8] = [
    &ours::Ours,
    &prometheus_client::PrometheusClient,
    &prometheus::Prometheus,
    &static_metric::StaticMetric,
    &metrics::Metrics,
    &measured::Measured,
    &fastmetrics::FastMetrics,
    &opentelemetry::OpenTelemetry,
];

/// What ours is called.
pub(crate) const OURS: &str = "inferometer";

/// The library of this name.
///
/// # Errors
/// There is none.
pub(crate) fn named(name: &str) -> Result<&'static dyn Library> {
    ALL.into_iter()
        .find(|library| library.name() == name)
        .ok_or_else(|| anyhow::anyhow!("there is no library `{name}` to compare with"))
}

/// A library under comparison.
pub(crate) trait Library: Sync {
    fn name(&self) -> &'static str;

    /// The packages whose versions count.
    fn packages(&self) -> &'static [&'static str];

    /// A hot loop of `task`; `None` when the library has no such thing.
    fn recording(&self, task: Task) -> Result<Option<Recording>>;

    /// Many series in one registry; `None` when the library isn't made for them.
    fn set(&self, shape: Shape) -> Result<Option<Box<dyn Set>>>;
}

/// What a hot loop does once per operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub(crate) enum Task {
    /// Adds one to a counter through a handle that is kept.
    Counter,
    /// Finds the series of three closed labels and adds one.
    ClosedLabels,
    /// Finds the series of a text and adds one.
    OneOpenLabel,
    /// Finds the series of three texts and adds one.
    ThreeOpenLabels,
    /// Observes a duration in a histogram with 14 bounds, through a handle that is kept.
    Histogram,
    /// The same with native buckets alone.
    NativeHistogram,
    /// Sets a gauge.
    SetGauge,
    /// Adds one to a gauge that is only added to.
    AddGauge,
}

/// A share of a hot loop: how often, and which input comes first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) operations: u64,
    pub(crate) offset: usize,
}

impl Share {
    /// Calls `operation` with one input after the other, each opaque to the compiler, over and over. What it takes itself, every library
    /// takes: so it counts by parts and not by calls.
    #[inline(always)]
    pub(crate) fn cycle<T>(self, inputs: &[T], mut operation: impl FnMut(&T)) {
        let (late, early) = inputs.split_at(self.offset.min(inputs.len()));
        let mut left = self.operations;
        loop {
            for part in [early, late] {
                let wanted = usize::try_from(left).map_or(part.len(), |left| left.min(part.len()));
                for input in &part[..wanted] {
                    operation(black_box(input));
                }
                left -= wanted as u64;
                if left == 0 {
                    return;
                }
            }
        }
    }

    /// Calls `operation` over and over; memory counts as changed by others in between, as it does in a service.
    #[inline(always)]
    pub(crate) fn repeat(self, mut operation: impl FnMut()) {
        for _ in 0..self.operations {
            operation();
            black_box(());
        }
    }

    /// The share that goes on where this one ends.
    pub(crate) fn next(self) -> Self {
        let gone = usize::try_from(self.operations % INPUTS as u64).unwrap_or(0);
        Self {
            offset: (self.offset + gone) % INPUTS,
            ..self
        }
    }

    /// The sum of the inputs that [`cycle`](Self::cycle) goes through.
    pub(crate) fn sum(self, inputs: &[f64]) -> f64 {
        let whole = self.operations / INPUTS as u64;
        let rest = Self {
            operations: self.operations % INPUTS as u64,
            ..self
        };
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let mut sum = inputs.iter().sum::<f64>() * whole as f64;
        rest.cycle(inputs, |value| sum += value);
        sum
    }
}

/// A hot loop.
pub(crate) type Run = Box<dyn Fn(Share) + Send + Sync>;

/// A hot loop, and the page that shows what it has recorded. Several threads may run it at once.
pub(crate) struct Recording {
    pub(crate) run: Run,
    page: Box<dyn Fn() -> Result<Vec<u8>> + Send + Sync>,
}

impl Recording {
    /// `page` is a text exposition in which the metric is called [`NAME`].
    fn new(
        run: impl Fn(Share) + Send + Sync + 'static,
        page: impl Fn() -> Result<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            run: Box::new(run),
            page: Box::new(page),
        }
    }

    /// What a scrape shows of what was recorded.
    ///
    /// # Errors
    /// It can't be scraped, or the page not be read.
    pub(crate) fn totals(&self) -> Result<Totals> {
        Totals::of(&(self.page)()?, Format::Text)
    }
}

/// What the metric of a [`Recording`] is called, but for a suffix.
pub(crate) const NAME: &str = "bench";

/// Which series a [`Set`] has.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize, serde::Serialize)]
pub(crate) struct Shape {
    /// Families of counters with three closed labels, all of one size.
    pub(crate) counters: Option<(Size, usize)>,
    /// A family of histograms with three closed labels and 14 bounds.
    pub(crate) histograms: Option<Size>,
    /// A family of counters with one open label.
    pub(crate) open: Option<Open>,
}

/// How many values an open label may take, where a library has a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub(crate) enum Open {
    /// As many as the library says by itself; ours says [`inferometer::DEFAULT_LIMIT`].
    Default,
    /// [`WIDE`].
    Wide,
}

/// The limit of [`Open::Wide`].
pub(crate) const WIDE: usize = 200_000;

/// A format of exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub(crate) enum Format {
    Text,
    OpenMetrics,
    Protobuf,
}

/// Many series in one registry. What isn't in its shape isn't recorded.
///
/// Families are called `bench_0_total`, `bench_1_total` …, `bench_seconds` and `bench_open_total`, with or without a suffix.
pub(crate) trait Set: Send + Sync {
    /// Adds to the counter at `series`, counted over all families, found by its labels.
    fn count(&self, series: usize, amount: u64);

    /// Observes in the histogram at `series`, found by its labels.
    fn observe(&self, series: usize, value: f64);

    /// Adds one to the counter with this value of the open label.
    fn count_open(&self, value: &str);

    /// Writes the page over what `into` held, in its memory where the library allows that; `false` when the library doesn't have
    /// the format.
    fn scrape(&self, format: Format, into: &mut Vec<u8>) -> Result<bool>;
}

/// Lets a library that writes text write into bytes.
struct Text<'a>(&'a mut Vec<u8>);

impl std::fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_goes_round_from_its_offset() {
        let mut seen = Vec::new();
        let share = Share {
            operations: 5,
            offset: 2,
        };
        share.cycle(&[1, 2, 3], |input| seen.push(*input));
        assert_eq!(seen, [3, 1, 2, 3, 1]);
    }

    #[test]
    fn the_next_share_goes_on_where_one_ends() {
        let inputs: Vec<usize> = (0..INPUTS).collect();
        let share = Share {
            operations: 1_234,
            offset: 900,
        };
        let mut last = 0;
        share.cycle(&inputs, |input| last = *input);
        assert_eq!(share.next().offset, (last + 1) % INPUTS);
    }

    #[test]
    fn the_sum_of_a_share_is_what_it_goes_through() {
        let inputs = crate::labels::durations();
        let share = Share {
            operations: 2_345,
            offset: 17,
        };
        let mut sum = 0.0;
        share.cycle(inputs, |value| sum += value);
        assert_eq!(share.sum(inputs).to_bits(), sum.to_bits());
    }
}
