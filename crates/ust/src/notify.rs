//! Requests of an application on its notify connection, and their answers.
//!
//! An application waits for each answer, with its lock held and for three seconds at most: an answer
//! must never depend on a command to the same application.

use crate::command::Handle;
use crate::field::{ENUM_ENTRY_BYTES, FIELD_BYTES};
use crate::text::until_nul;

/// Longest field or entry array accepted, in bytes.
const MAX_ARRAY_BYTES: usize = 4 << 20;
/// Longest signature or model URI accepted, in bytes.
const MAX_TEXT_BYTES: usize = 64 << 10;

const EVENT: u32 = 0;
const CHANNEL: u32 = 1;
const ENUM: u32 = 2;

/// A request, complete. The arrays are undecoded records: see [`crate::field`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotifyRequest {
    /// A tracepoint that an enabler matches in a channel.
    Event {
        /// The session in the application.
        session: Handle,
        /// The channel in the application.
        channel: Handle,
        /// `provider:event`.
        name: String,
        /// 0 EMERG … 14 DEBUG.
        log_level: i32,
        /// Records of [`FIELD_BYTES`].
        fields: Vec<u8>,
        /// Empty if there is none.
        model_emf_uri: String,
    },
    /// A channel that is about to be enabled.
    Channel {
        /// The session in the application.
        session: Handle,
        /// The channel in the application.
        channel: Handle,
        /// Records of [`FIELD_BYTES`].
        context_fields: Vec<u8>,
    },
    /// An enumeration that fields of later events refer to by the id answered.
    Enum {
        /// The session in the application.
        session: Handle,
        /// Name of the enumeration.
        name: String,
        /// Records of [`ENUM_ENTRY_BYTES`].
        entries: Vec<u8>,
    },
}

/// The application broke the protocol: close both connections.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotifyError {
    /// A request number that no ABI served here has.
    #[error("unknown request {0:#x}")]
    UnknownRequest(u32),
    /// Beyond the limits of this module, or no multiple of the record length.
    #[error("{what} of {bytes} bytes")]
    Length {
        /// Which part.
        what: &'static str,
        /// As claimed.
        bytes: u32,
    },
    /// No NUL, or no UTF-8.
    #[error("{0} has no end or is no UTF-8")]
    Text(&'static str),
}

/// Cuts requests out of the bytes of a notify connection.
#[derive(Debug, Default)]
pub struct NotifyDecoder {
    pending: Vec<u8>,
}

impl NotifyDecoder {
    /// Nothing received yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes as they arrive, cut anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next complete request, or `None` until more bytes arrive.
    pub fn next_request(&mut self) -> Result<Option<NotifyRequest>, NotifyError> {
        let mut reader = Reader {
            bytes: &self.pending,
            at: 0,
        };
        let Some(request) = decode(&mut reader)? else {
            return Ok(None);
        };
        let used = reader.at;
        self.pending.drain(..used);
        if self.pending.is_empty() {
            // One large event must not cost its memory for the application's life.
            self.pending = Vec::new();
        }
        Ok(Some(request))
    }
}

fn decode(reader: &mut Reader<'_>) -> Result<Option<NotifyRequest>, NotifyError> {
    let Some(kind) = reader.word() else {
        return Ok(None);
    };
    match kind {
        EVENT => decode_event(reader),
        CHANNEL => decode_channel(reader),
        ENUM => decode_enum(reader),
        other => Err(NotifyError::UnknownRequest(other)),
    }
}

fn decode_event(reader: &mut Reader<'_>) -> Result<Option<NotifyRequest>, NotifyError> {
    let Some(head) = reader.take(312) else {
        return Ok(None);
    };
    let lengths = [word(head, 268), word(head, 272), word(head, 276)];
    let signature = text_length("signature", lengths[0])?;
    let fields = array_length("fields", lengths[1], FIELD_BYTES)?;
    let uri = text_length("model URI", lengths[2])?;
    let Some(_signature) = reader.take(signature) else {
        return Ok(None);
    };
    let Some(fields) = reader.take(fields) else {
        return Ok(None);
    };
    let Some(uri) = reader.take(uri) else {
        return Ok(None);
    };
    let uri = if uri.is_empty() {
        ""
    } else {
        text("model URI", uri)?
    };
    Ok(Some(NotifyRequest::Event {
        session: Handle(word(head, 0)),
        channel: Handle(word(head, 4)),
        name: text("event name", &head[8..264])?.to_owned(),
        log_level: word(head, 264) as i32,
        fields: fields.to_vec(),
        model_emf_uri: uri.to_owned(),
    }))
}

fn decode_channel(reader: &mut Reader<'_>) -> Result<Option<NotifyRequest>, NotifyError> {
    let Some(head) = reader.take(44) else {
        return Ok(None);
    };
    let length = array_length("context fields", word(head, 8), FIELD_BYTES)?;
    let Some(fields) = reader.take(length) else {
        return Ok(None);
    };
    Ok(Some(NotifyRequest::Channel {
        session: Handle(word(head, 0)),
        channel: Handle(word(head, 4)),
        context_fields: fields.to_vec(),
    }))
}

fn decode_enum(reader: &mut Reader<'_>) -> Result<Option<NotifyRequest>, NotifyError> {
    let Some(head) = reader.take(296) else {
        return Ok(None);
    };
    let length = array_length("enumeration", word(head, 260), ENUM_ENTRY_BYTES)?;
    let Some(entries) = reader.take(length) else {
        return Ok(None);
    };
    Ok(Some(NotifyRequest::Enum {
        session: Handle(word(head, 0)),
        name: text("enumeration name", &head[4..260])?.to_owned(),
        entries: entries.to_vec(),
    }))
}

fn array_length(what: &'static str, bytes: u32, record: usize) -> Result<usize, NotifyError> {
    let length = bytes as usize;
    if length > MAX_ARRAY_BYTES || !length.is_multiple_of(record) {
        return Err(NotifyError::Length { what, bytes });
    }
    Ok(length)
}

fn text_length(what: &'static str, bytes: u32) -> Result<usize, NotifyError> {
    let length = bytes as usize;
    if length > MAX_TEXT_BYTES {
        Err(NotifyError::Length { what, bytes })
    } else {
        Ok(length)
    }
}

fn text<'a>(what: &'static str, bytes: &'a [u8]) -> Result<&'a str, NotifyError> {
    until_nul(bytes).ok_or(NotifyError::Text(what))
}

/// Reads a word; the callers' offsets are inside the part they took.
fn word(bytes: &[u8], at: usize) -> u32 {
    let mut raw = [0; 4];
    raw.copy_from_slice(&bytes[at..at + 4]);
    u32::from_ne_bytes(raw)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at + length)?;
        self.at += length;
        Some(taken)
    }

    fn word(&mut self) -> Option<u32> {
        self.take(4).map(|bytes| word(bytes, 0))
    }
}

/// Answer to [`NotifyRequest::Event`]: the id that the event will have in its channel.
pub fn event_reply(result: Result<u32, Refusal>) -> Vec<u8> {
    let (code, id) = split(result);
    reply(EVENT, 44, code, &id.to_ne_bytes())
}

/// Answer to [`NotifyRequest::Enum`].
pub fn enum_reply(result: Result<u64, Refusal>) -> Vec<u8> {
    let (code, id) = split(result);
    reply(ENUM, 48, code, &id.to_ne_bytes())
}

/// Answer to [`NotifyRequest::Channel`]: the id that its ring buffer description has, and the large
/// event header.
pub fn channel_reply(result: Result<u32, Refusal>) -> Vec<u8> {
    const LARGE_HEADER: u32 = 2;
    let (code, id) = split(result);
    let mut body = id.to_ne_bytes().to_vec();
    body.extend_from_slice(&LARGE_HEADER.to_ne_bytes());
    reply(CHANNEL, 48, code, &body)
}

/// The request is refused: the event, enumeration or channel is not traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal;

fn split<T: Default>(result: Result<T, Refusal>) -> (i32, T) {
    const EINVAL: i32 = 22;
    match result {
        Ok(value) => (0, value),
        Err(Refusal) => (-EINVAL, T::default()),
    }
}

fn reply(kind: u32, length: usize, code: i32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&code.to_ne_bytes());
    bytes.extend_from_slice(body);
    bytes.resize(length, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(fields: usize) -> Vec<u8> {
        let mut bytes = EVENT.to_ne_bytes().to_vec();
        let mut head = vec![0; 312];
        head[0] = 3;
        head[4] = 4;
        head[8..11].copy_from_slice(b"a:b");
        head[264] = 13;
        head[268] = 2;
        head[272..276].copy_from_slice(&((fields * FIELD_BYTES) as u32).to_ne_bytes());
        head[276] = 4;
        bytes.extend(head);
        bytes.extend(b"s\0");
        bytes.extend(vec![7; fields * FIELD_BYTES]);
        bytes.extend(b"uri\0");
        bytes
    }

    #[test]
    fn an_event_arrives_however_it_is_cut() {
        let bytes = [event(2), event(0)].concat();
        for cut in [1, 4, 315, 316, 318, 900, bytes.len() - 1] {
            let mut decoder = NotifyDecoder::new();
            decoder.feed(&bytes[..cut]);
            let mut got = Vec::new();
            while let Some(request) = decoder.next_request().unwrap() {
                got.push(request);
            }
            decoder.feed(&bytes[cut..]);
            while let Some(request) = decoder.next_request().unwrap() {
                got.push(request);
            }
            assert_eq!(got.len(), 2, "cut at {cut}");
            let NotifyRequest::Event {
                name,
                fields,
                model_emf_uri,
                log_level,
                ..
            } = &got[0]
            else {
                panic!("{got:?}")
            };
            assert_eq!((name.as_str(), fields.len(), *log_level), ("a:b", 1840, 13));
            assert_eq!(model_emf_uri, "uri");
        }
    }

    #[test]
    fn lengths_are_checked_before_anything_is_kept() {
        let mut bytes = event(1);
        bytes[276..280].copy_from_slice(&921_u32.to_ne_bytes());
        let mut decoder = NotifyDecoder::new();
        decoder.feed(&bytes);
        let error = decoder.next_request().unwrap_err();
        assert_eq!(
            error,
            NotifyError::Length {
                what: "fields",
                bytes: 921
            }
        );

        let mut decoder = NotifyDecoder::new();
        decoder.feed(&9_u32.to_ne_bytes());
        assert_eq!(decoder.next_request(), Err(NotifyError::UnknownRequest(9)));
    }

    #[test]
    fn answers_have_the_length_that_the_application_reads() {
        assert_eq!(
            event_reply(Ok(5))[..12],
            [0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0]
        );
        assert_eq!(event_reply(Err(Refusal)).len(), 44);
        assert_eq!(enum_reply(Ok(1)).len(), 48);
        let channel = channel_reply(Ok(1));
        assert_eq!((channel.len(), channel[8], channel[12]), (48, 1, 2));
    }
}
