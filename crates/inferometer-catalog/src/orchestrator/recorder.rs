//! How the orchestrator's requests record.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use inferometer::{
    Counter, Gauge, Histogram, Registry,
    lifecycle::{Lifecycle, Outcome, RequestCounts, Summary},
};

use super::{ByError, BySession, ByStage, ErrorType, NO_SESSION, Orchestrator, Stage};
use crate::clock::UnixClock;

/// What a request must hold to count as good.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Objective {
    /// The longest time to the first token.
    pub time_to_first_token: Option<Duration>,
    /// The longest time from arrival to end.
    pub request_duration: Option<Duration>,
}

impl Objective {
    /// Whether a request with this summary holds it: answered in full, and every limit that is set is kept.
    pub fn holds(&self, summary: &Summary) -> bool {
        let first = match (self.time_to_first_token, summary.time_to_first_token) {
            (Some(limit), Some(time)) => time <= limit,
            (Some(_), None) => false,
            (None, _) => true,
        };
        summary.outcome == Outcome::Ok
            && first
            && self
                .request_duration
                .is_none_or(|limit| summary.duration <= limit)
    }
}

/// The orchestrator's metrics as its requests see them: series found once, and the objective.
#[derive(Debug)]
pub struct Recorder {
    /// The metrics.
    pub metrics: Orchestrator,
    objective: Objective,
    clock: UnixClock,
    stages: [StageSeries; 5],
    without_session: Histogram,
}

/// The series of one stage.
#[derive(Debug)]
struct StageSeries {
    requests: Counter,
    duration: Histogram,
    wait: Histogram,
    last_progress: Gauge,
}

impl Recorder {
    /// Declares the metrics in `registry`.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub fn register(
        registry: &Registry,
        objective: Objective,
    ) -> Result<Self, inferometer::RegisterError> {
        let metrics: Orchestrator = registry.register()?;
        let limits = [
            (
                objective.time_to_first_token,
                &metrics.objective_time_to_first_token,
            ),
            (
                objective.request_duration,
                &metrics.objective_request_duration,
            ),
        ];
        for (limit, gauge) in limits {
            if let Some(limit) = limit {
                gauge.set(limit.as_secs_f64());
            }
        }
        let stages = Stage::ALL.map(|stage| {
            let by = ByStage { stage };
            StageSeries {
                requests: metrics.requests.series(by),
                duration: metrics.stage_duration.series(by),
                wait: metrics.queue_wait.series(by),
                last_progress: metrics.stage_last_progress.series(by),
            }
        });
        let without_session = metrics.request_duration.series(BySession {
            session: NO_SESSION,
        });
        Ok(Self {
            metrics,
            objective,
            clock: UnixClock::start(),
            stages,
            without_session,
        })
    }

    /// A request failed in `stage`.
    pub fn failed(&self, stage: Stage, error_type: ErrorType) {
        self.metrics
            .errors
            .with(ByError { stage, error_type })
            .inc();
    }

    /// A request was turned away at `stage`.
    pub fn shed(&self, stage: Stage) {
        self.metrics.requests_shed.with(ByStage { stage }).inc();
    }
}

/// What a request carries for its labels.
#[derive(Clone, Debug, Default)]
pub struct RequestContext {
    /// The conversation it belongs to.
    pub session: Option<Arc<str>>,
}

impl Lifecycle for Recorder {
    type Stage = Stage;
    type Context = RequestContext;

    fn counts(&self) -> &RequestCounts {
        &self.metrics.counts
    }

    fn waited(&self, stage: Stage, wait: Duration) {
        self.stages[stage as usize].wait.observe_duration(wait);
    }

    fn stage_ended(&self, stage: Stage, duration: Duration) {
        let series = &self.stages[stage as usize];
        series.duration.observe_duration(duration);
        series.requests.inc();
    }

    fn progressed(&self, stage: Stage, at: Instant) {
        self.stages[stage as usize]
            .last_progress
            .set(self.clock.seconds(at));
    }

    fn last_progress(&self) -> Option<Instant> {
        let times = self
            .stages
            .iter()
            .filter_map(|stage| stage.last_progress.get());
        times.reduce(f64::max).map(|at| self.clock.instant(at))
    }

    fn first_token(&self, since_start: Duration) {
        self.metrics
            .time_to_first_token
            .observe_duration(since_start);
    }

    fn next_tokens(&self, gap: Duration, tokens: u32) {
        self.metrics
            .inter_token_latency
            .observe_times(gap.as_secs_f64(), tokens.into());
    }

    fn finished(&self, context: &RequestContext, summary: &Summary) {
        match context.session.as_deref() {
            Some(session) => {
                let by = BySession { session };
                self.metrics
                    .request_duration
                    .with(by)
                    .observe_duration(summary.duration);
            }
            None => self.without_session.observe_duration(summary.duration),
        }
        if let Some(time) = summary.time_per_output_token {
            self.metrics.time_per_output_token.observe_duration(time);
        }
        if self.objective.holds(summary) {
            self.metrics.requests_within_objective.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use inferometer::lifecycle::Request;

    use super::*;

    #[test]
    fn the_last_progress_of_all_stages_can_be_asked_as_an_instant() {
        let registry = Registry::new();
        let recorder = Arc::new(Recorder::register(&registry, Objective::default()).unwrap());
        assert_eq!(recorder.last_progress(), None);
        let mut request = Request::admit(&recorder);
        assert_eq!(recorder.activity().in_flight, 1);
        let moved = Instant::now() + Duration::from_secs(2);
        request.begin_at(Stage::Rag, moved);
        request.end_at(moved + Duration::from_secs(1));
        request.begin_at(Stage::Assemble, moved + Duration::from_millis(500));
        let last = recorder.last_progress().unwrap();
        // Kept as a float of seconds since 1970, which tells a quarter of a microsecond apart.
        let off =
            last.max(moved + Duration::from_secs(1)) - last.min(moved + Duration::from_secs(1));
        assert!(off < Duration::from_micros(1), "{off:?}");
        let _summary = request.finish(Outcome::Ok);
        assert_eq!(
            (recorder.activity().in_flight, recorder.activity().completed),
            (0, 1)
        );
    }
}
