//! A whole request through [`inferometer::lifecycle`]. No rival has one.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use inferometer::{
    Histogram, LabelSet, LabelValue, MetricSet, Registry, buckets,
    lifecycle::{Lifecycle, Outcome as Ending, Request, RequestCounts, Summary},
};

use crate::{
    libraries::{OURS, Run, Share},
    measure::{Contender, Pace, compare},
    outcome::{Outcome, Unit},
    progress::Progress,
};

#[derive(Clone, Copy, Debug, LabelValue, PartialEq)]
pub(crate) enum Stage {
    Tokenize,
    Retrieve,
    Rerank,
    Prefill,
    Decode,
}

#[derive(LabelSet)]
struct ByStage {
    stage: Stage,
}

/// What a service with five stages keeps: 12 updates for a request.
#[derive(MetricSet)]
#[metrics(namespace = "bench")]
pub(crate) struct Service {
    #[metric(flatten)]
    counts: RequestCounts,
    /// Time in the queue.
    #[metric(unit = "seconds", buckets = buckets::QUEUE_WAIT)]
    wait: Histogram,
    /// Time in each stage.
    #[metric(unit = "seconds", buckets = buckets::LATENCY)]
    stage: Histogram<ByStage>,
    /// Time to the first token.
    #[metric(unit = "seconds", buckets = buckets::TIME_TO_FIRST_TOKEN)]
    first_token: Histogram,
    /// Time from arrival to the end.
    #[metric(unit = "seconds", buckets = buckets::LATENCY)]
    duration: Histogram,
}

impl Lifecycle for Service {
    type Stage = Stage;
    type Context = ();

    fn counts(&self) -> &RequestCounts {
        &self.counts
    }

    fn waited(&self, _stage: Stage, wait: Duration) {
        self.wait.observe_duration(wait);
    }

    fn stage_ended(&self, stage: Stage, duration: Duration) {
        self.stage
            .with(ByStage { stage })
            .observe_duration(duration);
    }

    fn first_token(&self, since_start: Duration) {
        self.first_token.observe_duration(since_start);
    }

    fn finished(&self, _context: &(), summary: &Summary) {
        self.duration.observe_duration(summary.duration);
    }
}

/// The hot loop, and what counts what it did.
pub(crate) fn service() -> Result<(Arc<Service>, Run)> {
    let registry = Registry::new();
    let service: Arc<Service> = Arc::new(registry.register().context("ours refused a set")?);
    let served = Arc::clone(&service);
    let now = Instant::now();
    let run = move |share: Share| share.repeat(|| serve(&served, now));
    Ok((service, Box::new(run)))
}

/// One request, by a clock that is read elsewhere.
#[inline]
fn serve(service: &Arc<Service>, start: Instant) {
    let at = |millis: u64| start + Duration::from_millis(millis);
    let mut request = Request::admit_at(service, (), start);
    request.enqueue_at(Stage::Tokenize, at(1));
    request.begin_at(Stage::Tokenize, at(3));
    request.end_at(at(5));
    request.begin_at(Stage::Retrieve, at(5));
    request.end_at(at(25));
    request.begin_at(Stage::Rerank, at(25));
    request.end_at(at(65));
    request.begin_at(Stage::Prefill, at(65));
    request.end_at(at(185));
    request.begin_at(Stage::Decode, at(185));
    request.tokens_at(1, at(200));
    request.end_at(at(900));
    request.finish_at(Ending::Ok, at(901));
}

pub(super) fn measure(pace: Pace, progress: &Progress) -> Result<Outcome> {
    let (service, run) = service()?;
    let contender = Contender {
        library: OURS,
        threads: 1,
        quick: 1_100,
        before: Vec::new(),
        run,
        check: Box::new(move |done| check(&service, done)),
    };
    let samples = compare(&[contender], pace, progress)?;
    let mut outcome = Outcome::of(Unit::Nanoseconds, samples);
    outcome.notes.push("no rival follows a request".to_owned());
    Ok(outcome)
}

fn check(service: &Service, done: &[Share]) -> Result<()> {
    let requests: u64 = done.iter().map(|share| share.operations).sum();
    let counts = service.counts();
    let (waits, _) = service.wait.get();
    let (first, _) = service.first_token.get();
    let (durations, _) = service.duration.get();
    let seen = [
        counts.started(),
        counts.finished(Ending::Ok),
        counts.finished_in_all(),
        waits,
        first,
        durations,
    ];
    ensure!(
        seen == [requests; 6] && counts.in_flight() == 0,
        "of {requests} requests there are {seen:?}"
    );
    for stage in [
        Stage::Tokenize,
        Stage::Retrieve,
        Stage::Rerank,
        Stage::Prefill,
        Stage::Decode,
    ] {
        let (ended, _) = service.stage.with(ByStage { stage }).get();
        ensure!(
            ended == requests,
            "{stage:?} ended {ended} of {requests} times"
        );
    }
    Ok(())
}
