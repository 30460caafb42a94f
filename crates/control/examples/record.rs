//! Records what matches a pattern for a second, without async: `cargo run --example record -- PATTERN DIRECTORY`.

use control::v1::*;
use control::{CallError, SocketPath, blocking::Client};

fn main() -> Result<(), CallError> {
    let mut arguments = std::env::args().skip(1);
    let pattern = arguments.next().unwrap_or_else(|| "*".into());
    let directory = arguments.next().unwrap_or_else(|| "/tmp/recorded".into());

    let mut daemon = Client::connect(&SocketPath::for_this_user("tracing"))?;
    daemon.create_session(CreateSessionRequest::new("demo", Output::local(directory)))?;
    daemon.enable_event(EnableEventRequest::ust("demo", pattern))?;
    daemon.start_session(StartSessionRequest::of("demo"))?;
    std::thread::sleep(std::time::Duration::from_secs(1));
    let stopped = daemon.stop_session(StopSessionRequest::of("demo"))?;
    println!("{:?}", stopped.counters.unwrap_or_default());
    daemon.destroy_session(DestroySessionRequest::of("demo"))?;
    Ok(())
}
