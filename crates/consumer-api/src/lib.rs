//! The messages between the session daemon and its consumer daemons.
