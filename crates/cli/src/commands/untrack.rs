//! `lttng untrack`.

use crate::daemon::Context;
use crate::ui::{Exit, Outcome};

use super::tracking::{self, Direction};

/// Do not record processes any more
///
/// Takes process attribute values out of what a session records. With --all, records no process.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: tracking::Which,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    tracking::run(args.which, context, Direction::Untrack).await
}
