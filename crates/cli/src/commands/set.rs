//! `lttng set`: not an abbreviation of `lttng set-session`.

use crate::daemon::Context;
use crate::ui::{Exit, Outcome};

use super::network::{self, Change, OnRelayLoss, Relay};
use super::no_more;

/// Switch the streaming of a session on or off
///
/// Switches between the host that the session knows, or a new one, and this machine, whether the session is
/// traced or not. `lttng set off --network HOST` remembers the host without streaming to it yet. To make a
/// session the current one, use `lttng set-session`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = network::WHICH_FORM)]
pub(crate) struct Args {
    /// Stream the trace (on), or collect it on this machine (off)
    #[arg(value_name = "on|off")]
    streaming: Option<String>,
    /// The host of the relay daemon (default ports 5343 for data, 5342 for control); with `off`, an empty one
    /// is forgotten
    #[arg(
        long,
        visible_alias = "streaming",
        value_name = "HOST[:DATA_PORT:CTRL_PORT]"
    )]
    network: Option<String>,
    /// Name of the session; without it the current session
    #[arg(short, long)]
    session: Option<String>,
    #[command(flatten)]
    on_relay_loss: OnRelayLoss,
    #[arg(hide = true)]
    extra: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    let streaming = match args.streaming.as_deref() {
        Some("on") => true,
        Some("off") => false,
        Some(other) => {
            return Err(ui.fail(format_args!("Unknown argument: {other}: use on or off")));
        }
        None => return Err(ui.fail("Missing argument: use on or off")),
    };
    no_more(context, &args.extra)?;
    let relay = Relay::of(ui, args.network.as_deref())?;
    if streaming && matches!(relay, Relay::Forget) {
        return Err(network::missing_host(ui));
    }
    let change = Change {
        command: "set",
        streaming,
        relay,
        relay_loss: args.on_relay_loss.value(ui)?,
    };
    network::apply(context, args.session, change).await
}
