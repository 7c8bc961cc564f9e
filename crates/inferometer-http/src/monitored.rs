//! What the monitors know, told by a server.

use std::sync::Arc;

use inferometer::{
    LabelValue as _,
    sample::{
        gpu::GpuSample,
        health::{ComponentReport, Gate, HealthReport, HealthState, Impaired},
    },
};
use serde_json::{Map, Value};

use crate::{Component, GpuStats, Health, MetricsServer};

impl MetricsServer {
    /// Tells what `report` says: in `/health` how the service is as a whole, in `/health/ready` whether it is ready, in
    /// `/health/detailed` each component. A monitor's report is read from memory and waits for no check.
    #[must_use]
    pub fn with_health_report(
        self,
        report: impl Fn() -> HealthReport + Send + Sync + 'static,
    ) -> Self {
        let report = Arc::new(report);
        let (whole, ready) = (Arc::clone(&report), Arc::clone(&report));
        self.with_health(move || of_service(&whole()))
            .with_ready(move || match Impaired::readiness(&ready().components) {
                Ok(()) => Health::Healthy,
                Err(impaired) => Health::Unhealthy(impaired.to_string()),
            })
            .with_components(move || report().components.iter().map(component).collect())
    }

    /// Tells in `/gpu/stats` what `samples` has. A monitor's samples are read from memory and wait for no driver.
    #[must_use]
    pub fn with_gpu_samples(
        self,
        samples: impl Fn() -> Vec<Arc<GpuSample>> + Send + Sync + 'static,
    ) -> Self {
        self.with_gpu_stats(move || {
            let samples = samples();
            let stats = samples.iter().map(|sample| GpuStats::from(&**sample));
            stats.collect()
        })
    }
}

/// A service whose liveness or readiness is at stake can't do its work.
fn of_service(report: &HealthReport) -> Health {
    let why = || {
        let components = report.components.iter();
        let unwell = components.filter(|one| one.status != HealthState::Healthy);
        let said: Vec<_> = unwell.map(ToString::to_string).collect();
        said.join("; ")
    };
    match report.status {
        HealthState::Healthy => Health::Healthy,
        HealthState::Degraded => Health::Degraded(why()),
        HealthState::Unhealthy | HealthState::Stalled => Health::Unhealthy(why()),
        HealthState::Unknown => Health::Unknown,
    }
}

fn component(one: &ComponentReport) -> Component {
    let reason = || {
        one.reason
            .clone()
            .unwrap_or_else(|| one.status.as_str().into())
    };
    let health = match one.status {
        HealthState::Healthy => Health::Healthy,
        HealthState::Degraded => Health::Degraded(reason()),
        HealthState::Unhealthy => Health::Unhealthy(reason()),
        HealthState::Stalled => Health::Unhealthy(format!("stalled: {}", reason())),
        HealthState::Unknown => Health::Unknown,
    };
    let mut details = Map::new();
    let gates = match one.gates {
        Gate::Nothing => "nothing",
        Gate::Readiness => "readiness",
        Gate::Liveness => "liveness",
    };
    details.insert("gates".into(), gates.into());
    for (name, seconds) in [
        ("checked_timestamp_seconds", one.checked_timestamp_seconds),
        ("age_seconds", one.age_seconds),
        ("duration_seconds", one.duration_seconds),
        ("running_seconds", one.running_seconds),
    ] {
        if let Some(seconds) = seconds {
            details.insert(name.into(), Value::from(seconds));
        }
    }
    Component {
        name: one.component.clone(),
        health,
        details,
    }
}

impl From<&GpuSample> for GpuStats {
    fn from(sample: &GpuSample) -> Self {
        #[expect(
            clippy::cast_precision_loss,
            reason = "no GPU has 2^53 bytes of memory"
        )]
        let bytes = |bytes: u64| bytes as f64;
        let device = &sample.device;
        let memory = sample.memory.as_ref();
        let total = device.memory_total.or(memory.map(|memory| memory.total));
        let mut compute_mode = None;
        if let Some(mode) = sample.compute_mode {
            mode.with_text(&mut |text| compute_mode = Some(text.to_owned()));
        }
        Self {
            device_id: device.index,
            device_uuid: Some(device.uuid.to_string()),
            device_name: Some(device.name.to_string()),
            simulated: device
                .simulated
                .map(|simulation| simulation.as_str().to_owned()),
            utilization: sample.utilization,
            memory_used: memory.map(|memory| bytes(memory.used)),
            memory_total: total.map(bytes),
            memory_free: memory.map(|memory| bytes(memory.free)),
            temperature: sample.temperature,
            power_usage: sample.power,
            power_limit: sample.power_limit,
            compute_mode,
        }
    }
}
