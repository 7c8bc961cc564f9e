//! Training programs.

fn main() {}
