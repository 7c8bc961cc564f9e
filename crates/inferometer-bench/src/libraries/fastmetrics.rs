//! `fastmetrics`.

use std::{hash::Hash, sync::Arc};

use anyhow::Result;
use fastmetrics::{
    derive::LabelSet,
    encoder::EncodeLabelSet,
    format::{
        protobuf::{self, ProtobufProfile},
        text::{self, TextProfile},
    },
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    raw::LabelSetSchema,
    registry::Registry,
};
use inferometer::buckets::LATENCY;

use super::{Format, Library, NAME, Recording, Set, Shape, Share, Task, Text};
use crate::labels::{Ending, Method, Route, Size, closed, durations, open};

pub(crate) struct FastMetrics;

#[derive(Clone, PartialEq, Eq, Hash, LabelSet)]
struct Closed {
    method: Method,
    route: Route,
    ending: Ending,
}

#[derive(Clone, PartialEq, Eq, Hash, LabelSet)]
struct OneText {
    customer: String,
}

#[derive(Clone, PartialEq, Eq, Hash, LabelSet)]
struct ThreeTexts {
    customer: String,
    model: String,
    tenant: String,
}

#[derive(Clone, PartialEq, Eq, Hash, LabelSet)]
struct Triple {
    region: &'static str,
    zone: &'static str,
    pod: &'static str,
}

const HELP: &str = "What the loop records";

fn page(registry: &Registry) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    text::encode(
        &mut Text(&mut page),
        registry,
        TextProfile::PrometheusV0_0_4,
    )?;
    Ok(page)
}

/// A hot loop over a metric that is registered alone.
macro_rules! recording {
    ($metric:expr, $run:expr) => {{
        let metric = $metric;
        let mut registry = Registry::default();
        registry.register(NAME, HELP, metric.clone())?;
        let (registry, run) = (Arc::new(registry), $run);
        Recording::new(move |share| run(&metric, share), move || page(&registry))
    }};
}

impl Library for FastMetrics {
    fn name(&self) -> &'static str {
        "fastmetrics"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["fastmetrics"]
    }

    fn recording(&self, task: Task) -> Result<Option<Recording>> {
        Ok(Some(match task {
            Task::Counter => {
                recording!(<Counter>::default(), |counter: &Counter, share: Share| {
                    share.repeat(|| counter.inc());
                })
            }
            Task::ClosedLabels => {
                let inputs = closed();
                looked_up(move |family, share| {
                    share.cycle(&inputs, |&(method, route, ending)| {
                        let labels = Closed {
                            method,
                            route,
                            ending,
                        };
                        family.with_or_new(&labels, |counter| counter.inc());
                    });
                })?
            }
            // A lookup takes the whole label set, which owns its texts.
            Task::OneOpenLabel => looked_up(|family, share| {
                share.cycle(open(), |[customer, ..]| {
                    let customer = customer.clone();
                    family.with_or_new(&OneText { customer }, |counter| counter.inc());
                });
            })?,
            Task::ThreeOpenLabels => looked_up(|family, share| {
                share.cycle(open(), |[customer, model, tenant]| {
                    let labels = ThreeTexts {
                        customer: customer.clone(),
                        model: model.clone(),
                        tenant: tenant.clone(),
                    };
                    family.with_or_new(&labels, |counter| counter.inc());
                });
            })?,
            Task::Histogram => recording!(
                Histogram::new(LATENCY),
                |histogram: &Histogram, share: Share| {
                    share.cycle(durations(), |value| histogram.observe(*value));
                }
            ),
            Task::NativeHistogram => return Ok(None),
            Task::SetGauge => {
                recording!(
                    Gauge::<f64>::default(),
                    |gauge: &Gauge<f64>, share: Share| {
                        share.cycle(durations(), |value| gauge.set(*value));
                    }
                )
            }
            Task::AddGauge => {
                recording!(
                    Gauge::<i64>::default(),
                    |gauge: &Gauge<i64>, share: Share| {
                        share.repeat(|| gauge.inc_by(1));
                    }
                )
            }
        }))
    }

    fn set(&self, shape: Shape) -> Result<Option<Box<dyn Set>>> {
        Ok(Some(Box::new(Many::new(shape)?)))
    }
}

fn looked_up<L>(
    run: impl Fn(&Family<L, Counter>, Share) + Send + Sync + 'static,
) -> Result<Recording>
where
    L: EncodeLabelSet + LabelSetSchema + Clone + Eq + Hash + Send + Sync + 'static,
{
    let family = Family::<L, Counter>::default();
    Ok(recording!(family, run))
}

struct Many {
    registry: Registry,
    counters: Vec<Family<Triple, Counter>>,
    size: Size,
    histograms: Option<(Size, Family<Triple, Histogram>)>,
    open: Option<Family<OneText, Counter>>,
}

impl Many {
    fn new(shape: Shape) -> Result<Self> {
        let mut registry = Registry::default();
        let (size, families) = shape.counters.unwrap_or((Size::Thousand, 0));
        let mut counters = Vec::with_capacity(families);
        for at in 0..families {
            let family = Family::<Triple, Counter>::default();
            registry.register(format!("bench_{at}"), "Things counted", family.clone())?;
            counters.push(family);
        }
        let histograms = match shape.histograms {
            None => None,
            Some(size) => {
                let family = Family::<Triple, Histogram>::new(|| Histogram::new(LATENCY));
                registry.register("bench_seconds", "Times taken", family.clone())?;
                Some((size, family))
            }
        };
        let open = match shape.open {
            None => None,
            Some(_) => {
                let family = Family::<OneText, Counter>::default();
                registry.register("bench_open", "Things counted by customer", family.clone())?;
                Some(family)
            }
        };
        Ok(Self {
            registry,
            counters,
            size,
            histograms,
            open,
        })
    }
}

fn triple(size: Size, series: usize) -> Triple {
    let [region, zone, pod] = size.texts(series);
    Triple { region, zone, pod }
}

impl Set for Many {
    fn count(&self, series: usize, amount: u64) {
        let per_family = self.size.series();
        self.counters[series / per_family].with_or_new(
            &triple(self.size, series % per_family),
            |counter| {
                counter.inc_by(amount);
            },
        );
    }

    fn observe(&self, series: usize, value: f64) {
        if let Some((size, family)) = &self.histograms {
            family.with_or_new(&triple(*size, series), |histogram| histogram.observe(value));
        }
    }

    fn count_open(&self, value: &str) {
        if let Some(family) = &self.open {
            let customer = value.to_owned();
            family.with_or_new(&OneText { customer }, |counter| counter.inc());
        }
    }

    fn scrape(&self, format: Format, into: &mut Vec<u8>) -> Result<bool> {
        into.clear();
        match format {
            Format::Text => text::encode(
                &mut Text(into),
                &self.registry,
                TextProfile::PrometheusV0_0_4,
            )?,
            Format::OpenMetrics => {
                text::encode(&mut Text(into), &self.registry, TextProfile::default())?;
            }
            Format::Protobuf => {
                protobuf::encode(into, &self.registry, ProtobufProfile::Prometheus)?;
            }
        }
        Ok(true)
    }
}
