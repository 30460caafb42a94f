//! `lttng record`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use control::Client;
use control::url;
use control::v1::output::Kind;
use control::v1::{
    BufferType, ChannelAttributes, CreateSessionRequest, DestroySessionRequest,
    DestroySessionResponse, Domain, EnableChannelRequest, EnableEventRequest, EventKind, EventRule,
    LogLevelType, OutputState, Session, StartSessionRequest, StopSessionRequest,
};
use rustix::fs::{Access, access};
use rustix::process::{Pid, Signal, getpgrp, kill_process};
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

use crate::daemon::{Context, Failure};
use crate::render::losses;
use crate::spawn;
use crate::ui::{Exit, Outcome, Ui, status};

use super::create::{Destination, destination, home};
use super::network::OnRelayLoss;

/// Statuses of shells for a command that is not found or cannot be executed.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// The channel that everything goes to.
const CHANNEL: &str = "channel0";

/// Record a command: create, enable, start, run, stop and destroy in one go
///
/// Records what a command does: creates a session, enables the events, starts, runs the command, stops,
/// destroys, and says where the trace is and what it holds. Ends with the command's status.
#[derive(Debug, clap::Args)]
#[command(override_usage = "lttng record [OPTIONS] -- COMMAND [ARGUMENT]...")]
pub(crate) struct Args {
    /// Record the kernel: without --event and --syscall the scheduler, system calls, interrupts and block requests
    #[arg(short, long)]
    kernel: bool,
    /// Record applications: the default, and with -k beside the kernel
    #[arg(short, long)]
    userspace: bool,
    /// Event to record, a name or a pattern with `*`; may be given more than once (default: all)
    #[arg(short, long = "event", value_name = "EVENT")]
    events: Vec<String>,
    /// System call to record, a name or a pattern with `*`; may be given more than once
    #[arg(long = "syscall", value_name = "CALL", requires = "kernel")]
    syscalls: Vec<String>,
    /// Write the trace below this local directory
    #[arg(short, long, value_name = "DIR")]
    output: Option<String>,
    /// Send the trace to the relay daemon of this host (default ports 5343 for data, 5342 for control)
    #[arg(
        long,
        visible_alias = "streaming",
        value_name = "HOST[:DATA_PORT:CTRL_PORT]"
    )]
    network: Option<String>,
    #[command(flatten)]
    on_relay_loss: OnRelayLoss,
    /// Send the trace to a relay daemon (net://HOST[:CONTROL_PORT[:DATA_PORT]][/SUBDIR]), or write it to a path
    #[arg(short = 'U', long, value_name = "URL")]
    set_url: Option<String>,
    /// Give each process its own buffers
    #[arg(long, visible_alias = "buffers-pid")]
    pid_buffers: bool,
    /// The command and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    command: Vec<OsString>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    let output = destination(
        ui,
        &Destination {
            output: args.output.as_deref(),
            set_url: args.set_url.as_deref(),
            control_and_data: (None, None),
            network: args.network.as_deref(),
            no_output: false,
        },
    )?;
    let relay_loss = args.on_relay_loss.value(ui)?;
    let (program, rest) = args.command.split_first().ok_or(Exit(status::UNDEFINED))?;
    let path = find_program(ui, program)?;
    // Before anything else: from here on Ctrl-C must not leave a session behind.
    let mut signals = Signals::new(ui)?;
    // Its progress would mix with what the command writes to stdout.
    let quiet_stdout = Context {
        ui: Ui {
            quiet: ui.quiet,
            xml: true,
            ..ui.clone()
        },
        ..context.clone()
    };
    let mut client = spawn::connect_or_spawn(&quiet_stdout).await?;
    let request = CreateSessionRequest {
        name: session_name(program),
        output,
        home: home(),
        count_events: true,
        relay_loss: relay_loss.into(),
        ..CreateSessionRequest::default()
    };
    let session = match client.create_session(request).await {
        Ok(answer) => answer.into_inner().session.unwrap_or_default(),
        Err(refused) => return Err(refuse(ui, "create a session", &refused.into())),
    };
    let name = session.name.clone();
    if let Err((what, failure)) = prepare(&mut client, &name, &args).await {
        let exit = refuse(ui, what, &failure);
        let _ = finish(ui, &mut client, &name, false).await;
        return Err(exit);
    }
    let where_to = url::describe(session.output.as_ref()).unwrap_or_default();
    ui.stderr(format_args!("lttng record: recording to {where_to}"));
    let spawned = tokio::process::Command::new(&path)
        .arg0(program)
        .args(rest)
        .spawn();
    let ended = match spawned {
        Ok(child) => signals.wait(child).await,
        Err(error) => {
            ui.error(format_args!("Cannot run {}: {error}", program.display()));
            let _ = finish(ui, &mut client, &name, false).await;
            return Err(Exit(NOT_EXECUTABLE));
        }
    };
    let code = match ended {
        Ok(ended) => exit_code(ended),
        Err(error) => {
            ui.error(format_args!(
                "Cannot wait for {}: {error}",
                program.display()
            ));
            status::ERROR
        }
    };
    match finish(ui, &mut client, &name, true).await {
        Ok(answer) => say_summary(ui, &session, &answer),
        Err(failure) => {
            refuse(ui, "destroy the session", &failure);
            return Ok(Outcome::plain(if code == 0 { status::ERROR } else { code }));
        }
    }
    Ok(Outcome::plain(code))
}

/// Program and our process id: unlike the daemon's `auto-DATE`, never the same for two runs within a second,
/// whose traces would end up in one directory.
fn session_name(program: &OsStr) -> String {
    let name = Path::new(program)
        .file_name()
        .unwrap_or(OsStr::new("command"));
    let name: String = name.to_string_lossy().chars().take(40).collect();
    format!("{name}-{}", std::process::id())
}

fn refuse(ui: &Ui, what: &str, failure: &Failure) -> Exit {
    failure.say(ui, format_args!("Cannot {what}: {}", failure.text()));
    Exit(status::ERROR)
}

/// Channel, rules, start. The error says what was being done.
async fn prepare(
    client: &mut Client,
    session: &str,
    args: &Args,
) -> Result<(), (&'static str, Failure)> {
    let user_space = args.userspace || !args.kernel;
    if args.kernel {
        prepare_kernel(client, session, &kernel_events(args, user_space)).await?;
    }
    if user_space {
        prepare_user_space(client, session, args).await?;
    }
    let request = StartSessionRequest {
        name: session.into(),
    };
    let started = client.start_session(request).await;
    started.map_err(|refused| ("start tracing", refused.into()))?;
    Ok(())
}

/// What analyses of a system look at first.
const KERNEL_EVENTS: [(&str, EventKind); 5] = [
    ("sched_*", EventKind::Tracepoint),
    ("irq_*", EventKind::Tracepoint),
    ("block_rq_*", EventKind::Tracepoint),
    ("signal_*", EventKind::Tracepoint),
    ("*", EventKind::Syscall),
];

fn kernel_events(args: &Args, user_space: bool) -> Vec<(&str, EventKind)> {
    // With both domains, the names are those of applications.
    let events = args.events.iter().filter(|_| !user_space);
    let events = events.map(|name| (name.as_str(), EventKind::Unspecified));
    let calls = args.syscalls.iter();
    let calls = calls.map(|call| (call.as_str(), EventKind::Syscall));
    let named: Vec<_> = events.chain(calls).collect();
    match named.is_empty() {
        true => KERNEL_EVENTS.to_vec(),
        false => named,
    }
}

async fn prepare_kernel(
    client: &mut Client,
    session: &str,
    events: &[(&str, EventKind)],
) -> Result<(), (&'static str, Failure)> {
    for (name, kind) in events {
        let request = EnableEventRequest {
            session: session.into(),
            domain: Domain::Kernel.into(),
            channel: CHANNEL.into(),
            rule: Some(EventRule {
                name: (*name).into(),
                log_level: -1,
                kind: (*kind).into(),
                ..EventRule::default()
            }),
        };
        let enabled = client.enable_event(request).await;
        enabled.map_err(|refused| ("enable a kernel event", refused.into()))?;
    }
    Ok(())
}

async fn prepare_user_space(
    client: &mut Client,
    session: &str,
    args: &Args,
) -> Result<(), (&'static str, Failure)> {
    let buffer_type = if args.pid_buffers {
        BufferType::PerPid
    } else {
        BufferType::PerUid
    };
    let request = EnableChannelRequest {
        session: session.into(),
        domain: Domain::Ust.into(),
        channel: CHANNEL.into(),
        attributes: Some(ChannelAttributes::default()),
        buffer_type: buffer_type.into(),
    };
    let channel = client.enable_channel(request).await;
    channel.map_err(|refused| ("create the channel", refused.into()))?;
    let all = ["*".to_owned()];
    let events = if args.events.is_empty() {
        &all[..]
    } else {
        &args.events
    };
    for event in events {
        let request = EnableEventRequest {
            session: session.into(),
            domain: Domain::Ust.into(),
            channel: CHANNEL.into(),
            rule: Some(EventRule {
                name: event.clone(),
                log_level_type: LogLevelType::All.into(),
                log_level: -1,
                ..EventRule::default()
            }),
        };
        let enabled = client.enable_event(request).await;
        enabled.map_err(|refused| ("enable an event", refused.into()))?;
    }
    Ok(())
}

/// Stops if wanted, and destroys.
async fn finish(
    ui: &Ui,
    client: &mut Client,
    name: &str,
    stop: bool,
) -> Result<DestroySessionResponse, Failure> {
    if stop {
        let request = StopSessionRequest {
            name: name.into(),
            no_wait: false,
        };
        // The session is destroyed in any case; that reports what matters.
        if let Err(refused) = client.stop_session(request).await {
            refuse(ui, "stop tracing", &refused.into());
        }
    }
    let request = DestroySessionRequest {
        name: name.into(),
        no_wait: false,
    };
    Ok(client.destroy_session(request).await?.into_inner())
}

/// Where the trace is: a local directory, or a path on a relay daemon.
fn place(session: &Session, state: &OutputState) -> String {
    let kind = session
        .output
        .as_ref()
        .and_then(|output| output.kind.as_ref());
    match kind {
        Some(Kind::Relay(relay)) => {
            let address = if relay.ipv6 {
                format!("[{}]", relay.address)
            } else {
                relay.address.clone()
            };
            let port = relay.control_port;
            let path = if state.path.is_empty() {
                "its output"
            } else {
                &state.path
            };
            format!("{path} of the relay daemon at {address}:{port}")
        }
        _ if state.path.is_empty() => url::describe(session.output.as_ref()).unwrap_or_default(),
        _ => state.path.clone(),
    }
}

fn say_summary(ui: &Ui, session: &Session, answer: &DestroySessionResponse) {
    let state = answer.output_state.clone().unwrap_or_default();
    let place = place(session, &state);
    let counters = answer.counters.unwrap_or_default();
    ui.stderr(format_args!("lttng record: trace in {place}"));
    ui.stderr(format_args!(
        "lttng record: {} events, {} bytes; {} events discarded, {} packets lost",
        counters.events, counters.bytes, counters.discarded_events, counters.lost_packets
    ));
    if let Some(given_up) = &answer.given_up {
        losses::warn_of_given_up(ui, &session.name, given_up);
    }
}

fn exit_code(ended: ExitStatus) -> u8 {
    let code = ended
        .code()
        .or_else(|| ended.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(status::ERROR)
}

/// Finds the program as a shell does, before anything is created for it.
fn find_program(ui: &Ui, program: &OsStr) -> Result<PathBuf, Exit> {
    let named = Path::new(program);
    let candidates: Vec<PathBuf> = if program.as_encoded_bytes().contains(&b'/') {
        vec![named.into()]
    } else {
        let directories = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&directories)
            .map(|directory| directory.join(named))
            .collect()
    };
    let files: Vec<_> = candidates
        .into_iter()
        .filter(|path| path.is_file())
        .collect();
    let runs = |path: &&PathBuf| access(path.as_path(), Access::EXEC_OK).is_ok();
    if let Some(path) = files.iter().find(runs) {
        return Ok(path.clone());
    }
    if files.is_empty() {
        ui.error(format_args!("Command not found: {}", program.display()));
        Err(Exit(NOT_FOUND))
    } else {
        ui.error(format_args!(
            "Permission denied: {} is not executable",
            program.display()
        ));
        Err(Exit(NOT_EXECUTABLE))
    }
}

/// Interrupt, hang-up and termination, which end the command and not us.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new(ui: &Ui) -> Result<Self, Exit> {
        let watch = |kind| {
            signal(kind).map_err(|error| ui.fail(format_args!("Cannot watch signals: {error}")))
        };
        Ok(Self {
            interrupt: watch(SignalKind::interrupt())?,
            quit: watch(SignalKind::quit())?,
            hang_up: watch(SignalKind::hangup())?,
            terminate: watch(SignalKind::terminate())?,
        })
    }

    /// Waits for the end of the command and passes on what the terminal has not sent to it already.
    async fn wait(&mut self, mut child: Child) -> std::io::Result<ExitStatus> {
        loop {
            let (signal, from_keyboard) = tokio::select! {
                ended = child.wait() => return ended,
                _ = self.interrupt.recv() => (Signal::INT, true),
                _ = self.quit.recv() => (Signal::QUIT, true),
                _ = self.hang_up.recv() => (Signal::HUP, false),
                _ = self.terminate.recv() => (Signal::TERM, false),
            };
            if from_keyboard && in_foreground() {
                continue;
            }
            let id = child
                .id()
                .and_then(|id| i32::try_from(id).ok())
                .and_then(Pid::from_raw);
            if let Some(id) = id {
                // It may have ended meanwhile; then the wait says so.
                let _ = kill_process(id, signal);
            }
        }
    }
}

/// Whether the terminal sends its keyboard's signals to our process group, and so to the command.
fn in_foreground() -> bool {
    std::fs::File::open("/dev/tty").is_ok_and(|terminal| {
        rustix::termios::tcgetpgrp(terminal).is_ok_and(|group| group == getpgrp())
    })
}
