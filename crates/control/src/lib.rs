//! The control API of the session daemon: protobuf service and Rust client.
