//! The command line of Xgene.
fn main() {}
