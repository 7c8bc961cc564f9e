//! A registry that records nothing.

use inferometer::{
    AdditiveGauge, Counter, FloatCounter, Gauge, Histogram, Info, LabelSet, LabelValue, MetricSet,
    Registry, StateSet,
};

#[derive(Clone, Copy, LabelValue)]
enum Phase {
    Loading,
    Ready,
}

#[derive(LabelSet)]
struct ByName<'a> {
    #[label(limit = 1)]
    name: &'a str,
}

#[derive(MetricSet)]
struct Everything {
    /// Counts.
    counts: Counter,
    /// Counts of an open label.
    open: Counter<ByName<'static>>,
    /// Amounts.
    amounts: FloatCounter,
    /// A level.
    level: Gauge,
    /// A computed level.
    computed: Gauge,
    /// Steps.
    steps: AdditiveGauge,
    /// Sizes.
    #[metric(buckets = [1.0])]
    sizes: Histogram,
    /// A fact.
    fact: Info<ByName<'static>>,
    /// A phase.
    phase: StateSet<Phase>,
}

#[test]
fn a_disabled_registry_records_nothing() {
    let registry = Registry::disabled();
    assert!(!registry.enabled());
    let set: Everything = registry.register().unwrap();
    let before = registry.encode_text();

    set.counts.inc();
    for name in ["ada", "bob"] {
        let series = set.open.series(ByName { name });
        series.inc();
        assert_eq!(series.get(), 0);
        set.open.with(ByName { name }).inc();
    }
    set.amounts.add(1.0);
    set.amounts.add(-1.0);
    set.level.set(1.0);
    let tracking = set
        .computed
        .track(|| panic!("a disabled registry computes nothing"));
    let guard = set.steps.enter();
    set.sizes.observe(f64::NAN);
    set.sizes.observe(0.5);
    drop(set.sizes.start_timer());
    set.fact.set(ByName { name: "ada" });
    set.phase.set(Phase::Loading);
    set.phase.set(Phase::Ready);

    assert_eq!(registry.encode_text(), before);
    drop((tracking, guard));
    assert_eq!(registry.encode_text(), before);
}

#[test]
fn a_disabled_registry_keeps_the_rules_and_the_descriptors() {
    let registry = Registry::disabled();
    let _set: Everything = registry.register().unwrap();
    assert!(registry.register::<Everything>().is_err());
    let described = inferometer::descriptors::<Everything>();
    assert_eq!(registry.descriptors()[..described.len()], described);
}
