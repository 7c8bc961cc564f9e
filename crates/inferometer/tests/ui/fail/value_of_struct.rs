use inferometer::{LabelValue};

#[derive(LabelValue)]
struct Outcome;

fn main() {}
