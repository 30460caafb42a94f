//! The client of a local session daemon.

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::error::status_code;
use crate::v1::session_daemon_client::SessionDaemonClient;
use crate::{ErrorCode, SocketPath};

/// Largest answer accepted, for instance the tracepoints of many applications. Bytes.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// Why a call did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No daemon answers on any socket that was tried.
    #[error("no session daemon answers on {}", list(.tried))]
    NoDaemon {
        /// The sockets tried, in order.
        tried: Vec<PathBuf>,
    },
    /// The daemon answered with an error.
    #[error("{}", .0.message())]
    Refused(#[from] tonic::Status),
}

impl CallError {
    /// Upstream's error code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NoDaemon { .. } => ErrorCode::NO_SESSION_DAEMON,
            Self::Refused(status) => status_code(status),
        }
    }
}

fn list(paths: &[PathBuf]) -> String {
    if paths.is_empty() {
        return "any socket (neither HOME nor LTTNG_HOME is set)".into();
    }
    let texts: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    texts.join(" or ")
}

/// A connection to a session daemon. Dereferences to the generated client, whose methods are
/// the calls of the service.
#[derive(Clone, Debug)]
pub struct Client {
    inner: SessionDaemonClient<Channel>,
}

impl Client {
    /// Connects to the first socket that answers.
    pub async fn connect(path: &SocketPath) -> Result<Self, CallError> {
        for candidate in path.candidates() {
            if let Ok(stream) = UnixStream::connect(candidate).await {
                return Self::over(stream).await;
            }
        }
        Err(CallError::NoDaemon {
            tried: path.candidates().to_vec(),
        })
    }

    /// Speaks over a connected stream.
    pub async fn over(stream: UnixStream) -> Result<Self, CallError> {
        let mut stream = Some(stream);
        let connector = tower::service_fn(move |_: Uri| {
            let stream = stream.take().map(TokioIo::new);
            std::future::ready(stream.ok_or_else(|| std::io::Error::other("disconnected")))
        });
        // The address is never used: the connector returns the connected stream.
        let channel = Endpoint::from_static("http://localhost")
            .connect_with_connector(connector)
            .await
            .map_err(|error| tonic::Status::unavailable(error.to_string()))?;
        let inner = SessionDaemonClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
        Ok(Self { inner })
    }
}

impl Deref for Client {
    type Target = SessionDaemonClient<Channel>;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.inner
    }
}
