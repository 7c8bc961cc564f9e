//! Single recordings that stand for their series or bucket.

use inferometer::{
    Counter, Exemplar, FloatCounter, Histogram, LabelSet, MetricSet, Point, Registry,
};

use crate::page;

#[derive(LabelSet)]
struct ByRoute<'a> {
    route: &'a str,
}

#[derive(MetricSet)]
struct Traced {
    /// Requests.
    requests: Counter<ByRoute<'static>>,
    /// Energy.
    #[metric(unit = "joules")]
    energy: FloatCounter,
    /// Sizes.
    #[metric(buckets = [1.0, 10.0])]
    sizes: Histogram,
}

fn traced() -> (Registry, Traced) {
    let registry = Registry::new();
    let set = registry.register().expect("the set keeps the rules");
    (registry, set)
}

fn exemplar(registry: &Registry, family: &str, labels: &str) -> Option<Exemplar> {
    let snapshot = registry.snapshot();
    let family = snapshot.family(family)?;
    let series = family
        .series
        .iter()
        .find(|series| &*series.labels == labels)?;
    series.exemplar.clone()
}

fn of_buckets(registry: &Registry) -> Vec<Option<Exemplar>> {
    let snapshot = registry.snapshot();
    match snapshot
        .family("sizes")
        .and_then(|family| family.point("").cloned())
    {
        Some(Point::Histogram(point)) => point.exemplars,
        other => panic!("not a histogram: {other:?}"),
    }
}

/// Offers until one is taken: a family takes one a millisecond.
fn until(taken: impl Fn() -> bool, offer: impl Fn()) {
    while !taken() {
        offer();
    }
}

#[test]
fn an_exemplar_stands_beside_its_counter() {
    let (registry, set) = traced();
    let cart = set.requests.series(ByRoute { route: "/cart" });
    set.requests.with(ByRoute { route: "/" }).inc();
    cart.inc_with_exemplar(&[("trace_id", "4bf92f")]);
    let shown = exemplar(&registry, "requests_total", r#"route="/cart""#);
    let shown = shown.expect("the first offer of a family is taken");
    assert_eq!(&*shown.labels, r#"trace_id="4bf92f""#);
    assert_eq!(shown.value, 1.0);
    assert_eq!(
        exemplar(&registry, "requests_total", r#"route="/""#),
        None,
        "the other series has none"
    );
    assert_eq!(cart.get(), 1);
}

#[test]
fn each_bucket_has_the_exemplar_that_fell_into_it() {
    let (registry, set) = traced();
    assert!(of_buckets(&registry).is_empty());
    until(
        || of_buckets(&registry).get(1).is_some_and(Option::is_some),
        || set.sizes.observe_with_exemplar(5.0, &[("trace_id", "b")]),
    );
    until(
        || of_buckets(&registry)[2].is_some(),
        || {
            set.sizes
                .observe_with_exemplar(f64::INFINITY, &[("trace_id", "c")]);
        },
    );
    let exemplars = of_buckets(&registry);
    assert_eq!(exemplars.len(), 3);
    assert_eq!(exemplars[0], None);
    assert_eq!(exemplars[1].as_ref().map(|one| one.value), Some(5.0));
    assert_eq!(
        exemplars[2].as_ref().map(|one| one.value),
        Some(f64::INFINITY)
    );
}

#[test]
fn labels_too_long_or_misnamed_are_refused_and_the_recording_counts() {
    let (registry, set) = traced();
    let refused = || {
        page::value(
            &registry.encode_text(),
            "inferometer_exemplars_refused_total",
            &[("family", "energy_joules_total")],
        )
    };
    assert_eq!(refused(), None);
    let fits = "é".repeat(120);
    let too_long = "é".repeat(121);
    for labels in [
        &[("trace_id", too_long.as_str())][..],
        &[("trace id", "1")],
        &[("", "1")],
        &[("a", "1"), ("a", "2")],
    ] {
        set.energy.add_with_exemplar(0.5, labels);
    }
    assert_eq!(refused(), Some(4.0));
    assert_eq!(set.energy.get(), 2.0);
    assert_eq!(exemplar(&registry, "energy_joules_total", ""), None);
    set.energy
        .add_with_exemplar(0.5, &[("trace_id", fits.as_str())]);
    assert!(exemplar(&registry, "energy_joules_total", "").is_some());
    assert_eq!(refused(), Some(4.0));
}

#[test]
fn a_refused_amount_leaves_no_exemplar() {
    let (registry, set) = traced();
    set.energy.add_with_exemplar(-1.0, &[("trace_id", "x")]);
    set.sizes
        .observe_with_exemplar(f64::NAN, &[("trace_id", "x")]);
    assert_eq!(exemplar(&registry, "energy_joules_total", ""), None);
    assert!(of_buckets(&registry).is_empty());
}

#[test]
fn a_series_that_was_removed_leaves_no_exemplar_to_the_next() {
    let (registry, set) = traced();
    set.requests
        .with(ByRoute { route: "/old" })
        .inc_with_exemplar(&[("trace_id", "old")]);
    assert!(exemplar(&registry, "requests_total", r#"route="/old""#).is_some());
    assert!(set.requests.remove(ByRoute { route: "/old" }));
    for _ in 0..100 {
        for route in ["/old", "/new"] {
            set.requests.with(ByRoute { route }).inc();
            let labels = format!(r#"route="{route}""#);
            assert_eq!(exemplar(&registry, "requests_total", &labels), None);
            assert!(set.requests.remove(ByRoute { route }));
        }
    }
}

#[test]
fn a_disabled_registry_keeps_none() {
    let registry = Registry::disabled();
    let set: Traced = registry.register().expect("the set keeps the rules");
    set.energy.add_with_exemplar(1.0, &[("trace_id", "x")]);
    set.sizes.observe_with_exemplar(1.0, &[("trace_id", "x")]);
    set.requests
        .with(ByRoute { route: "/" })
        .inc_with_exemplar(&[("trace id", "x")]);
    assert_eq!(exemplar(&registry, "energy_joules_total", ""), None);
    assert!(of_buckets(&registry).is_empty());
}
