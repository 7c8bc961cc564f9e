//! `prometheus-client`, the official one. Its only text is OpenMetrics.
//!
//! Its protobuf isn't here: it needs a protobuf compiler when it is built, which made up a quarter of this crate's build, and took
//! half as long again as the best rival's (93 ms against 66 ms for 100,000 counters).

use std::{
    fmt::Debug,
    hash::Hash,
    sync::{Arc, atomic::AtomicU64},
};

use anyhow::Result;
use inferometer::buckets::LATENCY;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, NativeHistogramConfig},
    },
    registry::{Metric, Registry},
};

use super::{Format, Library, NAME, Recording, Set, Shape, Task, Text};
use crate::labels::{Ending, Method, Route, Size, closed, durations, open};

pub(crate) struct PrometheusClient;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Closed {
    method: Method,
    route: Route,
    ending: Ending,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OneText {
    customer: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ThreeTexts {
    customer: String,
    model: String,
    tenant: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Triple {
    region: &'static str,
    zone: &'static str,
    pod: &'static str,
}

fn page(registry: &Registry) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    text::encode(&mut Text(&mut page), registry)?;
    Ok(page)
}

fn registered(metric: impl Metric) -> Arc<Registry> {
    let mut registry = Registry::default();
    registry.register(NAME, "What the loop records", metric);
    Arc::new(registry)
}

impl Library for PrometheusClient {
    fn name(&self) -> &'static str {
        "prometheus-client"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["prometheus-client"]
    }

    fn recording(&self, task: Task) -> Result<Option<Recording>> {
        Ok(Some(match task {
            Task::Counter => {
                let counter = Counter::<u64>::default();
                let registry = registered(counter.clone());
                Recording::new(
                    move |share| {
                        share.repeat(|| {
                            counter.inc();
                        });
                    },
                    move || page(&registry),
                )
            }
            Task::ClosedLabels => {
                let inputs = closed();
                looked_up(move |family, share| {
                    share.cycle(&inputs, |&(method, route, ending)| {
                        family
                            .get_or_create(&Closed {
                                method,
                                route,
                                ending,
                            })
                            .inc();
                    });
                })
            }
            // A lookup takes the whole label set, which owns its texts.
            Task::OneOpenLabel => looked_up(|family, share| {
                share.cycle(open(), |[customer, ..]| {
                    let customer = customer.clone();
                    family.get_or_create(&OneText { customer }).inc();
                });
            }),
            Task::ThreeOpenLabels => looked_up(|family, share| {
                share.cycle(open(), |[customer, model, tenant]| {
                    family
                        .get_or_create(&ThreeTexts {
                            customer: customer.clone(),
                            model: model.clone(),
                            tenant: tenant.clone(),
                        })
                        .inc();
                });
            }),
            Task::Histogram => {
                let histogram = Histogram::new(LATENCY);
                let registry = registered(histogram.clone());
                Recording::new(
                    move |share| share.cycle(durations(), |value| histogram.observe(*value)),
                    move || page(&registry),
                )
            }
            Task::NativeHistogram => {
                let histogram = Histogram::new_native(NativeHistogramConfig::with_schema(3));
                let read = histogram.clone();
                Recording::new(
                    move |share| share.cycle(durations(), |value| histogram.observe(*value)),
                    // Its text can't show a histogram that has native buckets alone.
                    move || {
                        let (count, sum) = (read.count(), read.sum());
                        Ok(format!("{NAME}_count {count}\n{NAME}_sum {sum}\n").into_bytes())
                    },
                )
            }
            Task::SetGauge => {
                let gauge = Gauge::<f64, AtomicU64>::default();
                let registry = registered(gauge.clone());
                Recording::new(
                    move |share| {
                        share.cycle(durations(), |value| {
                            gauge.set(*value);
                        });
                    },
                    move || page(&registry),
                )
            }
            Task::AddGauge => {
                let gauge = Gauge::<i64>::default();
                let registry = registered(gauge.clone());
                Recording::new(
                    move |share| {
                        share.repeat(|| {
                            gauge.inc_by(1);
                        });
                    },
                    move || page(&registry),
                )
            }
        }))
    }

    fn set(&self, shape: Shape) -> Result<Option<Box<dyn Set>>> {
        Ok(Some(Box::new(Many::new(shape))))
    }
}

fn looked_up<L: EncodeLabelSet + Clone + Debug + Eq + Hash + Send + Sync + 'static>(
    run: impl Fn(&Family<L, Counter>, super::Share) + Send + Sync + 'static,
) -> Recording {
    let family = Family::<L, Counter>::default();
    let registry = registered(family.clone());
    Recording::new(move |share| run(&family, share), move || page(&registry))
}

type Histograms = Family<Triple, Histogram, fn() -> Histogram>;

struct Many {
    registry: Registry,
    counters: Vec<Family<Triple, Counter>>,
    size: Size,
    histograms: Option<(Size, Histograms)>,
    open: Option<Family<OneText, Counter>>,
}

impl Many {
    fn new(shape: Shape) -> Self {
        let mut registry = Registry::default();
        let (size, families) = shape.counters.unwrap_or((Size::Thousand, 0));
        let counters: Vec<_> = (0..families)
            .map(|at| {
                let family = Family::<Triple, Counter>::default();
                registry.register(format!("bench_{at}"), "Things counted", family.clone());
                family
            })
            .collect();
        let histograms = shape.histograms.map(|size| {
            let family: Histograms = Family::new_with_constructor(|| Histogram::new(LATENCY));
            registry.register("bench_seconds", "Times taken", family.clone());
            (size, family)
        });
        let open = shape.open.map(|_| {
            let family = Family::<OneText, Counter>::default();
            registry.register("bench_open", "Things counted by customer", family.clone());
            family
        });
        Self {
            registry,
            counters,
            size,
            histograms,
            open,
        }
    }
}

fn triple(size: Size, series: usize) -> Triple {
    let [region, zone, pod] = size.texts(series);
    Triple { region, zone, pod }
}

impl Set for Many {
    fn count(&self, series: usize, amount: u64) {
        let per_family = self.size.series();
        self.counters[series / per_family]
            .get_or_create(&triple(self.size, series % per_family))
            .inc_by(amount);
    }

    fn observe(&self, series: usize, value: f64) {
        if let Some((size, family)) = &self.histograms {
            family.get_or_create(&triple(*size, series)).observe(value);
        }
    }

    fn count_open(&self, value: &str) {
        if let Some(family) = &self.open {
            let customer = value.to_owned();
            family.get_or_create(&OneText { customer }).inc();
        }
    }

    fn scrape(&self, format: Format, into: &mut Vec<u8>) -> Result<bool> {
        into.clear();
        match format {
            Format::Text | Format::OpenMetrics => {
                text::encode(&mut Text(into), &self.registry)?;
            }
            Format::Protobuf => return Ok(false),
        }
        Ok(true)
    }
}
