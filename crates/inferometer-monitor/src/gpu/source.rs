//! Where figures of GPUs come from: a driver, whichever vendor's, or a recording.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
};

use inferometer::{
    LabelValue,
    sample::gpu::{GpuDevice, GpuMemory, GpuSample},
};

/// Something that can be opened to ask about GPUs.
///
/// A monitor opens it, and opens it anew when a GPU was lost, for drivers see a GPU that came back only then.
pub trait GpuSource: Send + Sync {
    /// What messages call it, such as `NVML`.
    fn name(&self) -> &str;

    /// Opens it. It is closed when the last clone of the result is dropped.
    ///
    /// # Errors
    /// It isn't there, or it is and can't be used.
    fn open(&self) -> Result<Arc<dyn GpuDriver>, Unopened>;
}

/// An opened source. Any call may hang; a monitor sees to it that nobody waits for it.
pub trait GpuDriver: Send + Sync {
    /// The GPUs that are there, in the order of their indices, each GPU before its instances. It asks no more than who they are.
    ///
    /// # Errors
    /// The list as a whole can't be had. What is wrong with one GPU stands in its place in the list.
    fn list(&self) -> Result<Vec<Result<Seat, Failure>>, Failure>;

    /// What doesn't change: asked once.
    ///
    /// # Errors
    /// The GPU can't be asked. A single fact that can't be had is absent.
    fn identify(&self, seat: &Seat) -> Result<GpuDevice, Failure>;

    /// Reads what `tiers` name into `sample`, and leaves the rest of it. A figure that can't be had is absent afterwards, and why stands in
    /// the result, unless the GPU just doesn't offer it.
    ///
    /// # Errors
    /// The GPU can't be asked at all.
    fn read(
        &self,
        seat: &Seat,
        tiers: Tiers,
        sample: &mut GpuSample,
    ) -> Result<Vec<Failure>, Failure>;

    /// The memory alone, for those who ask often.
    ///
    /// # Errors
    /// It can't be had.
    fn memory(&self, seat: &Seat) -> Result<GpuMemory, Failure>;

    /// Hands every fault that a GPU reports to `take`, until `stop` is set; it looks at least four times a second. A source
    /// without such reports returns at once.
    ///
    /// # Errors
    /// Faults can't be waited for any more.
    fn watch(
        &self,
        seats: &[Arc<Seat>],
        stop: &AtomicBool,
        take: &mut dyn FnMut(&Seat, u64),
    ) -> Result<(), Failure>;
}

/// A GPU's place in an opened source.
#[derive(Debug)]
pub struct Seat {
    /// What it is for ever.
    pub uuid: Arc<str>,
    /// Its place among the machine's GPUs, from 0.
    pub index: u32,
    /// Its place among the instances of a GPU, and that GPU's UUID.
    pub instance: Option<(u32, Arc<str>)>,
    /// Which figures it was found not to offer, a bit each: they aren't asked for again until the source is opened anew.
    pub(crate) not_offered: AtomicU32,
}

impl Seat {
    /// A whole GPU.
    pub fn whole(index: u32, uuid: impl Into<Arc<str>>) -> Self {
        Self {
            uuid: uuid.into(),
            index,
            instance: None,
            not_offered: AtomicU32::new(0),
        }
    }

    /// An instance within a GPU.
    pub fn part(
        index: u32,
        parent: impl Into<Arc<str>>,
        position: u32,
        uuid: impl Into<Arc<str>>,
    ) -> Self {
        Self {
            instance: Some((position, parent.into())),
            ..Self::whole(index, uuid)
        }
    }

    /// What people call it: `1`, or `1:0`.
    pub fn id(&self) -> String {
        match &self.instance {
            Some((position, _)) => format!("{}:{position}", self.index),
            None => self.index.to_string(),
        }
    }

    pub(crate) fn is_at(&self, other: &Self) -> bool {
        self.index == other.index && self.instance == other.instance
    }

    pub(crate) fn offers(&self, figure: u32) -> bool {
        self.not_offered.load(Relaxed) & (1 << figure) == 0
    }

    pub(crate) fn forgo(&self, figure: u32) {
        self.not_offered.fetch_or(1 << figure, Relaxed);
    }
}

/// What to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiers {
    /// Utilization, memory, power, energy, clocks, throttling.
    pub fast: bool,
    /// Temperature, power limit, memory errors, compute mode, processes.
    pub slow: bool,
    /// PCIe throughput, at 20 ms a direction, and fans.
    pub costly: bool,
}

/// Why a source can't be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unopened {
    /// There is no driver here, which is no fault.
    #[error("{0}")]
    Absent(String),
    /// There is one, and it can't be used.
    #[error("{0}")]
    Broken(String),
}

/// What went wrong with a GPU.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Of which kind it is.
    pub reason: Reason,
    /// What was tried, on what, and what came of it.
    pub message: String,
}

impl Failure {
    /// A failure of a kind.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub enum Reason {
    /// A call didn't return in time.
    Hung,
    /// The GPU fell off the bus, or isn't listed any more.
    Lost,
    /// The GPU must be reset before it can be used.
    ResetRequired,
    /// The driver was unloaded, or was replaced by another version.
    DriverGone,
    /// This process may not ask.
    NoPermission,
    /// The driver gave up waiting.
    Timeout,
    /// The driver answered with a code or a value that isn't known here.
    Unexpected,
    /// Something in this process panicked.
    Panic,
    /// Any other.
    Other,
}

impl Reason {
    /// Whether nothing else can be had of the GPU either.
    pub const fn ends_the_reading(self) -> bool {
        match self {
            Self::Hung | Self::Lost | Self::ResetRequired | Self::DriverGone | Self::Panic => true,
            Self::NoPermission | Self::Timeout | Self::Unexpected | Self::Other => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(&mut |text| {
            let _ = f.write_str(text);
        });
        Ok(())
    }
}
