//! One file per command: its options, its help, and the request it makes.

pub(crate) mod add_context;
mod chosen;
pub(crate) mod clear;
pub(crate) mod completion;
pub(crate) mod create;
pub(crate) mod destroy;
pub(crate) mod disable_channel;
pub(crate) mod disable_event;
pub(crate) mod disable_rotation;
pub(crate) mod disable_streaming;
pub(crate) mod domain;
pub(crate) use domain::Domain;
pub(crate) mod enable_channel;
pub(crate) mod enable_event;
pub(crate) mod enable_rotation;
pub(crate) mod enable_streaming;
pub(crate) mod help;
pub(crate) mod list;
mod live;
pub(crate) mod load;
mod network;
pub(crate) mod record;
pub(crate) mod regenerate;
pub(crate) mod rotate;
mod rotation_schedule;
pub(crate) mod save;
pub(crate) mod session;
pub(crate) mod set;
pub(crate) mod set_session;
pub(crate) mod snapshot;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod track;
mod tracking;
pub(crate) mod untrack;
pub(crate) mod version;
pub(crate) mod view;
mod waiting;

use crate::daemon::Context;
use crate::ui::{Exit, Outcome};

/// The commands, in the order of `--list-commands`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    AddContext(add_context::Args),
    Completion(completion::Args),
    Create(create::Args),
    Clear(clear::Args),
    Destroy(destroy::Args),
    DisableChannel(disable_channel::Args),
    DisableEvent(disable_event::Args),
    DisableStreaming(disable_streaming::Args),
    EnableChannel(enable_channel::Args),
    EnableEvent(enable_event::Args),
    EnableStreaming(enable_streaming::Args),
    Help(help::Args),
    List(list::Args),
    Load(load::Args),
    Metadata(regenerate::MetadataArgs),
    Record(record::Args),
    Regenerate(regenerate::Args),
    Rotate(rotate::Args),
    EnableRotation(enable_rotation::Args),
    DisableRotation(disable_rotation::Args),
    Save(save::Args),
    Session(session::Args),
    Set(set::Args),
    SetSession(set_session::Args),
    Snapshot(snapshot::Args),
    Start(start::Args),
    Status(status::Args),
    Stop(stop::Args),
    Track(track::Args),
    Untrack(untrack::Args),
    Version(version::Args),
    View(view::Args),
}

/// Does what the command says.
pub(crate) async fn run(command: Command, context: &Context) -> Result<Outcome, Exit> {
    match command {
        Command::AddContext(args) => add_context::run(args, context).await,
        Command::Completion(args) => completion::run(&args),
        Command::Create(args) => create::run(args, context).await,
        Command::Clear(args) => clear::run(args, context).await,
        Command::Destroy(args) => destroy::run(args, context).await,
        Command::DisableChannel(args) => disable_channel::run(args, context).await,
        Command::DisableEvent(args) => disable_event::run(args, context).await,
        Command::DisableStreaming(args) => disable_streaming::run(args, context).await,
        Command::EnableChannel(args) => enable_channel::run(args, context).await,
        Command::EnableEvent(args) => enable_event::run(args, context).await,
        Command::EnableStreaming(args) => enable_streaming::run(args, context).await,
        Command::Help(args) => help::run(&args, context),
        Command::List(args) => list::run(args, context).await,
        Command::Load(args) => load::run(args, context).await,
        Command::Metadata(args) => regenerate::run_metadata(args, context).await,
        Command::Record(args) => record::run(args, context).await,
        Command::Regenerate(args) => regenerate::run(args, context).await,
        Command::Rotate(args) => rotate::run(args, context).await,
        Command::EnableRotation(args) => enable_rotation::run(args, context).await,
        Command::DisableRotation(args) => disable_rotation::run(args, context).await,
        Command::Save(args) => save::run(args, context).await,
        Command::Session(args) => session::run(args, context).await,
        Command::Set(args) => set::run(args, context).await,
        Command::SetSession(args) => set_session::run(args, context).await,
        Command::Snapshot(args) => snapshot::run(args, context).await,
        Command::Start(args) => start::run(args, context).await,
        Command::Status(args) => status::run(args, context).await,
        Command::Stop(args) => stop::run(args, context).await,
        Command::Track(args) => track::run(args, context).await,
        Command::Untrack(args) => untrack::run(args, context).await,
        Command::Version(_) => version::run(context),
        Command::View(args) => view::run(args, context).await,
    }
}

/// Refuses a second positional argument, as upstream words it.
fn no_more(context: &Context, extra: &[String]) -> Result<(), Exit> {
    match extra.first() {
        Some(word) => Err(context.ui.fail(format_args!("Unknown argument: {word}"))),
        None => Ok(()),
    }
}

/// The session that a command names, `None` for all; more words are refused.
fn one_or_all(
    context: &Context,
    all: bool,
    name: Option<&String>,
    extra: &[String],
) -> Result<Option<String>, Exit> {
    let name = if all {
        no_more(context, name.map_or(&[], std::slice::from_ref))?;
        None
    } else {
        name.cloned()
    };
    no_more(context, extra)?;
    Ok(name)
}

/// The names of a list with commas; empty ones are skipped.
fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').filter(|name| !name.is_empty())
}
