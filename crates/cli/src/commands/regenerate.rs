//! `lttng regenerate`, and `lttng metadata` as an older spelling of it.

use control::v1::RegenerateRequest;
use control::v1::regenerate_request::What;

use crate::current_session;
use crate::daemon::{Context, Failure};
use crate::mi::{Document, Element};
use crate::ui::{Exit, Outcome, Ui, status};

/// Write again what a trace begins with
///
/// metadata: the description of the trace, for instance after the clock was set. statedump: the state of the
/// traced processes, which readers need when the beginning of a trace is gone.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// metadata or statedump
    #[arg(value_name = "metadata|statedump")]
    what: Option<String>,
    #[command(flatten)]
    options: Options,
}

/// Write the metadata of a trace again (deprecated: use regenerate metadata)
#[derive(Debug, clap::Args)]
pub(crate) struct MetadataArgs {
    /// regenerate
    #[arg(value_name = "regenerate")]
    action: Option<String>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, clap::Args)]
struct Options {
    /// Name of the session; without it the current session
    #[arg(short, long)]
    session: Option<String>,
    /// List what can be done
    #[arg(long)]
    list_commands: bool,
    #[arg(hide = true)]
    extra: Vec<String>,
}

/// How a command words it.
struct Wording {
    command: &'static str,
    /// The element in the document.
    element: &'static str,
    /// What stands for what can be done.
    actions: &'static [(&'static str, What)],
    missing: &'static str,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    let wording = Wording {
        command: "regenerate",
        element: "regenerate_action",
        actions: &[("metadata", What::Metadata), ("statedump", What::Statedump)],
        missing: "No object specified for regenerate command.",
    };
    act(context, &wording, args.what, args.options).await
}

pub(crate) async fn run_metadata(args: MetadataArgs, context: &Context) -> Result<Outcome, Exit> {
    let wording = Wording {
        command: "metadata",
        element: "metadata_action",
        actions: &[("regenerate", What::Metadata)],
        missing: "No action specified for metadata command.",
    };
    act(context, &wording, args.action, args.options).await
}

async fn act(
    context: &Context,
    wording: &Wording,
    action: Option<String>,
    options: Options,
) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    if options.list_commands {
        for (name, _) in wording.actions {
            ui.print(name);
        }
        return Ok(Outcome::plain(status::OK));
    }
    let session = current_session::or_current(ui, options.session)?;
    let failed = |code| {
        let document = Document::new(wording.command, [], false);
        Ok(Outcome::new(code, document))
    };
    let Some(action) = action else {
        ui.error(wording.missing);
        return failed(status::ERROR);
    };
    let known = wording.actions.iter().find(|(name, _)| *name == action);
    let (Some((name, what)), None) = (known, options.extra.first()) else {
        ui.error(format_args!(
            "Unrecognized argument used with '{}' command",
            wording.command
        ));
        return failed(status::UNDEFINED);
    };
    let result = regenerate(context, &session, *what).await;
    let code = say(ui, &session, *what, &result);
    let element = Element::new(wording.element, [Element::text("name", name)]);
    let document = Document::new(wording.command, [element], result.is_ok());
    Ok(Outcome::new(code, document))
}

async fn regenerate(context: &Context, session: &str, what: What) -> Result<(), Failure> {
    let mut client = context.connect().await?;
    let request = RegenerateRequest {
        session: session.into(),
        what: what.into(),
    };
    client.regenerate(request).await?;
    Ok(())
}

fn say(ui: &Ui, session: &str, what: What, result: &Result<(), Failure>) -> u8 {
    match (result, what) {
        (Ok(()), What::Statedump) => ui.say(format_args!(
            "State dump successfully regenerated for session {session}"
        )),
        (Ok(()), _) => ui.say(format_args!(
            "Metadata successfully regenerated for session {session}"
        )),
        // Upstream's command says nothing then.
        (Err(failure), What::Statedump) => return failure.status(),
        (Err(failure), _) => {
            failure.say(ui, failure.text());
            return failure.status();
        }
    }
    status::OK
}
