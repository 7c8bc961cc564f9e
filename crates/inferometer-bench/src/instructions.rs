//! How many instructions an operation takes, counted by valgrind: unlike time, that repeats exactly.

use std::{
    env,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::{
    libraries::{ALL, OURS, Share, Task, named},
    progress::Progress,
    rows::{Job, request},
};

/// A loop whose instructions are counted.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
enum Path {
    Hot(Task),
    Request,
}

static PATHS: [(&str, Path); 9] = [
    ("counter, kept handle", Path::Hot(Task::Counter)),
    ("counter, 3 closed labels", Path::Hot(Task::ClosedLabels)),
    ("counter, 1 open label", Path::Hot(Task::OneOpenLabel)),
    ("counter, 3 open labels", Path::Hot(Task::ThreeOpenLabels)),
    ("histogram of 14 bounds", Path::Hot(Task::Histogram)),
    ("native histogram", Path::Hot(Task::NativeHistogram)),
    ("gauge, set", Path::Hot(Task::SetGauge)),
    ("additive gauge, add", Path::Hot(Task::AddGauge)),
    ("a whole request", Path::Request),
];

/// The instructions of an operation on one path.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Counted {
    pub(crate) path: &'static str,
    /// By library; `None` where it has no such thing.
    pub(crate) instructions: Vec<(&'static str, Option<f64>)>,
}

/// Runs a loop, for valgrind to count.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Loop {
    library: String,
    path: Path,
    operations: u64,
}

impl Loop {
    pub(crate) fn run(&self) -> Result<bool> {
        let run = match self.path {
            Path::Hot(task) => match named(&self.library)?.recording(task)? {
                Some(recording) => recording.run,
                None => return Ok(false),
            },
            Path::Request if self.library == OURS => request::service()?.1,
            Path::Request => return Ok(false),
        };
        // What happens once, such as a thread's first recording, is no part of an operation.
        run(Share {
            operations: 1_000,
            offset: 0,
        });
        counted(
            &*run,
            Share {
                operations: self.operations,
                offset: 0,
            },
        );
        Ok(true)
    }
}

/// Valgrind counts while this function runs: it goes by the name.
#[inline(never)]
fn counted(run: &(dyn Fn(Share) + Send + Sync), share: Share) {
    run(share);
}

/// Two lengths of a loop: their difference leaves nothing but the loop.
const LENGTHS: [u64; 2] = [1_000, 6_000];

/// Counts every path of every library.
///
/// # Errors
/// Valgrind isn't installed, or failed.
pub(crate) fn count(quick: bool, progress: &Progress) -> Result<Vec<Counted>> {
    let paths = if quick { &PATHS[..1] } else { &PATHS[..] };
    let mut counted = Vec::new();
    for (name, path) in paths {
        let mut instructions = Vec::new();
        for library in ALL {
            progress.doing(&format!("instructions: {name}, {}", library.name()));
            instructions.push((library.name(), of(library.name(), *path)?));
        }
        counted.push(Counted {
            path: name,
            instructions,
        });
    }
    Ok(counted)
}

fn of(library: &str, path: Path) -> Result<Option<f64>> {
    let mut totals = [0.0; 2];
    for (total, operations) in totals.iter_mut().zip(LENGTHS) {
        let job = Job::Loop(Loop {
            library: library.to_owned(),
            path,
            operations,
        });
        let Some(collected) = collected(&job)? else {
            return Ok(None);
        };
        *total = collected;
    }
    #[expect(clippy::cast_precision_loss, reason = "a few thousands")]
    let operations = (LENGTHS[1] - LENGTHS[0]) as f64;
    Ok(Some((totals[1] - totals[0]) / operations))
}

/// The instructions that valgrind counted; `None` when there was no loop to run.
fn collected(job: &Job) -> Result<Option<f64>> {
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--toggle-collect=*instructions*counted*",
        ])
        .arg(env::current_exe()?)
        .arg("job")
        .arg(serde_json::to_string(job)?)
        .stdin(Stdio::null())
        .output()
        .context("valgrind can't be started; is it installed?")?;
    let log = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "valgrind failed on {job:?}:\n{log}"
    );
    if output.stdout.trim_ascii() != b"true" {
        return Ok(None);
    }
    let count = log
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .with_context(|| format!("valgrind says no count:\n{log}"))?;
    Ok(Some(count.1.trim().parse()?))
}
