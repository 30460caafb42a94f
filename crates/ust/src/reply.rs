//! Answers of an application to commands.

use crate::command::{Expected, Handle, id};
use crate::text::until_nul;

/// Length of an answer in bytes.
pub const REPLY_BYTES: usize = 324;
/// Length of what follows the answer to a successful `TRACEPOINT_FIELD_LIST_GET`, in bytes.
pub const FIELD_ITERATOR_BYTES: usize = 808;

/// What the application made of a command. Open: other numbers may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReplyCode(pub i32);

impl ReplyCode {
    /// Done.
    pub const OK: Self = Self(0);
    /// Any other failure.
    pub const ERROR: Self = Self(-1024);
    /// No such thing, or the end of a list.
    pub const NOT_FOUND: Self = Self(-1025);
    /// There already.
    pub const EXISTS: Self = Self(-1026);
    /// A value is refused.
    pub const INVALID: Self = Self(-1027);
    /// Not in this state.
    pub const PERMISSION: Self = Self(-1028);
    /// The application is about to exit.
    pub const EXITING: Self = Self(-1030);
}

/// Why an answer is no answer.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReplyError {
    /// The stream of answers is out of step: close both connections.
    #[error(
        "the answer is to command {got_command:#x} on handle {got_handle}, expected {expected:?}"
    )]
    OutOfStep {
        /// What was sent.
        expected: Expected,
        /// What came.
        got_handle: u32,
        /// What came.
        got_command: u32,
    },
    /// A text in the answer has no end or is no UTF-8.
    #[error("a name in the answer has no end or is no UTF-8")]
    Name,
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Reply {
    code: ReplyCode,
    value: u32,
    payload: [u8; 276],
}

/// Version of liblttng-ust in the application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TracerVersion {
    /// 2.
    pub major: u32,
    /// 13.
    pub minor: u32,
    /// 5.
    pub patchlevel: u32,
}

/// One tracepoint of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTracepoint {
    /// `provider:event`.
    pub name: String,
    /// 0 EMERG … 14 DEBUG.
    pub log_level: i32,
}

impl Reply {
    /// Decodes an answer and checks that it belongs to the command.
    pub fn parse(bytes: &[u8; REPLY_BYTES], expected: Expected) -> Result<Self, ReplyError> {
        let got_handle = word(bytes, 0);
        let got_command = word(bytes, 4);
        if got_handle != expected.handle.0 || got_command != expected.command {
            return Err(ReplyError::OutOfStep {
                expected,
                got_handle,
                got_command,
            });
        }
        let mut payload = [0; 276];
        payload.copy_from_slice(&bytes[48..]);
        Ok(Self {
            code: ReplyCode(word(bytes, 8) as i32),
            value: word(bytes, 12),
            payload,
        })
    }

    /// The result code.
    pub fn code(&self) -> ReplyCode {
        self.code
    }

    /// The handle of the created object, or the result code of the failure.
    pub fn handle(&self) -> Result<Handle, ReplyCode> {
        if self.code == ReplyCode::OK {
            Ok(Handle(self.value))
        } else {
            Err(self.code)
        }
    }

    /// The answer to `TRACEPOINT_LIST_GET`; `None` at the end of the list.
    pub fn tracepoint(&self) -> Result<Option<ListedTracepoint>, ReplyError> {
        if self.code != ReplyCode::OK {
            return Ok(None);
        }
        let name = until_nul(&self.payload[..256])
            .ok_or(ReplyError::Name)?
            .to_owned();
        Ok(Some(ListedTracepoint {
            name,
            log_level: word(&self.payload, 256) as i32,
        }))
    }
}

impl Reply {
    /// The answer to `TRACER_VERSION`.
    pub fn version(&self) -> TracerVersion {
        let part = |i: usize| word(&self.payload, i * 4);
        TracerVersion {
            major: part(0),
            minor: part(1),
            patchlevel: part(2),
        }
    }

    /// Bytes that follow this answer: [`FIELD_ITERATOR_BYTES`] after a successful
    /// `TRACEPOINT_FIELD_LIST_GET`, else none.
    pub fn tail_bytes(&self, expected: Expected) -> usize {
        let has_tail =
            expected.command == id::TRACEPOINT_FIELD_LIST_GET && self.code == ReplyCode::OK;
        if has_tail { FIELD_ITERATOR_BYTES } else { 0 }
    }
}

/// One field of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldIterator {
    /// `provider:event`.
    pub event_name: String,
    /// Empty for an event without fields.
    pub field_name: String,
    /// 0 other, 1 integer, 2 enum, 3 float, 4 string.
    pub kind: i32,
    /// 0 EMERG … 14 DEBUG.
    pub log_level: i32,
    /// Usable in filters, not recorded.
    pub nowrite: bool,
}

impl FieldIterator {
    /// Decodes the tail of an answer.
    pub fn parse(bytes: &[u8; FIELD_ITERATOR_BYTES]) -> Result<Self, ReplyError> {
        let name = |range: std::ops::Range<usize>| {
            until_nul(&bytes[range])
                .map(str::to_owned)
                .ok_or(ReplyError::Name)
        };
        Ok(Self {
            event_name: name(0..256)?,
            field_name: name(256..512)?,
            kind: word(bytes, 512) as i32,
            log_level: word(bytes, 516) as i32,
            nowrite: word(bytes, 520) != 0,
        })
    }
}

/// Reads a word; the callers' offsets are inside their arrays.
fn word(bytes: &[u8], at: usize) -> u32 {
    let mut raw = [0; 4];
    raw.copy_from_slice(&bytes[at..at + 4]);
    u32::from_ne_bytes(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(handle: u32, command: u32, code: i32, value: u32) -> [u8; REPLY_BYTES] {
        let mut bytes = [0; REPLY_BYTES];
        for (i, w) in [handle, command, code as u32, value].iter().enumerate() {
            bytes[i * 4..i * 4 + 4].copy_from_slice(&w.to_ne_bytes());
        }
        bytes
    }

    const SESSION: Expected = Expected {
        handle: Handle::ROOT,
        command: id::SESSION,
    };

    #[test]
    fn success_brings_a_handle_and_failure_a_code() {
        let good = Reply::parse(&bytes(0, id::SESSION, 0, 3), SESSION).unwrap();
        assert_eq!(good.handle(), Ok(Handle(3)));
        let bad = Reply::parse(&bytes(0, id::SESSION, -1030, 0), SESSION).unwrap();
        assert_eq!(bad.handle(), Err(ReplyCode::EXITING));
    }

    #[test]
    fn an_answer_to_something_else_is_out_of_step() {
        assert!(Reply::parse(&bytes(1, id::SESSION, 0, 3), SESSION).is_err());
    }

    #[test]
    fn the_end_of_a_list_is_no_error() {
        let get = Expected {
            handle: Handle(2),
            command: id::TRACEPOINT_LIST_GET,
        };
        let end = Reply::parse(&bytes(2, id::TRACEPOINT_LIST_GET, -1025, 0), get).unwrap();
        assert_eq!(end.tracepoint(), Ok(None));
        let mut one = bytes(2, id::TRACEPOINT_LIST_GET, 0, 0);
        one[48..51].copy_from_slice(b"a:b");
        one[304] = 13;
        let reply = Reply::parse(&one, get).unwrap();
        let expected = ListedTracepoint {
            name: "a:b".into(),
            log_level: 13,
        };
        assert_eq!(reply.tracepoint(), Ok(Some(expected)));
        one[48..304].fill(b'x');
        let reply = Reply::parse(&one, get).unwrap();
        assert_eq!(reply.tracepoint(), Err(ReplyError::Name));
    }
}
