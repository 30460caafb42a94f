//! `lttng snapshot record`.

use control::ErrorCode;
use control::v1::{RecordSnapshotRequest, SnapshotOutput};

use crate::daemon::{Context, Failure};
use crate::mi::Element;

use super::target::Target;
use super::{Done, refused};

pub(super) async fn record(context: &Context, session: &str, target: &Target) -> Done {
    let ui = &context.ui;
    let output = target.output(ui)?;
    if let Err(failure) = send(context, session, output).await {
        if failure.code == ErrorCode::MAX_SIZE_INVALID {
            ui.error("Invalid snapshot size. Cannot fit at least one packet per stream.");
        }
        return Err(refused(context, &failure));
    }
    ui.say(format_args!(
        "Snapshot recorded successfully for session {session}"
    ));
    if let Some(written) = target.written() {
        ui.say(written);
    }
    Ok(Element::new("snapshot", target.elements()))
}

async fn send(context: &Context, session: &str, output: SnapshotOutput) -> Result<(), Failure> {
    let mut client = context.connect().await?;
    let given = output != SnapshotOutput::default();
    let request = RecordSnapshotRequest {
        session: session.into(),
        output: given.then_some(output),
    };
    client.record_snapshot(request).await?;
    Ok(())
}
