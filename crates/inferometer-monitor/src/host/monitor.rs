//! The monitor itself.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
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

/// Samples the machine and this process, and shows what it finds.
///
/// It has no thread of its own: whoever owns it calls [`update`](Self::update) again and again, every 5 s or so. No two samples are
/// taken at once. Dropped, it makes its series absent, for nobody keeps them true any more.
///
/// **Cost.** A sample reads about ten small files: see the example `host_cost`.
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
    last: Mutex<Option<Arc<HostSample>>>,
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
    /// It always comes to an end with a sample, which lacks what couldn't be found out. A view must not call it.
    pub fn update(&self) -> Arc<HostSample> {
        let mut sampler = lock(&self.sampler);
        let Sampler { files, collectors } = &mut *sampler;
        let now = SystemTime::now();
        let mut sample = HostSample {
            taken_at: Some(now),
            ..HostSample::default()
        };
        for collector in collectors {
            let (took, result) = collector.run(files, &mut sample);
            self.metrics.ran(collector.name, took, now, &result);
        }
        let sample = Arc::new(sample);
        *lock(&self.last) = Some(Arc::clone(&sample));
        self.tell(&sample);
        sample
    }

    /// The last sample; `None` before the first.
    pub fn sample(&self) -> Option<Arc<HostSample>> {
        lock(&self.last).clone()
    }

    /// What went wrong in the last sample, collector by collector.
    pub fn failures(&self) -> Vec<(Collector, String)> {
        let sampler = lock(&self.sampler);
        let failing = sampler
            .collectors
            .iter()
            .filter_map(|collector| Some((collector.name, collector.failure()?.to_owned())));
        failing.collect()
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
