//! `lttng track`.

use crate::daemon::Context;
use crate::ui::{Exit, Outcome};

use super::tracking::{self, Direction};

/// Record only the processes that are named
///
/// Adds process attribute values to what a session records: the first one of an attribute makes it record the
/// processes with such a value only. With --all, records all processes again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: tracking::Which,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    tracking::run(args.which, context, Direction::Track).await
}
