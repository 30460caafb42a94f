//! The C library `liblttng-ctl.so.0`.
