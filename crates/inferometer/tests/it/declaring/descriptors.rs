//! What a set says of itself without an instance.

use inferometer::{
    Counter, Histogram, Kind, LabelBound, LabelSet, LabelValue, MetricSet, Registry, StateSet,
};

#[test]
fn descriptors_without_an_instance_equal_those_of_the_registry() {
    #[derive(Clone, Copy, LabelValue)]
    enum Phase {
        Loading,
        Ready,
    }
    #[derive(LabelSet)]
    struct Mixed {
        phase: Phase,
        #[label(limit = 7)]
        slot: u8,
        node: String,
    }
    set!(Inner { #[doc = "A phase."] phase: StateSet<Phase>, });
    #[derive(MetricSet)]
    #[metrics(namespace = "outer")]
    #[expect(dead_code, reason = "declared only")]
    struct Outer {
        /// Sizes,
        /// on two lines.
        ///
        /// And what isn't part of the help.
        #[metric(unit = "bytes", buckets = vec![1.0, 2.0])]
        sizes: Histogram<Mixed>,
        #[metric(flatten)]
        inner: Inner,
        /// Energy that a name already says the unit of.
        #[metric(unit = "joules")]
        energy_joules_total: Counter,
    }
    let described = inferometer::descriptors::<Outer>();
    let registry = Registry::new();
    let _outer: Outer = registry.register().unwrap();
    let registered = registry.descriptors();
    assert_eq!(registered[..described.len()], described);
    assert_eq!(
        registered.len(),
        described.len() + 7,
        "the registry's own come last"
    );
    let snapshot = registry.snapshot();
    assert!(
        snapshot
            .families
            .iter()
            .map(|family| &*family.descriptor)
            .eq(&registered)
    );

    let [sizes, phase, energy] = &described[..] else {
        panic!("three metrics")
    };
    assert_eq!(
        (&*sizes.name, &*sizes.help),
        ("outer_sizes_bytes", "Sizes, on two lines.")
    );
    assert_eq!((&*phase.name, phase.kind), ("outer_phase", Kind::StateSet));
    assert_eq!(
        (&*energy.name, energy.family()),
        ("outer_energy_joules_total", "outer_energy_joules")
    );
    let bounds: Vec<_> = sizes
        .labels
        .iter()
        .map(|label| (&*label.name, label.bound))
        .collect();
    assert_eq!(
        bounds,
        [
            ("phase", LabelBound::Closed(&["loading", "ready"])),
            ("slot", LabelBound::Open(7)),
            ("node", LabelBound::Open(inferometer::DEFAULT_LIMIT)),
        ]
    );
    let mixed = Mixed {
        phase: Phase::Ready,
        slot: 1,
        node: String::new(),
    };
    assert_eq!(
        (mixed.slot, &*mixed.node, mixed.phase as u8),
        (1, "", Phase::Loading as u8 + 1)
    );
}
