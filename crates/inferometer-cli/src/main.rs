//! The inferometer program.

fn main() {}
