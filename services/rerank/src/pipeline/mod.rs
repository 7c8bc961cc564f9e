//! From a request to its scores: two pools of threads, bounded queues, and batches in between.
//!
//! ```text
//! ask ─▶ queue ─▶ tokenizer workers ─▶ pairs that wait ─▶ batches ─▶ model workers ─▶ answer
//! ```
//!
//! **Leaving.** A request that is given up, or whose deadline passes, frees its places at once, wherever it waits; what a worker has in
//! hand is worked to its end and thrown away.
//!
//! **Failing.** A worker that panics answers what it had in hand with an error, is counted, and starts anew.

mod choice;
mod config;
mod exchange;
mod floor;
mod forecast;
mod job;
mod queue;
mod workers;

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use inferometer::{
    Registry, Tracking,
    lifecycle::{Lifecycle as _, Outcome, Request},
};
use inferometer_catalog::rerank::{self, Recorder, ShedReason, WorkerType};
use tokio_util::sync::CancellationToken;

pub(crate) use self::exchange::seconds;
pub use self::{
    choice::BatchLimits,
    config::{PipelineConfig, PipelineError},
    exchange::{Answer, Ask, Failure, Pair},
};
use self::{
    floor::{Floor, Rules},
    forecast::{Forecast, Load},
    job::Job,
    queue::{Queue, Refused},
};
use crate::model::{Score, Tokenize};

/// A running pipeline. Clones share it; the last one that is dropped ends it.
#[derive(Clone)]
pub struct Pipeline {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    config: PipelineConfig,
    threads: Mutex<Vec<JoinHandle<()>>>,
    open: AtomicBool,
    active: Arc<AtomicUsize>,
    /// Requests are let go of, answered or not.
    abandoned: CancellationToken,
    _depths: [Tracking; 3],
}

/// What the workers see.
struct Shared {
    tokenizer: Arc<dyn Tokenize>,
    model: Arc<dyn Score>,
    max_tokens: usize,
    queue: Queue<Arc<Job>>,
    floor: Floor,
    forecast: Arc<Forecast>,
    recorder: Arc<Recorder>,
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("model", &self.model())
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.queue.close();
        self.shared.floor.close();
    }
}

impl Pipeline {
    /// Starts it, with its metrics in `registry`.
    ///
    /// # Errors
    /// When the set-up is at fault, the registry has such metrics already, or there is no thread to be had.
    pub fn start(
        config: PipelineConfig,
        tokenizer: Arc<dyn Tokenize>,
        model: Arc<dyn Score>,
        registry: &Registry,
    ) -> Result<Self, PipelineError> {
        config.check()?;
        let recorder = Arc::new(Recorder::register(
            registry,
            config.tokenizer_workers,
            config.model_workers,
            config.window,
        )?);
        let prefetch = config.model_queue;
        let rules = Rules {
            limits: config.batch,
            max_wait: config.max_wait,
            capacity: config.batch_queue,
            prefetch,
        };
        for (queue, capacity) in [
            (rerank::Queue::Tokenizer, config.tokenizer_queue),
            (rerank::Queue::Batch, config.batch_queue),
            // Each pair of a batch may be a request of its own.
            (rerank::Queue::Model, prefetch * config.batch.pairs),
        ] {
            recorder.capacity(queue, capacity);
        }
        let max_tokens = config
            .max_tokens
            .map_or(model.max_tokens(), |most| most.min(model.max_tokens()));
        let shared = Arc::new(Shared {
            tokenizer,
            model,
            max_tokens,
            queue: Queue::new(config.tokenizer_queue),
            floor: Floor::new(rules, Arc::clone(&recorder)),
            forecast: Arc::new(Forecast::new(config.model_workers)),
            recorder,
        });
        let depths = depths(&shared);
        let mut threads = workers::start(&shared, WorkerType::Tokenizer, config.tokenizer_workers)?;
        threads.extend(workers::start(
            &shared,
            WorkerType::Model,
            config.model_workers,
        )?);
        Ok(Self {
            inner: Arc::new(Inner {
                shared,
                config,
                threads: Mutex::new(threads),
                open: AtomicBool::new(true),
                active: Arc::default(),
                abandoned: CancellationToken::new(),
                _depths: depths,
            }),
        })
    }

    /// The scores of a request. Dropped before its end, the request is cancelled and its places are free.
    ///
    /// # Errors
    /// When the request can't be served as asked, is turned away, doesn't make its deadline, or something fails.
    pub async fn infer(&self, ask: Ask) -> Result<Answer, Failure> {
        let started = Instant::now();
        let recorder = self.recorder();
        let request = Request::admit_at(recorder, (), started);
        let _active = Active::count(&self.inner.active);
        match self.run(ask, started).await {
            Ok((scored, now)) => {
                let timings = scored.marks.timings(now);
                let latency = now.saturating_duration_since(started);
                recorder.record_stage_timings(latency, &timings);
                recorder.record(latency, 1);
                let pairs = u32::try_from(scored.scores.len()).unwrap_or(u32::MAX);
                recorder.metrics.request.observe(pairs.into());
                request.finish_at(Outcome::Ok, now);
                Ok(Answer {
                    scores: scored.scores,
                    truncated: scored.truncated,
                    tokens: scored.tokens,
                    latency,
                    timings,
                })
            }
            Err(failure) => {
                self.count(&failure);
                request.finish(failure.outcome());
                Err(failure)
            }
        }
    }

    /// Counts a request that could not be read: it has started, and was rejected.
    pub fn refuse(&self, field: &'static str, message: String) -> Failure {
        let request = Request::admit(self.recorder());
        let failure = Failure::Invalid(field, message);
        self.count(&failure);
        request.finish(failure.outcome());
        failure
    }

    fn count(&self, failure: &Failure) {
        let recorder = self.recorder();
        if let Failure::Shed { reason, .. } = failure {
            recorder.shed(*reason);
        }
        if let Failure::Timeout(stage) = failure {
            recorder.missed(*stage);
        }
        if let Some(error) = failure.error() {
            recorder.failed(error);
        }
    }

    async fn run(&self, ask: Ask, started: Instant) -> Result<(job::Scored, Instant), Failure> {
        let Inner {
            shared,
            config,
            abandoned,
            ..
        } = &*self.inner;
        config.admits(&ask)?;
        let latest = started + config.timeout;
        let deadline = ask.deadline.map_or(latest, |asked| asked.min(latest));
        if !self.is_open() {
            return Err(shed(ShedReason::ShuttingDown, Duration::from_secs(1)));
        }
        let wait = shared.forecast.wait();
        if wait > deadline.saturating_duration_since(started) && !wait.is_zero() {
            return Err(shed(ShedReason::ExpectedWait, wait));
        }
        let pairs = ask.pairs.len();
        let (job, answered) = Job::new(ask.pairs, deadline);
        job.mark(|marks| marks.queued = Some(Instant::now()));
        shared.floor.expect_one();
        let departure = Departure {
            shared,
            job,
            _load: shared.forecast.load(pairs),
        };
        let pushed = shared.queue.push(Arc::clone(&departure.job));
        if let Err(refused) = pushed {
            shared.floor.expect_one_less();
            return Err(match refused {
                Refused::Full => shed(ShedReason::QueueFull, wait),
                Refused::Closed => shed(ShedReason::ShuttingDown, Duration::from_secs(1)),
            });
        }
        tokio::select! {
            biased;
            answer = answered => match answer {
                Ok(Ok(scored)) => Ok((scored, Instant::now())),
                Ok(Err(failure)) => Err(failure),
                // Nobody holds it any more, and nobody has said why: it was lost with a worker.
                Err(_) => Err(Failure::Panicked),
            },
            () = tokio::time::sleep_until(deadline.into()) => {
                Err(Failure::Timeout(departure.job.stage()))
            }
            () = abandoned.cancelled() => {
                Err(shed(ShedReason::ShuttingDown, Duration::from_secs(1)))
            }
        }
    }

    /// The metrics.
    pub fn recorder(&self) -> &Arc<Recorder> {
        &self.inner.shared.recorder
    }

    /// The model's name.
    pub fn model(&self) -> &str {
        self.inner.shared.model.name()
    }

    /// How it is set up.
    pub fn config(&self) -> &PipelineConfig {
        &self.inner.config
    }

    /// Whether it takes requests in.
    pub fn is_open(&self) -> bool {
        self.inner.open.load(Relaxed)
    }

    /// Requests under way.
    pub fn active(&self) -> usize {
        self.inner.active.load(Relaxed)
    }

    /// Takes no request in any more; those under way go on.
    pub fn close(&self) {
        self.inner.open.store(false, Relaxed);
    }

    /// Takes no request in any more, lets those under way end for `patience` at the most, then lets go of them and ends the workers;
    /// `true` when all requests ended by themselves. A worker in the midst of a batch isn't waited for beyond that.
    pub async fn drain(&self, patience: Duration) -> bool {
        self.close();
        let ended = tokio::time::timeout(patience, async {
            while self.active() > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        let ended = ended.await.is_ok();
        self.inner.abandoned.cancel();
        self.inner.shared.queue.close();
        self.inner.shared.floor.close();
        let threads = &self.inner.threads;
        let mut threads =
            std::mem::take(&mut *threads.lock().unwrap_or_else(PoisonError::into_inner));
        threads.retain(|thread| !thread.is_finished());
        if ended {
            let joined = tokio::task::spawn_blocking(move || {
                for thread in threads {
                    // A worker catches its panics.
                    let _ = thread.join();
                }
            });
            let _ = joined.await;
        }
        ended
    }

    /// Each queue: its name, how many requests wait in it, and how many fit.
    pub fn queues(&self) -> [(&'static str, usize, usize); 3] {
        let Inner { shared, config, .. } = &*self.inner;
        [
            ("tokenizer", shared.queue.depth(), config.tokenizer_queue),
            ("batch", shared.floor.waiting(), config.batch_queue),
            (
                "model",
                shared.floor.released(),
                config.model_queue * config.batch.pairs,
            ),
        ]
    }

    /// Cancelled once nothing more is going to be answered.
    pub(crate) fn abandoned(&self) -> &CancellationToken {
        &self.inner.abandoned
    }

    /// What is in hand and when it last moved.
    pub fn activity(&self) -> inferometer::lifecycle::Activity {
        self.recorder().activity()
    }
}

fn shed(reason: ShedReason, wait: Duration) -> Failure {
    let retry_after = wait.clamp(Duration::from_secs(1), Duration::from_secs(60));
    Failure::Shed {
        reason,
        retry_after,
    }
}

/// Shows how many requests wait at each scrape.
fn depths(shared: &Arc<Shared>) -> [Tracking; 3] {
    let metrics = &shared.recorder.metrics;
    let depth = |gauge: &inferometer::Gauge, depth: fn(&Shared) -> usize| {
        let shared = Arc::downgrade(shared);
        gauge.track(move || {
            let depth = depth(&*shared.upgrade()?);
            Some(u32::try_from(depth).unwrap_or(u32::MAX).into())
        })
    };
    [
        depth(&metrics.tokenizer_queue_size, |shared| shared.queue.depth()),
        depth(&metrics.batch_queue_size, |shared| shared.floor.waiting()),
        depth(&metrics.model_queue_size, |shared| shared.floor.released()),
    ]
}

/// The hold that whoever asked has on a request: dropped, its places are free.
struct Departure<'a> {
    shared: &'a Shared,
    job: Arc<Job>,
    _load: Load,
}

impl Drop for Departure<'_> {
    fn drop(&mut self) {
        self.job.leave();
        let queued = self.shared.queue.remove(|job| Arc::ptr_eq(job, &self.job));
        if queued.is_some() {
            self.shared.floor.expect_one_less();
        }
        self.shared.floor.forget(&self.job);
    }
}

/// Counts a request as under way.
struct Active(Arc<AtomicUsize>);

impl Active {
    fn count(active: &Arc<AtomicUsize>) -> Self {
        active.fetch_add(1, Relaxed);
        Self(Arc::clone(active))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
