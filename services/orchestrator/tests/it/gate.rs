//! A worker whose every step a test allows.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use inferometer_catalog::orchestrator::{ErrorType, WorkerType};
use orchestrator::{
    pipeline::{Answer, Event, Failure, Finished, Pipeline, PipelineConfig, PromptRequest},
    worker::{
        FinishReason, Generation, Message, Prompt, Sampling, Sink, Usage, Worker, WorkerError,
    },
};
use tokio::sync::Semaphore;

/// Generates one word for each step that is allowed, up to `max_tokens`.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) model: &'static str,
    pub(crate) steps: Semaphore,
    pub(crate) concurrency: usize,
    pub(crate) window: usize,
    /// What happens at the first step instead.
    pub(crate) fault: Option<Fault>,
    pub(crate) entered: AtomicUsize,
    pub(crate) left: AtomicUsize,
    /// The messages of the last prompt.
    pub(crate) seen: std::sync::Mutex<Vec<Message>>,
    /// The words, in turn.
    pub(crate) words: &'static [&'static str],
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    Panic,
    Retryable,
    Final,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self {
            model: "gate",
            steps: Semaphore::new(0),
            concurrency: 1,
            window: 2048,
            fault: None,
            entered: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
            seen: std::sync::Mutex::default(),
            words: &["word "],
        }
    }

    /// One that needs no permission.
    pub(crate) fn open() -> Self {
        Self {
            steps: Semaphore::new(Semaphore::MAX_PERMITS / 2),
            ..Self::new()
        }
    }

    pub(crate) fn allow(&self, steps: usize) {
        self.steps.add_permits(steps);
    }
}

/// Counts a generation as left, however it ends.
struct Leaving<'a>(&'a AtomicUsize);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Worker for Gate {
    fn worker_type(&self) -> WorkerType {
        WorkerType::Scripted
    }

    fn model(&self) -> &str {
        self.model
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn context_window(&self) -> usize {
        self.window
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    fn generate<'a>(
        &'a self,
        prompt: Prompt,
        sink: Sink,
        _on_retry: &'a (dyn Fn() + Send + Sync),
    ) -> Generation<'a> {
        Box::pin(async move {
            self.entered.fetch_add(1, Ordering::SeqCst);
            let _leaving = Leaving(&self.left);
            *self.seen.lock().unwrap() = prompt.messages.clone();
            let error = |retryable| WorkerError {
                kind: ErrorType::Model,
                message: "the gate fell shut".into(),
                retryable,
                retries: 0,
            };
            for at in 0..prompt.sampling.max_tokens {
                self.steps.acquire().await.unwrap().forget();
                match self.fault {
                    Some(Fault::Panic) => panic!("the gate fell on someone"),
                    Some(Fault::Retryable) => return Err(error(true)),
                    Some(Fault::Final) => return Err(error(false)),
                    None => {}
                }
                if !sink.push(self.words[at as usize % self.words.len()], 1) {
                    break;
                }
            }
            Ok(Usage {
                prompt_tokens: None,
                cached_tokens: None,
                generated_tokens: None,
                finish: FinishReason::Length,
            })
        })
    }
}

/// A request for `tokens` tokens.
pub(crate) fn ask(tokens: u32) -> PromptRequest {
    PromptRequest {
        session: None,
        model: None,
        messages: vec![Message {
            role: "user".into(),
            content: "What does a queue hold?".into(),
        }],
        sampling: Sampling {
            temperature: 0.0,
            top_p: 1.0,
            seed: 0,
            max_tokens: tokens,
            stop: Arc::new([]),
        },
        timeout: None,
    }
}

/// A small configuration: `inference` requests wait for the worker, 8 before each other stage.
pub(crate) fn small(inference: usize) -> PipelineConfig {
    PipelineConfig {
        capacities: [8, 8, inference, 8, 8],
        ..PipelineConfig::default()
    }
}

/// Everything of an answer.
pub(crate) async fn whole(mut answer: Answer) -> (String, Result<Finished, Failure>) {
    let mut text = String::new();
    while let Some(event) = answer.next().await {
        match event {
            Event::Text(piece) => text.push_str(&piece),
            Event::Done(finished) => return (text, Ok(finished)),
            Event::Failed(failure) => return (text, Err(failure)),
        }
    }
    panic!("an answer ends with Done or Failed");
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let waited = tokio::time::timeout(std::time::Duration::from_secs(20), async {
        while !condition() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    });
    assert!(waited.await.is_ok(), "never happened: {what}");
}

/// Waits until nothing is under way, and checks the equation and the gauges at rest.
pub(crate) async fn at_rest(pipeline: &Pipeline, page: &inferometer::Registry) {
    let recorder = pipeline.recorder();
    let counts = &recorder.metrics.counts;
    until("every request ends", || {
        pipeline.active() == 0 && counts.in_flight() == 0
    })
    .await;
    assert_eq!(counts.started(), counts.finished_in_all());
    let scrape = page.encode_text();
    for gauge in [
        "orchestrator_queue_depth{",
        "orchestrator_generations_in_flight{",
        "orchestrator_requests_in_flight ",
    ] {
        let lines: Vec<_> = scrape
            .lines()
            .filter(|line| line.starts_with(gauge))
            .collect();
        assert!(!lines.is_empty(), "{gauge} is in the scrape");
        for line in lines {
            assert!(line.ends_with(" 0") || line.ends_with(" 0.0"), "{line}");
        }
    }
}
