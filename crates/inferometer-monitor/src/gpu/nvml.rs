//! NVIDIA's driver, through its management library (NVML), which is loaded when it is there.

mod identity;
mod reading;
mod xid;

use std::{
    ffi::OsString,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use inferometer::sample::gpu::{GpuDevice, GpuMemory, GpuSample, Simulation};
use nvml_wrapper::{Device, error::NvmlError};

use super::source::{Failure, GpuDriver, GpuSource, Reason, Seat, Tiers, Unopened};

/// What the driver version of a test's driver begins with.
const FAKED: &str = "fake-nvml";

/// NVIDIA's management library.
///
/// It is looked for as `libnvidia-ml.so.1`, the way the system finds libraries, or at a path.
#[derive(Clone, Debug, Default)]
pub struct Nvml {
    path: Option<PathBuf>,
}

impl Nvml {
    /// The system's.
    pub fn new() -> Self {
        Self::default()
    }

    /// The one at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: Some(path.into()),
        }
    }
}

impl GpuSource for Nvml {
    fn name(&self) -> &str {
        "NVML"
    }

    fn open(&self) -> Result<Arc<dyn GpuDriver>, Unopened> {
        let library = self
            .path
            .as_ref()
            .map_or_else(|| OsString::from("libnvidia-ml.so.1"), OsString::from);
        let named = library.to_string_lossy();
        let nvml = nvml_wrapper::Nvml::builder()
            .lib_path(&library)
            .init()
            .map_err(|error| match error {
                NvmlError::LibloadingError(why) => Unopened::Absent(format!(
                    "{named} can't be loaded ({why}): without NVIDIA's driver there are no GPUs to show; \
                     if there is a driver, give the path of its library"
                )),
                NvmlError::FailedToLoadSymbol(why) => Unopened::Absent(format!(
                    "{named} is not NVIDIA's management library, or one from before 2013 ({why}); give the path of the right one"
                )),
                NvmlError::DriverNotLoaded => Unopened::Absent(format!(
                    "{named} is there, but the kernel's part of the driver is not loaded; `modprobe nvidia` loads it"
                )),
                NvmlError::LibRmVersionMismatch => Unopened::Broken(format!(
                    "{named} and the kernel's part of the driver are of two versions; a restart of the machine mends that"
                )),
                NvmlError::NoPermission => Unopened::Broken(format!(
                    "{named} may not talk to the driver; this process needs to read and write /dev/nvidiactl and /dev/nvidia*"
                )),
                other => Unopened::Broken(format!("{named} can't be initialised: {other}")),
            })?;
        if nvml.lib().nvmlShutdown.is_err() {
            // Dropping it would panic.
            std::mem::forget(nvml);
            return Err(Unopened::Absent(format!(
                "{named} has no nvmlShutdown: it is not NVIDIA's management library; give the path of the right one"
            )));
        }
        let version = nvml.sys_driver_version().ok();
        let simulated = version
            .as_ref()
            .filter(|version| version.starts_with(FAKED))
            .map(|_| Simulation::Faked);
        Ok(Arc::new(Opened {
            nvml,
            version: version.map(Into::into),
            simulated,
            pid: std::process::id(),
        }))
    }
}

/// The library, initialised until this is dropped.
struct Opened {
    nvml: nvml_wrapper::Nvml,
    version: Option<Arc<str>>,
    simulated: Option<Simulation>,
    pid: u32,
}

impl Opened {
    /// The device at `seat`. One is looked up for each reading, in well under a microsecond: it costs less than to keep it safely.
    fn device(&self, seat: &Seat) -> Result<Device<'_>, Failure> {
        // Instances move when another is removed, whole GPUs don't while the library is initialised.
        match seat.instance {
            Some(_) => self
                .nvml
                .device_by_uuid(&*seat.uuid)
                .map_err(|error| failure("nvmlDeviceGetHandleByUUID", &seat.uuid, &error)),
            None => self
                .nvml
                .device_by_index(seat.index)
                .map_err(|error| failure("nvmlDeviceGetHandleByIndex", &seat.uuid, &error)),
        }
        .map_err(|failure| match failure.reason {
            // A GPU that had a handle and has none.
            Reason::Other => Failure::new(Reason::Lost, failure.message),
            _ => failure,
        })
    }
}

impl GpuDriver for Opened {
    fn list(&self) -> Result<Vec<Result<Seat, Failure>>, Failure> {
        identity::list(&self.nvml)
    }

    fn identify(&self, seat: &Seat) -> Result<GpuDevice, Failure> {
        let device = self.device(seat)?;
        identity::of(&device, seat, self.version.as_ref(), self.simulated)
    }

    fn read(
        &self,
        seat: &Seat,
        tiers: Tiers,
        sample: &mut GpuSample,
    ) -> Result<Vec<Failure>, Failure> {
        reading::read(&self.device(seat)?, seat, tiers, self.pid, sample)
    }

    fn memory(&self, seat: &Seat) -> Result<GpuMemory, Failure> {
        self.device(seat)?
            .memory_info()
            .map(|info| reading::memory(&info))
            .map_err(|error| failure("nvmlDeviceGetMemoryInfo_v2", &seat.uuid, &error))
    }

    fn watch(
        &self,
        seats: &[Arc<Seat>],
        stop: &AtomicBool,
        take: &mut dyn FnMut(&Seat, u64),
    ) -> Result<(), Failure> {
        xid::watch(self, seats, stop, take)
    }
}

/// What an error of the library means.
fn failure(call: &str, subject: &str, error: &NvmlError) -> Failure {
    Failure::new(reason(error), format!("{call} of {subject}: {error}"))
}

fn reason(error: &NvmlError) -> Reason {
    match error {
        NvmlError::GpuLost => Reason::Lost,
        NvmlError::ResetRequired => Reason::ResetRequired,
        NvmlError::Uninitialized | NvmlError::DriverNotLoaded | NvmlError::LibRmVersionMismatch => {
            Reason::DriverGone
        }
        NvmlError::NoPermission => Reason::NoPermission,
        NvmlError::Timeout => Reason::Timeout,
        NvmlError::UnexpectedVariant(_)
        | NvmlError::IncorrectBits(_)
        | NvmlError::Utf8Error(_)
        | NvmlError::StringTooLong { .. } => Reason::Unexpected,
        _ => Reason::Other,
    }
}

/// Whether a figure just isn't there: the GPU doesn't offer it, or the driver is too old to know it.
fn is_not_offered(error: &NvmlError) -> bool {
    matches!(
        error,
        NvmlError::NotSupported
            | NvmlError::FailedToLoadSymbol(_)
            | NvmlError::FunctionNotFound
            | NvmlError::NoData
    )
}
