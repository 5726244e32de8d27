//! The `cityline` program.
fn main() {}
