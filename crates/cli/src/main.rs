//! The lttng command.

fn main() {}
