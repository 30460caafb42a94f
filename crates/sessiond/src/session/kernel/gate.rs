//! Who waits for whom at tracefs: what a user waits for goes before the removal of what is no longer needed.
//!
//! The kernel changes one event at a time, and when somebody else records the same event, each change waits until no
//! CPU runs the old code: some 20 ms. An instance with all events is gone after half a minute then.

use std::sync::{Condvar, Mutex};

use crate::lock::lock;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// How many go first now.
    first: Mutex<u32>,
    nobody: Condvar,
}

/// Goes first as long as it lives.
#[derive(Debug)]
pub(super) struct First<'g>(&'g Gate);

impl Gate {
    /// Lets removals wait.
    pub(super) fn go_first(&self) -> First<'_> {
        *lock(&self.first) += 1;
        First(self)
    }

    /// Returns when nobody goes first.
    pub(super) fn give_way(&self) {
        let mut first = lock(&self.first);
        while *first > 0 {
            first = self
                .nobody
                .wait(first)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }
}

impl Drop for First<'_> {
    fn drop(&mut self) {
        let mut first = lock(&self.0.first);
        *first -= 1;
        if *first == 0 {
            self.0.nobody.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removal_goes_on_when_all_are_through() {
        let gate = Gate::default();
        gate.give_way();
        let (one, other) = (gate.go_first(), gate.go_first());
        std::thread::scope(|scope| {
            let removal = scope.spawn(|| gate.give_way());
            drop(one);
            assert!(!removal.is_finished());
            drop(other);
        });
        gate.give_way();
    }
}
