//! Where and with what the figures came about.

use std::{env, fs, process::Command, thread, time::SystemTime};

use crate::libraries::ALL;

/// The exact versions this program was built with.
const LOCK: &str = include_str!("../../../Cargo.lock");

/// Processor, cores, memory and kernel.
pub(crate) fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = value(&info, "model name").unwrap_or("unknown processor");
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let memory = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|info| {
            let kilobytes = value(&info, "MemTotal")?.split(' ').next()?;
            kilobytes.parse::<u64>().ok()
        })
        .map_or_else(String::new, |kilobytes| {
            format!(", {} GiB", kilobytes.div_ceil(1 << 20))
        });
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{model}, {cores} cores{memory}, {} {}",
        env::consts::OS,
        kernel.trim()
    )
}

fn value<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let line = info.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}

/// Compiler and instruction set.
pub(crate) fn compiler() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc)
        .arg("--version")
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_default();
    let profile = if cfg!(debug_assertions) {
        "debug build"
    } else {
        "release build"
    };
    let set = if cfg!(target_feature = "avx2") {
        "x86-64-v3, as `.cargo/config.toml` says"
    } else {
        env::consts::ARCH
    };
    format!("{}, {profile} for {set}", version.trim())
}

/// Today.
pub(crate) fn date() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.chars().take_while(|sign| *sign != 'T').collect()
}

/// Every package that is compared, with its version.
pub(crate) fn versions() -> Vec<(&'static str, String)> {
    ALL.iter()
        .flat_map(|library| library.packages())
        .map(|package| (*package, version(LOCK, package)))
        .collect()
}

fn version(lock: &str, package: &str) -> String {
    let name = format!("name = \"{package}\"");
    lock.lines()
        .skip_while(|line| *line != name)
        .find_map(|line| line.strip_prefix("version = \""))
        .map_or_else(
            || "unknown".to_owned(),
            |rest| rest.trim_end_matches('"').to_owned(),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_library_has_a_version() {
        for (package, version) in versions() {
            assert!(
                version.starts_with(|digit: char| digit.is_ascii_digit()),
                "{package} {version}"
            );
        }
        assert_eq!(version(LOCK, "no-such-package"), "unknown");
    }
}
