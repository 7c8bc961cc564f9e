//! How a component's health is shown by those who know but two states.

use inferometer::{
    IntGauge,
    sample::health::{ByComponent, HealthSample},
};

/// 1 for a component that does its work, 0 for one that doesn't; absent while that isn't known.
pub(crate) fn show(gauge: &IntGauge<ByComponent<'static>>, sample: &HealthSample<'_>) {
    let component = sample.component;
    match sample.state.works() {
        Some(works) => gauge.with(ByComponent { component }).set(works.into()),
        None => {
            gauge.remove(ByComponent { component });
        }
    }
}
