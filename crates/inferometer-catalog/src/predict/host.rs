//! Its view of the machine.

use inferometer::{
    Gauge, Info, LabelSet, MetricSet, RegisterError, Registry,
    sample::{
        Present,
        host::{HostSample, HostView},
    },
};

/// By mount point.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByMountPoint<'a> {
    /// Where the file system is mounted. A monitor samples no more than 64.
    #[label(limit = 64)]
    pub mount_point: &'a str,
}

/// By component.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByComponent<'a> {
    /// What the sensor measures. A monitor samples no more than 64.
    #[label(limit = 64)]
    pub component: &'a str,
}

/// What runs, where, since when.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct System<'a> {
    /// The environment, such as `production`.
    pub environment: &'a str,
    /// The version of the service.
    pub version: &'a str,
    /// The date of its deployment, such as `2024-01-15`.
    pub deployment_date: &'a str,
}

/// The prediction API's metrics of its machine.
#[derive(Clone, Debug, MetricSet)]
pub struct HostMetrics {
    /// Share of their time that the machine's processors worked since the sample before, in percent of all of them; absent while it isn't
    /// known.
    #[metric(name = "system_cpu_usage_percent", unit = "percent")]
    pub cpu_usage: Gauge,
    /// Memory in use: the total without what programs could still get; absent while it isn't known.
    #[metric(name = "system_memory_usage_bytes", unit = "bytes")]
    pub memory_usage: Gauge,
    /// Memory of the machine; absent while it isn't known.
    #[metric(name = "system_memory_total_bytes", unit = "bytes")]
    pub memory_total: Gauge,
    /// Disk space in use, by mount point; a file system that is gone takes its series along.
    #[metric(name = "system_disk_usage_bytes", unit = "bytes")]
    pub disk_usage: Gauge<ByMountPoint<'static>>,
    /// Temperature, by component; a sensor that is gone takes its series along.
    #[metric(name = "hardware_temperature_celsius", unit = "celsius")]
    pub temperature: Gauge<ByComponent<'static>>,
    /// What runs, where, since when; the service sets it once.
    #[metric(name = "system_info")]
    pub system: Info<System<'static>>,
}

/// What the prediction API shows of its machine.
///
/// **A series has one writer.** Every series here but `system_info` is written by the samples: what is set by hand is gone with
/// the next one. `system_info` is the service's own, and no sample touches it.
///
/// # Examples
/// ```
/// use inferometer::{Registry, sample::host::{Disk, HostSample, HostView}};
/// use inferometer_catalog::predict::host::{Host, System};
///
/// let registry = Registry::new();
/// let host = Host::register(&registry)?;
/// host.metrics.system.set(System {
///     environment: "production",
///     version: "1.0.0",
///     deployment_date: "2024-01-15",
/// });
/// let root = Disk { mount_point: "/".into(), used_bytes: 512, ..Disk::default() };
/// host.sampled(&HostSample { disks: Some(vec![root]), ..HostSample::default() });
/// let page = registry.encode_text();
/// assert!(page.contains(r#"system_disk_usage_bytes{mount_point="/"} 512.0"#));
/// assert!(page.contains(
///     r#"system_info{environment="production",version="1.0.0",deployment_date="2024-01-15"} 1"#
/// ));
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
#[derive(Debug)]
pub struct Host {
    /// The metrics.
    pub metrics: HostMetrics,
    mounted: Present,
    sensed: Present,
}

impl Host {
    /// Declares the metrics in `registry`.
    ///
    /// # Errors
    /// One of the names is taken.
    pub fn register(registry: &Registry) -> Result<Self, RegisterError> {
        Ok(Self {
            metrics: registry.register()?,
            mounted: Present::default(),
            sensed: Present::default(),
        })
    }
}

impl HostView for Host {
    fn sampled(&self, sample: &HostSample) {
        let metrics = &self.metrics;
        let usage = sample.cpu.and_then(|cpu| cpu.usage_ratio);
        show(&metrics.cpu_usage, usage.map(|ratio| ratio * 100.0));
        let memory = sample.memory;
        let used = memory.and_then(|memory| memory.used_bytes());
        show(&metrics.memory_usage, used.map(bytes));
        show(
            &metrics.memory_total,
            memory.map(|memory| bytes(memory.total_bytes)),
        );

        // What is gone goes first: its label value makes room for another.
        let disks = sample.disks.as_deref().unwrap_or_default();
        let now = disks.iter().map(|disk| &*disk.mount_point);
        self.mounted.replace(now, |mount_point| {
            metrics.disk_usage.remove(ByMountPoint { mount_point });
        });
        for disk in disks {
            let mount_point = &*disk.mount_point;
            let usage = metrics.disk_usage.with(ByMountPoint { mount_point });
            usage.set(bytes(disk.used_bytes));
        }

        let temperatures = sample.temperatures.as_deref().unwrap_or_default();
        let now = temperatures.iter().map(|sensor| &*sensor.component);
        self.sensed.replace(now, |component| {
            metrics.temperature.remove(ByComponent { component });
        });
        for temperature in temperatures {
            let component = &*temperature.component;
            let series = metrics.temperature.with(ByComponent { component });
            series.set(temperature.celsius);
        }
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
    reason = "a gauge is a float; beyond 2⁵³ bytes the nearest will do"
)]
fn bytes(count: u64) -> f64 {
    count as f64
}
