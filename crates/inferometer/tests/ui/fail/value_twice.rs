use inferometer::{LabelValue};

#[derive(LabelValue)]
enum Outcome {
    Ok,
    #[label(value = "ok")]
    Fine,
}

fn main() {}
