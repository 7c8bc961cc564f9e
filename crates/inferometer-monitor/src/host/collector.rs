//! The collectors: what each is called, the table of them, and how one runs.

#[cfg(target_os = "linux")]
mod cpu;
#[cfg(target_os = "linux")]
mod disk;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod pressure;
#[cfg(target_os = "linux")]
mod process;
#[cfg(feature = "tokio")]
mod runtime;
#[cfg(target_os = "linux")]
mod temperature;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use inferometer::{LabelValue, sample::host::HostSample};

use super::{Failure, Options, files::Files};

/// A part of the machine that is read by itself, and may fail by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub enum Collector {
    /// The processors.
    Cpu,
    /// The memory.
    Memory,
    /// The file systems on disks.
    Disk,
    /// The temperatures.
    Temperature,
    /// How long work waited for the machine.
    Pressure,
    /// This process.
    Process,
    /// The async runtime.
    Runtime,
}

impl Collector {
    /// Every collector, in the order in which they run.
    pub const ALL: [Self; 7] = [
        Self::Cpu,
        Self::Memory,
        Self::Disk,
        Self::Temperature,
        Self::Pressure,
        Self::Process,
        Self::Runtime,
    ];
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut result = Ok(());
        self.with_text(&mut |text| result = f.write_str(text));
        result
    }
}

/// One subject of the kernel's.
pub(super) trait Collect: Send {
    /// Puts what there is into `sample`. With a failure, `sample` has what could be read all the same.
    fn collect(&mut self, files: &mut Files, sample: &mut HostSample) -> Result<(), Failure>;
}

/// Every collector of `options`, in the order in which they run: one line each.
pub(super) fn collectors(options: &Options) -> Vec<Entry> {
    #[rustfmt::skip]
    let table: [(Collector, Option<Box<dyn Collect>>); _] = [
        #[cfg(target_os = "linux")] (Collector::Cpu, Some(Box::new(cpu::Processors::default()))),
        #[cfg(target_os = "linux")] (Collector::Memory, Some(Box::new(memory::Main))),
        #[cfg(target_os = "linux")] (Collector::Disk, Some(Box::new(disk::Disks::new(options)))),
        #[cfg(target_os = "linux")] (Collector::Temperature, Some(Box::new(temperature::Sensors))),
        #[cfg(target_os = "linux")] (Collector::Pressure, Some(Box::new(pressure::Stalls))),
        #[cfg(target_os = "linux")] (Collector::Process, Some(Box::new(process::Itself::new(options)))),
        #[cfg(feature = "tokio")] (Collector::Runtime, runtime::Workers::of(options)),
    ];
    table
        .into_iter()
        .filter(|(name, _)| !options.without.contains(name))
        .filter_map(|(name, collect)| {
            Some(Entry {
                name,
                collect: collect?,
                failure: None,
            })
        })
        .collect()
}

/// A collector, and what is wrong with it.
pub(super) struct Entry {
    pub(super) name: Collector,
    collect: Box<dyn Collect>,
    failure: Option<Failure>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("name", &self.name)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

impl Entry {
    /// Runs it, and tells how long that took and why it failed, if it did. What changed since its last run is in the log.
    pub(super) fn run(
        &mut self,
        files: &mut Files,
        sample: &mut HostSample,
    ) -> (Duration, Option<&Failure>) {
        let start = Instant::now();
        let collect = AssertUnwindSafe(|| self.collect.collect(files, sample));
        let result =
            catch_unwind(collect).unwrap_or_else(|payload| Err(Failure::panicked(&*payload)));
        let took = start.elapsed();
        let (name, now) = (self.name, result.err());
        match (&self.failure, &now) {
            (Some(before), Some(now)) if now.is_like(before) => {}
            (_, Some(now)) => {
                tracing::warn!(collector = %name, "not all of the machine's {name} can be read: {now}");
            }
            (Some(_), None) => {
                tracing::info!(collector = %name, "all of the machine's {name} can be read again");
            }
            (None, None) => {}
        }
        self.failure = now;
        (took, self.failure.as_ref())
    }
}
