//! The client of a local session daemon.

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::error::status_code;
use crate::v1::session_daemon_client::SessionDaemonClient;
use crate::{ErrorCode, SocketPath};

/// Largest answer accepted, for instance the tracepoints of many applications. Bytes.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// File name of the socket of upstream's session daemon, in the same run directory.
const UPSTREAM_SOCKET: &str = "client-lttng-sessiond";

/// Why a call did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No daemon answers on any socket that was tried.
    #[error("no session daemon answers on {}{}", list(.tried), advice(.upstream.as_deref()))]
    NoDaemon {
        /// The sockets tried, in order.
        tried: Vec<PathBuf>,
        /// The socket beside one of them on which upstream's session daemon answers.
        upstream: Option<PathBuf>,
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

fn advice(upstream: Option<&Path>) -> String {
    match upstream {
        None => ": start lttng-sessiond".into(),
        Some(socket) => format!(
            ", but the one of another LTTng does on {}: stop it first",
            socket.display()
        ),
    }
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
        let tried = path.candidates().to_vec();
        let mut sockets = tried
            .iter()
            .map(|candidate| candidate.with_file_name(UPSTREAM_SOCKET));
        let upstream =
            sockets.find(|socket| std::os::unix::net::UnixStream::connect(socket).is_ok());
        Err(CallError::NoDaemon { tried, upstream })
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
