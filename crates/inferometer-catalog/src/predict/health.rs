//! Its view of the health of its components.

use inferometer::{
    IntGauge, MetricSet,
    sample::health::{ByComponent, HealthObserver, HealthSample},
};

use crate::component;

/// Whether each component of the prediction API works.
#[derive(Clone, Debug, MetricSet)]
pub struct ApiHealth {
    /// Whether a component does its work: 1 if it is healthy or degraded, 0 if not; absent while that isn't known.
    #[metric(name = "api_health_status")]
    pub health_status: IntGauge<ByComponent<'static>>,
}

impl ApiHealth {
    /// A component was found healthy or not, by whoever looks after it.
    pub fn update(&self, component: &str, healthy: bool) {
        let series = self.health_status.with(ByComponent { component });
        series.set(healthy.into());
    }
}

impl HealthObserver for ApiHealth {
    fn observed(&self, sample: &HealthSample<'_>) {
        component::show(&self.health_status, sample);
    }

    fn gone(&self, component: &str) {
        self.health_status.remove(ByComponent { component });
    }
}

#[cfg(test)]
mod tests {
    use inferometer::{Registry, descriptors, sample::health::HealthState};

    use super::*;

    /// The contract's line of this metric: name, kind, labels.
    fn row() -> (&'static str, &'static str, &'static str) {
        include_str!("../../tests/catalogue.tsv")
            .lines()
            .map(|line| line.split('\t').collect::<Vec<_>>())
            .find(|fields| fields[0] == "predict" && fields[5].starts_with("1 healthy"))
            .map(|fields| (fields[1], fields[2], fields[3].trim_matches(['(', ')'])))
            .unwrap()
    }

    #[test]
    fn the_name_kind_and_label_are_the_contracts() {
        let (name, kind, label) = row();
        let declared = descriptors::<ApiHealth>();
        let [health] = &declared[..] else {
            panic!("{declared:?}")
        };
        assert_eq!((&*health.name, health.kind.as_str()), (name, kind));
        let labels: Vec<_> = health.labels.iter().map(|label| &*label.name).collect();
        assert_eq!(labels, [label]);
    }

    #[test]
    fn each_state_is_shown_as_one_or_zero_or_not_at_all() {
        let registry = Registry::new();
        let set: ApiHealth = registry.register().unwrap();
        let shown = |state| {
            set.observed(&HealthSample {
                component: "database",
                state,
                reason: None,
                since: 0.0,
                checked: None,
            });
            let page = registry.encode_text();
            let line = r#"api_health_status{component="database"} "#;
            page.lines()
                .find_map(|found| found.strip_prefix(line).map(str::to_owned))
        };
        assert_eq!(shown(HealthState::Unknown), None);
        assert_eq!(shown(HealthState::Healthy).as_deref(), Some("1"));
        assert_eq!(shown(HealthState::Unhealthy).as_deref(), Some("0"));
        assert_eq!(shown(HealthState::Degraded).as_deref(), Some("1"));
        assert_eq!(shown(HealthState::Stalled).as_deref(), Some("0"));
        assert_eq!(shown(HealthState::Unknown), None);
    }
}
