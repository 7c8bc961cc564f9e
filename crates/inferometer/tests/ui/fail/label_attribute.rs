use inferometer::{LabelSet};

#[derive(LabelSet)]
struct ByName<'a> {
    #[label(max = 3)]
    name: &'a str,
}

fn main() {}
