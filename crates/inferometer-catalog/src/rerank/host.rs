//! Its view of the machine.

use inferometer::{
    Gauge, MetricSet,
    sample::host::{HostSample, HostView},
};

/// What the cross-encoder server shows of its machine.
///
/// # Examples
/// ```
/// use inferometer::{Registry, sample::host::{Cpu, HostSample, HostView}};
/// use inferometer_catalog::rerank::host::Host;
///
/// let registry = Registry::new();
/// let host: Host = registry.register()?;
/// let cpu = Cpu { usage_ratio: Some(0.25), ..Cpu::default() };
/// host.sampled(&HostSample { cpu: Some(cpu), ..HostSample::default() });
/// assert!(registry.encode_text().contains("\ncpu_percent 25.0\n"));
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
#[derive(Clone, Debug, MetricSet)]
pub struct Host {
    /// Share of their time that the machine's processors worked since the sample before, in percent of all of them; absent while it isn't
    /// known.
    #[metric(name = "cpu_percent", unit = "percent")]
    pub cpu_percent: Gauge,
}

impl HostView for Host {
    fn sampled(&self, sample: &HostSample) {
        match sample.cpu.and_then(|cpu| cpu.usage_ratio) {
            Some(ratio) => self.cpu_percent.set(ratio * 100.0),
            None => self.cpu_percent.clear(),
        }
    }
}
