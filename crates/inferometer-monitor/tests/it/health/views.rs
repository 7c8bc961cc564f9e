//! Those who observe: the two systems with names of their own.

use std::sync::{Arc, Mutex};

use inferometer::sample::health::{HealthObserver, HealthSample, HealthState};
use inferometer_catalog::{predict::health::ApiHealth, vla::health::ApplicationHealth};
use inferometer_monitor::health::Verdict;

use super::{health, scraped};
use crate::scheduler::sample;

#[test]
fn both_systems_see_each_state_in_their_names_and_nothing_while_it_is_unknown() {
    let (registry, _scheduler, health) = health();
    let early = health.component("database").reported().unwrap();
    early.set(Verdict::healthy());
    let vla: ApplicationHealth = registry.register().unwrap();
    let predict: ApiHealth = registry.register().unwrap();
    health.observe(Arc::new(vla));
    health.observe(Arc::new(predict));
    let seen = |component: &str| {
        let labels = format!(r#"component="{component}""#);
        let names = ["vla_application_health", "api_health_status"];
        names.map(|name| sample(&registry, name, &labels))
    };
    assert_eq!(seen("database"), [Some(1.0); 2], "told when they come");
    let model = health.component("model").reported().unwrap();
    assert_eq!(seen("model"), [None; 2]);
    for (verdict, shown) in [
        (Verdict::unhealthy("no file"), Some(0.0)),
        (Verdict::healthy(), Some(1.0)),
        (Verdict::stalled("no step"), Some(0.0)),
        (Verdict::degraded("slow"), Some(1.0)),
        (Verdict::unknown("no key"), None),
        (Verdict::healthy(), Some(1.0)),
    ] {
        let state = verdict.state();
        model.set(verdict);
        assert_eq!(seen("model"), [shown; 2], "{state:?}");
        assert_eq!(scraped(&registry, "model"), Some(state));
    }
    assert!(health.remove("model"));
    assert_eq!(seen("model"), [None; 2]);
    model.set(Verdict::healthy());
    assert_eq!(
        seen("model"),
        [None; 2],
        "whoever still reports reaches nobody"
    );
    assert_eq!(seen("database"), [Some(1.0); 2]);
}

struct Broken;

impl HealthObserver for Broken {
    fn observed(&self, sample: &HealthSample<'_>) {
        assert!(sample.component.is_empty(), "an observer's own fault");
    }

    fn gone(&self, component: &str) {
        assert!(component.is_empty(), "an observer's own fault");
    }
}

#[derive(Default)]
struct Kept(Mutex<Vec<HealthState>>);

impl HealthObserver for Kept {
    fn observed(&self, sample: &HealthSample<'_>) {
        self.0.lock().unwrap().push(sample.state);
    }

    fn gone(&self, _component: &str) {
        self.0.lock().unwrap().clear();
    }
}

#[test]
fn an_observer_that_panics_keeps_no_other_from_being_told() {
    let (registry, scheduler, health) = health();
    let kept = Arc::new(Kept::default());
    health.observe(Arc::new(Broken));
    health.observe(Arc::<Kept>::clone(&kept));
    let queue = health.component("queue").reported().unwrap();
    queue.set(Verdict::degraded("nearly full"));
    assert_eq!(kept.0.lock().unwrap().last(), Some(&HealthState::Degraded));
    assert_eq!(scraped(&registry, "queue"), Some(HealthState::Degraded));
    assert_eq!(scheduler.tasks()[0].runs.panicked, 0);
    assert!(health.remove("queue"));
    assert!(kept.0.lock().unwrap().is_empty());
}
