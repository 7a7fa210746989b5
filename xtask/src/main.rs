//! Checks, benches and generated documents of this workspace.
fn main() {}
