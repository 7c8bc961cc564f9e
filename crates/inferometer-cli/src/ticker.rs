//! One line that moves while the demo runs: what the scrape says, in a few words.

use std::{
    io::IsTerminal as _,
    sync::Arc,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use inferometer_catalog::orchestrator::{ByStage, ByWorker, Recorder, Stage, WorkerType};
use tokio::task::JoinHandle;

/// How often the line changes.
const PERIOD: Duration = Duration::from_millis(500);

/// The line, on a terminal; elsewhere nothing. Dropped, it is wiped.
#[derive(Debug)]
pub struct Ticker {
    bar: ProgressBar,
    task: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts to show what `recorder` counts, on the runtime that calls it.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(recorder: &Arc<Recorder>) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self {
                bar: ProgressBar::hidden(),
                task: None,
            };
        }
        let bar = ProgressBar::new_spinner().with_style(
            ProgressStyle::with_template("  {spinner} {msg}")
                .expect("the template is a constant and well-formed"),
        );
        bar.enable_steady_tick(Duration::from_millis(100));
        let (recorder, shown) = (Arc::clone(recorder), bar.clone());
        let task = tokio::spawn(async move {
            let mut before = Reading::take(&recorder);
            loop {
                shown.set_message(before.line());
                tokio::time::sleep(PERIOD).await;
                before = Reading::take(&recorder).after(&before);
            }
        });
        Self {
            bar,
            task: Some(task),
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        self.bar.finish_and_clear();
    }
}

/// What is counted at a moment, and the pace since the one before.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Instant,
    requests: u64,
    in_flight: i64,
    tokens: u64,
    tokens_a_second: f64,
    /// Count and sum of the time to first token.
    first_token: (u64, f64),
    shed: u64,
}

impl Reading {
    fn take(recorder: &Recorder) -> Self {
        let metrics = &recorder.metrics;
        let tokens = |worker_type| {
            metrics
                .tokens_generated
                .with(ByWorker { worker_type })
                .get()
        };
        let shed = |stage| metrics.requests_shed.with(ByStage { stage }).get();
        Self {
            at: Instant::now(),
            requests: metrics.counts.started(),
            in_flight: metrics.counts.in_flight(),
            tokens: WorkerType::ALL.into_iter().map(tokens).sum(),
            tokens_a_second: 0.0,
            first_token: metrics.time_to_first_token.get(),
            shed: Stage::ALL.into_iter().map(shed).sum(),
        }
    }

    /// With the pace since `before`, smoothed so that it can be read.
    #[expect(clippy::cast_precision_loss, reason = "a pace to be read by people")]
    fn after(self, before: &Self) -> Self {
        let seconds = self
            .at
            .duration_since(before.at)
            .as_secs_f64()
            .max(f64::EPSILON);
        let pace = self.tokens.saturating_sub(before.tokens) as f64 / seconds;
        Self {
            tokens_a_second: before.tokens_a_second * 0.8 + pace * 0.2,
            ..self
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a mean to be read by people")]
    fn line(&self) -> String {
        let Self {
            requests,
            in_flight,
            tokens,
            tokens_a_second,
            shed,
            ..
        } = self;
        let first_token = match self.first_token {
            (0, _) => "none yet".into(),
            (count, sum) => format!("{:.0} ms on average", sum / count as f64 * 1e3),
        };
        format!(
            "{requests} requests, {in_flight} in flight, {shed} shed · {tokens} tokens, {tokens_a_second:.0}/s · first token {first_token}"
        )
    }
}

#[cfg(test)]
mod tests {
    use inferometer::{Registry, lifecycle::Request};
    use inferometer_catalog::orchestrator::Objective;

    use super::*;

    #[test]
    fn the_line_says_what_is_counted() {
        let recorder =
            Arc::new(Recorder::register(&Registry::new(), Objective::default()).unwrap());
        assert!(
            Reading::take(&recorder)
                .line()
                .contains("first token none yet")
        );
        let mut request = Request::admit(&recorder);
        request.tokens(1);
        let by = ByWorker {
            worker_type: WorkerType::Local,
        };
        recorder.metrics.tokens_generated.with(by).add(7);
        let line = Reading::take(&recorder).line();
        assert!(
            line.starts_with("1 requests, 1 in flight, 0 shed · 7 tokens"),
            "{line}"
        );
        assert!(line.ends_with("on average"), "{line}");
    }
}
