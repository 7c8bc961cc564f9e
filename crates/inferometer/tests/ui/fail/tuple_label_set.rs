use inferometer::{LabelSet};

#[derive(LabelSet)]
struct ByName<'a>(&'a str);

fn main() {}
