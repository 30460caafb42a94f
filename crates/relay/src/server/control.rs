//! One control connection: bytes to checked requests, answers to bytes, and the rules of the
//! conversation (version first, one session, which mistake ends it).

use crate::limits::{MAX_METADATA_PAYLOAD, MAX_ROTATE_PAYLOAD, MAX_SMALL_PAYLOAD};
use crate::{
    CONFIGURATION_CLEAR_ALLOWED, CONTROL_HEADER_LEN, Command, ControlHeader, DecodeError, MAJOR,
    Minor, RelaySessionId, Reply, Request, ReturnCode, StreamHandle,
};

/// The relay's end of a control connection. After every [`ControlPeer::on_bytes`] call
/// [`ControlPeer::step`] until it says [`Step::NeedMore`], and answer each request before the next
/// step; then write [`ControlPeer::output`], and close if [`ControlPeer::closing`] says so.
#[derive(Debug)]
pub struct ControlPeer {
    input: Vec<u8>,
    /// How much of `input` has been handled.
    taken: usize,
    talk: Conversation,
}

/// All but the received bytes, so that it can change while a request borrows them.
#[derive(Debug)]
struct Conversation {
    clear_allowed: bool,
    /// Told by the peer; [`Minor`] 0 until then, as stock relays assume.
    minor: Minor,
    in_session: bool,
    output: Vec<u8>,
    closing: Option<CloseReason>,
}

/// What [`ControlPeer::step`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// To be answered with [`ControlPeer::answer`].
    Request(Request<'a>),
    /// A message was handled here; step again.
    Handled,
    /// No complete message is left, or the connection is closing.
    NeedMore,
}

/// What to say to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `SEND_METADATA` only.
    Nothing,
    /// This.
    Reply(Reply),
    /// This, and then no more.
    ReplyThenClose(Reply, CloseReason),
    /// Nothing, and no more.
    Close(CloseReason),
}

/// Why a control connection is closed by the relay. For the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// The peer speaks another major version.
    #[error(
        "the peer speaks version {major}.{minor} of the relay protocol, this is version {MAJOR}"
    )]
    OtherMajor {
        /// Its major.
        major: u32,
        /// Its minor.
        minor: u32,
    },
    /// A malformed message.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// A payload no such command can have.
    #[error("{command} announces a payload of {len} bytes")]
    PayloadTooLong {
        /// The command.
        command: Command,
        /// What it announces.
        len: u64,
    },
    /// A command that needs a session.
    #[error("{0} before a session was created")]
    NoSession(Command),
    /// A second `CREATE_SESSION`.
    #[error("a second CREATE_SESSION on one connection")]
    SecondSession,
    /// Not in this minor.
    #[error("{command} in version {minor}")]
    NotInThisMinor {
        /// The command.
        command: Command,
        /// What was negotiated.
        minor: Minor,
    },
    /// The request could not be fulfilled, and the peer cannot go on without it.
    #[error("{command} failed: {why}")]
    Failed {
        /// The command.
        command: Command,
        /// For people.
        why: String,
    },
}

impl ControlPeer {
    /// A fresh connection.
    #[must_use]
    pub fn new(clear_allowed: bool) -> Self {
        let talk = Conversation {
            clear_allowed,
            minor: Minor(0),
            in_session: false,
            output: Vec::new(),
            closing: None,
        };
        Self {
            input: Vec::new(),
            taken: 0,
            talk,
        }
    }

    /// The negotiated minor.
    #[must_use]
    pub fn minor(&self) -> Minor {
        self.talk.minor
    }

    /// Bytes arrived, cut anywhere.
    pub fn on_bytes(&mut self, bytes: &[u8]) {
        if self.talk.closing.is_some() {
            return;
        }
        self.input.drain(..self.taken);
        self.taken = 0;
        self.input.extend_from_slice(bytes);
    }

    /// What the next message is, which may not have arrived in full.
    #[must_use]
    pub fn next_command(&self) -> Option<Command> {
        let header = self.input[self.taken..].first_chunk::<CONTROL_HEADER_LEN>()?;
        Some(ControlHeader::decode(header).command)
    }

    /// Handles the next message, or hands it out.
    pub fn step(&mut self) -> Step<'_> {
        let Some((header, start)) = self.next_message() else {
            return Step::NeedMore;
        };
        let payload = &self.input[start..self.taken];
        match Request::decode(header.command, self.talk.minor, payload) {
            Ok(Request::Version { major, minor }) => self.talk.on_version(major, minor),
            Ok(Request::GetConfiguration { query_flags }) => {
                self.talk.on_configuration(query_flags);
            }
            Ok(Request::StartData) => self.talk.say(&Reply::Code(ReturnCode::OK)),
            Ok(request) => return Step::Request(request),
            Err(error) => self.talk.on_malformed(header.command, error),
        }
        Step::Handled
    }

    /// Says this to the request the last step handed out.
    pub fn answer(&mut self, answer: &Answer) {
        let talk = &mut self.talk;
        match answer {
            Answer::Nothing => {}
            Answer::Reply(reply) => {
                talk.in_session |= matches!(
                    reply,
                    Reply::Session {
                        code: ReturnCode::OK,
                        ..
                    }
                );
                talk.say(reply);
            }
            Answer::ReplyThenClose(reply, reason) => {
                talk.say(reply);
                talk.closing = Some(reason.clone());
            }
            Answer::Close(reason) => talk.closing = Some(reason.clone()),
        }
    }

    /// What has to be written, in one piece; the caller removes what it wrote.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.talk.output
    }

    /// Set when the connection has to be closed once the output is written.
    #[must_use]
    pub fn closing(&self) -> Option<&CloseReason> {
        self.talk.closing.as_ref()
    }

    /// Bytes kept for a message that has not arrived in full.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.input.len() - self.taken
    }

    /// Gives memory back when nothing is kept; for connections that fall idle after a big message.
    pub fn shrink(&mut self, keep: usize) {
        if self.buffered() == 0 && self.input.capacity() > keep {
            self.input = Vec::new();
            self.taken = 0;
        }
        if self.talk.output.is_empty() && self.talk.output.capacity() > keep {
            self.talk.output = Vec::new();
        }
    }

    /// The next complete message: its header and where its payload starts; it ends at `taken`.
    fn next_message(&mut self) -> Option<(ControlHeader, usize)> {
        if self.talk.closing.is_some() {
            return None;
        }
        let (header, rest) = self.input[self.taken..].split_first_chunk::<CONTROL_HEADER_LEN>()?;
        let header = ControlHeader::decode(header);
        // Decided by the header, so that nobody makes us keep a payload that will be refused.
        if let Err(reason) = self.talk.check_header(&header) {
            self.talk.closing = Some(reason);
            return None;
        }
        let len = usize::try_from(header.payload_len).ok()?;
        if rest.len() < len {
            return None;
        }
        let start = self.taken + CONTROL_HEADER_LEN;
        self.taken = start + len;
        Some((header, start))
    }
}

impl Conversation {
    fn check_header(&self, header: &ControlHeader) -> Result<(), CloseReason> {
        let ControlHeader {
            command,
            payload_len: len,
        } = *header;
        if len > payload_limit(command) {
            return Err(CloseReason::PayloadTooLong { command, len });
        }
        match command {
            Command::VERSION | Command::GET_CONFIGURATION | Command::START_DATA => Ok(()),
            Command::CREATE_SESSION if self.in_session => Err(CloseReason::SecondSession),
            Command::CREATE_SESSION => Ok(()),
            // Answered, then closed, by the decoder.
            _ if command.name().is_none() => Ok(()),
            _ if !self.in_session => Err(CloseReason::NoSession(command)),
            Command::ROTATE_STREAMS
            | Command::CREATE_TRACE_CHUNK
            | Command::CLOSE_TRACE_CHUNK
            | Command::TRACE_CHUNK_EXISTS
                if !self.minor.has_trace_chunks() =>
            {
                Err(CloseReason::NotInThisMinor {
                    command,
                    minor: self.minor,
                })
            }
            _ => Ok(()),
        }
    }

    fn on_version(&mut self, major: u32, minor: Minor) {
        // Our own version even when it does not match, so that the peer can tell its user.
        self.say(&Reply::Version {
            major: MAJOR,
            minor: Minor::NEWEST,
        });
        if major == MAJOR {
            self.minor = minor.negotiate(Minor::NEWEST);
        } else {
            self.closing = Some(CloseReason::OtherMajor {
                major,
                minor: minor.0,
            });
        }
    }

    fn on_configuration(&mut self, query_flags: u64) {
        let reply = if query_flags != 0 {
            Reply::Configuration {
                code: ReturnCode::INVALID_PROTOCOL,
                flags: 0,
            }
        } else {
            let flags = if self.clear_allowed {
                CONFIGURATION_CLEAR_ALLOWED
            } else {
                0
            };
            Reply::Configuration {
                code: ReturnCode::OK,
                flags,
            }
        };
        self.say(&reply);
    }

    fn on_malformed(&mut self, command: Command, error: DecodeError) {
        let bad_name = matches!(error, DecodeError::BadName { .. });
        match command {
            Command::CREATE_SESSION => {
                self.say(&refused_session(self.minor));
                return;
            }
            Command::ADD_STREAM => self.say(&Reply::Stream {
                stream: StreamHandle(u64::MAX),
                code: ReturnCode::UNKNOWN,
            }),
            Command::CREATE_TRACE_CHUNK if bad_name => {
                self.say(&Reply::Code(ReturnCode::INVALID));
            }
            _ if command.name().is_none() => self.say(&Reply::Code(ReturnCode::UNKNOWN)),
            _ => {}
        }
        self.closing = Some(CloseReason::Malformed(error));
    }

    fn say(&mut self, reply: &Reply) {
        reply.encode_into(&mut self.output);
    }
}

/// The answer to a `CREATE_SESSION` that is refused: the peer may try again.
#[must_use]
pub fn refused_session(minor: Minor) -> Reply {
    Reply::Session {
        session: RelaySessionId(0),
        code: ReturnCode::FATAL,
        output_path: minor.has_trace_chunks().then(String::new),
    }
}

/// The most a payload of this command may have.
fn payload_limit(command: Command) -> u64 {
    match command {
        Command::SEND_METADATA => MAX_METADATA_PAYLOAD,
        Command::ROTATE_STREAMS => MAX_ROTATE_PAYLOAD,
        _ => MAX_SMALL_PAYLOAD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captures::bytes;

    const VERSION: &str = "0000000000000000 0000000000000008 00000005 00000000 00000002 0000000d";

    fn peer_after(message: &str) -> ControlPeer {
        let mut peer = ControlPeer::new(true);
        peer.on_bytes(&bytes(message));
        while peer.step() == Step::Handled {}
        peer
    }

    #[test]
    fn version_is_answered_however_tcp_cuts_it() {
        let message = bytes(VERSION);
        for cut in 1..message.len() {
            let mut peer = ControlPeer::new(true);
            peer.on_bytes(&message[..cut]);
            assert_eq!(peer.step(), Step::NeedMore, "after {cut} bytes");
            assert!(peer.output().is_empty());
            peer.on_bytes(&message[cut..]);
            assert_eq!(peer.step(), Step::Handled);
            assert_eq!(*peer.output(), bytes("00000002 0000000f"));
            assert_eq!(peer.minor(), Minor(13));
        }
    }

    #[test]
    fn another_major_learns_ours_and_is_closed() {
        let mut peer =
            peer_after("0000000000000000 0000000000000008 00000005 00000000 00000003 00000000");
        assert_eq!(*peer.output(), bytes("00000002 0000000f"));
        assert!(peer.closing().is_some());
    }

    #[test]
    fn an_unknown_command_is_answered_and_closed_even_before_version() {
        let mut peer = peer_after("0000000000000000 0000000000000000 000000ff 00000000");
        assert_eq!(*peer.output(), bytes("0000000b"));
        assert!(peer.closing().is_some());
    }

    #[test]
    fn no_session_no_payload_is_kept() {
        // SEND_METADATA that announces 1 MiB: closed by its header.
        let mut peer = peer_after("0000000000000000 0000000000100000 00000006 00000000");
        assert!(peer.output().is_empty());
        assert_eq!(
            peer.closing(),
            Some(&CloseReason::NoSession(Command::SEND_METADATA))
        );
    }

    #[test]
    fn a_huge_payload_is_closed_by_its_header() {
        let mut peer = peer_after("0000000000000000 0000000100000000 00000002 00000000");
        assert!(peer.output().is_empty());
        assert!(matches!(
            peer.closing(),
            Some(CloseReason::PayloadTooLong { .. })
        ));
    }

    #[test]
    fn configuration_tells_whether_clear_is_allowed() {
        let ask = "0000000000000000 0000000000000008 00000016 00000000 0000000000000000";
        assert_eq!(
            *peer_after(ask).output(),
            bytes("0000000a 0000000000000001")
        );
        let mut strict = ControlPeer::new(false);
        strict.on_bytes(&bytes(ask));
        assert_eq!(strict.step(), Step::Handled);
        assert_eq!(*strict.output(), bytes("0000000a 0000000000000000"));
        let flags = "0000000000000000 0000000000000008 00000016 00000000 0000000000000001";
        let mut peer = peer_after(flags);
        assert_eq!(*peer.output(), bytes("00000098 0000000000000000"));
        assert_eq!(peer.closing(), None);
    }

    #[test]
    fn one_session_per_connection() {
        let create = r#"0000000000000000 0000000000000044 00000002 00000000
            00000005 00000003 00000001 00000000 00 00 966aa3fef21e4be2889ee4c35c7bf9a3
            0000000000000000 000000006b0362dc 00 0000000000000000 "demo\0" "vm\0" "\0""#;
        let mut peer = peer_after(VERSION);
        peer.on_bytes(&bytes(create));
        assert!(matches!(
            peer.step(),
            Step::Request(Request::CreateSession(_))
        ));
        peer.answer(&Answer::Reply(Reply::Session {
            session: RelaySessionId(1),
            code: ReturnCode::OK,
            output_path: Some("vm/demo".to_owned()),
        }));
        peer.on_bytes(&bytes(create));
        assert_eq!(peer.step(), Step::NeedMore);
        assert_eq!(peer.closing(), Some(&CloseReason::SecondSession));
    }

    #[test]
    fn a_session_with_a_bad_name_is_refused_without_freezing_the_peer() {
        // The session name has no NUL.
        let create = r#"0000000000000000 0000000000000044 00000002 00000000
            00000005 00000003 00000001 00000000 00 00 966aa3fef21e4be2889ee4c35c7bf9a3
            0000000000000000 000000006b0362dc 00 0000000000000000 "demoX" "vm\0" "\0""#;
        let mut peer = peer_after(VERSION);
        peer.output().clear();
        peer.on_bytes(&bytes(create));
        assert_eq!(peer.step(), Step::Handled);
        assert_eq!(
            *peer.output(),
            bytes("0000000000000000 00000019 00000001 00")
        );
        assert_eq!(peer.closing(), None);
    }
}
