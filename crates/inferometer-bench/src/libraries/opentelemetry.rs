//! `opentelemetry_sdk` with `opentelemetry-prometheus`. A handle that is kept is a bound instrument, which is experimental there.

use anyhow::Result;
use inferometer::buckets::LATENCY;
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, Meter, MeterProvider as _},
};
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
use prometheus::{Encoder as _, ProtobufEncoder, Registry, TextEncoder};

use super::{
    Format, Library, NAME, Open, Recording, Run, Set, Shape, Task, WIDE, prometheus::page,
};
use crate::labels::{NAMES, Size, closed, durations, open};

pub(crate) struct OpenTelemetry;

/// An exporter's registry and the provider that feeds it, which must outlive the recording.
fn provided(most_series: Option<usize>) -> Result<(Registry, SdkMeterProvider, Meter)> {
    let registry = Registry::new();
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .without_target_info()
        .scope_info_enabled(false)
        .without_units()
        .build()?;
    let mut provider = SdkMeterProvider::builder().with_reader(exporter);
    if let Some(most) = most_series {
        provider = provider.with_view(move |_: &Instrument| {
            Stream::builder().with_cardinality_limit(most).build().ok()
        });
    }
    let provider = provider.build();
    let meter = provider.meter("bench");
    Ok((registry, provider, meter))
}

impl Library for OpenTelemetry {
    fn name(&self) -> &'static str {
        "opentelemetry"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["opentelemetry_sdk", "opentelemetry-prometheus"]
    }

    fn recording(&self, task: Task) -> Result<Option<Recording>> {
        let (registry, provider, meter) = provided(None)?;
        let run: Run = match task {
            Task::Counter => {
                let kept = meter.u64_counter(NAME).build().bind(&[]);
                Box::new(move |share| share.repeat(|| kept.add(1)))
            }
            Task::ClosedLabels => {
                let counter = meter.u64_counter(NAME).build();
                let inputs = closed();
                Box::new(move |share| {
                    share.cycle(&inputs, |&(method, route, ending)| {
                        counter.add(
                            1,
                            &[
                                KeyValue::new("method", method.text()),
                                KeyValue::new("route", route.text()),
                                KeyValue::new("ending", ending.text()),
                            ],
                        );
                    });
                })
            }
            // A value owns its text, or has it for ever.
            Task::OneOpenLabel => {
                let counter = meter.u64_counter(NAME).build();
                Box::new(move |share| {
                    share.cycle(open(), |[customer, ..]| {
                        counter.add(1, &[KeyValue::new("customer", customer.clone())]);
                    });
                })
            }
            Task::ThreeOpenLabels => {
                let counter = meter.u64_counter(NAME).build();
                Box::new(move |share| {
                    share.cycle(open(), |[customer, model, tenant]| {
                        counter.add(
                            1,
                            &[
                                KeyValue::new("customer", customer.clone()),
                                KeyValue::new("model", model.clone()),
                                KeyValue::new("tenant", tenant.clone()),
                            ],
                        );
                    });
                })
            }
            Task::Histogram => {
                let kept = meter
                    .f64_histogram(NAME)
                    .with_boundaries(LATENCY.to_vec())
                    .build()
                    .bind(&[]);
                Box::new(move |share| share.cycle(durations(), |value| kept.record(*value)))
            }
            // Its exponential histograms don't reach Prometheus through this exporter.
            Task::NativeHistogram => return Ok(None),
            Task::SetGauge => {
                let kept = meter.f64_gauge(NAME).build().bind(&[]);
                Box::new(move |share| share.cycle(durations(), |value| kept.record(*value)))
            }
            Task::AddGauge => {
                let kept = meter.i64_up_down_counter(NAME).build().bind(&[]);
                Box::new(move |share| share.repeat(|| kept.add(1)))
            }
        };
        Ok(Some(Recording::new(run, move || {
            let _alive = &provider;
            page(&registry)
        })))
    }

    fn set(&self, shape: Shape) -> Result<Option<Box<dyn Set>>> {
        let (size, families) = shape.counters.unwrap_or((Size::Thousand, 0));
        // Past its limit a series goes to one of its own that stands for the rest, so the limit must be the size of the set; the
        // default stays where it's the limit that counts.
        let most = if shape.open == Some(Open::Default) {
            None
        } else {
            let histograms = shape.histograms.map_or(0, Size::series);
            let open = if shape.open.is_some() { WIDE } else { 0 };
            Some(size.series().max(histograms).max(open) + 1)
        };
        let (registry, provider, meter) = provided(most)?;
        Ok(Some(Box::new(Many {
            registry,
            _provider: provider,
            counters: (0..families)
                .map(|at| meter.u64_counter(format!("bench_{at}")).build())
                .collect(),
            size,
            histograms: shape.histograms.map(|size| {
                let histogram = meter
                    .f64_histogram("bench_seconds")
                    .with_boundaries(LATENCY.to_vec())
                    .build();
                (size, histogram)
            }),
            open: shape.open.map(|_| meter.u64_counter("bench_open").build()),
        })))
    }
}

struct Many {
    registry: Registry,
    _provider: SdkMeterProvider,
    counters: Vec<Counter<u64>>,
    size: Size,
    histograms: Option<(Size, Histogram<f64>)>,
    open: Option<Counter<u64>>,
}

fn labels(size: Size, series: usize) -> [KeyValue; 3] {
    let texts = size.texts(series);
    [0, 1, 2].map(|at| KeyValue::new(NAMES[at], texts[at]))
}

impl Set for Many {
    fn count(&self, series: usize, amount: u64) {
        let per_family = self.size.series();
        self.counters[series / per_family].add(amount, &labels(self.size, series % per_family));
    }

    fn observe(&self, series: usize, value: f64) {
        if let Some((size, histogram)) = &self.histograms {
            histogram.record(value, &labels(*size, series));
        }
    }

    fn count_open(&self, value: &str) {
        if let Some(counter) = &self.open {
            counter.add(1, &[KeyValue::new("customer", value.to_owned())]);
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
