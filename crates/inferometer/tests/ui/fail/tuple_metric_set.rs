use inferometer::{Counter, MetricSet};

#[derive(MetricSet)]
struct Shop(
    /// Orders.
    Counter,
);

fn main() {}
