use inferometer::{LabelSet};

#[derive(LabelSet)]
struct Nothing {}

fn main() {}
