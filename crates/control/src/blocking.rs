//! The same client for programs that do not use async: every call waits for its answer.
//!
//! ```no_run
//! use control::v1::{
//!     CreateSessionRequest, DestroySessionRequest, EnableEventRequest, Output, StartSessionRequest,
//!     StopSessionRequest,
//! };
//! use control::{SocketPath, blocking::Client};
//!
//! # fn main() -> Result<(), control::CallError> {
//! let mut daemon = Client::connect(&SocketPath::for_this_user("tracing"))?;
//! daemon.create_session(CreateSessionRequest::new("demo", Output::local("/tmp/demo")))?;
//! daemon.enable_event(EnableEventRequest::ust("demo", "my_app:*"))?;
//! daemon.start_session(StartSessionRequest::of("demo"))?;
//! std::thread::sleep(std::time::Duration::from_secs(1));
//! let stopped = daemon.stop_session(StopSessionRequest::of("demo"))?;
//! println!("{:?}", stopped.counters);
//! daemon.destroy_session(DestroySessionRequest::of("demo"))?;
//! # Ok(())
//! # }
//! ```

use tokio::runtime::{Builder, Runtime};

use crate::{CallError, SocketPath, v1};

/// A connection to a session daemon, for one thread at a time. It starts no thread: the connection makes
/// progress only inside of the calls.
///
/// Not for use inside of an async runtime: a call there would panic. Use [`crate::Client`].
#[derive(Debug)]
pub struct Client {
    // Before the runtime, so that it is dropped while the runtime still is there.
    inner: crate::Client,
    runtime: Runtime,
}

impl Client {
    /// Connects to the first socket that answers.
    pub fn connect(path: &SocketPath) -> Result<Self, CallError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| tonic::Status::internal(format!("no event loop: {error}")))?;
        let inner = runtime.block_on(crate::Client::connect(path))?;
        Ok(Self { inner, runtime })
    }

    /// Runs calls that are written with async to their end.
    pub fn run<T>(&mut self, calls: impl AsyncFnOnce(&mut crate::Client) -> T) -> T {
        self.runtime.block_on(calls(&mut self.inner))
    }
}

macro_rules! calls {
    ($($(#[$meta:meta])* $name:ident($request:ident) -> $response:ident;)*) => {
        impl Client {
            $(
                $(#[$meta])*
                ///
                /// Fails if the daemon refuses it or is gone.
                pub fn $name(&mut self, request: v1::$request) -> Result<v1::$response, CallError> {
                    let answer = self.runtime.block_on(self.inner.$name(request))?;
                    Ok(answer.into_inner())
                }
            )*
        }
    };
}

calls! {
    /// Version and identity of the daemon.
    get_version(GetVersionRequest) -> GetVersionResponse;
    /// Creates an inactive session.
    create_session(CreateSessionRequest) -> CreateSessionResponse;
    /// All sessions that this user may see, newest first.
    list_sessions(ListSessionsRequest) -> ListSessionsResponse;
    /// One session with its channels, events and counters.
    get_session(GetSessionRequest) -> GetSessionResponse;
    /// Starts tracing.
    start_session(StartSessionRequest) -> StartSessionResponse;
    /// Stops tracing and waits for the data, unless asked not to.
    stop_session(StopSessionRequest) -> StopSessionResponse;
    /// Stops if needed, delivers what there is, and forgets the session.
    destroy_session(DestroySessionRequest) -> DestroySessionResponse;
    /// Creates a channel, or enables a disabled one.
    enable_channel(EnableChannelRequest) -> EnableChannelResponse;
    /// Disables a channel.
    disable_channel(DisableChannelRequest) -> DisableChannelResponse;
    /// Creates an event rule, or enables a disabled one.
    enable_event(EnableEventRequest) -> EnableEventResponse;
    /// Disables the event rules of a name.
    disable_event(DisableEventRequest) -> DisableEventResponse;
    /// Adds a context field.
    add_context(AddContextRequest) -> AddContextResponse;
    /// Sets where the trace goes, as a whole.
    set_output(SetOutputRequest) -> SetOutputResponse;
    /// Changes single network attributes.
    set_network(SetNetworkRequest) -> SetNetworkResponse;
    /// Whether data of a stopped session is still on its way.
    get_data_pending(GetDataPendingRequest) -> GetDataPendingResponse;
    /// Writes again what a trace begins with.
    regenerate(RegenerateRequest) -> RegenerateResponse;
    /// Ends the current trace chunk and begins the next one.
    rotate_session(RotateSessionRequest) -> RotateSessionResponse;
    /// How far a rotation is, and where its archive is.
    get_rotation(GetRotationRequest) -> GetRotationResponse;
    /// Rotates the session from now on by itself.
    add_rotation_schedule(AddRotationScheduleRequest) -> AddRotationScheduleResponse;
    /// Takes back a rotation schedule.
    remove_rotation_schedule(RemoveRotationScheduleRequest) -> RemoveRotationScheduleResponse;
    /// Sets where snapshots go by default.
    add_snapshot_output(AddSnapshotOutputRequest) -> AddSnapshotOutputResponse;
    /// Takes back a snapshot output.
    remove_snapshot_output(RemoveSnapshotOutputRequest) -> RemoveSnapshotOutputResponse;
    /// The snapshot outputs of a session.
    list_snapshot_outputs(ListSnapshotOutputsRequest) -> ListSnapshotOutputsResponse;
    /// Writes what the buffers hold.
    record_snapshot(RecordSnapshotRequest) -> RecordSnapshotResponse;
    /// Removes what was recorded since the last rotation.
    clear_session(ClearSessionRequest) -> ClearSessionResponse;
    /// Which processes a domain of the session records.
    get_tracker(GetTrackerRequest) -> GetTrackerResponse;
    /// Records all processes, none, or those of a set.
    set_tracking_policy(SetTrackingPolicyRequest) -> SetTrackingPolicyResponse;
    /// Adds a value to an inclusion set.
    track(TrackRequest) -> TrackResponse;
    /// Removes a value from an inclusion set.
    untrack(UntrackRequest) -> UntrackResponse;
    /// Tracepoints of all registered applications.
    list_tracepoints(ListTracepointsRequest) -> ListTracepointsResponse;
}
