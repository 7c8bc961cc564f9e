//! The monitor as its users see it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use inferometer::{
    RegisterError, Registry,
    sample::gpu::{GpuDevice, GpuSample, GpuView},
};

use super::{
    audience::{Audience, Poll},
    board::{DeviceStatus, GpuStatus},
    inference::{InferenceMemory, Tracker},
    metrics::{DriverPhase, GpuMetrics, Shown},
    nvml::Nvml,
    poller::{Poller, Settings},
    source::{Failure, GpuSource},
    visible::Visible,
};
use crate::{
    health::Verdict,
    scheduler::{ScheduleError, Scheduler, TaskHandle},
};

/// How a monitor is made: where its figures come from, and who is told.
pub struct GpuMonitorBuilder {
    source: Arc<dyn GpuSource>,
    views: Vec<Arc<dyn GpuView>>,
    visible: Visible,
    call_limit: Duration,
    slow_every: Duration,
    retry_every: Duration,
    costly: bool,
}

impl std::fmt::Debug for GpuMonitorBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GpuMonitorBuilder")
            .field("source", &self.source.name())
            .field("visible", &self.visible)
            .finish_non_exhaustive()
    }
}

impl GpuMonitorBuilder {
    /// Asks `source`; without this, NVIDIA's driver.
    pub fn source(mut self, source: impl GpuSource + 'static) -> Self {
        self.source = Arc::new(source);
        self
    }

    /// Tells `view` what is found, beside the monitor's own metrics.
    pub fn view(mut self, view: impl GpuView + 'static) -> Self {
        self.views.push(Arc::new(view));
        self
    }

    /// Shows these; without this, those that `CUDA_VISIBLE_DEVICES` names. Indices are those of the PCI bus, as with
    /// `CUDA_DEVICE_ORDER=PCI_BUS_ID`; where cards differ and that isn't set, CUDA may count otherwise, and UUIDs are safer.
    pub fn visible(mut self, visible: Visible) -> Self {
        self.visible = visible;
        self
    }

    /// Takes a call for hung after so long; 2 s without this.
    pub fn call_limit(mut self, limit: Duration) -> Self {
        self.call_limit = limit;
        self
    }

    /// Reads what changes slowly (temperature, power limit, memory errors, compute mode, processes) and looks for new GPUs this often; 10 s
    /// without this.
    pub fn slow_every(mut self, interval: Duration) -> Self {
        self.slow_every = interval;
        self
    }

    /// Opens the driver anew this often while there is none, or while a GPU is missing; 30 s without this. After tries in vain it waits up
    /// to sixteen times as long.
    pub fn retry_every(mut self, interval: Duration) -> Self {
        self.retry_every = interval;
        self
    }

    /// Reads PCIe throughput and fans, too. That takes more than 40 ms a GPU, in which the driver serves nobody else.
    pub fn pcie_and_fans(mut self) -> Self {
        self.costly = true;
        self
    }

    /// Declares the monitor's metrics in `registry`. The driver isn't touched yet.
    ///
    /// # Errors
    /// The registry has metrics of these names already: one monitor a registry.
    pub fn register(self, registry: &Registry) -> Result<GpuMonitor, RegisterError> {
        let metrics: GpuMetrics = registry.register()?;
        let audience = Arc::new(Audience::new(Shown::new(metrics), self.views));
        let settings = Settings {
            call_limit: self.call_limit,
            slow_every: self.slow_every,
            retry_every: self.retry_every,
            costly: self.costly,
            visible: self.visible.list(),
        };
        let poller = Poller::new(self.source, settings, Arc::clone(&audience));
        Ok(GpuMonitor {
            inner: Arc::new(Inner {
                tracker: Arc::new(Tracker::new(Arc::clone(&audience))),
                audience,
                poller: Mutex::new(poller),
                polling: Mutex::new(None),
            }),
        })
    }
}

/// Watches the machine's GPUs. Clones share it; when the last is dropped, it stops and gives the driver back.
///
/// Reading what is known ([`stats`](Self::stats), [`status`](Self::status), a scrape) reads memory and never waits for a driver. What calls the driver
/// ([`update`](Self::update), [`initialize`](Self::initialize), [`shutdown`](Self::shutdown)) waits for at most the
/// [limit of a call](GpuMonitorBuilder::call_limit) and a quarter of a second for each GPU, also when the driver hangs.
///
/// # Examples
/// ```
/// use inferometer::Registry;
/// use inferometer_monitor::gpu::{DriverPhase, GpuMonitor, Nvml};
///
/// let registry = Registry::new();
/// let monitor = GpuMonitor::builder()
///     .source(Nvml::at("/nowhere/libnvidia-ml.so.1"))
///     .register(&registry)?;
/// // No driver is no error.
/// assert_eq!(monitor.update().driver, DriverPhase::Absent);
/// assert!(monitor.stats_all().is_empty());
/// assert!(registry.encode_text().contains(r#"inferometer_gpu_driver{inferometer_gpu_driver="absent"} 1"#));
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
#[derive(Clone, Debug)]
pub struct GpuMonitor {
    inner: Arc<Inner>,
}

struct Inner {
    audience: Arc<Audience>,
    tracker: Arc<Tracker>,
    poller: Mutex<Poller>,
    polling: Mutex<Option<Polling>>,
}

/// The task that polls.
struct Polling {
    task: TaskHandle,
    /// Whether its next run polls: one that has begun and waits for the poller may find that it was stopped.
    wanted: Arc<AtomicBool>,
}

impl Polling {
    fn cancel(&self) {
        self.wanted.store(false, Ordering::Release);
        self.task.cancel();
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.audience.board.read().fmt(f)
    }
}

impl Inner {
    fn poller(&self) -> MutexGuard<'_, Poller> {
        self.poller.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn polling(&self) -> MutexGuard<'_, Option<Polling>> {
        self.polling.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GpuMonitor {
    /// How often the background loop polls, where nothing else is said.
    pub const INTERVAL: Duration = Duration::from_secs(5);

    /// What the background loop is called in its scheduler and in the scheduler's metrics.
    pub const TASK: &str = "gpu";

    /// A monitor of NVIDIA's GPUs, to be changed and registered.
    pub fn builder() -> GpuMonitorBuilder {
        GpuMonitorBuilder {
            source: Arc::new(Nvml::new()),
            views: Vec::new(),
            visible: Visible::FromEnvironment,
            call_limit: Duration::from_secs(2),
            slow_every: Duration::from_secs(10),
            retry_every: Duration::from_secs(30),
            costly: false,
        }
    }

    /// Opens the driver and reads every GPU once. A driver that isn't there, or doesn't work, is a state: [`status`](Self::status) says why.
    pub fn initialize(&self) -> DriverPhase {
        let mut poller = self.inner.poller();
        poller.allow();
        poller.poll().driver
    }

    /// Whether the driver is open and answers.
    pub fn is_initialized(&self) -> bool {
        self.inner.audience.board.read().driver == DriverPhase::Loaded
    }

    /// Stops the background loop and gives the driver back; says whether it is back by now, which it isn't while a call hangs. Every
    /// series of a GPU is gone. [`initialize`](Self::initialize) or [`start`](Self::start) begins anew.
    pub fn shutdown(&self) -> bool {
        self.stop();
        self.inner.poller().release()
    }

    /// Polls once: opens the driver if it isn't open, looks for GPUs when that is due, reads each and tells the views.
    ///
    /// After a [`shutdown`](Self::shutdown) it does nothing.
    pub fn update(&self) -> Poll {
        self.inner.poller().poll()
    }

    /// Polls every `interval` from now on, as the task [`TASK`](Self::TASK) of `scheduler`, in place of the loop that may be running.
    ///
    /// It polls until [`stop`](Self::stop), until the scheduler stops, or until the last clone of the monitor is dropped.
    ///
    /// # Errors
    /// The interval is zero or beyond all measure, the scheduler has stopped or has a task of this name, or there is no thread to be had.
    pub fn start(&self, scheduler: &Scheduler, interval: Duration) -> Result<(), ScheduleError> {
        self.stop();
        self.inner.poller().allow();
        let inner = Arc::downgrade(&self.inner);
        let wanted = Arc::new(AtomicBool::new(true));
        let task = scheduler
            .task(Self::TASK, interval)
            .run_at_once()
            .overdue_after(interval);
        let task = task.start({
            let wanted = Arc::clone(&wanted);
            move || {
                let Some(inner) = Weak::upgrade(&inner) else {
                    return;
                };
                let mut poller = inner.poller();
                if wanted.load(Ordering::Acquire) {
                    poller.poll();
                }
            }
        })?;
        *self.inner.polling() = Some(Polling { task, wanted });
        Ok(())
    }

    /// Ends the background loop, once a poll that may be under way is done. What is known stays as it is, and says when it was read.
    pub fn stop(&self) {
        let Some(polling) = self.inner.polling().take() else {
            return;
        };
        polling.cancel();
        // It takes no longer than a poll does, and the driver's calls have a limit.
        polling.task.wait(Duration::MAX);
    }

    /// Whether the background loop runs.
    pub fn is_running(&self) -> bool {
        let polling = self.inner.polling();
        polling
            .as_ref()
            .is_some_and(|polling| polling.task.status().scheduled)
    }

    /// What health makes of it: degraded while the driver is broken or a GPU doesn't answer. A machine without a GPU is well.
    ///
    /// It reads memory and never waits for the driver.
    pub fn verdict(&self) -> Verdict {
        let status = self.status();
        if status.driver == DriverPhase::Broken {
            return Verdict::degraded(status.why.unwrap_or_default());
        }
        let silent: Vec<_> = status
            .devices
            .iter()
            .filter(|device| device.failure.is_some())
            .map(|device| device.device.uuid.to_string())
            .collect();
        if silent.is_empty() {
            Verdict::healthy()
        } else {
            Verdict::degraded(format!("no answer from {}", silent.join(", ")))
        }
    }

    /// How many GPUs may be used and answer.
    pub fn device_count(&self) -> usize {
        self.inner.audience.board.read().samples().len()
    }

    /// What a GPU is, by its id (`0`, `1:0`) or UUID.
    ///
    /// # Errors
    /// There is no such GPU here.
    pub fn device_info(&self, id: &str) -> Result<Arc<GpuDevice>, GpuError> {
        Ok(self.find(id)?.device)
    }

    /// What a GPU was last found to do, by its id (`0`, `1:0`) or UUID.
    ///
    /// # Errors
    /// There is no such GPU here, or it doesn't answer.
    pub fn stats(&self, id: &str) -> Result<Arc<GpuSample>, GpuError> {
        let entry = self.find(id)?;
        entry.sample.ok_or_else(|| GpuError::Unanswered {
            id: entry.device.id.to_string(),
            uuid: entry.device.uuid.to_string(),
            failure: entry.failure,
        })
    }

    /// What each GPU that answers was last found to do, in the order of their ids.
    pub fn stats_all(&self) -> Vec<Arc<GpuSample>> {
        self.inner.audience.board.read().samples()
    }

    /// Everything that is known: of the driver, and of every GPU, those that don't answer included.
    pub fn status(&self) -> GpuStatus {
        self.inner.audience.board.read().clone()
    }

    /// Measures by how much one inference of `model` changes the memory in use on a GPU, by its id or UUID: until the result is dropped.
    /// Without a driver, and for a GPU that doesn't answer, it measures nothing.
    ///
    /// # Errors
    /// The driver is open, and there is no such GPU.
    pub fn track_inference_memory(
        &self,
        model: impl Into<String>,
        id: &str,
    ) -> Result<InferenceMemory, GpuError> {
        let device = match self.find(id) {
            Ok(entry) => Some(entry.device),
            Err(GpuError::NoDriver { .. }) => None,
            Err(error) => return Err(error),
        };
        let tracker = Arc::clone(&self.inner.tracker);
        Ok(InferenceMemory::begin(tracker, model.into(), device))
    }

    fn find(&self, id: &str) -> Result<DeviceStatus, GpuError> {
        let board = self.inner.audience.board.read();
        let found = board
            .devices
            .iter()
            .find(|entry| *entry.device.id == *id || *entry.device.uuid == *id);
        if let Some(entry) = found {
            return Ok(entry.clone());
        }
        Err(match board.driver {
            DriverPhase::Loaded => GpuError::UnknownDevice {
                asked: id.to_owned(),
                known: board
                    .devices
                    .iter()
                    .map(|entry| entry.device.id.to_string())
                    .collect(),
                complaint: board.complaint.clone(),
            },
            phase => GpuError::NoDriver {
                asked: id.to_owned(),
                why: board.why.clone().unwrap_or_else(|| {
                    match phase {
                        DriverPhase::Released => "the driver was given back by a shutdown",
                        _ => "nobody has asked the driver yet; initialize or update does",
                    }
                    .to_owned()
                }),
            },
        })
    }
}

/// Why nothing is known of a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GpuError {
    /// There is no driver to ask.
    NoDriver {
        /// The id that was asked for.
        asked: String,
        /// Why.
        why: String,
    },
    /// There is no such GPU.
    UnknownDevice {
        /// The id that was asked for.
        asked: String,
        /// The ids that there are.
        known: Vec<String>,
        /// What is wrong with `CUDA_VISIBLE_DEVICES`.
        complaint: Option<String>,
    },
    /// It is there and doesn't answer.
    Unanswered {
        /// Its id.
        id: String,
        /// Its UUID.
        uuid: String,
        /// Why, and since when; `None` before the first reading.
        failure: Option<(Failure, SystemTime)>,
    },
}

impl std::error::Error for GpuError {}

impl std::fmt::Display for GpuError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoDriver { asked, why } => {
                write!(f, "nothing is known of GPU {asked:?}: {why}")
            }
            Self::UnknownDevice {
                asked,
                known,
                complaint,
            } => {
                write!(f, "there is no GPU {asked:?} here")?;
                match &**known {
                    [] => f.write_str("; there is none at all")?,
                    known => write!(
                        f,
                        "; the ids are {}, and UUIDs are taken, too",
                        known.join(", ")
                    )?,
                }
                match complaint {
                    Some(complaint) => write!(f, "; {complaint}"),
                    None => Ok(()),
                }
            }
            Self::Unanswered { id, uuid, failure } => match failure {
                Some((failure, since)) => {
                    let ago = since.elapsed().unwrap_or_default().as_secs();
                    write!(
                        f,
                        "GPU {id} ({uuid}) has not answered for {ago} s: {failure}"
                    )
                }
                None => write!(f, "GPU {id} ({uuid}) has not been read yet"),
            },
        }
    }
}
