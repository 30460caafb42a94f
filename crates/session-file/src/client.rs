//! Sessions from and to a session daemon.

use control::v1::{DestroySessionRequest, GetSessionRequest, ListSnapshotOutputsRequest, Output};
use control::{CallError, Client, ErrorCode};

use crate::{SavedSession, Step, steps};

/// What is saved of the session `name`.
pub async fn gather(client: &mut Client, name: &str) -> Result<SavedSession, CallError> {
    let request = GetSessionRequest::of(name);
    let details = client.get_session(request).await?.into_inner();
    let snapshot = details.session.as_ref().is_some_and(|one| one.snapshot);
    let snapshot_outputs = if snapshot {
        let request = ListSnapshotOutputsRequest {
            session: name.into(),
        };
        let answer = client.list_snapshot_outputs(request).await?;
        answer.into_inner().outputs
    } else {
        Vec::new()
    };
    Ok(SavedSession {
        details,
        snapshot_outputs,
    })
}

/// Makes a saved session again, after destroying, with `overwrite`, one of the same name. `home` is the caller's
/// directory for default outputs. If it cannot be made as a whole there is none of that name.
pub async fn make(
    client: &mut Client,
    saved: &SavedSession,
    home: &str,
    overwrite: bool,
) -> Result<(), CallError> {
    let name = saved.name();
    if overwrite {
        let destroyed = client
            .destroy_session(DestroySessionRequest::of(name))
            .await;
        if let Err(error) = destroyed.map_err(CallError::from)
            && error.code() != ErrorCode::SESSION_NOT_FOUND
        {
            return Err(error);
        }
    }
    let mut created = false;
    for step in steps(saved, home) {
        if let Err(error) = run(client, step).await {
            if created {
                // The first error is the one to tell.
                let _ = client
                    .destroy_session(DestroySessionRequest::of(name))
                    .await;
            }
            return Err(error);
        }
        created = true;
    }
    Ok(())
}

/// Sends the trace somewhere else than the file says; the snapshots of a snapshot session.
pub fn redirect(saved: &mut SavedSession, output: &Output) {
    if let Some(session) = &mut saved.details.session {
        session.network = None;
        if !session.snapshot {
            session.output = Some(output.clone());
        }
    }
    for snapshot in &mut saved.snapshot_outputs {
        snapshot.output = Some(output.clone());
    }
}

async fn run(client: &mut Client, step: Step) -> Result<(), CallError> {
    match step {
        Step::CreateSession(request) => drop(client.create_session(request).await?),
        Step::AddSnapshotOutput(request) => drop(client.add_snapshot_output(request).await?),
        Step::SetNetwork(request) => drop(client.set_network(request).await?),
        Step::EnableChannel(request) => drop(client.enable_channel(request).await?),
        Step::DisableChannel(request) => drop(client.disable_channel(request).await?),
        Step::EnableEvent(request) => drop(client.enable_event(request).await?),
        Step::DisableEvent(request) => drop(client.disable_event(request).await?),
        Step::AddContext(request) => drop(client.add_context(request).await?),
        Step::SetTrackingPolicy(request) => drop(client.set_tracking_policy(request).await?),
        Step::Track(request) => drop(client.track(request).await?),
        Step::AddRotationSchedule(request) => drop(client.add_rotation_schedule(request).await?),
        Step::StartSession(request) => drop(client.start_session(request).await?),
    }
    Ok(())
}
