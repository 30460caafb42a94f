//! The relay protocol: messages and the state machines of both ends.
