//! What a monitor reads, and whom it tells.

use std::{fmt, io, path::Path, path::PathBuf, sync::Arc};

use inferometer::sample::host::HostView;

use super::Collector;

/// Where the kernel's files are.
///
/// # Examples
/// A program in a container that watches the machine around it, whose files are mounted under `/host`:
/// ```
/// use inferometer_monitor::host::Roots;
///
/// let roots = Roots { proc: "/host/proc".into(), sys: "/host/sys".into(), root: "/host".into() };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// The `proc` file system.
    pub proc: PathBuf,
    /// The `sysfs` file system.
    pub sys: PathBuf,
    /// Where the machine's own `/` is. Mount points are looked for below it; when it isn't `/`, they are those of process 1.
    pub root: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            proc: "/proc".into(),
            sys: "/sys".into(),
            root: "/".into(),
        }
    }
}

/// The size of a file system, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total_bytes: u64,
    /// What is in use.
    pub used_bytes: u64,
    /// What a program without privileges can still write.
    pub free_bytes: u64,
}

pub(super) type Measure = Arc<dyn Fn(&Path) -> io::Result<Space> + Send + Sync>;

/// What a [`HostMonitor`](super::HostMonitor) reads, and whom it tells.
///
/// # Examples
/// ```
/// use inferometer_monitor::host::{Collector, Options, Roots};
///
/// let options = Options::default()
///     .roots(Roots { proc: "/host/proc".into(), ..Roots::default() })
///     .without(Collector::Temperature);
/// ```
#[derive(Clone, Default)]
pub struct Options {
    pub(super) roots: Roots,
    pub(super) without: Vec<Collector>,
    pub(super) views: Vec<Arc<dyn HostView>>,
    pub(super) measure: Option<Measure>,
    #[cfg(feature = "tokio")]
    pub(super) runtime: Option<tokio::runtime::Handle>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("roots", &self.roots)
            .field("without", &self.without)
            .field("views", &self.views.len())
            .finish_non_exhaustive()
    }
}

impl Options {
    /// Reads the kernel's files there, not in `/proc` and `/sys`.
    #[must_use]
    pub fn roots(mut self, roots: Roots) -> Self {
        self.roots = roots;
        self
    }

    /// Leaves a collector out.
    #[must_use]
    pub fn without(mut self, collector: Collector) -> Self {
        self.without.push(collector);
        self
    }

    /// Tells each sample to `view`, too.
    #[must_use]
    pub fn view(mut self, view: Arc<dyn HostView>) -> Self {
        self.views.push(view);
        self
    }

    /// Asks `measure` for the size of the file system at a mount point, in the place of the kernel: for recorded machines and tests.
    ///
    /// A mount point for which it answers `NotFound`, `NotADirectory` or `PermissionDenied` is left out; any other error is a failure.
    #[must_use]
    pub fn measure_disks(
        mut self,
        measure: impl Fn(&Path) -> io::Result<Space> + Send + Sync + 'static,
    ) -> Self {
        self.measure = Some(Arc::new(measure));
        self
    }

    /// Shows the figures of this tokio runtime.
    #[cfg(feature = "tokio")]
    #[must_use]
    pub fn runtime(mut self, runtime: tokio::runtime::Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }
}
