//! Whole-system tests against real peers: helpers that start daemons in private places.
//!
//! A test calls [`isolated`] with a closure. The closure runs in a process of its own, inside private
//! mount, network, pid and host name namespaces, where `/run` and `/dev/shm` are empty and every port is
//! free. There it starts daemons of either [`Toolchain`] through its [`World`], drives the `lttng`
//! command, runs traced applications ([`App`]) and reads traces with babeltrace2 ([`Trace`]).
//! Whatever happens to the test, the namespace goes away and every process in it with it.

mod app;
mod cpio;
mod daemon;
mod far;
mod follower;
mod guest;
mod host;
mod index;
mod isolation;
mod kernel_load;
mod live;
mod logs;
mod peers;
mod process;
mod relay;
mod story;
mod target;
mod toolchain;
mod trace;
pub mod tracefs;
mod tree;
mod viewer;
mod wait;
mod world;

pub use app::{App, AppBuilder, Round, libc_wrapper, provider_object};
pub use daemon::Daemon;
pub use far::FarRelay;
pub use follower::Follower;
pub use guest::booted;
pub use host::Host;
pub use index::{Indexes, check_indexes};
pub use isolation::{enclose, isolated, isolated_for, test_path};
pub use kernel_load::KernelLoad;
pub use live::{LiveReader, ReaderCrashed, ReaderWasAhead, unless_ahead, unless_crashed};
pub use logs::complaints;
pub use process::{Output, cpu_seconds, descendants, peak_rss_kib, process_state, run, signal};
pub use relay::{Relay, place};
pub use rustix::process::Signal;
pub use story::{Story, same_story};
pub use target::{Target, Who};
pub use toolchain::Toolchain;
pub use trace::{
    Event, Trace, count_distinct, count_events, distinct_numbers, trees_with_metadata,
};
pub use tree::tree;
pub use viewer::{Viewer, Watching};
pub use wait::{DEADLINE, eventually, monotonic_ns, steady};
pub use world::World;
