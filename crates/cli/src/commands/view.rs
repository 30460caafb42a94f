//! `lttng view`.

use std::io::{self, IsTerminal};
use std::os::unix::process::CommandExt;
use std::process::Command;

use control::v1::output::Kind;
use control::v1::{ListSessionsRequest, ListSnapshotOutputsRequest, Session};

use crate::current_session;
use crate::daemon::{Context, Failure};
use crate::render::output_state;
use crate::ui::{Exit, Outcome, Ui, status};

use super::no_more;

/// Show the trace of a recording session with a viewer
///
/// Starts babeltrace2 on the trace of a session on this machine, or on its relay daemon if it is a live session.
/// It takes the place of this command.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the session; without one the current session
    name: Option<String>,
    /// The viewer, with its options; the place of the trace is added as its last argument
    #[arg(short = 'e', long, value_name = "VIEWER")]
    viewer: Option<String>,
    /// Show the trace in this directory, of no session
    #[arg(short, long, value_name = "DIR")]
    trace_path: Option<String>,
    #[arg(hide = true)]
    extra: Vec<String>,
}

/// The viewers that are tried without `--viewer`.
const VIEWERS: [&str; 2] = ["babeltrace2", "babeltrace"];

/// How long the viewer of a live session sleeps when there is nothing to show, and shows nothing that comes
/// meanwhile. With a relay daemon of ours, which holds its answers back, it seldom does; one of stock's it asks as often.
const RETRY_US: u32 = 5000;

/// What is shown.
enum Trace {
    Directory(String),
    /// URL of a session at a relay daemon.
    Live(String),
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    if ui.xml {
        ui.warn("mi does not apply to view command");
    }
    no_more(context, &args.extra)?;
    let trace = match args.trace_path {
        Some(path) => Trace::Directory(path),
        None => {
            let name = current_session::or_current(ui, args.name)?;
            find(context, &name).await?
        }
    };
    Err(show(ui, &trace, args.viewer.as_deref()))
}

/// The trace of a session; says why there is none.
async fn find(context: &Context, name: &str) -> Result<Trace, Exit> {
    let ui = &context.ui;
    let session = match session(context, name).await {
        Ok(Some(session)) => session,
        Ok(None) => {
            ui.say(format_args!("Session name {name} not found"));
            return Err(Exit(status::ERROR));
        }
        Err(failure) => {
            ui.error(format_args!(
                "Unable to list sessions. Session name {name} not found."
            ));
            failure.say_detail(ui);
            ui.say("Is there a session daemon running?");
            return Err(Exit(status::ERROR));
        }
    };
    if session.active && session.live_timer_us == 0 {
        ui.warn(format_args!(
            "Session {name} is running. Please stop it before reading it."
        ));
        return Err(Exit(status::ERROR));
    }
    if session.snapshot {
        return snapshots(context, name).await;
    }
    let path = output_state::local_path(&session).map(str::to_owned);
    match session.output.and_then(|output| output.kind) {
        Some(Kind::LocalPath(setting)) => Ok(Trace::Directory(path.unwrap_or(setting))),
        Some(Kind::Relay(relay)) if session.live_timer_us != 0 => {
            Ok(Trace::Live(live_url(&relay.address, name)))
        }
        Some(Kind::Relay(relay)) => {
            ui.error(format_args!(
                "The trace of session {name} is at the relay daemon of {}",
                relay.address
            ));
            let path = session.output_state.unwrap_or_default().path;
            let path = if path.is_empty() { "it" } else { &path };
            ui.detail(format_args!(
                "read {path} there, below the output directory of the relay daemon"
            ));
            Err(Exit(status::ERROR))
        }
        Some(Kind::None(_)) | None => {
            Err(ui.fail(format_args!("Session {name} has no output to show")))
        }
    }
}

async fn session(context: &Context, name: &str) -> Result<Option<Session>, Failure> {
    let mut client = context.connect().await?;
    let answer = client.list_sessions(ListSessionsRequest {}).await?;
    let sessions = answer.into_inner().sessions;
    Ok(sessions.into_iter().find(|session| session.name == name))
}

/// Where the snapshots of a session are.
async fn snapshots(context: &Context, name: &str) -> Result<Trace, Exit> {
    let ui = &context.ui;
    let list = async {
        let mut client = context.connect().await?;
        let session = name.into();
        let request = ListSnapshotOutputsRequest { session };
        let answer = client.list_snapshot_outputs(request).await?;
        Ok::<_, Failure>(answer.into_inner().outputs)
    };
    let outputs = match list.await {
        Ok(outputs) => outputs,
        Err(failure) => {
            failure.say(ui, failure.text());
            return Err(Exit(status::ERROR));
        }
    };
    let mut kinds = outputs.into_iter().filter_map(|output| output.output?.kind);
    match kinds.next() {
        Some(Kind::LocalPath(path)) => Ok(Trace::Directory(path)),
        Some(Kind::Relay(relay)) => Err(ui.fail(format_args!(
            "The snapshots of session {name} are at the relay daemon of {}",
            relay.address
        ))),
        Some(Kind::None(_)) | None => Err(ui.fail(format_args!(
            "Session {name} has no snapshot output to show"
        ))),
    }
}

/// For the live protocol, at its default port.
fn live_url(address: &str, session: &str) -> String {
    let node = rustix::system::uname();
    let node = node.nodename().to_string_lossy();
    let address = match address.parse::<std::net::IpAddr>() {
        Ok(address) if address.is_loopback() => "localhost".into(),
        Ok(std::net::IpAddr::V6(address)) => format!("[{address}]"),
        _ => address.to_owned(),
    };
    format!("net://{address}/host/{node}/{session}")
}

/// Becomes the viewer; returns only if that fails.
fn show(ui: &Ui, trace: &Trace, viewer: Option<&str>) -> Exit {
    let (Trace::Directory(place) | Trace::Live(place)) = trace;
    // The output of the viewer may be read by another program.
    if io::stdout().is_terminal() {
        ui.say(format_args!("Trace directory: {place}\n"));
    }
    if let Some(viewer) = viewer {
        let mut words = viewer.split(' ').filter(|word| !word.is_empty());
        let Some(program) = words.next() else {
            return ui.fail("The viewer has no name");
        };
        let error = Command::new(program).args(words).arg(place).exec();
        return ui.fail(format_args!(
            "Failed to launch \"{program}\" viewer: {error}"
        ));
    }
    let mut problem = None;
    for program in VIEWERS {
        let mut command = Command::new(program);
        if let Trace::Live(_) = trace {
            command.args(["-i", "lttng-live"]);
            if program == VIEWERS[0] {
                command.arg(format!("--retry-duration={RETRY_US}"));
            }
        }
        let error = command.arg(place).exec();
        let absent = error.kind() == io::ErrorKind::NotFound;
        problem.get_or_insert((program, error));
        if !absent {
            break;
        }
    }
    let (program, error) = match problem {
        Some((program, error)) => (program, error.to_string()),
        None => (VIEWERS[0], String::new()),
    };
    ui.fail(format_args!(
        "Failed to launch \"{program}\" viewer: {error}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_urls_name_the_relay_daemon_and_the_target() {
        let node = rustix::system::uname();
        let node = node.nodename().to_str().unwrap();
        for (address, expected) in [
            ("127.0.0.1", "net://localhost/host/NODE/s"),
            ("10.0.0.2", "net://10.0.0.2/host/NODE/s"),
            ("fd00::1", "net://[fd00::1]/host/NODE/s"),
        ] {
            assert_eq!(live_url(address, "s"), expected.replace("NODE", node));
        }
    }
}
