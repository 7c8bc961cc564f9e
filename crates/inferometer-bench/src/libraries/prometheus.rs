//! `prometheus`, of the TiKV project.

use anyhow::Result;
use inferometer::buckets::LATENCY;
use prometheus::{
    Encoder as _, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, Opts, ProtobufEncoder, Registry, TextEncoder, core::Collector,
};

use super::{Format, Library, NAME, Recording, Set, Shape, Task};
use crate::labels::{NAMES, Size, closed, durations, open};

pub(crate) struct Prometheus;

pub(super) fn page(registry: &Registry) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut page)?;
    Ok(page)
}

pub(super) fn registered(collector: impl Collector + 'static) -> Result<Registry> {
    let registry = Registry::new();
    registry.register(Box::new(collector))?;
    Ok(registry)
}

pub(super) const HELP: &str = "What the loop records";

impl Library for Prometheus {
    fn name(&self) -> &'static str {
        "prometheus"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["prometheus"]
    }

    fn recording(&self, task: Task) -> Result<Option<Recording>> {
        Ok(Some(match task {
            Task::Counter => {
                let counter = IntCounter::new(NAME, HELP)?;
                let registry = registered(counter.clone())?;
                Recording::new(
                    move |share| share.repeat(|| counter.inc()),
                    move || page(&registry),
                )
            }
            Task::ClosedLabels => {
                let inputs = closed();
                looked_up(&["method", "route", "ending"], move |family, share| {
                    share.cycle(&inputs, |&(method, route, ending)| {
                        family
                            .with_label_values(&[method.text(), route.text(), ending.text()])
                            .inc();
                    });
                })?
            }
            Task::OneOpenLabel => looked_up(&["customer"], |family, share| {
                share.cycle(open(), |[customer, ..]| {
                    family.with_label_values(&[customer.as_str()]).inc();
                });
            })?,
            Task::ThreeOpenLabels => {
                looked_up(&["customer", "model", "tenant"], |family, share| {
                    share.cycle(open(), |[customer, model, tenant]| {
                        family
                            .with_label_values(&[
                                customer.as_str(),
                                model.as_str(),
                                tenant.as_str(),
                            ])
                            .inc();
                    });
                })?
            }
            Task::Histogram => {
                let options = HistogramOpts::new(NAME, HELP).buckets(LATENCY.to_vec());
                let histogram = Histogram::with_opts(options)?;
                let registry = registered(histogram.clone())?;
                Recording::new(
                    move |share| share.cycle(durations(), |value| histogram.observe(*value)),
                    move || page(&registry),
                )
            }
            Task::NativeHistogram => return Ok(None),
            Task::SetGauge => {
                let gauge = Gauge::new(NAME, HELP)?;
                let registry = registered(gauge.clone())?;
                Recording::new(
                    move |share| share.cycle(durations(), |value| gauge.set(*value)),
                    move || page(&registry),
                )
            }
            Task::AddGauge => {
                let gauge = IntGauge::new(NAME, HELP)?;
                let registry = registered(gauge.clone())?;
                Recording::new(
                    move |share| share.repeat(|| gauge.add(1)),
                    move || page(&registry),
                )
            }
        }))
    }

    fn set(&self, shape: Shape) -> Result<Option<Box<dyn Set>>> {
        Ok(Some(Box::new(Many::new(shape)?)))
    }
}

fn looked_up(
    labels: &[&str],
    run: impl Fn(&IntCounterVec, super::Share) + Send + Sync + 'static,
) -> Result<Recording> {
    let family = IntCounterVec::new(Opts::new(NAME, HELP), labels)?;
    let registry = registered(family.clone())?;
    Ok(Recording::new(
        move |share| run(&family, share),
        move || page(&registry),
    ))
}

struct Many {
    registry: Registry,
    counters: Vec<IntCounterVec>,
    size: Size,
    histograms: Option<(Size, HistogramVec)>,
    open: Option<IntCounterVec>,
}

impl Many {
    fn new(shape: Shape) -> Result<Self> {
        let registry = Registry::new();
        let (size, families) = shape.counters.unwrap_or((Size::Thousand, 0));
        let mut counters = Vec::with_capacity(families);
        for at in 0..families {
            let options = Opts::new(format!("bench_{at}_total"), "Things counted");
            let family = IntCounterVec::new(options, &NAMES)?;
            registry.register(Box::new(family.clone()))?;
            counters.push(family);
        }
        let histograms = match shape.histograms {
            None => None,
            Some(size) => {
                let options =
                    HistogramOpts::new("bench_seconds", "Times taken").buckets(LATENCY.to_vec());
                let family = HistogramVec::new(options, &NAMES)?;
                registry.register(Box::new(family.clone()))?;
                Some((size, family))
            }
        };
        let open = match shape.open {
            None => None,
            Some(_) => {
                let options = Opts::new("bench_open_total", "Things counted by customer");
                let family = IntCounterVec::new(options, &["customer"])?;
                registry.register(Box::new(family.clone()))?;
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

impl Set for Many {
    fn count(&self, series: usize, amount: u64) {
        let per_family = self.size.series();
        self.counters[series / per_family]
            .with_label_values(&self.size.texts(series % per_family))
            .inc_by(amount);
    }

    fn observe(&self, series: usize, value: f64) {
        if let Some((size, family)) = &self.histograms {
            family.with_label_values(&size.texts(series)).observe(value);
        }
    }

    fn count_open(&self, value: &str) {
        if let Some(family) = &self.open {
            family.with_label_values(&[value]).inc();
        }
    }

    fn scrape(&self, format: Format, into: &mut Vec<u8>) -> Result<bool> {
        into.clear();
        let gathered = self.registry.gather();
        match format {
            Format::Text => TextEncoder::new().encode(&gathered, into)?,
            Format::OpenMetrics => return Ok(false),
            Format::Protobuf => ProtobufEncoder::new().encode(&gathered, into)?,
        }
        Ok(true)
    }
}
