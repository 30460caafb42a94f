//! The protocol between the session daemon and applications linked with liblttng-ust.
