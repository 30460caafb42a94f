//! Locks that are only held for a few lines, never across an await.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks. A lock is poisoned when a panic passed through its holder; the values kept behind locks here
/// are whole between any two statements, so going on is right, and one bug does not become a dead daemon.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
