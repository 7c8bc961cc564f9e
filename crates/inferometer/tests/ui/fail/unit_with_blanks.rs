use inferometer::{Counter, MetricSet};

#[derive(MetricSet)]
struct Shop {
    /// Orders.
    #[metric(unit = "square metres")]
    orders: Counter,
}

fn main() {}
