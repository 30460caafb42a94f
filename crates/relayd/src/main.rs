//! The relay daemon: receives traces from the network.

fn main() {}
