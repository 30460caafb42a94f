//! The session daemon.

fn main() {}
