//! The kernel domain, without a module: what tracefs says becomes what a CTF reader wants.
//!
//! ```text
//! events/SUBSYSTEM/EVENT/format --EventFormat--> EventSchema --+--> event class (metadata)
//!                                                              +--> program ---+
//! per_cpu/cpuN/trace_pipe_raw  ------------ pages ------------> Transcoder <---+ --> packets
//! ```
//!
//! | module | what it does |
//! | --- | --- |
//! | [`context`] | context fields of a channel |
//! | [`elf`] | finds the places of probes in programs |
//! | [`format`] | reads the `format` file of an event and `events/header_page` |
//! | [`machine`] | how the traced machine lays out numbers |
//! | [`names`] | LTTng's names for the kernel's events and fields |
//! | [`schema`] | the event class of an event, and how to make its records |
//! | [`selection`] | the events of a channel, from the session daemon to the consumer daemon |
//! | [`symbols`] | where the kernel's code is |
//! | [`text`] | which arguments of system calls are text |
//! | [`tracefs`] | instances of our own in the kernel's tracing file system |
//! | [`page`] | reads the records of a raw ring-buffer page |
//! | [`transcode`] | turns pages into packets |
//! | [`tasks`] | what each task was at any time, for context fields |
//! | [`statedump`] | describes the system when tracing starts |
//! | [`environment`] | what the metadata tells about the traced kernel |
//!
//! The same `format` text always gives the same event class and the same program, so that the session
//! daemon, which writes the metadata, and the consumer daemon, which makes the packets, agree.

pub mod context;
pub mod elf;
pub mod environment;
mod files;
pub mod format;
pub mod machine;
pub mod names;
pub mod page;
mod print;
mod program;
pub mod schema;
pub mod selection;
pub mod statedump;
pub mod symbols;
pub mod tasks;
pub mod text;
pub mod tracefs;
pub mod transcode;
