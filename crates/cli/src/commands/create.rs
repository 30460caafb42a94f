//! `lttng create`.

use std::path::{Component, Path, PathBuf};
use std::{env, io};

use control::url::{self, UrlError};
use control::v1::output::Kind;
use control::v1::{CreateSessionRequest, CreateSessionResponse, Output, Session};

use crate::daemon::{Context, refuse};
use crate::mi::Document;
use crate::render::xml;
use crate::spawn;
use crate::ui::{Exit, Outcome, Ui, status};
use crate::{current_session, mi};

use super::network::{self, OnRelayLoss};
use super::{live, no_more};

/// Most bytes of a session name.
const MAX_NAME_BYTES: usize = 255;

/// Create a recording session
///
/// Creates an inactive session, makes it the current one, and starts a session daemon if none runs.
#[derive(Debug, clap::Args)]
#[command(after_long_help = network::WHICH_FORM)]
pub(crate) struct Args {
    /// Name of the session; without one the session daemon chooses `auto-DATE`
    name: Option<String>,
    /// Write the trace below this local directory
    #[arg(short, long, value_name = "DIR")]
    output: Option<String>,
    /// Send the trace to a relay daemon (net://HOST[:CONTROL_PORT[:DATA_PORT]][/SUBDIR]), or write it to a path
    #[arg(short = 'U', long, value_name = "URL")]
    set_url: Option<String>,
    /// Address of the relay daemon's control port (tcp://HOST[:PORT][/SUBDIR]); needs --data-url
    #[arg(short = 'C', long, value_name = "URL")]
    ctrl_url: Option<String>,
    /// Address of the relay daemon's data port (tcp://HOST[:PORT]); needs --ctrl-url
    #[arg(short = 'D', long, value_name = "URL")]
    data_url: Option<String>,
    /// Send the trace to the relay daemon of this host (default ports 5343 for data, 5342 for control)
    #[arg(
        long,
        visible_alias = "streaming",
        value_name = "HOST[:DATA_PORT:CTRL_PORT]"
    )]
    network: Option<String>,
    #[command(flatten)]
    on_relay_loss: OnRelayLoss,
    /// Do not send the trace anywhere: it stays in the buffers
    #[arg(long)]
    no_output: bool,
    #[arg(long, hide = true)]
    no_consumer: bool,
    /// Create a snapshot session: nothing leaves the buffers but by `lttng snapshot record`
    #[arg(long)]
    snapshot: bool,
    /// Create a live session, which can be read while it records: its data reach the relay daemon this often
    /// (default 1s). Without a URL, to a relay daemon on this machine, which is started if none runs
    #[arg(long, num_args = 0..=1, value_name = "PERIOD")]
    live: Option<Option<String>>,
    #[arg(long, hide = true, value_name = "DIR")]
    shm_path: Option<String>,
    #[arg(hide = true)]
    extra: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    if args.no_consumer {
        ui.say("The option --no-consumer is obsolete. Use --no-output now.");
        return Ok(Outcome::plain(status::WARNING));
    }
    let live = live::interval(ui, args.live.as_ref())?;
    let created = match create(args, live, context).await {
        Ok(created) => created,
        Err(Exit(status)) => return Ok(Outcome::new(status, document(None))),
    };
    say(ui, &created);
    let session = created.session.unwrap_or_default();
    let mut code = status::OK;
    if let Err(error) = current_session::set(&session.name) {
        ui.warn(format_args!(
            "the session was created, but cannot be made the current one: {error}"
        ));
        code = status::ERROR;
    }
    Ok(Outcome::new(code, document(Some(xml::session(&session)))))
}

fn say(ui: &Ui, created: &CreateSessionResponse) {
    let default = Session::default();
    let session = created.session.as_ref().unwrap_or(&default);
    let kind = match (session.snapshot, session.live_timer_us) {
        (true, _) => "Snapshot session",
        (false, 0) => "Session",
        (false, _) => "Live session",
    };
    ui.say(format_args!("{kind} {} created.", session.name));
    if let Some(output) = url::describe(session.output.as_ref()) {
        ui.say(format_args!("Traces will be output to {output}"));
    }
    if session.live_timer_us > 0 {
        let us = session.live_timer_us;
        ui.say(format_args!("Live timer interval set to {us} us"));
    }
    if let Some(output) = &created.snapshot_output {
        let (place, _) = url::describe_pair(output.output.as_ref());
        ui.say(format_args!("Default snapshot output set to {place}"));
    }
    if session.snapshot {
        ui.say(
            "Every channel enabled for this session will be set to mmap output and default to \
             overwrite mode.",
        );
    }
}

async fn create(
    args: Args,
    live: Option<u32>,
    context: &Context,
) -> Result<CreateSessionResponse, Exit> {
    let ui = &context.ui;
    no_more(context, &args.extra)?;
    if args.snapshot && live.is_some() {
        return Err(ui.fail("Snapshot and live modes are mutually exclusive."));
    }
    if args.shm_path.is_some() {
        ui.error("--shm-path comes with a later version of lttng-rs; nothing was created.");
        return Err(Exit(status::UNSUPPORTED));
    }
    check_name(ui, args.name.as_deref())?;
    let given = Destination {
        output: args.output.as_deref(),
        set_url: args.set_url.as_deref(),
        control_and_data: (args.ctrl_url.as_deref(), args.data_url.as_deref()),
        network: args.network.as_deref(),
        no_output: args.no_output,
    };
    let mut output = destination(ui, &given)?;
    let spawn_relay = live.is_some() && output.is_none();
    if live.is_some() {
        output = Some(live::output(ui, output)?);
    }
    let request = CreateSessionRequest {
        output,
        name: args.name.unwrap_or_default(),
        home: home(),
        count_events: false,
        relay_loss: args.on_relay_loss.value(ui)?.into(),
        live_timer_us: live.unwrap_or(0),
        snapshot: args.snapshot,
    };
    let mut client = spawn::connect_or_spawn(context).await?;
    if spawn_relay {
        spawn::ensure_relay(context)?;
    }
    match client.create_session(request).await {
        Ok(answer) => Ok(answer.into_inner()),
        Err(refused) => Err(refuse(ui, &refused.into())),
    }
}

fn document(session: Option<mi::Element>) -> Document {
    let success = session.is_some();
    Document::new("create", session, success)
}

/// Where the caller's files go by default.
pub(super) fn home() -> String {
    let home = places::home_directory().unwrap_or_default();
    home.to_string_lossy().into_owned()
}

fn check_name(ui: &Ui, name: Option<&str>) -> Result<(), Exit> {
    let Some(name) = name else {
        return Ok(());
    };
    if name.is_empty() {
        return Err(ui.fail("Invalid parameter"));
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(ui.fail(format_args!(
            "Session name too long. Length must be lower or equal to {MAX_NAME_BYTES}"
        )));
    }
    if name == "auto" || name.starts_with("auto-") {
        return Err(ui.fail("auto is a reserved keyword for default session(s)"));
    }
    Ok(())
}

/// The options that say where the trace goes.
pub(super) struct Destination<'a> {
    pub(super) output: Option<&'a str>,
    pub(super) set_url: Option<&'a str>,
    pub(super) control_and_data: (Option<&'a str>, Option<&'a str>),
    pub(super) network: Option<&'a str>,
    pub(super) no_output: bool,
}

/// The output for the request; `None` lets the daemon choose.
pub(super) fn destination(ui: &Ui, given: &Destination<'_>) -> Result<Option<Output>, Exit> {
    let resolver = &url::system_resolver;
    let pair = match given.control_and_data {
        (Some(control), Some(data)) => Some((control, data)),
        (None, None) => None,
        _ => return Err(ui.fail("Both control and data URLs must be specified.")),
    };
    let ways = [
        given.output.is_some(),
        given.set_url.is_some(),
        pair.is_some(),
        given.network.is_some(),
    ];
    if ways.into_iter().filter(|way| *way).count() > 1 {
        return Err(ui.fail(
            "Only one of the --set-url, --ctrl-url/data-url, or --output options may be used at once.",
        ));
    }
    if given.no_output {
        return Ok(Some(Output::none()));
    }
    if let Some(directory) = given.output {
        let path = absolute(Path::new(directory)).map_err(|error| {
            ui.fail(format_args!(
                "Cannot use the directory {directory}: {error}"
            ))
        })?;
        let Some(path) = path.to_str() else {
            return Err(ui.fail("The output directory's name is not UTF-8."));
        };
        return Ok(Some(Output::local(path)));
    }
    let result = if let Some(text) = given.set_url {
        url::set_url(text, resolver).map_err(|error| (error, text.to_owned()))
    } else if let Some((control, data)) = pair {
        url::control_and_data(control, data, resolver)
    } else if let Some(text) = given.network {
        let relay = network::relay(ui, text)?;
        return Ok(Some(Kind::Relay(relay).into()));
    } else {
        return Ok(None);
    };
    result
        .map(Some)
        .map_err(|(error, text)| refuse_url(ui, &error, &text))
}

fn refuse_url(ui: &Ui, error: &UrlError, text: &str) -> Exit {
    say_url_error(ui, error, text);
    if !matches!(error, UrlError::Refused(_)) {
        ui.error("Unrecognized URL format.");
        if *error == UrlError::Misplaced {
            ui.detail("use net://HOST for both streams, or tcp:// with --ctrl-url and --data-url");
        }
    }
    Exit(status::ERROR)
}

/// What is wrong with a URL, without the general line of the commands for sessions.
pub(super) fn say_url_error(ui: &Ui, error: &UrlError, text: &str) {
    if let Some(reason) = error.reason() {
        ui.error(reason);
    }
    match error {
        UrlError::Refused(why) => ui.detail(why),
        error if error.is_syntax() => ui.error(format_args!("Unable to parse the URL {text}")),
        _ => {}
    }
}

/// An absolute path without `.` and `..`: the part that exists has its symbolic links resolved, as `..` after
/// one means the link's target.
pub(super) fn absolute(path: &Path) -> io::Result<PathBuf> {
    if path.as_os_str().is_empty() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut out = if path.is_absolute() {
        PathBuf::from("/")
    } else {
        env::current_dir()?
    };
    for component in path.components() {
        match component {
            Component::ParentDir => {
                if let Ok(resolved) = out.canonicalize() {
                    out = resolved;
                }
                out.pop();
            }
            Component::Normal(name) => out.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_absolute() {
        let here = env::current_dir().unwrap();
        for (given, expected) in [
            ("/a/b/../c/./d", PathBuf::from("/a/c/d")),
            ("/..", PathBuf::from("/")),
            ("x/y/../z", here.join("x/z")),
        ] {
            assert_eq!(absolute(Path::new(given)).unwrap(), expected, "{given}");
        }
        assert!(absolute(Path::new("")).is_err());
    }
}
