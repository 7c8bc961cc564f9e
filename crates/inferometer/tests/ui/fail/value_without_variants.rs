use inferometer::{LabelValue};

#[derive(LabelValue)]
enum Never {}

fn main() {}
