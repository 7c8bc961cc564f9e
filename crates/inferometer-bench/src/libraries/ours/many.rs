//! Many series of ours in one registry.

use anyhow::{Result, bail};
use inferometer::{
    Counter, EncodeOptions, Histogram, LabelSet, LabelValue, MetricSet, Registry, buckets,
};

use crate::{
    labels::{Size, TEXTS, Value},
    libraries::{Format, Open, Set, Shape, WIDE},
};

impl<const N: usize> LabelValue for Value<N> {
    const VALUES: Option<&'static [&'static str]> = Some(TEXTS.split_at(N).0);

    fn index(&self) -> usize {
        self.0
    }

    fn with_text(&self, take: &mut dyn FnMut(&str)) {
        take(TEXTS[self.0]);
    }
}

/// Three closed labels of a size.
trait Sized3: for<'a> LabelSet<Of<'a> = Self> + Sized + 'static {
    const SIZE: Size;

    fn at(values: [usize; 3]) -> Self;
}

macro_rules! sized {
    ($name:ident, $size:ident) => {
        #[derive(LabelSet)]
        struct $name {
            region: Value<{ Size::$size.values()[0] }>,
            zone: Value<{ Size::$size.values()[1] }>,
            pod: Value<{ Size::$size.values()[2] }>,
        }

        impl Sized3 for $name {
            const SIZE: Size = Size::$size;

            fn at([region, zone, pod]: [usize; 3]) -> Self {
                Self {
                    region: Value(region),
                    zone: Value(zone),
                    pod: Value(pod),
                }
            }
        }
    };
}
sized!(Thousand, Thousand);
sized!(TenThousand, TenThousand);
sized!(HundredThousand, HundredThousand);

#[derive(LabelSet)]
struct Wide<'a> {
    #[label(limit = WIDE)]
    customer: &'a str,
}

#[derive(LabelSet)]
struct Bounded<'a> {
    customer: &'a str,
}

#[derive(MetricSet)]
struct One<L: LabelSet + 'static> {
    /// Things counted.
    #[metric(max_series = WIDE)]
    bench_0: Counter<L>,
}

#[derive(MetricSet)]
struct Ten<L: LabelSet + 'static> {
    /// Things counted.
    #[metric(max_series = WIDE)]
    bench_0: Counter<L>,
    /// Things counted.
    #[metric(max_series = WIDE)]
    bench_1: Counter<L>,
    /// Things counted.
    #[metric(max_series = WIDE)]
    bench_2: Counter<L>,
    /// Things counted.
    #[metric(max_series = WIDE)]
    bench_3: Counter<L>,
    /// Things counted.
    #[metric(max_series = WIDE)]
    bench_4: Counter<L>,
    /// Things counted.
    #[metric(max_series = WIDE)]
    bench_5: Counter<L>,
    /// Things counted.
    #[metric(max_series = WIDE)]
    bench_6: Counter<L>,
    /// Things counted.
    #[metric(max_series = WIDE)]
    bench_7: Counter<L>,
    /// Things counted.
    #[metric(max_series = WIDE)]
    bench_8: Counter<L>,
    /// Things counted.
    #[metric(max_series = WIDE)]
    bench_9: Counter<L>,
}

#[derive(MetricSet)]
struct Observed<L: LabelSet + 'static> {
    /// Times taken.
    #[metric(unit = "seconds", buckets = buckets::LATENCY, max_series = WIDE)]
    bench: Histogram<L>,
}

#[derive(MetricSet)]
struct Opened<L: LabelSet + 'static> {
    /// Things counted by customer.
    #[metric(max_series = WIDE)]
    bench_open: Counter<L>,
}

type Count = Box<dyn Fn(usize, u64) + Send + Sync>;
type Observe = Box<dyn Fn(usize, f64) + Send + Sync>;
type CountOpen = Box<dyn Fn(&str) + Send + Sync>;

pub(super) struct Many {
    registry: Registry,
    counters: Vec<Count>,
    per_family: usize,
    histograms: Option<Observe>,
    open: Option<CountOpen>,
}

impl Many {
    pub(super) fn new(shape: Shape) -> Result<Self> {
        let registry = Registry::new();
        let counters = match shape.counters {
            None => Vec::new(),
            Some((Size::Thousand, families)) => counters::<Thousand>(&registry, families)?,
            Some((Size::TenThousand, families)) => counters::<TenThousand>(&registry, families)?,
            Some((Size::HundredThousand, families)) => {
                counters::<HundredThousand>(&registry, families)?
            }
        };
        let histograms = match shape.histograms {
            None => None,
            Some(Size::Thousand) => Some(histograms::<Thousand>(&registry)?),
            Some(Size::TenThousand) => Some(histograms::<TenThousand>(&registry)?),
            Some(Size::HundredThousand) => Some(histograms::<HundredThousand>(&registry)?),
        };
        let open: Option<CountOpen> = match shape.open {
            None => None,
            Some(Open::Default) => {
                let set: Opened<Bounded<'static>> = registry.register()?;
                Some(Box::new(move |customer| {
                    set.bench_open.with(Bounded { customer }).inc();
                }))
            }
            Some(Open::Wide) => {
                let set: Opened<Wide<'static>> = registry.register()?;
                Some(Box::new(move |customer| {
                    set.bench_open.with(Wide { customer }).inc();
                }))
            }
        };
        Ok(Self {
            registry,
            counters,
            per_family: shape.counters.map_or(1, |(size, _)| size.series()),
            histograms,
            open,
        })
    }
}

fn counters<L: Sized3>(registry: &Registry, families: usize) -> Result<Vec<Count>> {
    let made = if families == 1 {
        let One { bench_0 } = registry.register::<One<L>>()?;
        vec![bench_0]
    } else if families <= 10 {
        let ten = registry.register::<Ten<L>>()?;
        vec![
            ten.bench_0,
            ten.bench_1,
            ten.bench_2,
            ten.bench_3,
            ten.bench_4,
            ten.bench_5,
            ten.bench_6,
            ten.bench_7,
            ten.bench_8,
            ten.bench_9,
        ]
    } else {
        bail!("a set of ours has ten families at most here, not {families}");
    };
    Ok(made
        .into_iter()
        .map(|counter| {
            Box::new(move |at: usize, amount: u64| counter.with(L::at(L::SIZE.at(at))).add(amount))
                as Count
        })
        .collect())
}

fn histograms<L: Sized3>(registry: &Registry) -> Result<Observe> {
    let Observed { bench } = registry.register::<Observed<L>>()?;
    Ok(Box::new(move |at, value| {
        bench.with(L::at(L::SIZE.at(at))).observe(value);
    }))
}

impl Set for Many {
    fn count(&self, series: usize, amount: u64) {
        self.counters[series / self.per_family](series % self.per_family, amount);
    }

    fn observe(&self, series: usize, value: f64) {
        if let Some(observe) = &self.histograms {
            observe(series, value);
        }
    }

    fn count_open(&self, value: &str) {
        if let Some(count) = &self.open {
            count(value);
        }
    }

    fn scrape(&self, format: Format, into: &mut Vec<u8>) -> Result<bool> {
        let format = match format {
            Format::Text => inferometer::Format::PrometheusText,
            Format::OpenMetrics => inferometer::Format::OpenMetricsText,
            Format::Protobuf => inferometer::Format::Protobuf,
        };
        self.registry
            .encode_into(format, EncodeOptions::default(), into);
        Ok(true)
    }
}
