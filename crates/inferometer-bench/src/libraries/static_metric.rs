//! `prometheus-static-metric`, which gives `prometheus` a tree of structs for closed labels.
//!
//! Its other macro keeps counts on the thread until a timer flushes them. A scrape misses what isn't flushed, so that isn't the
//! same job, and it isn't here.

use anyhow::Result;
use prometheus::{IntCounterVec, Opts};
use prometheus_static_metric::make_static_metric;

use super::{
    Library, NAME, Recording, Set, Shape, Task,
    prometheus::{HELP, page, registered},
};
use crate::labels::{Ending, Method, Route, closed};

pub(crate) struct StaticMetric;

make_static_metric! {
    pub label_enum StaticMethod { get, post, put, delete }
    pub label_enum StaticRoute { chat, embed, rerank, models, health }
    pub label_enum StaticEnding { ok, rejected, shed, timeout, error }

    pub struct Requests: IntCounter {
        "method" => StaticMethod,
        "route" => StaticRoute,
        "ending" => StaticEnding,
    }
}

impl From<Method> for StaticMethod {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::get,
            Method::Post => Self::post,
            Method::Put => Self::put,
            Method::Delete => Self::delete,
        }
    }
}

impl From<Route> for StaticRoute {
    fn from(route: Route) -> Self {
        match route {
            Route::Chat => Self::chat,
            Route::Embed => Self::embed,
            Route::Rerank => Self::rerank,
            Route::Models => Self::models,
            Route::Health => Self::health,
        }
    }
}

impl From<Ending> for StaticEnding {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Ok => Self::ok,
            Ending::Rejected => Self::rejected,
            Ending::Shed => Self::shed,
            Ending::Timeout => Self::timeout,
            Ending::Error => Self::error,
        }
    }
}

impl Library for StaticMetric {
    fn name(&self) -> &'static str {
        "prometheus-static-metric"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["prometheus-static-metric"]
    }

    fn recording(&self, task: Task) -> Result<Option<Recording>> {
        if task != Task::ClosedLabels {
            return Ok(None);
        }
        let family = IntCounterVec::new(Opts::new(NAME, HELP), &["method", "route", "ending"])?;
        let registry = registered(family.clone())?;
        let requests = Requests::from(&family);
        let inputs: Vec<(StaticMethod, StaticRoute, StaticEnding)> = closed()
            .into_iter()
            .map(|(method, route, ending)| (method.into(), route.into(), ending.into()))
            .collect();
        Ok(Some(Recording::new(
            move |share| {
                share.cycle(&inputs, |&(method, route, ending)| {
                    requests.get(method).get(route).get(ending).inc();
                });
            },
            move || page(&registry),
        )))
    }

    fn set(&self, _shape: Shape) -> Result<Option<Box<dyn Set>>> {
        Ok(None)
    }
}
