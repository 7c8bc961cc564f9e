//! Ours.

use anyhow::{Context as _, Result};
use inferometer::{
    AdditiveGauge, Counter, Gauge, Histogram, LabelSet, MetricSet, Registry, buckets,
};

use super::{Library, OURS, Recording, Set, Shape, Task};
use crate::labels::{Ending, Method, Route, closed, durations, open};

mod many;

pub(crate) struct Ours;

#[derive(LabelSet)]
struct Closed {
    method: Method,
    route: Route,
    ending: Ending,
}

#[derive(LabelSet)]
struct OneText<'a> {
    customer: &'a str,
}

#[derive(LabelSet)]
struct ThreeTexts<'a> {
    customer: &'a str,
    model: &'a str,
    tenant: &'a str,
}

/// A set of one metric, of a kind that needs no more said.
#[derive(MetricSet)]
struct Plain<M: inferometer::Metric> {
    /// What the loop records.
    bench: M,
}

#[derive(MetricSet)]
struct Native {
    /// What the loop observes.
    #[metric(native)]
    bench: Histogram,
}

#[derive(MetricSet)]
struct Observed {
    /// What the loop observes.
    #[metric(buckets = buckets::LATENCY)]
    bench: Histogram,
}

fn register<S: MetricSet>() -> Result<(Registry, S)> {
    let registry = Registry::new();
    let set = registry.register().context("ours refused a set")?;
    Ok((registry, set))
}

impl Library for Ours {
    fn name(&self) -> &'static str {
        OURS
    }

    fn packages(&self) -> &'static [&'static str] {
        &["inferometer"]
    }

    fn recording(&self, task: Task) -> Result<Option<Recording>> {
        let made = match task {
            Task::Counter => counter()?,
            Task::ClosedLabels => closed_labels()?,
            Task::OneOpenLabel => one_open_label()?,
            Task::ThreeOpenLabels => three_open_labels()?,
            Task::Histogram => {
                let (registry, set) = register::<Observed>()?;
                observing(registry, set.bench)
            }
            Task::NativeHistogram => {
                let (registry, set) = register::<Native>()?;
                observing(registry, set.bench)
            }
            Task::SetGauge => set_gauge()?,
            Task::AddGauge => add_gauge()?,
        };
        Ok(Some(made))
    }

    fn set(&self, shape: Shape) -> Result<Option<Box<dyn Set>>> {
        Ok(Some(Box::new(many::Many::new(shape)?)))
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as every library's page has it")]
fn page(registry: &Registry) -> Result<Vec<u8>> {
    Ok(registry.encode(inferometer::Format::PrometheusText))
}

fn counter() -> Result<Recording> {
    let (registry, Plain { bench }) = register::<Plain<Counter>>()?;
    Ok(Recording::new(
        move |share| share.repeat(|| bench.inc()),
        move || page(&registry),
    ))
}

fn closed_labels() -> Result<Recording> {
    let (registry, Plain { bench }) = register::<Plain<Counter<Closed>>>()?;
    let inputs = closed();
    Ok(Recording::new(
        move |share| {
            share.cycle(&inputs, |&(method, route, ending)| {
                bench
                    .with(Closed {
                        method,
                        route,
                        ending,
                    })
                    .inc();
            });
        },
        move || page(&registry),
    ))
}

fn one_open_label() -> Result<Recording> {
    let (registry, Plain { bench }) = register::<Plain<Counter<OneText<'static>>>>()?;
    Ok(Recording::new(
        move |share| {
            share.cycle(open(), |[customer, ..]| {
                bench.with(OneText { customer }).inc();
            });
        },
        move || page(&registry),
    ))
}

fn three_open_labels() -> Result<Recording> {
    let (registry, Plain { bench }) = register::<Plain<Counter<ThreeTexts<'static>>>>()?;
    Ok(Recording::new(
        move |share| {
            share.cycle(open(), |[customer, model, tenant]| {
                bench
                    .with(ThreeTexts {
                        customer,
                        model,
                        tenant,
                    })
                    .inc();
            });
        },
        move || page(&registry),
    ))
}

fn observing(registry: Registry, histogram: Histogram) -> Recording {
    let inputs = durations();
    Recording::new(
        move |share| share.cycle(inputs, |value| histogram.observe(*value)),
        move || page(&registry),
    )
}

fn set_gauge() -> Result<Recording> {
    let (registry, Plain { bench }) = register::<Plain<Gauge>>()?;
    Ok(Recording::new(
        move |share| share.cycle(durations(), |value| bench.set(*value)),
        move || page(&registry),
    ))
}

fn add_gauge() -> Result<Recording> {
    let (registry, Plain { bench }) = register::<Plain<AdditiveGauge>>()?;
    Ok(Recording::new(
        move |share| share.repeat(|| bench.add(1)),
        move || page(&registry),
    ))
}
