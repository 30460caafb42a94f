//! The control API of the session daemon: protobuf service and Rust client.
//!
//! The service is defined, with its documentation, in `proto/lttng/control/v1/control.proto`; [`v1`]
//! is the code generated from it. [`Client`] connects to a local session daemon:
//!
//! ```no_run
//! # async fn example() -> Result<(), control::CallError> {
//! use control::{Client, v1};
//!
//! let mut daemon = Client::connect(&control::SocketPath::for_this_user("tracing")).await?;
//! let request = v1::StartSessionRequest { name: "my-session".into() };
//! daemon.start_session(request).await?;
//! # Ok(())
//! # }
//! ```

//! Programs that do not use async have [`blocking::Client`].

#![forbid(unsafe_code)]

pub mod blocking;
mod client;
mod code;
mod code_text;
mod context;
mod error;
mod kernel_location;
mod path;
mod probe;
mod requests;
pub mod url;

pub use client::{CallError, Client};
pub use code::ErrorCode;
pub use context::{ContextField, PerfCounter, PerfDomain};
pub use error::{status, status_code};
pub use kernel_location::{KernelLocation, KernelLocationError};
pub use path::{
    CONSUMER_HEALTH, CONTROL_SOCKET, HEALTH_SOCKET, SocketPath, run_directories_for_this_user,
};
pub use probe::{ProbeLocation, ProbeLocationError};
pub use requests::{DEFAULT_CONTROL_PORT, DEFAULT_DATA_PORT};

/// The generated messages, client and server of `lttng.control.v1`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod v1 {
    include!("generated/lttng.control.v1.rs");
}
