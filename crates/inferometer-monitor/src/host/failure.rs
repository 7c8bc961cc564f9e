//! Why a collector has nothing, or not all, to show.

use std::{
    any::Any,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use inferometer::LabelValue;

/// Why a collector failed, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub enum Reason {
    /// A file or file system couldn't be read.
    Unreadable,
    /// A file isn't written as the kernel writes it.
    Malformed,
    /// A file system doesn't answer.
    Stuck,
    /// There is more than is shown.
    TooMany,
    /// The collector panicked.
    Panicked,
}

/// Why a collector has nothing, or not all, to show.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A file or file system couldn't be read.
    #[error(
        "cannot read {}: {source}; check that the file system is mounted there and readable for this user, name another place with `Roots`, or leave the collector out",
        path.display()
    )]
    Unreadable {
        /// What was read.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file isn't written as the kernel writes it.
    #[error(
        "{} is not as the kernel writes it: {what}; check that `Roots` names the kernel's own files",
        path.display()
    )]
    Malformed {
        /// What was read.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file system doesn't answer.
    #[error(
        "{} has not said within {patience:?} how large it is; its disk, or the program behind it, hangs: look for both in the kernel's log; it is shown again as soon as it answers",
        path.display()
    )]
    Stuck {
        /// Where it is mounted.
        path: PathBuf,
        /// How long it was waited for.
        patience: Duration,
    },
    /// There is more than is shown.
    #[error("{found} {things}, of which the first {shown} are shown")]
    TooMany {
        /// What there is too much of.
        things: &'static str,
        /// How many there are.
        found: usize,
        /// How many are shown.
        shown: usize,
    },
    /// The collector panicked.
    #[error("the collector panicked: {message}; this is a fault of the program, please report it")]
    Panicked {
        /// What the panic said.
        message: String,
    },
}

impl Failure {
    /// The reason, as a label.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Unreadable { .. } => Reason::Unreadable,
            Self::Malformed { .. } => Reason::Malformed,
            Self::Stuck { .. } => Reason::Stuck,
            Self::TooMany { .. } => Reason::TooMany,
            Self::Panicked { .. } => Reason::Panicked,
        }
    }

    /// What failed, where it is a file.
    fn path(&self) -> Option<&Path> {
        match self {
            Self::Unreadable { path, .. }
            | Self::Malformed { path, .. }
            | Self::Stuck { path, .. } => Some(path),
            Self::TooMany { .. } | Self::Panicked { .. } => None,
        }
    }

    /// Whether both are the same thing gone wrong the same way, if not in the same words.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (self.reason(), self.path()) == (other.reason(), other.path())
    }

    pub(super) fn unreadable(path: &Path, source: io::Error) -> Self {
        Self::Unreadable {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn malformed(path: &Path, what: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            what: what.into(),
        }
    }

    #[cfg(target_os = "linux")]
    pub(super) fn of_parser(path: &Path, error: procfs_core::ProcError) -> Self {
        match error {
            // Its own text calls every unexpected byte a bug to report.
            procfs_core::ProcError::InternalError(error) => Self::malformed(path, error.msg),
            error => Self::malformed(path, error.to_string()),
        }
    }

    pub(super) fn panicked(payload: &(dyn Any + Send)) -> Self {
        let message = match (
            payload.downcast_ref::<&str>(),
            payload.downcast_ref::<String>(),
        ) {
            (Some(message), _) => (*message).to_owned(),
            (None, Some(message)) => message.clone(),
            (None, None) => "no message".to_owned(),
        };
        Self::Panicked { message }
    }

    /// Whether it says that there is no such thing: the file isn't there, or went while it was read, or the kernel has the feature
    /// switched off.
    pub(super) fn is_absence(&self) -> bool {
        let Self::Unreadable { source, .. } = self else {
            return false;
        };
        is_absence(source)
    }
}

/// Whether an error says that there is no such thing, or no longer.
pub(super) fn is_absence(error: &io::Error) -> bool {
    use rustix::io::Errno;
    const GONE: [Errno; 4] = [Errno::NODEV, Errno::NXIO, Errno::SRCH, Errno::OPNOTSUPP];
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    ) || GONE
        .iter()
        .any(|gone| error.raw_os_error() == Some(gone.raw_os_error()))
}
