use inferometer::{Counter, MetricSet};

#[derive(MetricSet)]
struct Shop {
    /// Orders.
    #[metric(units = "orders")]
    orders: Counter,
}

fn main() {}
