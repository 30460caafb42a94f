//! When an answer that would tell nothing new may wait until there is something to tell.
//!
//! A viewer that is told "nothing" sleeps before it asks again: babeltrace2 2.0.4 for 100 ms. A reply that is
//! held back until news come saves that. But a viewer may have something in its hands that it shows only after
//! the reply: babeltrace2 collects up to 15 messages, and while it collects, it asks. It cannot collect
//! anything before each of its streams has told it something, and it shows what it has, without sleeping, when
//! it is told "nothing". So the rule: "nothing" is said at once to the first question after news, and held
//! back when the viewer asks again.

/// One viewer's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patience {
    /// Streams that never told anything.
    silent: usize,
    /// The viewer may hold something that it has not shown.
    holds_something: bool,
}

impl Patience {
    /// The viewer learns of a stream.
    pub fn on_stream(&mut self) {
        self.silent += 1;
    }

    /// A stream that never told anything has gone.
    pub fn on_silent_stream_gone(&mut self) {
        self.silent = self.silent.saturating_sub(1);
    }

    /// News are told; `first` of their stream.
    pub fn on_news(&mut self, first: bool) {
        if first {
            self.on_silent_stream_gone();
        }
        self.holds_something |= self.silent == 0;
    }

    /// "Nothing" is said.
    pub fn on_nothing(&mut self) {
        self.holds_something = false;
    }

    /// May "nothing" wait?
    #[must_use]
    pub fn may_wait(&self) -> bool {
        !self.holds_something
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_waits_until_all_streams_told_something() {
        let mut patience = Patience::default();
        patience.on_stream();
        patience.on_stream();
        assert!(patience.may_wait());
        patience.on_news(true);
        patience.on_news(false);
        assert!(patience.may_wait(), "the other stream is missing");
        patience.on_news(true);
        assert!(!patience.may_wait());
        patience.on_nothing();
        assert!(patience.may_wait());
        patience.on_stream();
        patience.on_news(false);
        assert!(patience.may_wait());
        patience.on_silent_stream_gone();
        patience.on_news(false);
        assert!(!patience.may_wait());
    }
}
