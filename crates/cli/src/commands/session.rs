//! `lttng session`.

use crate::daemon::Context;
use crate::ui::{Exit, Outcome};

use super::network::{self, Change, OnRelayLoss, Relay};
use super::no_more;

/// Set or unset the network attributes of a session
///
/// With --set, which is the default, streams the trace to the host of --network; an empty host means to
/// collect it on this machine and to forget the host. With --unset, collects it on this machine and remembers
/// the host. Whether the session is traced or not makes no difference.
#[derive(Debug, clap::Args)]
#[command(after_long_help = network::WHICH_FORM)]
pub(crate) struct Args {
    /// Stream to the host of --network (default)
    #[arg(long)]
    set: bool,
    /// Collect on this machine
    #[arg(long)]
    unset: bool,
    /// The host of the relay daemon (default ports 5343 for data, 5342 for control); --unset needs none, and
    /// remembers the one that is given
    #[arg(
        long,
        visible_alias = "streaming",
        num_args = 0..=1,
        value_name = "HOST[:DATA_PORT:CTRL_PORT]"
    )]
    network: Option<Option<String>>,
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
    if args.set && args.unset {
        return Err(ui.fail("The options --set and --unset exclude each other"));
    }
    let text = match &args.network {
        None if !args.set && !args.unset => {
            return Err(ui.fail("Nothing to do: give --network HOST, or --unset"));
        }
        None | Some(None) => None,
        Some(Some(text)) => Some(text.as_str()),
    };
    if text.is_none() && !args.unset {
        return Err(network::missing_host(ui));
    }
    let relay = Relay::of(ui, text)?;
    let change = Change {
        command: "session",
        streaming: !args.unset && !matches!(relay, Relay::Forget),
        relay,
        relay_loss: args.on_relay_loss.value(ui)?,
    };
    network::apply(context, args.session, change).await
}
