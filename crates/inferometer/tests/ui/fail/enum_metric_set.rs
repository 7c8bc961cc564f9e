use inferometer::{MetricSet};

#[derive(MetricSet)]
enum Shop {}

fn main() {}
