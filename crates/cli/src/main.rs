//! The `lttng` command: builds requests of the control API and renders the answers.
//!
//! ```text
//! app (global options) -> commands/NAME (options -> request -> answer) -> render (text) or mi (XML)
//! ```
//!
//! Options, wording, streams and exit codes are those of LTTng 2.13; `tests/stock.rs` compares with the
//! stock command.

#![forbid(unsafe_code)]

mod app;
mod commands;
mod contexts;
mod current_session;
mod daemon;
mod error_text;
mod log_level;
mod mi;
mod render;
mod spawn;
mod ui;
mod values;

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(app::run(std::env::args_os().collect()))
}
