//! Opens the control and data connections to a relay daemon and creates the session there.
//!
//! The session daemon does this itself, so that a wrong host or a closed port is an error of the user's
//! command. The sockets then go to the consumer daemon, which does all the rest.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use consumer_api::RelaySetup;
use control::ErrorCode;
use relay::client::Client;
use relay::{
    CONFIGURATION_CLEAR_ALLOWED, CreateSession, MAJOR, Minor, Reply, Request, ReturnCode,
    SessionKey, TraceFormat,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::app::SharedFd;
use crate::session::plan::Refusal;

/// How long one address may take to accept, and the relay daemon to answer everything.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the relay daemon listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RelayAddress {
    /// IPv4 or IPv6 literal, or host name.
    pub host: String,
    /// TCP port of control connections.
    pub control_port: u16,
    /// TCP port of data connections.
    pub data_port: u16,
    /// Only IPv6.
    pub ipv6: bool,
}

/// What the relay daemon is told of the session.
#[derive(Clone, Debug)]
pub(super) struct Introduction<'a> {
    /// Name of the session.
    pub session_name: &'a str,
    /// The name already has the creation time in it.
    pub name_has_creation_time: bool,
    /// Name of this host.
    pub hostname: &'a str,
    /// Directory below the host's, empty = the relay's default.
    pub base_path: &'a str,
    /// Period of the live timer, microseconds; 0 = not a live session.
    pub live_timer_us: u32,
    /// For one snapshot.
    pub snapshot: bool,
    /// This daemon and the session's number in it.
    pub key: SessionKey,
    /// Seconds since the Unix epoch.
    pub created_unix_s: u64,
}

/// The session exists on the relay daemon; nothing was sent for it yet.
#[derive(Clone, Debug)]
pub(super) struct Collector {
    /// Control socket, then data socket. Blocking mode.
    pub sockets: Vec<SharedFd>,
    /// What the consumer daemon must know.
    pub setup: RelaySetup,
    /// Directory on the collector, as the relay daemon reported it.
    pub path: String,
    /// It lets trace chunks be deleted.
    pub clear_allowed: bool,
}

/// Connects and creates the session.
pub(super) async fn connect(
    address: &RelayAddress,
    introduction: &Introduction<'_>,
) -> Result<Collector, Refusal> {
    let (mut control, peer) = open(address, address.control_port, "control").await?;
    let conversation = timeout(PATIENCE, introduce(&mut control, introduction));
    let session = match conversation.await {
        Ok(Ok(session)) => session,
        Ok(Err(refusal)) => {
            let message = format!("{peer}: {}", refusal.message);
            return Err(Refusal::new(refusal.code, message));
        }
        Err(_) => {
            return Err(refused(format!(
                "the relay daemon at {peer} accepted the connection but did not answer within {} s",
                PATIENCE.as_secs()
            )));
        }
    };
    // The data connection goes to the very address that answered the control connection.
    let data = open_one(SocketAddr::new(peer.ip(), address.data_port), "data").await?;
    let sockets = vec![into_fd(control)?, into_fd(data)?];
    Ok(Collector {
        sockets,
        setup: session.setup,
        path: session.path,
        clear_allowed: session.clear_allowed,
    })
}

fn refused(message: String) -> Refusal {
    Refusal::new(ErrorCode::RELAYD_CONNECT_FAILED, message)
}

async fn open(
    address: &RelayAddress,
    port: u16,
    what: &str,
) -> Result<(TcpStream, SocketAddr), Refusal> {
    let host = &address.host;
    let found = tokio::net::lookup_host((host.as_str(), port)).await;
    let found =
        found.map_err(|error| refused(format!("cannot resolve the host `{host}`: {error}")))?;
    let mut last = refused(format!(
        "the host `{host}` has no {} address",
        if address.ipv6 { "IPv6" } else { "usable" }
    ));
    for candidate in found.filter(|candidate| !address.ipv6 || candidate.is_ipv6()) {
        match open_one(candidate, what).await {
            Ok(stream) => return Ok((stream, candidate)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn open_one(address: SocketAddr, what: &str) -> Result<TcpStream, Refusal> {
    let connected = timeout(PATIENCE, TcpStream::connect(address)).await;
    let result = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let stream = result.map_err(|error| {
        refused(format!(
            "cannot open the {what} connection to the relay daemon at {address}: {error}"
        ))
    })?;
    // Requests are small and each waits for its answer: never hold them back.
    stream
        .set_nodelay(true)
        .map_err(|error| refused(format!("{address}: {error}")))?;
    Ok(stream)
}

fn into_fd(stream: TcpStream) -> Result<SharedFd, Refusal> {
    let blocking = stream.into_std().and_then(|stream| {
        stream.set_nonblocking(false)?;
        Ok(stream)
    });
    let stream = blocking.map_err(|error| refused(format!("relay connection: {error}")))?;
    Ok(Arc::new(stream.into()))
}

struct RelaySession {
    setup: RelaySetup,
    path: String,
    clear_allowed: bool,
}

async fn introduce(
    control: &mut TcpStream,
    introduction: &Introduction<'_>,
) -> Result<RelaySession, Refusal> {
    let mut client = Client::new();
    let version = Request::Version {
        major: MAJOR,
        minor: Minor::NEWEST,
    };
    let Reply::Version { major, minor } = ask(control, &mut client, &version).await? else {
        return Err(out_of_step());
    };
    if major != MAJOR {
        return Err(Refusal::new(
            ErrorCode::RELAYD_VERSION_FAILED,
            format!(
                "the relay daemon speaks protocol {major}.{}, this daemon {MAJOR}.x",
                minor.0
            ),
        ));
    }
    client.set_minor(minor.negotiate(Minor::NEWEST));
    if !client.minor().has_trace_chunks() {
        return Err(Refusal::new(
            ErrorCode::RELAYD_VERSION_FAILED,
            format!(
                "the relay daemon speaks protocol 2.{}; 2.11 or newer is needed",
                minor.0
            ),
        ));
    }
    let clear_allowed = allows_clear(control, &mut client).await?;
    let create = Request::CreateSession(CreateSession {
        session_name: introduction.session_name,
        hostname: introduction.hostname,
        live_timer_us: introduction.live_timer_us,
        snapshot: introduction.snapshot,
        base_path: introduction.base_path,
        name_has_creation_time: introduction.name_has_creation_time,
        key: introduction.key,
        creation_unix_s: introduction.created_unix_s,
        current_chunk: None,
        trace_format: TraceFormat::CTF_1_8,
    });
    match ask(control, &mut client, &create).await? {
        Reply::Session {
            session,
            code: ReturnCode::OK,
            output_path,
        } => Ok(RelaySession {
            setup: RelaySetup {
                minor: client.minor().0,
                relay_session_id: session.0,
            },
            path: output_path.unwrap_or_default(),
            clear_allowed,
        }),
        Reply::Session { code, .. } => Err(refused(format!(
            "the relay daemon refuses the session `{}` of host `{}` (code {})",
            introduction.session_name, introduction.hostname, code.0
        ))),
        _ => Err(out_of_step()),
    }
}

/// Old relay daemons cannot clear, and cannot be asked.
async fn allows_clear(control: &mut TcpStream, client: &mut Client) -> Result<bool, Refusal> {
    if !client.minor().has_configuration() {
        return Ok(false);
    }
    let request = Request::GetConfiguration { query_flags: 0 };
    match ask(control, client, &request).await? {
        Reply::Configuration {
            code: ReturnCode::OK,
            flags,
        } => Ok(flags & CONFIGURATION_CLEAR_ALLOWED != 0),
        Reply::Configuration { .. } => Ok(false),
        _ => Err(out_of_step()),
    }
}

async fn ask(
    control: &mut TcpStream,
    client: &mut Client,
    request: &Request<'_>,
) -> Result<Reply, Refusal> {
    let lost =
        |error: io::Error| refused(format!("the relay daemon closed the connection: {error}"));
    client
        .request(request)
        .map_err(|error| refused(error.to_string()))?;
    control
        .write_all(&client.take_output())
        .await
        .map_err(lost)?;
    loop {
        match client.next_reply() {
            Ok(Some(reply)) => return Ok(reply),
            Ok(None) => {}
            Err(error) => {
                return Err(Refusal::new(
                    ErrorCode::RELAYD_VERSION_FAILED,
                    error.to_string(),
                ));
            }
        }
        let mut bytes = [0; 4096];
        match control.read(&mut bytes).await.map_err(lost)? {
            0 => return Err(lost(io::ErrorKind::UnexpectedEof.into())),
            count => client.on_bytes(&bytes[..count]),
        }
    }
}

fn out_of_step() -> Refusal {
    let message = "the relay daemon gave an answer to another question";
    Refusal::new(ErrorCode::RELAYD_VERSION_FAILED, message)
}
