//! The command line of Gabion.

fn main() {}
