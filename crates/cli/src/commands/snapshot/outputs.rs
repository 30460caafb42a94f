//! `lttng snapshot add-output`, `del-output`, `list-output`.

use control::url;
use control::v1::remove_snapshot_output_request::Which;
use control::v1::{
    AddSnapshotOutputRequest, ListSnapshotOutputsRequest, RemoveSnapshotOutputRequest,
    SnapshotOutput,
};

use crate::daemon::{Context, Failure};
use crate::mi::Element;

use super::target::Target;
use super::{Done, Refused, refused};

pub(super) async fn add(context: &Context, session: &str, target: &Target) -> Done {
    let ui = &context.ui;
    if !target.is_placed() {
        ui.error("An output destination must be specified to add a snapshot output.");
        return Err(Refused);
    }
    let output = target.output(ui)?;
    let added = send_add(context, session, output).await;
    let added = added.map_err(|failure| refused(context, &failure))?;
    ui.say(format_args!(
        "Snapshot output successfully added for session {session}"
    ));
    ui.say(format_args!("  {}", line(&added, target.url())));
    Ok(Element::new(
        "snapshot",
        [
            Element::text("id", added.id),
            Element::text("name", &added.name),
            Element::text("ctrl_url", target.url()),
            Element::text("session_name", session),
            // Upstream's value of an output without a limit, here only.
            Element::text("max_size", target.max_size.unwrap_or(u64::MAX)),
        ],
    ))
}

async fn send_add(
    context: &Context,
    session: &str,
    output: SnapshotOutput,
) -> Result<SnapshotOutput, Failure> {
    let mut client = context.connect().await?;
    let request = AddSnapshotOutputRequest {
        session: session.into(),
        output: Some(output),
    };
    let answer = client.add_snapshot_output(request).await?.into_inner();
    Ok(answer.output.unwrap_or_default())
}

pub(super) async fn remove(context: &Context, session: &str, which: Option<&str>) -> Done {
    let ui = &context.ui;
    let Some(text) = which else {
        ui.error("A snapshot output name or id must be provided to delete a snapshot output.");
        return Err(Refused);
    };
    let (which, shown, element) = match text.parse() {
        Ok(id) => (Which::Id(id), format!("id {id}"), Element::text("id", id)),
        Err(_) => (
            Which::Name(text.into()),
            text.to_owned(),
            Element::text("name", text),
        ),
    };
    let removed = send_remove(context, session, which).await;
    removed.map_err(|failure| refused(context, &failure))?;
    ui.say(format_args!(
        "Snapshot output {shown} successfully deleted for session {session}"
    ));
    let session = Element::text("session_name", session);
    Ok(Element::new("snapshot", [element, session]))
}

async fn send_remove(context: &Context, session: &str, which: Which) -> Result<(), Failure> {
    let mut client = context.connect().await?;
    let request = RemoveSnapshotOutputRequest {
        session: session.into(),
        which: Some(which),
    };
    client.remove_snapshot_output(request).await?;
    Ok(())
}

pub(super) async fn list(context: &Context, session: &str) -> Done {
    let ui = &context.ui;
    let outputs = fetch(context, session).await;
    let outputs = outputs.map_err(|failure| refused(context, &failure))?;
    ui.say(format_args!("Snapshot output list for session {session}"));
    if outputs.is_empty() {
        ui.say("    None");
    }
    for output in &outputs {
        let (control, _) = url::describe_pair(output.output.as_ref());
        ui.say(format_args!("    {}", line(output, &control)));
    }
    let snapshots = Element::new("snapshots", outputs.iter().map(element));
    Ok(Element::new(
        "session",
        [Element::text("name", session), snapshots],
    ))
}

async fn fetch(context: &Context, session: &str) -> Result<Vec<SnapshotOutput>, Failure> {
    let mut client = context.connect().await?;
    let request = ListSnapshotOutputsRequest {
        session: session.into(),
    };
    let answer = client.list_snapshot_outputs(request).await?;
    Ok(answer.into_inner().outputs)
}

fn line(output: &SnapshotOutput, place: &str) -> String {
    let line = format!("[{}] {}: {place}", output.id, output.name);
    match output.max_size {
        0 => line,
        bytes => format!("{line} (max size: {bytes} bytes)"),
    }
}

fn element(output: &SnapshotOutput) -> Element {
    let (control, data) = url::describe_pair(output.output.as_ref());
    Element::new(
        "snapshot",
        [
            Element::text("id", output.id),
            Element::text("name", &output.name),
            Element::text("ctrl_url", control),
            Element::text("data_url", data),
            Element::text("max_size", output.max_size),
        ],
    )
}
