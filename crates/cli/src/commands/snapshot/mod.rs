//! `lttng snapshot`: one file for what changes the outputs, one for recording.

mod outputs;
mod record;
mod target;

use crate::current_session;
use crate::daemon::{Context, Failure};
use crate::mi::{Document, Element};
use crate::ui::{Exit, Outcome, status};

use target::Target;

/// Record snapshots of a session, and set where they go
///
/// add-output URL: where snapshots go by default, a path or a relay daemon. del-output ID|NAME: takes it back.
/// list-output: shows it. record [URL]: writes what the buffers of the session hold, to that place or the
/// default one.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to do
    #[arg(value_name = "add-output|del-output|list-output|record")]
    action: Option<String>,
    /// A path or URL, or the id or name of an output
    #[arg(value_name = "URL|ID|NAME")]
    value: Option<String>,
    /// Name of the session; without it the current session
    #[arg(short, long)]
    session: Option<String>,
    /// Address of the relay daemon's control port (tcp://HOST[:PORT][/SUBDIR]); needs --data-url
    #[arg(short = 'C', long, value_name = "URL")]
    ctrl_url: Option<String>,
    /// Address of the relay daemon's data port (tcp://HOST[:PORT]); needs --ctrl-url
    #[arg(short = 'D', long, value_name = "URL")]
    data_url: Option<String>,
    /// Name of the output, or of this snapshot
    #[arg(short, long)]
    name: Option<String>,
    /// Most bytes of one snapshot (with a suffix k, M, G); unlimited without it
    #[arg(short, long, value_name = "SIZE")]
    max_size: Option<String>,
    /// List what can be done
    #[arg(long)]
    list_commands: bool,
    #[arg(hide = true)]
    extra: Vec<String>,
}

const ACTIONS: [&str; 4] = ["add-output", "del-output", "list-output", "record"];

/// Why an action was not done; what there is to say is said.
#[derive(Debug)]
struct Refused;

type Done = Result<Element, Refused>;

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    if args.list_commands {
        for name in ACTIONS {
            ui.print(name);
        }
        return Ok(Outcome::plain(status::OK));
    }
    let target = Target::of(ui, &args)?;
    let session = current_session::or_current(ui, args.session)?;
    let Some(action) = args.action else {
        ui.error("No action specified for snapshot command.");
        return Ok(ended(status::ERROR, None));
    };
    let Some(action) = ACTIONS.into_iter().find(|name| *name == action) else {
        ui.error("Unrecognized argument used with 'snapshot' command");
        return Ok(ended(status::UNDEFINED, None));
    };
    let done = match action {
        "add-output" => outputs::add(context, &session, &target).await,
        "del-output" => outputs::remove(context, &session, args.value.as_deref()).await,
        "list-output" => outputs::list(context, &session).await,
        _ => record::record(context, &session, &target).await,
    };
    let code = if done.is_ok() {
        status::OK
    } else {
        status::ERROR
    };
    let output = Element::new("output", done.ok());
    let action = Element::new("snapshot_action", [Element::text("name", action), output]);
    Ok(ended(code, Some(action)))
}

fn ended(code: u8, action: Option<Element>) -> Outcome {
    Outcome::new(code, Document::new("snapshot", action, code == status::OK))
}

/// Says why the daemon refused.
fn refused(context: &Context, failure: &Failure) -> Refused {
    failure.say(&context.ui, failure.text());
    Refused
}
