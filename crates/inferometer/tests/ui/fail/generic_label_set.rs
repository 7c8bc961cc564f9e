use inferometer::{LabelSet, LabelValue};

#[derive(LabelSet)]
struct By<V: LabelValue> {
    value: V,
}

fn main() {}
