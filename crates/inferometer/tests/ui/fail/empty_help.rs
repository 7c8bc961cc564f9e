use inferometer::{Counter, MetricSet};

#[derive(MetricSet)]
struct Shop {
    #[doc = "  "]
    orders: Counter,
}

fn main() {}
