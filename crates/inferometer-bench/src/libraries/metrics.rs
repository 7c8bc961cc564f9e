//! `metrics` with the recorder of `metrics-exporter-prometheus`, which is what the facade's users scrape.
//!
//! Its histograms keep every value until they are drained. The exporter's own server does that every five seconds; here the
//! loop does it itself, every 65,536 values, and pays for it: what isn't drained has no buckets yet and fills the memory.

use std::sync::Arc;

use anyhow::Result;
use inferometer::buckets::LATENCY;
use metrics::{
    Key, Label, Level, Metadata, Recorder as _, counter, gauge, histogram, with_local_recorder,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::{Format, Library, Recording, Run, Set, Shape, Task};
use crate::labels::{NAMES, Size, closed, durations, open};

pub(crate) struct Metrics;

fn recorder() -> Result<(Arc<PrometheusRecorder>, PrometheusHandle)> {
    let recorder = PrometheusBuilder::new()
        .set_buckets(&LATENCY)?
        .build_recorder();
    let handle = recorder.handle();
    Ok((Arc::new(recorder), handle))
}

/// How many values a histogram may take between two drains.
const DRAIN_EVERY: u64 = 65_536;

impl Library for Metrics {
    fn name(&self) -> &'static str {
        "metrics"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["metrics", "metrics-exporter-prometheus"]
    }

    fn recording(&self, task: Task) -> Result<Option<Recording>> {
        let (recorder, handle) = recorder()?;
        let drained = handle.clone();
        let run: Run = match task {
            Task::Counter => {
                let kept = with_local_recorder(&*recorder, || counter!("bench"));
                Box::new(move |share| share.repeat(|| kept.increment(1)))
            }
            Task::ClosedLabels => {
                let inputs = closed();
                Box::new(move |share| {
                    with_local_recorder(&*recorder, || {
                        share.cycle(&inputs, |&(method, route, ending)| {
                            counter!(
                                "bench",
                                "method" => method.text(),
                                "route" => route.text(),
                                "ending" => ending.text()
                            )
                            .increment(1);
                        });
                    });
                })
            }
            // A label owns its text, or has it for ever.
            Task::OneOpenLabel => Box::new(move |share| {
                with_local_recorder(&*recorder, || {
                    share.cycle(open(), |[customer, ..]| {
                        counter!("bench", "customer" => customer.clone()).increment(1);
                    });
                });
            }),
            Task::ThreeOpenLabels => Box::new(move |share| {
                with_local_recorder(&*recorder, || {
                    share.cycle(open(), |[customer, model, tenant]| {
                        counter!(
                            "bench",
                            "customer" => customer.clone(),
                            "model" => model.clone(),
                            "tenant" => tenant.clone()
                        )
                        .increment(1);
                    });
                });
            }),
            Task::Histogram => {
                let kept = with_local_recorder(&*recorder, || histogram!("bench"));
                Box::new(move |share| {
                    let mut at = share;
                    let mut left = share.operations;
                    while left > 0 {
                        at.operations = left.min(DRAIN_EVERY);
                        left -= at.operations;
                        at.cycle(durations(), |value| kept.record(*value));
                        at = at.next();
                        drained.run_upkeep();
                    }
                })
            }
            // Its native histograms can be read in protobuf only, and that needs a compiler for it at build time.
            Task::NativeHistogram => return Ok(None),
            Task::SetGauge => {
                let kept = with_local_recorder(&*recorder, || gauge!("bench"));
                Box::new(move |share| share.cycle(durations(), |value| kept.set(*value)))
            }
            Task::AddGauge => {
                let kept = with_local_recorder(&*recorder, || gauge!("bench"));
                Box::new(move |share| share.repeat(|| kept.increment(1.0)))
            }
        };
        Ok(Some(Recording::new(run, move || {
            Ok(handle.render().into_bytes())
        })))
    }

    fn set(&self, shape: Shape) -> Result<Option<Box<dyn Set>>> {
        let (recorder, handle) = recorder()?;
        let (size, families) = shape.counters.unwrap_or((Size::Thousand, 0));
        Ok(Some(Box::new(Many {
            recorder,
            handle,
            names: (0..families)
                .map(|at| format!("bench_{at}_total"))
                .collect(),
            size,
            histograms: shape.histograms,
        })))
    }
}

struct Many {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    names: Vec<String>,
    size: Size,
    histograms: Option<Size>,
}

static METADATA: Metadata<'static> = Metadata::new("bench", Level::INFO, None);

fn labels(size: Size, series: usize) -> Vec<Label> {
    NAMES
        .into_iter()
        .zip(size.texts(series))
        .map(|(name, text)| Label::from_static_parts(name, text))
        .collect()
}

impl Set for Many {
    fn count(&self, series: usize, amount: u64) {
        let per_family = self.size.series();
        let name = self.names[series / per_family].clone();
        let key = Key::from_parts(name, labels(self.size, series % per_family));
        self.recorder
            .register_counter(&key, &METADATA)
            .increment(amount);
    }

    fn observe(&self, series: usize, value: f64) {
        if let Some(size) = self.histograms {
            let key = Key::from_parts("bench_seconds", labels(size, series));
            self.recorder
                .register_histogram(&key, &METADATA)
                .record(value);
        }
    }

    fn count_open(&self, value: &str) {
        let label = Label::new("customer", value.to_owned());
        let key = Key::from_parts("bench_open_total", vec![label]);
        self.recorder.register_counter(&key, &METADATA).increment(1);
    }

    fn scrape(&self, format: Format, into: &mut Vec<u8>) -> Result<bool> {
        if format != Format::Text {
            return Ok(false);
        }
        into.clear();
        self.handle.render_to_write(into)?;
        Ok(true)
    }
}
