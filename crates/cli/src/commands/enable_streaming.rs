//! `lttng enable-streaming`.

use crate::daemon::Context;
use crate::ui::{Exit, Outcome, status};

use super::network::{self, Change, OnRelayLoss, Relay};
use super::no_more;

/// Stream the trace of a session to a relay daemon
///
/// Streams the trace of a session to the relay daemon of a host from now on, whether the session is traced or
/// not. The traced applications notice nothing: the trace changes its place between two packets. If the relay
/// daemon cannot be reached, nothing changes.
#[derive(Debug, clap::Args)]
#[command(after_long_help = network::WHICH_FORM)]
pub(crate) struct Args {
    /// The host of the relay daemon (default ports 5343 for data, 5342 for control)
    #[arg(value_name = "HOST[:DATA_PORT:CTRL_PORT]")]
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
    no_more(context, &args.extra)?;
    let Some(text) = args.network else {
        network::missing_host(ui);
        ui.detail("to stream to the last one again: lttng set on");
        return Err(Exit(status::ERROR));
    };
    let change = Change {
        command: "enable-streaming",
        streaming: true,
        relay: Relay::Named(network::relay(ui, &text)?),
        relay_loss: args.on_relay_loss.value(ui)?,
    };
    network::apply(context, args.session, change).await
}
