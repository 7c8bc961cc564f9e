use inferometer::{LabelValue};

#[derive(LabelValue)]
enum Outcome {
    #[label(name = "fine")]
    Ok,
}

fn main() {}
