//! What a sample costs, as the example measures it.

use std::time::Duration;

#[path = "../../../examples/host_cost.rs"]
#[expect(dead_code, reason = "the test has no use for the table")]
mod host_cost;

#[test]
fn a_sample_takes_less_than_a_thousandth_of_a_core_and_few_allocations() {
    let costs = host_cost::measure(5, Duration::ZERO);
    let (name, everything) = &costs[0];
    assert_eq!(name, "everything");
    // Once in 5 s: a thousandth of a core is 5 ms of processor time.
    assert!(everything.median < 5e-3, "{everything:?}");
    // It reads lists, of mounts and of processors: so many for each of their lines.
    assert!(everything.allocations < 5_000, "{everything:?}");
    assert!(
        costs.len() == 7 && costs.iter().all(|(_, cost)| cost.median > 0.0),
        "{costs:?}"
    );
}
