// Sets that are generic in their labels, their states, or anything else.

use inferometer::{AdditiveGauge, Counter, LabelSet, LabelValue, MetricSet, Registry, StateSet};

#[derive(Clone, Copy, LabelValue)]
enum Phase {
    Open,
    Shut,
}

#[derive(LabelSet)]
struct ByPhase {
    phase: Phase,
}

#[derive(LabelSet)]
struct ByName<'a> {
    name: &'a str,
}

#[derive(MetricSet)]
struct Pool<L: LabelSet, S = Phase, const N: usize = 1>
where
    S: LabelValue,
{
    /// Places in use.
    in_use: AdditiveGauge<L>,
    /// Places taken.
    #[metric(name = "taken_total")]
    taken: Counter<L>,
    /// What the door is.
    door: StateSet<S>,
}

#[derive(MetricSet)]
#[metrics(namespace = "bath")]
struct Bath<Inner: MetricSet> {
    #[metric(flatten)]
    pool: Inner,
}

#[derive(MetricSet)]
struct Nothing {}

fn main() {
    let registry = Registry::new();
    let _nothing: Nothing = registry.register().expect("nothing breaks no rule");
    let bath: Bath<Pool<ByName<'static>, Phase, 3>> = registry.register().expect("the set keeps the rules");
    let name = String::from("ada");
    bath.pool.in_use.with(ByName { name: &name }).inc();
    bath.pool.taken.series(ByName { name: &name }).inc();
    bath.pool.door.set(Phase::Shut);
    let page = registry.encode_text();
    assert!(page.contains("\nbath_in_use{name=\"ada\"} 1\n"));
    assert!(page.contains("\ntaken_total{name=\"ada\"} 1\n"));
    assert!(page.contains("\nbath_door{bath_door=\"shut\"} 1\n"));

    let other = Registry::new();
    let closed: Pool<ByPhase> = other.register().expect("the set keeps the rules");
    closed.in_use.with(ByPhase { phase: Phase::Open }).dec();
    assert!(other.encode_text().contains("\nin_use{phase=\"open\"} -1\n"));
}
