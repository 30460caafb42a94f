//! When an answer that would tell nothing new may wait until there is something to tell.
//!
//! A viewer that is told "nothing" sleeps before it asks again: babeltrace2 2.0.4 for 100 ms. A reply that is
//! held back until news come saves that. But a viewer may have something in its hands that it shows only after
//! the reply. In babeltrace2 the source of events and the filter behind it collect up to 15 messages each, and
//! while they collect, they ask; each hands on what it has, without sleeping, when it is told "nothing". Then the
//! same stream is asked about again, for nothing can be shown before that is known.
//!
//! So the rule: the same question for the third time in a row may wait. A viewer that asks about its streams in
//! turn is always answered at once, for what it waits for may come in another stream.
//!
//! Once after a packet, the third time is answered too: the viewer has nothing left in its hands then, it sleeps,
//! and before that it flushes. Without, events that go from babeltrace2 into a pipe or a file would stay in its
//! buffer until that is full.

use super::ViewerRequest;

/// "Nothing" that is said at once: to the source, and to the filter.
const AT_ONCE: u8 = 2;

/// One viewer's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patience {
    /// To which "nothing" was said last, and how often in a row.
    last: Option<(ViewerRequest, u8)>,
    /// There was a packet, and the viewer was not sent to sleep since.
    unflushed: bool,
}

impl Patience {
    /// This was answered with a packet.
    pub fn on_packet(&mut self) {
        self.last = None;
        self.unflushed = true;
    }

    /// This was answered with something else that is new.
    pub fn on_something(&mut self) {
        self.last = None;
    }

    /// This was answered with nothing.
    pub fn on_nothing(&mut self, request: ViewerRequest) {
        let times = match self.last {
            Some((last, times)) if last == request => times.saturating_add(1),
            _ => 1,
        };
        self.last = Some((request, times));
        self.unflushed &= times <= AT_ONCE;
    }

    /// May "nothing" wait?
    #[must_use]
    pub fn may_wait(&self, request: ViewerRequest) -> bool {
        self.last
            .is_some_and(|(last, times)| last == request && times >= AT_ONCE && !self.unflushed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StreamHandle;

    fn ask(stream: u64) -> ViewerRequest {
        ViewerRequest::NextIndex {
            stream: StreamHandle(stream),
        }
    }

    #[test]
    fn the_third_time_may_wait() {
        let mut patience = Patience::default();
        for _ in 0..AT_ONCE {
            assert!(!patience.may_wait(ask(1)));
            patience.on_nothing(ask(1));
        }
        assert!(patience.may_wait(ask(1)));
        assert!(!patience.may_wait(ask(2)));
        patience.on_something();
        assert!(!patience.may_wait(ask(1)));
    }

    #[test]
    fn the_viewer_sleeps_once_after_a_packet() {
        let mut patience = Patience::default();
        patience.on_packet();
        // News of another stream in between.
        patience.on_something();
        for _ in 0..=AT_ONCE {
            assert!(!patience.may_wait(ask(1)));
            patience.on_nothing(ask(1));
        }
        assert!(patience.may_wait(ask(1)));
    }

    #[test]
    fn who_asks_in_turn_never_waits() {
        let mut patience = Patience::default();
        for stream in [1, 2].repeat(5) {
            assert!(!patience.may_wait(ask(stream)));
            patience.on_nothing(ask(stream));
        }
    }
}
