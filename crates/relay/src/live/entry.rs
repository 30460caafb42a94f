//! The entries of lists that viewers get: sessions and streams.

use std::borrow::Cow;

use super::reply::{put, take};
use super::wire::{self, HOST_LEN, NAME_LEN, PATH_LEN};
use crate::{Minor, RelaySessionId, StreamHandle, TraceFormat};

/// One session in the answer to `LIST_SESSIONS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionEntry<'a> {
    /// Attach to this.
    pub session: RelaySessionId,
    /// Period of the live timer; 0: not live, cannot be attached.
    pub live_timer_us: u32,
    /// Viewers attached to it.
    pub clients: u32,
    /// All its streams, metadata included.
    pub streams: u32,
    /// Name of the target. Before minor 15, 63 bytes of it at most.
    pub hostname: Cow<'a, str>,
    /// Name of the session. Before minor 15, 254 bytes of it at most.
    pub session_name: Cow<'a, str>,
    /// Told since minor 15; [`TraceFormat::CTF_1_8`] before.
    pub trace_format: TraceFormat,
}

/// One stream in the answers to `ATTACH_SESSION` and `GET_NEW_STREAMS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEntry<'a> {
    /// The stream.
    pub stream: StreamHandle,
    /// The same for all streams that share a metadata stream, and for no others.
    pub trace_id: u64,
    /// This is that metadata stream.
    pub is_metadata: bool,
    /// Directory below the trace chunk.
    pub path: Cow<'a, str>,
    /// Name of its data file.
    pub channel_name: Cow<'a, str>,
}

impl SessionEntry<'_> {
    /// Appends it to `out`, as a viewer of this minor reads it.
    pub fn encode_into(&self, minor: Minor, out: &mut Vec<u8>) {
        if minor.has_trace_format() {
            let [hostname, session_name] =
                [&self.hostname, &self.session_name].map(|name| name.as_bytes());
            put(
                out,
                &wire::Session2_15 {
                    id: self.session.0.into(),
                    live_timer_us: self.live_timer_us.into(),
                    clients: self.clients.into(),
                    streams: self.streams.into(),
                    hostname_len: len_of(hostname).into(),
                    session_name_len: len_of(session_name).into(),
                    // Counted from 0 here, from 1 in CREATE_SESSION.
                    trace_format: self.trace_format.0.saturating_sub(1).into(),
                },
            );
            out.extend_from_slice(hostname);
            out.extend_from_slice(session_name);
        } else {
            put(
                out,
                &wire::Session2_4 {
                    id: self.session.0.into(),
                    live_timer_us: self.live_timer_us.into(),
                    clients: self.clients.into(),
                    streams: self.streams.into(),
                    hostname: c_string::<HOST_LEN>(&self.hostname),
                    session_name: c_string::<NAME_LEN>(&self.session_name),
                },
            );
        }
    }

    /// Takes one entry from the front of `bytes`, as a viewer: the entry and its length, or `None` if its end
    /// has not arrived yet.
    #[must_use]
    pub fn parse(minor: Minor, bytes: &[u8]) -> Option<(SessionEntry<'static>, usize)> {
        if !minor.has_trace_format() {
            let entry: wire::Session2_4 = take(bytes)?;
            let parsed = SessionEntry {
                session: RelaySessionId(entry.id.get()),
                live_timer_us: entry.live_timer_us.get(),
                clients: entry.clients.get(),
                streams: entry.streams.get(),
                hostname: text(&entry.hostname),
                session_name: text(&entry.session_name),
                trace_format: TraceFormat::CTF_1_8,
            };
            return Some((parsed, size_of::<wire::Session2_4>()));
        }
        let entry: wire::Session2_15 = take(bytes)?;
        let names = bytes.get(size_of::<wire::Session2_15>()..)?;
        let hostname_len = usize::try_from(entry.hostname_len.get()).ok()?;
        let session_name_len = usize::try_from(entry.session_name_len.get()).ok()?;
        let (hostname, rest) = names.split_at_checked(hostname_len)?;
        let session_name = rest.get(..session_name_len)?;
        let parsed = SessionEntry {
            session: RelaySessionId(entry.id.get()),
            live_timer_us: entry.live_timer_us.get(),
            clients: entry.clients.get(),
            streams: entry.streams.get(),
            hostname: text(hostname),
            session_name: text(session_name),
            trace_format: TraceFormat(entry.trace_format.get().saturating_add(1)),
        };
        let len = size_of::<wire::Session2_15>() + hostname_len + session_name_len;
        Some((parsed, len))
    }
}

impl StreamEntry<'_> {
    /// Its length on the wire.
    pub const LEN: usize = size_of::<wire::StreamEntry>();

    /// Appends it to `out`.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        put(
            out,
            &wire::StreamEntry {
                id: self.stream.0.into(),
                trace_id: self.trace_id.into(),
                is_metadata: u32::from(self.is_metadata).into(),
                path: c_string::<PATH_LEN>(&self.path),
                channel_name: c_string::<NAME_LEN>(&self.channel_name),
            },
        );
    }

    /// Takes one entry from the front of `bytes`, as a viewer; `None` if its end has not arrived yet.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<StreamEntry<'static>> {
        let entry: wire::StreamEntry = take(bytes)?;
        Some(StreamEntry {
            stream: StreamHandle(entry.id.get()),
            trace_id: entry.trace_id.get(),
            is_metadata: entry.is_metadata.get() != 0,
            path: text(&entry.path),
            channel_name: text(&entry.channel_name),
        })
    }
}

fn len_of(name: &[u8]) -> u32 {
    u32::try_from(name.len()).unwrap_or(u32::MAX)
}

/// The name with a NUL behind it, cut between characters if it is too long.
fn c_string<const LEN: usize>(name: &str) -> [u8; LEN] {
    let mut field = [0; LEN];
    let mut len = name.len().min(LEN - 1);
    while !name.is_char_boundary(len) {
        len -= 1;
    }
    field[..len].copy_from_slice(&name.as_bytes()[..len]);
    field
}

/// Up to the first NUL.
fn text(field: &[u8]) -> Cow<'static, str> {
    let name = field.split(|byte| *byte == 0).next().unwrap_or_default();
    Cow::Owned(String::from_utf8_lossy(name).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(hostname: &str) -> SessionEntry<'_> {
        SessionEntry {
            session: RelaySessionId(1),
            live_timer_us: 500_000,
            clients: 2,
            streams: 3,
            hostname: hostname.into(),
            session_name: "liv".into(),
            trace_format: TraceFormat::CTF_1_8,
        }
    }

    #[test]
    fn a_long_host_name_is_cut_for_old_viewers_only() {
        let long = "ä".repeat(100);
        let mut old = Vec::new();
        session(&long).encode_into(Minor(4), &mut old);
        assert_eq!(old.len(), 339);
        let (parsed, len) = SessionEntry::parse(Minor(4), &old).unwrap();
        assert_eq!((parsed.hostname.len(), len), (62, 339));
        let mut new = Vec::new();
        session(&long).encode_into(Minor(15), &mut new);
        assert_eq!(
            SessionEntry::parse(Minor(15), &new),
            Some((session(&long), 32 + 200 + 3))
        );
        assert_eq!(SessionEntry::parse(Minor(15), &new[..234]), None);
    }
}
