//! The memory, from `/proc/meminfo`.

use inferometer::sample::host::{HostSample, Memory};

use super::{super::files::Files, Collect, Failure};

/// The main memory.
#[derive(Debug)]
pub(super) struct Main;

impl Collect for Main {
    fn collect(&mut self, files: &mut Files, sample: &mut HostSample) -> Result<(), Failure> {
        let (path, text) = files.proc("meminfo")?;
        let malformed = |what| Failure::malformed(&path, what);
        let field = |name| field(&text, name).map_err(malformed);
        let total = field("MemTotal")?.filter(|total| *total > 0);
        let memory = Memory {
            total_bytes: total.ok_or_else(|| malformed("it has no MemTotal".to_owned()))?,
            available_bytes: field("MemAvailable")?,
            swap_total_bytes: field("SwapTotal")?,
            swap_free_bytes: field("SwapFree")?,
        };
        sample.memory = Some(memory);
        Ok(())
    }
}

/// A field in bytes; `None` where the kernel has no such field.
///
/// `procfs_core::Meminfo` refuses the whole file when any of twenty fields is missing that nobody asked for, as several are where gVisor
/// plays the kernel.
fn field(text: &str, name: &str) -> Result<Option<u64>, String> {
    let of_field = |line: &str| {
        line.strip_prefix(name)?
            .strip_prefix(':')
            .map(str::to_owned)
    };
    let Some(value) = text.lines().find_map(of_field) else {
        return Ok(None);
    };
    let kibibytes = value.trim().strip_suffix("kB").unwrap_or("").trim();
    let bytes = kibibytes
        .parse()
        .ok()
        .and_then(|count: u64| count.checked_mul(1024));
    match bytes {
        Some(bytes) => Ok(Some(bytes)),
        None => Err(format!("{name} is {:?}, not a number of kB", value.trim())),
    }
}
