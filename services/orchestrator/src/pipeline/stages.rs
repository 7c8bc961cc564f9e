//! The pipeline itself: what its stages share, and the tasks that run them.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use inferometer::{
    Counter, Histogram, Registry, Tracking,
    lifecycle::{Outcome, Request},
};
use inferometer_catalog::orchestrator::{
    ByStage, ByWorker, ErrorType, Objective, Recorder, RequestContext, Stage, WorkerType,
};
use tokio::{sync::mpsc, task::AbortHandle};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::{
    departure::{Active, Departure, JobQueue, Whereabouts},
    exchange::{Answer, Failure, FailureReason, PromptRequest},
    job::{Job, name},
    routing::{MOST_WORKERS, Pool},
    tasks::run,
};
use crate::{
    assembly::{Assembler, SessionLimits, Sessions},
    postprocess::{Limits, Post, Redaction},
    queue::{Queue, Refused},
    retrieval::Library,
    worker::Worker,
};

/// How many events wait for a client that reads slowly, before delivery waits for it.
const EVENTS: usize = 16;

/// How a pipeline is set up.
#[derive(Clone, Debug)]
pub struct PipelineConfig {
    /// Where context is retrieved from.
    pub library: Arc<Library>,
    /// How many passages are retrieved for a prompt.
    pub passages: usize,
    /// What puts a prompt together.
    pub assembler: Arc<Assembler>,
    /// The conversations that are remembered.
    pub sessions: Arc<Sessions>,
    /// Which secrets are taken out of answers.
    pub redaction: Redaction,
    /// How long an answer may be.
    pub limits: Limits,
    /// How many requests wait before each stage, in the order of [`Stage::ALL`].
    pub capacities: [usize; 5],
    /// How long a request may take in all, at the most.
    pub timeout: Duration,
    /// What a request must hold to count as good.
    pub objective: Objective,
}

impl Default for PipelineConfig {
    /// The shipped corpus, three passages a prompt, 1,024 places before each stage, two minutes.
    fn default() -> Self {
        Self {
            library: Arc::new(Library::builtin()),
            passages: 3,
            assembler: Arc::new(Assembler::default()),
            sessions: Arc::new(Sessions::new(SessionLimits::default())),
            redaction: Redaction::all(),
            limits: Limits::default(),
            capacities: [1024; 5],
            timeout: Duration::from_secs(120),
            objective: Objective::default(),
        }
    }
}

/// A pipeline that can't be started.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// There is nobody to generate.
    #[error("a pipeline needs a worker; name one with `--worker`, such as `--worker local`")]
    NoWorker,
    /// There are more workers than can be told apart.
    #[error("{0} workers were named, and a pipeline takes {MOST_WORKERS} at the most")]
    TooManyWorkers(usize),
    /// A queue without a place would turn every request away.
    #[error("the queue before `{0}` has no place; give it one or more")]
    NoPlace(&'static str),
    /// The metrics are declared already.
    #[error("the metrics can't be declared: {0}; start each pipeline with a registry of its own")]
    Metrics(#[from] inferometer::RegisterError),
}

/// A model that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its id.
    pub id: Arc<str>,
    /// The kind of worker that serves it.
    pub worker_type: WorkerType,
    /// The most tokens that prompt and answer may take together.
    pub context_window: usize,
}

/// What the stages share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) recorder: Arc<Recorder>,
    pub(super) config: PipelineConfig,
    pub(super) pool: Pool,
    queues: [Arc<JobQueue>; 5],
    tokens: [Counter; 4],
    inference_time: Histogram,
    active: Arc<AtomicUsize>,
    next_id: AtomicU64,
    closing: AtomicBool,
}

impl Shared {
    pub(super) fn queue(&self, stage: Stage) -> &Arc<JobQueue> {
        &self.queues[stage as usize]
    }

    pub(super) fn tokens_of(&self, worker_type: WorkerType) -> Counter {
        self.tokens[worker_type as usize].clone()
    }

    /// Hands a job to the next stage, or ends it where there is no place or nobody waits for it.
    pub(super) fn enqueue(&self, stage: Stage, mut job: Box<Job>) {
        job.request.enqueue(stage);
        let whereabouts = Arc::clone(&job.whereabouts);
        match whereabouts.enqueue(stage, self.queue(stage), job) {
            Ok(()) => {}
            Err(Refused::Full(job)) => {
                let failure = self.full(stage);
                job.fail(stage, ErrorType::Other, failure.reason, failure.message);
            }
            Err(Refused::Closed(job)) if job.whereabouts.left() => job.left(stage),
            Err(Refused::Closed(job)) => {
                let failure = shutting_down();
                job.fail(stage, ErrorType::Other, failure.reason, failure.message);
            }
        }
    }

    fn full(&self, stage: Stage) -> Failure {
        let retry_after = self.expected_wait();
        let capacity = self.queue(stage).capacity();
        let message = format!(
            "the queue before stage `{}` is full ({capacity} waiting); try again in {} s",
            name(stage),
            retry_after.as_secs(),
        );
        Failure {
            reason: FailureReason::Shed { stage, retry_after },
            message,
        }
    }

    /// How long the queue before inference takes to clear at its pace so far: whole seconds, 1 to 60.
    fn expected_wait(&self) -> Duration {
        let (count, sum) = self.inference_time.get();
        let slots: usize = self.pool.seats().iter().map(|seat| seat.concurrency).sum();
        let waiting = self.queue(Stage::Inference).depth();
        #[expect(clippy::cast_precision_loss, reason = "an estimate of seconds")]
        let seconds = match count {
            0 => 1.0,
            count => sum / count as f64 * waiting as f64 / slots.max(1) as f64,
        };
        Duration::from_secs_f64(seconds.ceil().clamp(1.0, 60.0))
    }
}

fn shutting_down() -> Failure {
    Failure {
        reason: FailureReason::ShuttingDown,
        message: "the service is shutting down; ask another instance".into(),
    }
}

/// Five stages at work. Clones share it; when the last is dropped, the stages end.
#[derive(Clone, Debug)]
pub struct Pipeline {
    shared: Arc<Shared>,
    _tasks: Arc<Tasks>,
}

/// How full a stage's queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueState {
    /// The stage's name.
    pub stage: &'static str,
    /// Requests that wait in it.
    pub depth: usize,
    /// Requests that fit in it.
    pub capacity: usize,
}

#[derive(Debug)]
struct Tasks {
    stages: Vec<AbortHandle>,
    queues: [Arc<JobQueue>; 5],
    _depths: Vec<Tracking>,
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for stage in &self.stages {
            stage.abort();
        }
        for queue in &self.queues {
            queue.close();
        }
    }
}

impl Pipeline {
    /// Starts the stages on the runtime that calls it, and declares their metrics in `registry`.
    ///
    /// # Errors
    /// When there is no worker, a queue has no place, or the registry has the metrics already.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(
        config: PipelineConfig,
        workers: Vec<Arc<dyn Worker>>,
        registry: &Registry,
    ) -> Result<Self, PipelineError> {
        let recorder = Recorder::register(registry, config.objective)?;
        Self::start_with(config, workers, &Arc::new(recorder))
    }

    /// The same, recording to metrics that are declared already.
    ///
    /// # Errors
    /// When there is no worker, or a queue has no place.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start_with(
        config: PipelineConfig,
        workers: Vec<Arc<dyn Worker>>,
        recorder: &Arc<Recorder>,
    ) -> Result<Self, PipelineError> {
        if workers.is_empty() {
            return Err(PipelineError::NoWorker);
        }
        if workers.len() > MOST_WORKERS {
            return Err(PipelineError::TooManyWorkers(workers.len()));
        }
        for (stage, capacity) in Stage::ALL.into_iter().zip(config.capacities) {
            if capacity == 0 {
                return Err(PipelineError::NoPlace(name(stage)));
            }
        }
        // The patterns' automaton is built with the first use: here, rather than at the first request's expense.
        drop(Post::new(config.redaction, Arc::new([]), config.limits));
        let metrics = &recorder.metrics;
        let queues = config
            .capacities
            .map(|capacity| Arc::new(Queue::new(capacity)));
        let shared = Arc::new(Shared {
            pool: Pool::new(workers),
            tokens: WorkerType::ALL
                .map(|worker_type| metrics.tokens_generated.series(ByWorker { worker_type })),
            inference_time: metrics.stage_duration.series(ByStage {
                stage: Stage::Inference,
            }),
            queues,
            config,
            active: Arc::default(),
            next_id: AtomicU64::new(RandomState::new().build_hasher().finish()),
            closing: AtomicBool::new(false),
            recorder: Arc::clone(recorder),
        });
        let depths = Stage::ALL.map(|stage| {
            metrics
                .queue_capacity
                .with(ByStage { stage })
                .set(as_float(shared.queue(stage).capacity()));
            let queue: Weak<JobQueue> = Arc::downgrade(shared.queue(stage));
            let depth = metrics.queue_depth.series(ByStage { stage });
            depth.track(move || queue.upgrade().map(|queue| as_float(queue.depth())))
        });
        let stages =
            Stage::ALL.map(|stage| tokio::spawn(run(stage, Arc::clone(&shared))).abort_handle());
        let tasks = Tasks {
            stages: stages.into(),
            queues: shared.queues.clone(),
            _depths: depths.into(),
        };
        Ok(Self {
            shared,
            _tasks: Arc::new(tasks),
        })
    }

    /// Each stage's queue, in their order.
    pub fn queues(&self) -> [QueueState; Stage::ALL.len()] {
        Stage::ALL.map(|stage| {
            let queue = self.shared.queue(stage);
            QueueState {
                stage: name(stage),
                depth: queue.depth(),
                capacity: queue.capacity(),
            }
        })
    }

    /// Takes a request in.
    ///
    /// # Errors
    /// At once, when the first queue is full, nobody serves the model, or the pipeline is shutting down. What fails later comes as
    /// [`Event::Failed`](super::Event::Failed).
    pub fn submit(&self, ask: PromptRequest) -> Result<Answer, Failure> {
        let shared = &self.shared;
        let now = Instant::now();
        let context = RequestContext {
            session: ask.session.clone(),
        };
        let mut request = Request::admit_at(&shared.recorder, context, now);
        if shared.closing.load(Ordering::Relaxed) {
            request.finish(Outcome::Shed);
            return Err(shutting_down());
        }
        if shared.pool.first(ask.model.as_deref()).is_none() {
            shared
                .recorder
                .failed(Stage::Rag, ErrorType::InvalidRequest);
            request.finish(Outcome::Rejected);
            let model = ask.model.as_deref().unwrap_or_default();
            let message = format!(
                "no worker serves model `{model}`; GET /v1/models lists the ones there are"
            );
            return Err(Failure {
                reason: FailureReason::UnknownModel,
                message,
            });
        }
        let config = &shared.config;
        let post = match Post::new(
            config.redaction,
            Arc::clone(&ask.sampling.stop),
            config.limits,
        ) {
            Ok(post) => post,
            Err(error) => {
                shared
                    .recorder
                    .failed(Stage::Rag, ErrorType::InvalidRequest);
                request.finish(Outcome::Rejected);
                return Err(Failure {
                    reason: FailureReason::Invalid,
                    message: error.to_string(),
                });
            }
        };
        let limit = ask.timeout.unwrap_or(config.timeout).min(config.timeout);
        let deadline = now + limit;
        let cancel = CancellationToken::new();
        let whereabouts = Arc::new(Whereabouts::new(cancel));
        let (events, received) = mpsc::channel(EVENTS);
        request.enqueue_at(Stage::Rag, now);
        let job = Box::new(Job {
            request,
            whereabouts: Arc::clone(&whereabouts),
            _active: Active::new(&shared.active),
            ask,
            span: Span::current(),
            deadline,
            events,
            passages: Vec::new(),
            messages: Vec::new(),
            prompt_tokens: 0,
            post: Some(post),
            flow: None,
            polished: None,
        });
        match whereabouts.enqueue(Stage::Rag, shared.queue(Stage::Rag), job) {
            Ok(()) => {}
            Err(Refused::Full(job)) => {
                shared.recorder.shed(Stage::Rag);
                job.request.finish(Outcome::Shed);
                return Err(shared.full(Stage::Rag));
            }
            Err(Refused::Closed(job)) => {
                job.request.finish(Outcome::Shed);
                return Err(shutting_down());
            }
        }
        let id = shared.next_id.fetch_add(1, Ordering::Relaxed);
        Ok(Answer {
            id: format!("{id:016x}").into(),
            events: received,
            deadline,
            over: false,
            departure: Departure::new(whereabouts),
        })
    }

    /// Counts a request that was refused before it could be taken in, for what it asked.
    pub fn refuse(&self) {
        let request = Request::admit(&self.shared.recorder);
        self.shared
            .recorder
            .failed(Stage::Rag, ErrorType::InvalidRequest);
        request.finish(Outcome::Rejected);
    }

    /// The models that can be asked for, the preferred first, each once.
    pub fn models(&self) -> Vec<Model> {
        let mut models: Vec<Model> = Vec::new();
        for seat in self.shared.pool.seats() {
            let worker = &seat.worker;
            if models.iter().all(|model| &*model.id != worker.model()) {
                models.push(Model {
                    id: worker.model().into(),
                    worker_type: worker.worker_type(),
                    context_window: worker.context_window(),
                });
            }
        }
        models
    }

    /// The metrics.
    pub fn recorder(&self) -> &Arc<Recorder> {
        &self.shared.recorder
    }

    /// Requests that have been taken in and haven't ended.
    pub fn active(&self) -> usize {
        self.shared.active.load(Ordering::Relaxed)
    }

    /// Whether it takes requests in.
    pub fn is_open(&self) -> bool {
        !self.shared.closing.load(Ordering::Relaxed)
    }

    /// Takes nothing in any more, and waits for what is under way, `patience` at the most; `true` when all of it ended.
    pub async fn drain(&self, patience: Duration) -> bool {
        self.shared.closing.store(true, Ordering::Relaxed);
        let emptied = async {
            while self.active() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(patience, emptied).await.is_ok()
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a queue has far fewer than 2^53 places"
)]
fn as_float(places: usize) -> f64 {
    places as f64
}
