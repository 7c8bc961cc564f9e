//! The monitor's own metrics.

mod collectors;
mod followed;
mod machine;
mod process;

use std::time::{Duration, SystemTime};

use inferometer::{
    Gauge, RegisterError, Registry,
    sample::host::{HostSample, HostView},
};

use self::{collectors::Collectors, machine::Machine, process::ThisProcess};
use super::{Collector, Failure};

/// The metrics of the machine, of this process, and of the collectors.
#[derive(Debug)]
pub(super) struct Metrics {
    machine: Machine,
    process: ThisProcess,
    collectors: Collectors,
}

impl Metrics {
    pub(super) fn register(
        registry: &Registry,
        running: impl Iterator<Item = Collector>,
    ) -> Result<Self, RegisterError> {
        let runtime = running.into_iter().any(|name| name == Collector::Runtime);
        Ok(Self {
            machine: Machine::register(registry)?,
            process: ThisProcess::register(registry, runtime)?,
            collectors: registry.register()?,
        })
    }

    /// A collector has run.
    pub(super) fn ran(
        &self,
        name: Collector,
        took: Duration,
        at: SystemTime,
        failure: Option<&Failure>,
    ) {
        self.collectors.ran(name, took, at, failure);
    }

    /// No collector will run any more.
    pub(super) fn forget(&self) {
        self.collectors.forget();
    }
}

impl HostView for Metrics {
    fn sampled(&self, sample: &HostSample) {
        self.machine.sampled(sample);
        self.process.sampled(sample);
    }
}

fn show(gauge: &Gauge, value: Option<f64>) {
    match value {
        Some(value) => gauge.set(value),
        None => gauge.clear(),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; beyond 2⁵³ the nearest will do"
)]
fn float(count: u64) -> f64 {
    count as f64
}
