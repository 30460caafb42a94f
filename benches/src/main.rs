//! Benchmarks: ours and the stock peers in the same run.

fn main() {}
