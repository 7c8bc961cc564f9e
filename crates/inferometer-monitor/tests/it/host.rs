//! The host monitor, on recorded machines and on this one.

#![expect(clippy::unwrap_used, reason = "what the tests share fails as they do")]

mod cost;
mod failing;
mod golden;
mod over_time;
mod real;
#[cfg(feature = "tokio")]
mod runtime;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use inferometer::{
    Registry,
    sample::host::{HostSample, HostView},
};
use inferometer_monitor::host::{HostMonitor, Options, Roots, Space};

/// The folder of a recorded machine.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/host-{name}"))
}

/// A machine whose files are in `folder`.
fn roots(folder: &Path) -> Roots {
    Roots {
        proc: folder.join("proc"),
        sys: folder.join("sys"),
        root: "/".into(),
    }
}

/// The size of a disk, which depends on the length of its mount point alone.
fn space(mount_point: &Path) -> io::Result<Space> {
    let length = mount_point.as_os_str().len() as u64;
    Ok(Space {
        total_bytes: 1_000 * length,
        used_bytes: 600 * length,
        free_bytes: 350 * length,
    })
}

/// A monitor of the machine in `folder`, and the registry that it writes to.
fn monitor(folder: &Path) -> (Registry, HostMonitor) {
    with(Options::default().roots(roots(folder)).measure_disks(space))
}

fn with(options: Options) -> (Registry, HostMonitor) {
    let registry = Registry::new();
    let monitor = HostMonitor::new(&registry, options).unwrap();
    (registry, monitor)
}

/// A copy of a recorded machine, which a test may change.
fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy_into(&fixture(name), folder.path());
    folder
}

fn copy_into(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_into(&entry.path(), &to);
        } else {
            fs::write(to, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

/// The value of a series on the page; `None` where there is none.
fn value(registry: &Registry, series: &str) -> Option<f64> {
    let page = registry.encode_text();
    let sample = page
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    sample.map(|value| value.parse().unwrap())
}

/// Whether the collector of this name could read all there is.
fn up(registry: &Registry, collector: &str) -> Option<f64> {
    let series = format!(r#"inferometer_host_collector_up{{collector="{collector}"}}"#);
    value(registry, &series)
}

/// Keeps every sample that it is told.
#[derive(Default)]
struct Told(Mutex<Vec<HostSample>>);

impl Told {
    fn new() -> Arc<Self> {
        Arc::default()
    }

    fn samples(&self) -> Vec<HostSample> {
        self.0.lock().unwrap().clone()
    }
}

impl HostView for Told {
    fn sampled(&self, sample: &HostSample) {
        self.0.lock().unwrap().push(sample.clone());
    }
}
