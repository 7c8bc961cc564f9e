use inferometer::{Counter, MetricSet};

#[derive(MetricSet)]
struct Inner {
    /// Orders.
    orders: Counter,
}

#[derive(MetricSet)]
struct Outer {
    #[metric(flatten, name = "inner")]
    inner: Inner,
}

fn main() {}
