use inferometer::{Counter, MetricSet};

#[derive(MetricSet)]
struct Shop {
    orders: Counter,
}

fn main() {}
