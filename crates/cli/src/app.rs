//! The command line as a whole: global options, then one command.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{FromArgMatches, Parser, Subcommand};

use crate::commands::{self, Command, version};
use crate::daemon::Context;
use crate::ui::{Exit, Outcome, Ui, status};

/// Upstream's status of an unknown format of the machine interface: its error code 91, negative, in 8 bits.
const MI_FORMAT_STATUS: u8 = 165;

/// Upstream's status of a document that could not be written.
const MI_WRITE_STATUS: u8 = 92;

/// Global options.
#[derive(Debug, clap::Args)]
struct Globals {
    /// Show the version
    #[arg(short = 'V', long)]
    version: bool,
    /// Show this help
    #[arg(short, long)]
    help: bool,
    /// Group whose members may use the root session daemon
    #[arg(short, long, default_value = "tracing", value_name = "GROUP")]
    group: String,
    /// Show what the command does; up to three times
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Show no message, not even of errors
    #[arg(short, long)]
    quiet: bool,
    /// Print a machine-readable document (xml)
    #[arg(short, long, value_name = "TYPE")]
    mi: Option<String>,
    /// Do not start a session daemon
    #[arg(short, long)]
    no_sessiond: bool,
    /// The session daemon to start
    #[arg(long, value_name = "PATH")]
    sessiond_path: Option<String>,
    /// The relay daemon to start for a live session
    #[arg(long, value_name = "PATH")]
    relayd_path: Option<String>,
    /// List the global options
    #[arg(long)]
    list_options: bool,
    /// List the commands
    #[arg(long)]
    list_commands: bool,
}

/// Control LTTng recording sessions and show what can be recorded.
#[derive(Debug, Parser)]
#[command(name = "lttng", allow_external_subcommands = true)]
#[command(
    disable_help_subcommand = true,
    disable_version_flag = true,
    disable_help_flag = true
)]
#[command(args_override_self = true)]
struct Line {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    rest: Option<Rest>,
}

/// The command and its arguments, read in a second step: errors before and in a command differ.
#[derive(Debug, Subcommand)]
enum Rest {
    #[command(external_subcommand)]
    Words(Vec<OsString>),
}

/// Global options and all commands: for help and completion.
pub(crate) fn full_command() -> clap::Command {
    let globals = <Globals as clap::Args>::augment_args(clap::Command::new("lttng"));
    Command::augment_subcommands(globals)
        .about("Control LTTng recording sessions and show what can be recorded")
        .disable_help_subcommand(true)
        .disable_version_flag(true)
        .disable_help_flag(true)
}

/// The commands alone, each of which lets the last of two equal options win.
fn commands() -> clap::Command {
    Command::augment_subcommands(clap::Command::new("lttng"))
        .disable_help_subcommand(true)
        .mut_subcommands(|command| command.args_override_self(true))
}

/// Does what the arguments say and returns the exit status.
pub(crate) fn run(arguments: Vec<OsString>) -> u8 {
    let line = match Line::try_parse_from(arguments) {
        Ok(line) => line,
        Err(error) => return refuse_globals(&error),
    };
    let Line { globals, rest } = line;
    let ui = Ui {
        quiet: globals.quiet,
        xml: globals.mi.is_some(),
        verbose: globals.verbose,
    };
    if let Some(format) = &globals.mi
        && !format
            .get(..3)
            .is_some_and(|start| start.eq_ignore_ascii_case("xml"))
    {
        ui.error("MI output format not supported");
        return MI_FORMAT_STATUS;
    }
    if let Some(status) = run_global(&ui, &globals) {
        return status;
    }
    let Some(Rest::Words(words)) = rest else {
        if std::env::args_os().nth(1).is_none() {
            ui.print(usage());
        }
        return status::ERROR;
    };
    let command = match parse_command(&ui, &words) {
        Ok(command) => command,
        Err(Exit(status)) => return status,
    };
    let context = Context {
        ui,
        group: globals.group,
        no_sessiond: globals.no_sessiond,
        sessiond_path: globals.sessiond_path,
        relayd_path: globals.relayd_path,
    };
    finish(&context, execute(command, &context))
}

/// The options that are commands of their own.
fn run_global(ui: &Ui, globals: &Globals) -> Option<u8> {
    if globals.version {
        ui.print(format_args!(
            "lttng (LTTng Trace Control) {} - {}",
            version::COMPATIBLE,
            version::NAME
        ));
    } else if globals.help {
        ui.print(full_command().render_long_help().to_string().trim_end());
    } else if globals.list_options {
        print_options(ui, &full_command());
    } else if globals.list_commands {
        for command in commands().get_subcommands() {
            ui.print(command.get_name());
        }
    } else {
        return None;
    }
    Some(status::OK)
}

fn parse_command(ui: &Ui, words: &[OsString]) -> Result<Command, Exit> {
    let mut all = commands();
    let name = words
        .first()
        .and_then(|word| word.to_str())
        .unwrap_or_default();
    let Some(command) = all.find_subcommand(name) else {
        ui.say(format_args!(
            "lttng: {name} is not an lttng command. See 'lttng --help'."
        ));
        return Err(Exit(status::UNDEFINED));
    };
    let options_end = words
        .iter()
        .position(|word| word == "--")
        .unwrap_or(words.len());
    if words[..options_end]
        .iter()
        .any(|word| word == "--list-options")
    {
        print_options(ui, command);
        return Err(Exit(status::OK));
    }
    let program = OsString::from("lttng");
    let parsed = all.try_get_matches_from_mut(std::iter::once(&program).chain(words));
    match parsed.and_then(|matches| Command::from_arg_matches(&matches)) {
        Ok(command) => Ok(command),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            ui.print(error.to_string().trim_end());
            Err(Exit(status::OK))
        }
        Err(error) => {
            ui.error(format_args!(
                "Unrecognized argument used with '{name}' command"
            ));
            ui.detail(first_line(&error));
            Err(Exit(status::UNDEFINED))
        }
    }
}

/// The sentence of the parser, without its prefix and its hints.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    text.lines()
        .take_while(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Says it as getopt does.
fn refuse_globals(error: &clap::Error) -> u8 {
    let argument = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => argument.split(' ').next().unwrap_or_default(),
        _ => "",
    };
    let message = match (error.kind(), argument.strip_prefix('-')) {
        (ErrorKind::UnknownArgument, Some(short)) if !short.starts_with('-') => {
            format!("invalid option -- '{short}'")
        }
        (ErrorKind::UnknownArgument, _) => format!("unrecognized option '{argument}'"),
        (ErrorKind::InvalidValue | ErrorKind::TooFewValues, _) => {
            format!("option '{argument}' requires an argument")
        }
        _ => first_line(error),
    };
    Ui::default().stderr(format_args!("lttng: {message}"));
    status::ERROR
}

fn print_options(ui: &Ui, command: &clap::Command) {
    ui.print("--help\n-h");
    for option in command.get_opts() {
        if let Some(long) = option.get_long().filter(|long| *long != "help") {
            ui.print(format_args!("--{long}"));
            for alias in option.get_visible_aliases().unwrap_or_default() {
                ui.print(format_args!("--{alias}"));
            }
            if let Some(short) = option.get_short() {
                ui.print(format_args!("-{short}"));
            }
        }
    }
    if command
        .get_opts()
        .all(|option| option.get_long() != Some("list-options"))
    {
        ui.print("--list-options");
    }
}

fn execute(command: Command, context: &Context) -> Result<Outcome, Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(commands::run(command, context)),
        Err(error) => Err(context.ui.fail(format_args!("Cannot start: {error}"))),
    }
}

fn finish(context: &Context, result: Result<Outcome, Exit>) -> u8 {
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(Exit(status)) => return status,
    };
    if let (true, Some(document)) = (context.ui.xml, &outcome.document)
        && let Err(error) = context.ui.deliver(document.render())
    {
        context
            .ui
            .error(format_args!("Cannot write the document: {error}"));
        return MI_WRITE_STATUS;
    }
    outcome.status
}

/// What `lttng` alone prints: the commands by subject.
fn usage() -> String {
    const GROUPS: [(&str, &[&str]); 9] = [
        (
            "Recording sessions",
            &[
                "clear",
                "create",
                "destroy",
                "load",
                "record",
                "save",
                "set-session",
            ],
        ),
        (
            "Channels",
            &["add-context", "disable-channel", "enable-channel"],
        ),
        ("Recording event rules", &["disable-event", "enable-event"]),
        (
            "Streaming",
            &["enable-streaming", "disable-streaming", "session", "set"],
        ),
        ("Status", &["list", "status"]),
        ("Control", &["regenerate", "snapshot", "start", "stop"]),
        (
            "Recording session rotation",
            &["disable-rotation", "enable-rotation", "rotate"],
        ),
        ("Resource tracking", &["track", "untrack"]),
        (
            "Miscellaneous",
            &["completion", "help", "metadata", "version", "view"],
        ),
    ];
    let commands = commands();
    let mut out = String::from(
        "Usage: lttng [--group=GROUP] [--mi=TYPE] [--no-sessiond | --sessiond-path=PATH]\n\
         \x20            [--quiet | -v | -vv | -vvv] COMMAND [COMMAND OPTIONS]\n\nAvailable commands:\n",
    );
    for (heading, names) in GROUPS {
        out.push_str(&format!("\n{heading}:\n"));
        for name in names {
            let about = commands
                .find_subcommand(name)
                .and_then(clap::Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            out.push_str(&format!("  {name:<18}{about}\n"));
        }
    }
    out.push_str(
        "\nRun `lttng help COMMAND` or `lttng COMMAND --help` to get help with\ncommand COMMAND.",
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        full_command().debug_assert();
        commands().debug_assert();
    }

    #[test]
    fn every_command_is_in_the_usage() {
        let usage = usage();
        for command in commands().get_subcommands() {
            let name = command.get_name();
            assert!(usage.contains(&format!("\n  {name} ")), "{name}");
            assert!(command.get_about().is_some(), "{name}");
        }
    }
}
