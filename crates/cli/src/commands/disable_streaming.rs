//! `lttng disable-streaming`.

use control::v1::RelayLoss;

use crate::daemon::Context;
use crate::ui::{Exit, Outcome};

use super::network::{self, Change, Relay};
use super::no_more;

/// Collect the trace of a session on this machine
///
/// Collects the trace of a session on this machine from now on, whether the session is traced or not. The
/// traced applications notice nothing: the trace changes its place between two packets. The host and its
/// ports are remembered: `lttng set on` streams to it again.
#[derive(Debug, clap::Args)]
#[command(after_long_help = network::WHICH_FORM)]
pub(crate) struct Args {
    /// Name of the session; without it the current session
    #[arg(short, long)]
    session: Option<String>,
    #[arg(hide = true)]
    extra: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    no_more(context, &args.extra)?;
    let change = Change {
        command: "disable-streaming",
        streaming: false,
        relay: Relay::Known,
        relay_loss: RelayLoss::Unspecified,
    };
    network::apply(context, args.session, change).await
}
