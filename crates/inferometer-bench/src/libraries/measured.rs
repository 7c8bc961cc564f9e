//! `measured`, of conradludgate: closed labels are computed indices here too, and texts are interned.
//!
//! Version 0.1.0 needs Rust 1.98, which is newer than this project's compiler.

use anyhow::{Result, anyhow};
use inferometer::buckets::LATENCY;
use measured::{
    Counter, CounterVec, FloatGauge, Gauge, Histogram, HistogramVec, LabelGroup,
    label::{FixedCardinalityLabel, LabelGroupSet, LabelValue, LabelVisitor},
    metric::{MetricFamilyEncoding, group::Encoding as _, histogram::Thresholds, name::MetricName},
    text::TextEncoder,
};

use super::{Format, Library, NAME, Recording, Set, Shape, Share, Task};
use crate::labels::{Ending, Method, Route, Size, TEXTS, Value, closed, durations, open};

pub(crate) struct Measured;

/// Of the two interners that it works with, the faster one here.
type Interner = paracord::ParaCord;

#[derive(Clone, Copy, LabelGroup)]
#[label(set = ClosedSet)]
struct Closed {
    method: Method,
    route: Route,
    ending: Ending,
}

#[derive(Clone, Copy, LabelGroup)]
#[label(set = OneTextSet)]
struct OneText<'a> {
    #[label(dynamic_with = Interner, default)]
    customer: &'a str,
}

#[derive(Clone, Copy, LabelGroup)]
#[label(set = ThreeTextsSet)]
struct ThreeTexts<'a> {
    #[label(dynamic_with = Interner, default)]
    customer: &'a str,
    #[label(dynamic_with = Interner, default)]
    model: &'a str,
    #[label(dynamic_with = Interner, default)]
    tenant: &'a str,
}

type Encoder<'a> = TextEncoder<&'a mut Vec<u8>>;

/// A metric, its type forgotten, that can be written.
trait Family: Send + Sync {
    fn write(&self, name: &str, into: &mut Encoder<'_>) -> Result<()>;
}

impl<M: for<'a> MetricFamilyEncoding<Encoder<'a>> + Send + Sync> Family for M {
    fn write(&self, name: &str, into: &mut Encoder<'_>) -> Result<()> {
        let name = MetricName::try_from_str(name).map_err(|error| anyhow!("{name}: {error}"))?;
        into.write_help(name, "Things counted")?;
        self.collect_family_into(name, into)?;
        Ok(())
    }
}

fn recording<M: Family + 'static>(
    metric: M,
    run: impl Fn(&M, Share) + Send + Sync + 'static,
) -> Recording {
    let metric = std::sync::Arc::new(metric);
    let read = std::sync::Arc::clone(&metric);
    Recording::new(
        move |share| run(&metric, share),
        move || {
            let mut page = Vec::new();
            read.write(NAME, &mut TextEncoder::new(&mut page))?;
            Ok(page)
        },
    )
}

impl Library for Measured {
    fn name(&self) -> &'static str {
        "measured"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["measured"]
    }

    fn recording(&self, task: Task) -> Result<Option<Recording>> {
        Ok(Some(match task {
            Task::Counter => recording(Counter::new(), |counter, share| {
                share.repeat(|| counter.inc());
            }),
            Task::ClosedLabels => {
                let inputs = closed();
                let family = CounterVec::with_label_set(ClosedSet::new());
                recording(family, move |family, share| {
                    share.cycle(&inputs, |&(method, route, ending)| {
                        family.inc(Closed {
                            method,
                            route,
                            ending,
                        });
                    });
                })
            }
            Task::OneOpenLabel => recording(
                CounterVec::with_label_set(OneTextSet::new()),
                |family, share| {
                    share.cycle(open(), |[customer, ..]| family.inc(OneText { customer }));
                },
            ),
            Task::ThreeOpenLabels => recording(
                CounterVec::with_label_set(ThreeTextsSet::new()),
                |family, share| {
                    share.cycle(open(), |[customer, model, tenant]| {
                        family.inc(ThreeTexts {
                            customer,
                            model,
                            tenant,
                        });
                    });
                },
            ),
            Task::Histogram => recording(
                Histogram::with_metadata(Thresholds::with_buckets(LATENCY)),
                |histogram, share| {
                    share.cycle(durations(), |value| histogram.get_metric().observe(*value));
                },
            ),
            Task::NativeHistogram => return Ok(None),
            Task::SetGauge => recording(FloatGauge::new(), |gauge, share| {
                share.cycle(durations(), |value| gauge.set(*value));
            }),
            Task::AddGauge => recording(Gauge::new(), |gauge, share| {
                share.repeat(|| gauge.inc_by(1));
            }),
        }))
    }

    fn set(&self, shape: Shape) -> Result<Option<Box<dyn Set>>> {
        Ok(Some(Box::new(Many::new(shape))))
    }
}

impl<const N: usize> LabelValue for Value<N> {
    fn visit<V: LabelVisitor>(&self, visitor: V) -> V::Output {
        visitor.write_str(TEXTS[self.0])
    }
}

impl<const N: usize> FixedCardinalityLabel for Value<N> {
    fn cardinality() -> usize {
        N
    }

    fn encode(&self) -> usize {
        self.0
    }

    fn decode(value: usize) -> Self {
        Self(value)
    }
}

/// Three closed labels of a size.
trait Sized3: LabelGroupSet<Unique: Send + Sync> + Default + Send + Sync + 'static {
    const SIZE: Size;

    fn at(values: [usize; 3]) -> Self::Group<'static>;
}

macro_rules! sized {
    ($name:ident, $set:ident, $size:ident) => {
        #[derive(Clone, Copy, LabelGroup)]
        #[label(set = $set)]
        struct $name {
            region: Value<{ Size::$size.values()[0] }>,
            zone: Value<{ Size::$size.values()[1] }>,
            pod: Value<{ Size::$size.values()[2] }>,
        }

        impl Sized3 for $set {
            const SIZE: Size = Size::$size;

            fn at([region, zone, pod]: [usize; 3]) -> $name {
                $name {
                    region: Value(region),
                    zone: Value(zone),
                    pod: Value(pod),
                }
            }
        }
    };
}
sized!(Thousand, ThousandSet, Thousand);
sized!(TenThousand, TenThousandSet, TenThousand);
sized!(HundredThousand, HundredThousandSet, HundredThousand);

trait Counters: Family {
    fn count(&self, series: usize, amount: u64);
}

impl<L: Sized3> Counters for CounterVec<L> {
    fn count(&self, series: usize, amount: u64) {
        self.inc_by(L::at(L::SIZE.at(series)), amount);
    }
}

trait Histograms: Family {
    fn observe_at(&self, series: usize, value: f64);
}

impl<L: Sized3> Histograms for HistogramVec<L, 14> {
    fn observe_at(&self, series: usize, value: f64) {
        self.observe(L::at(L::SIZE.at(series)), value);
    }
}

fn counters<L: Sized3>(families: usize) -> Vec<Box<dyn Counters>> {
    (0..families)
        .map(|_| Box::new(CounterVec::<L>::new()) as Box<dyn Counters>)
        .collect()
}

fn histograms<L: Sized3>() -> Box<dyn Histograms> {
    let bounds = Thresholds::with_buckets(LATENCY);
    Box::new(HistogramVec::<L, 14>::with_metadata(bounds))
}

struct Many {
    counters: Vec<Box<dyn Counters>>,
    names: Vec<String>,
    per_family: usize,
    histograms: Option<Box<dyn Histograms>>,
    open: Option<CounterVec<OneTextSet>>,
}

impl Many {
    fn new(shape: Shape) -> Self {
        let counters = match shape.counters {
            None => Vec::new(),
            Some((Size::Thousand, families)) => counters::<ThousandSet>(families),
            Some((Size::TenThousand, families)) => counters::<TenThousandSet>(families),
            Some((Size::HundredThousand, families)) => counters::<HundredThousandSet>(families),
        };
        Self {
            names: (0..counters.len())
                .map(|at| format!("bench_{at}_total"))
                .collect(),
            counters,
            per_family: shape.counters.map_or(1, |(size, _)| size.series()),
            histograms: shape.histograms.map(|size| match size {
                Size::Thousand => histograms::<ThousandSet>(),
                Size::TenThousand => histograms::<TenThousandSet>(),
                Size::HundredThousand => histograms::<HundredThousandSet>(),
            }),
            open: shape
                .open
                .map(|_| CounterVec::with_label_set(OneTextSet::new())),
        }
    }
}

impl Set for Many {
    fn count(&self, series: usize, amount: u64) {
        self.counters[series / self.per_family].count(series % self.per_family, amount);
    }

    fn observe(&self, series: usize, value: f64) {
        if let Some(family) = &self.histograms {
            family.observe_at(series, value);
        }
    }

    fn count_open(&self, value: &str) {
        if let Some(family) = &self.open {
            family.inc(OneText { customer: value });
        }
    }

    fn scrape(&self, format: Format, into: &mut Vec<u8>) -> Result<bool> {
        if format != Format::Text {
            return Ok(false);
        }
        into.clear();
        let mut encoder = TextEncoder::new(into);
        for (name, family) in self.names.iter().zip(&self.counters) {
            family.write(name, &mut encoder)?;
        }
        if let Some(family) = &self.histograms {
            family.write("bench_seconds", &mut encoder)?;
        }
        if let Some(family) = &self.open {
            family.write("bench_open_total", &mut encoder)?;
        }
        Ok(true)
    }
}
