//! This process, and children of it that do one job in fresh memory.

use std::{
    env, fs,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Serialize, de::DeserializeOwned};

use crate::rows::Job;

/// Does `job` in a child process and reads its answer.
///
/// # Errors
/// The child failed, or said something else.
pub(crate) fn apart<T: DeserializeOwned>(job: &Job) -> Result<T> {
    let output = Command::new(env::current_exe()?)
        .arg("job")
        .arg(serde_json::to_string(job)?)
        // Large buffers go back to the kernel when they are dropped, so that what stays resident is what the series take.
        .env("MALLOC_MMAP_THRESHOLD_", "131072")
        .env("MALLOC_TRIM_THRESHOLD_", "131072")
        .stdin(Stdio::null())
        .output()
        .context("can't start this program again for a job apart")?;
    ensure!(
        output.status.success(),
        "{} ({})",
        String::from_utf8_lossy(&output.stderr).trim(),
        output.status
    );
    serde_json::from_slice(&output.stdout).context("a job apart gave no answer")
}

/// The answer of this process, which is a job apart.
///
/// # Errors
/// The job failed.
pub(crate) fn answer(job: &str) -> Result<String> {
    let job: Job = serde_json::from_str(job).context("no such job")?;
    job.run()
}

/// An answer as text.
///
/// # Errors
/// It has no form in JSON.
pub(crate) fn written(answer: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string(answer)?)
}

/// Bytes of this process that are resident now.
///
/// # Errors
/// The kernel doesn't say.
pub(crate) fn resident() -> Result<u64> {
    // Unlike `statm`, this counts page by page.
    let rollup = fs::read_to_string("/proc/self/smaps_rollup")
        .context("this kernel has no /proc/self/smaps_rollup")?;
    kilobytes(&rollup, "Rss:")
}

/// The most bytes that were ever resident.
///
/// # Errors
/// The kernel doesn't say.
pub(crate) fn most_resident() -> Result<u64> {
    kilobytes(&fs::read_to_string("/proc/self/status")?, "VmHWM:")
}

fn kilobytes(text: &str, name: &str) -> Result<u64> {
    Ok(number(text, name)? * 1_024)
}

fn number(text: &str, name: &str) -> Result<u64> {
    let Some(rest) = text.lines().find_map(|line| line.strip_prefix(name)) else {
        bail!("there is no {name} in what the kernel says");
    };
    let number = rest.split_whitespace().next().unwrap_or_default();
    number
        .parse()
        .with_context(|| format!("{name} isn't a number: {rest}"))
}

/// How often this thread has given up its processor to wait for something: a lock, a page, a sleep.
///
/// # Errors
/// The kernel doesn't say.
pub(crate) fn waits() -> Result<u64> {
    number(
        &fs::read_to_string("/proc/thread-self/status")?,
        "voluntary_ctxt_switches:",
    )
}

#[cfg(test)]
mod tests {
    use std::{hint::black_box, thread, time::Duration};

    use super::*;
    use crate::clock::spin;

    #[test]
    fn memory_that_is_touched_is_resident() {
        let before = resident().unwrap();
        let filled = black_box(vec![1_u8; 64 << 20]);
        let grown = resident().unwrap() - before;
        assert!(grown >= 60 << 20, "{grown}");
        assert!(most_resident().unwrap() >= before + grown);
        drop(filled);
    }

    #[test]
    fn to_wait_for_a_thread_is_a_wait() {
        let before = waits().unwrap();
        thread::scope(|scope| scope.spawn(|| spin(Duration::from_millis(1))).join()).unwrap();
        assert!(waits().unwrap() > before);
    }
}
