//! A machine with made-up GPUs.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use fake_nvml::{Card, FakeDriver};
use inferometer::Registry;
use inferometer_monitor::gpu::{GpuMonitor, GpuMonitorBuilder, Nvml, Visible};
use tempfile::TempDir;

/// Longer than anything takes that works.
pub(super) const LONG: Duration = Duration::from_secs(20);

pub(super) struct Machine {
    pub(super) driver: Arc<FakeDriver>,
    pub(super) cards: Vec<Card>,
    pub(super) registry: Registry,
    _folder: TempDir,
}

impl Machine {
    /// With so many GPUs, whose UUIDs are `GPU-0`, `GPU-1`, …
    pub(super) fn with(count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let driver = FakeDriver::copy_into(folder.path()).unwrap();
        let cards = (0..count)
            .map(|index| driver.add(&format!("GPU-{index}"), "Fake H200"))
            .collect();
        Self {
            driver: Arc::new(driver),
            cards,
            registry: Registry::new(),
            _folder: folder,
        }
    }

    /// A monitor that reads everything with each poll and tries to open the driver with each, if need be.
    pub(super) fn builder(&self) -> GpuMonitorBuilder {
        GpuMonitor::builder()
            .source(Nvml::at(self.driver.path()))
            .visible(Visible::All)
            .call_limit(LONG)
            .slow_every(Duration::ZERO)
            .retry_every(Duration::ZERO)
    }

    pub(super) fn monitor(&self) -> GpuMonitor {
        self.builder().register(&self.registry).unwrap()
    }

    pub(super) fn page(&self) -> String {
        self.registry.encode_text()
    }

    /// The value of a series, written as a scrape has it.
    pub(super) fn value(&self, series: &str) -> Option<f64> {
        value(&self.page(), series)
    }

    /// The names of the monitor's metrics that have a series of this GPU.
    pub(super) fn names(&self, uuid: &str) -> Vec<String> {
        let label = format!("uuid=\"{uuid}\"");
        let mut names: Vec<_> = self
            .page()
            .lines()
            .filter(|line| !line.starts_with('#') && line.contains(&label))
            .filter_map(|line| line.split('{').next())
            .filter_map(|name| name.strip_prefix("inferometer_gpu_"))
            .map(str::to_owned)
            .collect();
        names.dedup();
        names
    }
}

pub(super) fn value(page: &str, series: &str) -> Option<f64> {
    page.lines()
        .filter_map(|line| line.rsplit_once(' '))
        .find(|(name, _)| *name == series)
        .map(|(_, value)| value.parse().unwrap())
}

/// Waits until `done` says so.
pub(super) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within {LONG:?}");
        thread::yield_now();
    }
}
