//! This process, from `/proc/self`.

use std::{fs, path::Path};

use inferometer::sample::host::{HostSample, Process};
use procfs_core::{
    FromBufRead, FromBufReadSI, FromRead, KernelStats,
    process::{LimitValue, Limits, Stat},
};

use super::{
    super::{Options, files::Files},
    Collect, Failure,
    cpu::{system, ticks},
};

/// This process.
#[derive(Debug)]
pub(super) struct Itself {
    /// Whether the files are the kernel's own and no copies.
    live: bool,
    /// It never changes, though the kernel's idea of when the machine started does, with each correction of the clock.
    start_seconds: Option<f64>,
}

impl Itself {
    pub(super) fn new(options: &Options) -> Self {
        const PROC: u64 = 0x9fa0;
        let live = rustix::fs::statfs(&options.roots.proc)
            .is_ok_and(|found| u64::try_from(found.f_type) == Ok(PROC));
        Self {
            live,
            start_seconds: None,
        }
    }
}

impl Collect for Itself {
    fn collect(&mut self, files: &mut Files, sample: &mut HostSample) -> Result<(), Failure> {
        let stat = stat(files)?;
        if self.start_seconds.is_none() {
            self.start_seconds = started(files, &stat);
        }
        let open = self.open_descriptors(&files.roots.proc.join("self/fd"));
        let max = max_descriptors(files);
        let (open_descriptors, open_failure) = split(open);
        let (max_descriptors, max_failure) = split(max);
        sample.process = Some(Process {
            user_seconds: ticks(stat.utime),
            system_seconds: ticks(stat.stime),
            resident_bytes: stat.rss.saturating_mul(rustix::param::page_size() as u64),
            virtual_bytes: stat.vsize,
            open_descriptors,
            max_descriptors: max_descriptors.flatten(),
            start_seconds: self.start_seconds,
            threads: u64::try_from(stat.num_threads).ok(),
        });
        open_failure.or(max_failure).map_or(Ok(()), Err)
    }
}

fn split<T>(result: Result<T, Failure>) -> (Option<T>, Option<Failure>) {
    match result {
        Ok(value) => (Some(value), None),
        Err(failure) if failure.is_absence() => (None, None),
        Err(failure) => (None, Some(failure)),
    }
}

fn stat(files: &mut Files) -> Result<Stat, Failure> {
    let (path, text) = files.proc("self/stat")?;
    let text = text.trim();
    // The parser counts on a name in brackets with a blank on either side, and panics without.
    let named = text.find(" (").zip(text.rfind(") "));
    if named.is_none_or(|(opened, closed)| opened >= closed) || text.ends_with(')') {
        return Err(Failure::malformed(&path, "it has no name in brackets"));
    }
    Stat::from_read(text.as_bytes()).map_err(|error| Failure::of_parser(&path, error))
}

/// When the process started, in seconds since 1970; `None` where the kernel doesn't say when the machine did.
fn started(files: &mut Files, stat: &Stat) -> Option<f64> {
    let (_, text) = files.proc("stat").ok()?;
    let booted = KernelStats::from_buf_read(text.as_bytes(), &system())
        .ok()?
        .btime;
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are few")]
    let booted = booted as f64;
    Some(booted + ticks(stat.starttime))
}

fn max_descriptors(files: &mut Files) -> Result<Option<u64>, Failure> {
    let (path, text) = files.proc("self/limits")?;
    // The parser counts on at least two limits and a name, and panics without.
    if let Some(line) = text
        .lines()
        .find(|line| line.split_whitespace().count() < 4)
    {
        return Err(Failure::malformed(&path, format!("a line is {line:?}")));
    }
    let limits =
        Limits::from_buf_read(text.as_bytes()).map_err(|error| Failure::of_parser(&path, error))?;
    Ok(match limits.max_open_files.soft_limit {
        LimitValue::Value(limit) => Some(limit),
        LimitValue::Unlimited => None,
    })
}

impl Itself {
    fn open_descriptors(&self, folder: &Path) -> Result<u64, Failure> {
        let unreadable = |error| Failure::unreadable(folder, error);
        if self.live {
            // Linux 6.2 and newer tell the number for the asking; older ones say 0.
            let count = fs::metadata(folder).map_err(unreadable)?.len();
            if count > 0 {
                return Ok(count);
            }
        }
        let count = fs::read_dir(folder).map_err(unreadable)?.count() as u64;
        // One of them is the list's own.
        Ok(count.saturating_sub(u64::from(self.live)))
    }
}
