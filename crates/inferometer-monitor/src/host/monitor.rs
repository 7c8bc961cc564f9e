//! The monitor itself.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use inferometer::{
    RegisterError, Registry,
    sample::host::{HostSample, HostView},
};

use super::{
    Collector, Failure, Options,
    collector::{Entry, collectors},
    files::Files,
    metrics::Metrics,
};
use crate::{
    health::Verdict,
    scheduler::{ScheduleError, Scheduler, TaskHandle},
};

/// Samples the machine and this process, and shows what it finds.
///
/// A [scheduler](Self::start), or whoever owns it, calls [`update`](Self::update) again and again, each [`PERIOD`](Self::PERIOD) or so; no
/// two samples are taken at once. A thread of its own asks the disks, as one may hang. Dropped, it makes its series absent, for nobody keeps them true any more.
///
/// **Cost.** A sample reads about ten small files, in less than half a millisecond: a ten-thousandth of a core at the usual period. The
/// example `host_cost` measures it.
///
/// # Examples
/// ```
/// use inferometer::Registry;
/// use inferometer_monitor::host::{HostMonitor, Options};
///
/// let registry = Registry::new();
/// let monitor = HostMonitor::new(&registry, Options::default())?;
/// let sample = monitor.update();
/// # if cfg!(target_os = "linux") {
/// let memory = sample.memory.expect("Linux tells its memory");
/// assert!(memory.total_bytes > 0);
/// assert!(registry.encode_text().contains("\ninferometer_host_memory_total_bytes "));
/// # }
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
pub struct HostMonitor {
    sampler: Mutex<Sampler>,
    metrics: Metrics,
    views: Vec<Arc<dyn HostView>>,
    last: Mutex<Last>,
}

/// What the last update left, for those who don't want to wait for the next.
#[derive(Debug, Default)]
struct Last {
    sample: Option<Arc<HostSample>>,
    failures: Vec<(Collector, String)>,
}

#[derive(Debug)]
struct Sampler {
    files: Files,
    collectors: Vec<Entry>,
}

impl fmt::Debug for HostMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostMonitor")
            .field("sampler", &self.sampler)
            .field("views", &self.views.len())
            .finish_non_exhaustive()
    }
}

impl HostMonitor {
    /// How often to sample where nothing speaks for another period.
    pub const PERIOD: Duration = Duration::from_secs(5);

    /// What the background loop is called in its scheduler and in the scheduler's metrics.
    pub const TASK: &str = "host";

    /// A monitor whose metrics are in `registry`. It samples nothing yet, and needs no file to be there.
    ///
    /// # Errors
    /// A name is taken: a registry has room for one monitor of the machine.
    pub fn new(registry: &Registry, options: Options) -> Result<Self, RegisterError> {
        let collectors = collectors(&options);
        let metrics = Metrics::register(registry, collectors.iter().map(|entry| entry.name))?;
        let sampler = Sampler {
            collectors,
            files: Files::new(options.roots),
        };
        Ok(Self {
            sampler: Mutex::new(sampler),
            metrics,
            views: options.views,
            last: Mutex::default(),
        })
    }

    /// Takes one sample and shows it: in the metrics, then to each view in turn.
    ///
    /// It always comes to an end with a sample, which lacks what couldn't be found out: a disk that hangs is waited for once, for a
    /// second. A view must not call it.
    pub fn update(&self) -> Arc<HostSample> {
        let mut sampler = lock(&self.sampler);
        let Sampler { files, collectors } = &mut *sampler;
        let now = SystemTime::now();
        let mut sample = HostSample {
            taken_at: Some(now),
            ..HostSample::default()
        };
        let mut failures = Vec::new();
        for collector in collectors {
            let name = collector.name;
            let (took, failure) = collector.run(files, &mut sample);
            self.metrics.ran(name, took, now, failure);
            failures.extend(failure.map(|failure| (name, failure.to_string())));
        }
        let sample = Arc::new(sample);
        *lock(&self.last) = Last {
            sample: Some(Arc::clone(&sample)),
            failures,
        };
        self.tell(&sample);
        sample
    }

    /// Takes a sample every `interval` from now on, as the task [`TASK`](Self::TASK) of `scheduler`, until that stops, the handle is told to
    /// cancel, or the last holder of the monitor lets go of it.
    ///
    /// # Errors
    /// The interval is zero or beyond all measure, the scheduler has stopped or has a task of this name, or there is no thread to be had.
    pub fn start(
        self: &Arc<Self>,
        scheduler: &Scheduler,
        interval: Duration,
    ) -> Result<TaskHandle, ScheduleError> {
        let host = Arc::downgrade(self);
        scheduler
            .task(Self::TASK, interval)
            .run_at_once()
            .overdue_after(interval)
            .start(move || {
                if let Some(host) = host.upgrade() {
                    host.update();
                }
            })
    }

    /// What health makes of it: degraded while a collector fails, with what each says.
    pub fn verdict(&self) -> Verdict {
        let failures = self.failures();
        if failures.is_empty() {
            return Verdict::healthy();
        }
        let said: Vec<_> = failures.iter().map(|(_, why)| why.as_str()).collect();
        Verdict::degraded(said.join("; "))
    }

    /// The last sample; `None` before the first. It waits for no sample that is under way.
    pub fn sample(&self) -> Option<Arc<HostSample>> {
        lock(&self.last).sample.clone()
    }

    /// What went wrong in the last sample, collector by collector: what was tried, on what, and what to do. It waits for no sample that
    /// is under way.
    pub fn failures(&self) -> Vec<(Collector, String)> {
        lock(&self.last).failures.clone()
    }

    fn tell(&self, sample: &HostSample) {
        self.metrics.sampled(sample);
        for view in &self.views {
            let told = catch_unwind(AssertUnwindSafe(|| view.sampled(sample)));
            if let Err(payload) = told {
                let failure = Failure::panicked(&*payload);
                tracing::error!("a view of the machine's samples failed: {failure}");
            }
        }
    }
}

impl Drop for HostMonitor {
    fn drop(&mut self) {
        self.tell(&HostSample::default());
        self.metrics.forget();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
