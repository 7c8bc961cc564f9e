use inferometer::{LabelValue};

#[derive(LabelValue)]
enum Outcome {
    Ok,
    Failed(u16),
}

fn main() {}
