use inferometer::{Counter, MetricSet};

#[derive(MetricSet)]
#[metrics(prefix = "shop")]
struct Shop {
    /// Orders.
    orders: Counter,
}

fn main() {}
