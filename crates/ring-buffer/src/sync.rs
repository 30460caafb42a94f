//! The atomics of the algorithm, from one place, so that a model checker can take their place.

pub(crate) use core::sync::atomic::{AtomicI32, AtomicU64, Ordering, fence};
