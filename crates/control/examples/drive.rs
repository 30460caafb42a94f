//! Records all user space events for a second: `cargo run --example drive -- NAME [DIRECTORY]`.

use std::time::Duration;

use control::{CallError, Client, SocketPath, v1};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), CallError> {
    let mut arguments = std::env::args().skip(1);
    let session = arguments.next().unwrap_or_else(|| "demo".into());
    let kind = match arguments.next() {
        Some(path) => v1::output::Kind::LocalPath(path),
        None => v1::output::Kind::None(v1::NoOutput {}),
    };
    let mut daemon = Client::connect(&SocketPath::for_this_user("tracing")).await?;
    daemon
        .create_session(v1::CreateSessionRequest {
            name: session.clone(),
            output: Some(v1::Output { kind: Some(kind) }),
            ..Default::default()
        })
        .await?;
    daemon
        .enable_event(v1::EnableEventRequest {
            session: session.clone(),
            domain: v1::Domain::Ust.into(),
            rule: Some(v1::EventRule {
                name: "*".into(),
                ..Default::default()
            }),
            ..Default::default()
        })
        .await?;
    daemon
        .start_session(v1::StartSessionRequest {
            name: session.clone(),
        })
        .await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let stopped = daemon
        .stop_session(v1::StopSessionRequest {
            name: session.clone(),
            no_wait: false,
        })
        .await?;
    println!("{:#?}", stopped.into_inner());
    daemon
        .destroy_session(v1::DestroySessionRequest {
            name: session,
            no_wait: false,
        })
        .await?;
    Ok(())
}
