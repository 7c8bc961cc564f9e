//! The rows of the table.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::{
    instructions::Loop,
    libraries::{Format, Task},
    measure::Pace,
    outcome::{Goal, Outcome},
    process,
    progress::Progress,
};

mod apart;
mod crowd;
mod flood;
mod hot;
mod memory;
mod million;
pub(crate) mod request;
mod scrape;
mod table;
mod threads;
mod wait;

pub(crate) use memory::Kind;
pub(crate) use table::ROWS;

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// What the command line calls it.
    pub(crate) name: &'static str,
    /// What the table calls it.
    pub(crate) title: &'static str,
    pub(crate) what: What,
    pub(crate) goals: &'static [Goal],
    /// Why we lose it, and what was tried. Shown when a goal isn't met.
    pub(crate) cause: Option<&'static str>,
}

/// What a row measures.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    Hot { task: Task, threads: usize },
    Crowd { task: Task, threads: usize },
    Counters(Format),
    Histograms(Format),
    Memory { kind: Kind, threads: usize },
    Wait,
    Request,
    Flood,
    Million,
    Threads,
}

impl Row {
    /// # Errors
    /// Something couldn't be measured, or a library is wrong.
    pub(crate) fn measure(&self, pace: Pace, progress: &Progress) -> Result<Outcome> {
        match self.what {
            What::Hot { task, threads } => hot::measure(task, threads, pace, progress),
            What::Crowd { task, threads } => crowd::measure(task, threads, pace),
            What::Counters(format) => scrape::counters(format, pace, progress),
            What::Histograms(format) => scrape::histograms(format, pace, progress),
            What::Memory { kind, threads } => memory::measure(kind, threads, pace, progress),
            What::Wait => wait::measure(pace, progress),
            What::Request => request::measure(pace, progress),
            What::Flood => flood::measure(pace, progress),
            What::Million => million::measure(pace, progress),
            What::Threads => threads::measure(pace, progress),
        }
    }
}

/// A part of a row that needs a process of its own.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Job {
    Crowd(crowd::Crowd),
    Memory(memory::Memory),
    Wait(wait::Wait),
    Flood(flood::Flood),
    Million(million::Million),
    Threads(threads::Threads),
    Loop(Loop),
}

impl Job {
    /// Does it, and puts the answer in JSON.
    ///
    /// # Errors
    /// It failed, or a library is wrong.
    pub(crate) fn run(&self) -> Result<String> {
        match self {
            Self::Crowd(job) => process::written(&job.run()?),
            Self::Memory(job) => process::written(&job.run()?),
            Self::Wait(job) => process::written(&job.run()?),
            Self::Flood(job) => process::written(&job.run()?),
            Self::Million(job) => process::written(&job.run()?),
            Self::Threads(job) => process::written(&job.run()?),
            Self::Loop(job) => process::written(&job.run()?),
        }
    }
}
