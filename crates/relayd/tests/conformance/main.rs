//! The same messages to the stock relay daemon and to ours: the same replies, and the same files after.
//!
//! Where ours is meant to differ, [`peer::comparable`] and the scenes say so and why.

mod chunks;
mod commands;
mod layout;
mod minors;
mod peer;
mod sessions;
mod stage;
mod streams;
