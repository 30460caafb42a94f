//! The consumer daemon: drains ring buffers into a local trace or a relay.

fn main() {}
