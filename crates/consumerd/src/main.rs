//! The consumer daemon: drains ring buffers into a local trace or a relay.
//!
//! Started by the session daemon, for one output of one session, with a socket as standard input
//! (crate `consumer-api`). It opens no path and no address of its own choosing.
//!
//! Two threads: the *control* thread reads the socket, so that a slow output never keeps it unread; the
//! *engine* sleeps in one `epoll_wait` and moves packets. Nothing ticks while nothing happens.

#![forbid(unsafe_code)]

mod activity;
mod control;
mod engine;
mod event_count;
mod kernel_formats;
mod kernel_losses;
mod kernel_source;
mod kernel_tasks;
mod metadata;
mod output;
mod packet;
mod poller;
mod record;
mod session;
mod source;
mod stream;
mod timers;
mod trace;
mod written_source;

use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::activity::Activity;
use crate::control::Link;
use crate::engine::Engine;

fn main() -> ExitCode {
    // By this a session daemon knows it from stock's.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == "--version" || word == "-V")
    {
        println!("lttng-rs {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    // The session daemon sets the variable when it is asked for the messages of its consumer daemons.
    let filter =
        EnvFilter::try_from_env("LTTNG_CONSUMERD_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<bool> {
    let socket = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .context("no socket on standard input; only the session daemon starts this program")?;
    let link = Link::new(socket);
    let activity = Arc::new(Activity::default());
    let inbox = control::start(link.clone(), activity.clone())?;
    Engine::new(inbox, link, activity)?.run()
}
