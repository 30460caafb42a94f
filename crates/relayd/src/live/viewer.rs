//! What one viewer is attached to, and the answers to what it asks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use relay::live::{
    AttachStatus, Beacon, CreateStatus, Curb, DetachStatus, Expected, FLAG_NEW_METADATA,
    FLAG_NEW_STREAM, IndexReply, IndexStatus, MetadataStatus, NewStreamsStatus, PacketStatus,
    Patience, Seek, ViewerReply, ViewerRequest,
};
use relay::{Minor, RelaySessionId, StreamHandle, TraceFormat};

use super::mailbox::Waker;
use super::output::Output;
use super::session::{Attachment, LiveSession, View};
use super::stream::FoundMetadata;
use super::watched::{Kind, Reading, Told, Watched};
use crate::pool::OpenFile;
use crate::relay::Relay;
use crate::stream::SharedStream;

/// Streams of all attachments of one viewer.
const MAX_STREAMS: usize = 1 << 18;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Viewer {
    /// `CREATE_SESSION` was said.
    has_session: bool,
    attachments: HashMap<RelaySessionId, Arc<Attachment>>,
    streams: HashMap<StreamHandle, Watched>,
    /// The metadata streams, by trace.
    metadata: HashMap<u64, StreamHandle>,
    patience: Patience,
}

/// How a question is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking<'a> {
    pub(super) minor: Minor,
    pub(super) now: Instant,
    /// `None`: answer now, even if there is nothing to tell.
    pub(super) waker: Option<&'a Waker>,
}

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    Yes,
    /// There is nothing to tell until then; the waker is called when it is worth to try again.
    Held(Instant),
}

impl Viewer {
    /// Puts the answer into `output`.
    pub(super) fn answer(
        &mut self,
        relay: &Relay,
        request: ViewerRequest,
        asking: Asking<'_>,
        output: &mut Output,
    ) -> std::io::Result<Answered> {
        let expected = self.expected(request);
        let until = self.patience.hold(request, expected, asking.now);
        let held = Answered::Held(until.unwrap_or(asking.now));
        let waker = asking.waker.filter(|_| until.is_some());
        match request {
            ViewerRequest::ListSessions => list(relay, asking.minor, output),
            ViewerRequest::CreateSession => {
                self.has_session = true;
                output.reply(&ViewerReply::Created(CreateStatus::OK));
            }
            ViewerRequest::Attach { session, seek } => {
                self.attach(relay, session, seek, asking.minor, output);
            }
            ViewerRequest::Detach { session } => {
                let status = self.detach(relay, session);
                output.reply(&ViewerReply::Detached(status));
            }
            ViewerRequest::NextIndex { stream } => {
                // Viewers of this minor look at the flags of every answer.
                let looks_at_flags = asking.minor.has_trace_format();
                let waker = waker.filter(|_| !(looks_at_flags && self.has_fresh_streams()));
                let Some(mut reply) = self.next_index(stream, Asking { waker, ..asking })? else {
                    if let Some(waker) = waker.filter(|_| looks_at_flags) {
                        self.watch_sessions(waker);
                    }
                    return Ok(held);
                };
                if self.has_fresh_streams() {
                    reply.flags |= FLAG_NEW_STREAM;
                }
                output.reply(&ViewerReply::Index(reply));
            }
            ViewerRequest::Packet {
                stream,
                offset_bytes,
                len_bytes,
            } => self.packet(stream, (offset_bytes, len_bytes), output),
            ViewerRequest::Metadata { stream } => {
                let asking = Asking { waker, ..asking };
                if !self.metadata(stream, asking, output)? {
                    return Ok(held);
                }
            }
            ViewerRequest::NewStreams { session } => {
                if !self.new_streams(session, Asking { waker, ..asking }, output) {
                    return Ok(held);
                }
            }
            // Handled by the peer.
            ViewerRequest::Connect { .. } => {}
        }
        Ok(Answered::Yes)
    }

    /// A question has come, which [`Viewer::answer`] is called for.
    pub(super) fn on_question(&mut self, request: ViewerRequest, now: Instant) {
        self.patience.on_question(request, now);
    }

    /// What is known of the news that are asked for.
    fn expected(&self, request: ViewerRequest) -> Expected {
        let ViewerRequest::NextIndex { stream } = request else {
            return Expected::default();
        };
        let watched = self.streams.get(&stream);
        watched
            .and_then(|watched| Some((watched, self.attachments.get(&watched.session)?)))
            .map(|(watched, attachment)| attachment.session.expected(watched.view.stream.heard()))
            .unwrap_or_default()
    }

    fn attach(
        &mut self,
        relay: &Relay,
        id: RelaySessionId,
        seek: Seek,
        minor: Minor,
        output: &mut Output,
    ) {
        match self.try_attach(relay, id, seek, minor) {
            Ok((session, views)) => {
                let from = match seek {
                    Seek::BEGINNING => "the beginning",
                    _ => "now on",
                };
                tracing::info!(
                    "a viewer attached to session {id} ({}/{}), from {from}",
                    session.info.host,
                    session.info.name
                );
                let streams = self.add(id, views);
                output.reply(&ViewerReply::Attached {
                    status: AttachStatus::OK,
                    streams: count(&streams),
                });
                output.streams(streams);
            }
            Err(status) => output.reply(&ViewerReply::Attached { status, streams: 0 }),
        }
    }

    fn try_attach(
        &mut self,
        relay: &Relay,
        id: RelaySessionId,
        seek: Seek,
        minor: Minor,
    ) -> Result<(Arc<LiveSession>, Vec<View>), AttachStatus> {
        if !self.has_session {
            return Err(AttachStatus::NO_VIEWER_SESSION);
        }
        let session = relay.live.get(id).ok_or(AttachStatus::UNKNOWN)?;
        if !is_for(&session, minor) {
            return Err(AttachStatus::UNKNOWN);
        }
        if !session.is_live() {
            return Err(AttachStatus::NOT_LIVE);
        }
        if self.attachments.contains_key(&id) {
            return Err(AttachStatus::ALREADY);
        }
        if ![Seek::BEGINNING, Seek::LAST].contains(&seek) {
            return Err(AttachStatus::BAD_SEEK);
        }
        if session.is_closed() {
            return Err(AttachStatus::UNKNOWN);
        }
        let (attachment, views) = session.attach(seek == Seek::BEGINNING);
        self.attachments.insert(id, attachment);
        Ok((session, views))
    }

    fn detach(&mut self, relay: &Relay, id: RelaySessionId) -> DetachStatus {
        if self.attachments.remove(&id).is_none() {
            return match relay.live.get(id).filter(|_| self.has_session) {
                None if self.has_session => DetachStatus::UNKNOWN,
                _ => DetachStatus::ERROR,
            };
        }
        let gone: Vec<_> = self
            .streams
            .iter()
            .filter(|(_, watched)| watched.session == id)
            .map(|(handle, _)| *handle)
            .collect();
        for handle in gone {
            self.forget(handle);
        }
        DetachStatus::OK
    }

    /// The viewer is told of these streams.
    fn add(&mut self, session: RelaySessionId, views: Vec<View>) -> Vec<Arc<SharedStream>> {
        let mut told = Vec::with_capacity(views.len());
        for view in views {
            let (stream, begin) = (Arc::clone(&view.stream), view.begin);
            let Some(trace) = stream.trace_id() else {
                continue;
            };
            if self.streams.len() >= MAX_STREAMS {
                break;
            }
            let kind = if stream.is_metadata() {
                self.metadata.insert(trace, stream.handle);
                Kind::Metadata {
                    sent: 0,
                    ended: false,
                }
            } else {
                Kind::Data(Reading::new(begin))
            };
            let watched = Watched {
                view,
                session,
                kind,
            };
            self.streams.insert(stream.handle, watched);
            told.push(stream);
        }
        told
    }

    fn forget(&mut self, handle: StreamHandle) {
        let Some(watched) = self.streams.remove(&handle) else {
            return;
        };
        if let Kind::Metadata { .. } = watched.kind {
            self.metadata.retain(|_, metadata| *metadata != handle);
        }
    }

    /// `None`: held.
    fn next_index(
        &mut self,
        handle: StreamHandle,
        asking: Asking<'_>,
    ) -> std::io::Result<Option<IndexReply>> {
        let waker = asking.waker;
        let curb = self.curb(handle, asking);
        let Some(watched) = self.streams.get_mut(&handle) else {
            return Ok(Some(IndexReply::bare(IndexStatus::ERROR)));
        };
        let rotating = matches!(watched.kind, Kind::Data(_))
            && self
                .attachments
                .get(&watched.session)
                .is_some_and(|attachment| attachment.is_rotating(waker));
        let told = if rotating {
            Told::Nothing
        } else {
            match watched.next(curb, waker)? {
                Some(told) => told,
                None => return Ok(Some(IndexReply::bare(IndexStatus::HUP))),
            }
        };
        if told.may_wait() && waker.is_some() {
            return Ok(None);
        }
        let mut reply = match told {
            Told::Packet(packet) => IndexReply {
                packet,
                ..IndexReply::bare(IndexStatus::OK)
            },
            Told::Inactive { beacon, .. } => inactive(beacon),
            Told::Nothing => IndexReply::bare(IndexStatus::RETRY),
            Told::End => IndexReply::bare(IndexStatus::HUP),
        };
        if told.may_wait() {
            let request = ViewerRequest::NextIndex { stream: handle };
            self.patience.on_nothing(request, asking.now);
        } else if matches!(told, Told::Packet(_)) {
            self.patience.on_packet(asking.now);
        } else {
            self.patience.on_something(asking.now);
        }
        let trace = watched.view.stream.trace_id();
        if told == Told::End {
            self.forget(handle);
        }
        if trace.is_some_and(|trace| self.lacks_metadata(trace)) {
            reply.flags |= FLAG_NEW_METADATA;
        }
        Ok(Some(reply))
    }

    /// How far beacons may be told, if there are streams that the viewer was not told of.
    fn curb(&self, handle: StreamHandle, asking: Asking<'_>) -> Option<Curb> {
        if asking.minor.has_trace_format() {
            // Viewers of this minor look at the flags of every answer.
            return None;
        }
        let fresh = self.attachments.values().filter(|it| it.has_fresh());
        let limit = fresh.map(|attachment| attachment.limit()).min()?;
        // First this, so that no packet comes in between.
        if let Some(waker) = asking.waker {
            for watched in self.streams.values() {
                watched.view.stream.watch(waker);
            }
        }
        let packet_waits = self.streams.values().any(Watched::has_packet);
        let ordinal = self.streams.keys().filter(|other| **other < handle).count();
        Some(Curb {
            limit,
            packet_waits,
            streams: self.streams.len() as u64,
            ordinal: ordinal as u64,
        })
    }

    fn lacks_metadata(&self, trace: u64) -> bool {
        let metadata = self.metadata.get(&trace);
        let watched = metadata.and_then(|handle| self.streams.get(handle));
        watched.is_some_and(|watched| match watched.kind {
            Kind::Metadata { sent, .. } => {
                let len = watched.view.stream.metadata_len();
                len != sent || len == 0
            }
            Kind::Data(_) => false,
        })
    }

    fn packet(&mut self, handle: StreamHandle, (offset, len): (u64, u32), output: &mut Output) {
        let file = self.packet_file(handle, offset, len);
        let (status, len_bytes) = match file {
            Some(_) => (PacketStatus::OK, len),
            None => (PacketStatus::ERROR, 0),
        };
        output.reply(&ViewerReply::Packet { status, len_bytes });
        if let Some(file) = file {
            output.file(file, offset, len.into());
        }
    }

    /// The file of the packet told last, if it holds so many bytes there.
    fn packet_file(&self, handle: StreamHandle, offset: u64, len: u32) -> Option<OpenFile> {
        let watched = self.streams.get(&handle)?;
        let Kind::Data(reading) = &watched.kind else {
            return None;
        };
        let packet = reading.packet.as_ref()?;
        let file = watched.view.stream.data_of(packet).ok()?;
        let end = offset.checked_add(len.into())?;
        (file.metadata().ok()?.len() >= end).then_some(file)
    }

    /// `false`: held.
    fn metadata(
        &mut self,
        handle: StreamHandle,
        asking: Asking<'_>,
        output: &mut Output,
    ) -> std::io::Result<bool> {
        let nothing = |status| ViewerReply::Metadata {
            status,
            len_bytes: 0,
        };
        let Some(Watched {
            view,
            kind: Kind::Metadata { sent, ended },
            ..
        }) = self.streams.get_mut(&handle)
        else {
            output.reply(&nothing(MetadataStatus::ERROR));
            return Ok(true);
        };
        // A viewer that has metadata goes on with that.
        let waker = asking.waker.filter(|_| *sent == 0);
        let waits_for_packet = !asking.minor.has_trace_format();
        let found = view.stream.new_metadata((*sent, waits_for_packet), waker)?;
        match found {
            FoundMetadata::Bytes { file, len } => {
                output.reply(&ViewerReply::Metadata {
                    status: MetadataStatus::OK,
                    len_bytes: len,
                });
                output.file(file, *sent, len);
                *sent += len;
            }
            FoundMetadata::Nothing if waker.is_some() => return Ok(false),
            FoundMetadata::Nothing => {
                if *sent == 0 {
                    let request = ViewerRequest::Metadata { stream: handle };
                    self.patience.on_nothing(request, asking.now);
                }
                output.reply(&nothing(MetadataStatus::NO_NEW));
            }
            FoundMetadata::End if !*ended => {
                *ended = true;
                output.reply(&nothing(MetadataStatus::NO_NEW));
            }
            FoundMetadata::End => {
                self.forget(handle);
                output.reply(&nothing(MetadataStatus::ERROR));
            }
        }
        Ok(true)
    }

    /// `false`: held.
    fn new_streams(
        &mut self,
        session: RelaySessionId,
        asking: Asking<'_>,
        output: &mut Output,
    ) -> bool {
        let none = |status| ViewerReply::NewStreams { status, streams: 0 };
        let Some(attachment) = self.attachments.get(&session).cloned() else {
            output.reply(&none(NewStreamsStatus::ERROR));
            return true;
        };
        // A viewer that reads streams goes on with those.
        let is_reading = self.has_data_streams(None);
        let waker = asking.waker.filter(|_| !is_reading);
        let views = attachment.take_fresh(waker);
        if !views.is_empty() {
            let streams = self.add(session, views);
            output.reply(&ViewerReply::NewStreams {
                status: NewStreamsStatus::OK,
                streams: count(&streams),
            });
            output.streams(streams);
        } else if attachment.session.is_closed() && !self.has_data_streams(Some(session)) {
            output.reply(&none(NewStreamsStatus::HUP));
        } else if waker.is_some() {
            return false;
        } else {
            if !is_reading {
                let request = ViewerRequest::NewStreams { session };
                self.patience.on_nothing(request, asking.now);
            }
            output.reply(&none(NewStreamsStatus::OK));
        }
        true
    }

    fn has_data_streams(&self, of: Option<RelaySessionId>) -> bool {
        self.streams.values().any(|watched| {
            matches!(watched.kind, Kind::Data(_)) && of.is_none_or(|of| watched.session == of)
        })
    }

    fn has_fresh_streams(&self) -> bool {
        self.attachments
            .values()
            .any(|attachment| attachment.has_fresh())
    }

    fn watch_sessions(&self, waker: &Waker) {
        for attachment in self.attachments.values() {
            attachment.watch(waker);
        }
        if self.has_fresh_streams() {
            // They came in between.
            waker.wake();
        }
    }
}

fn list(relay: &Relay, minor: Minor, output: &mut Output) {
    let mut sessions = relay.live.all();
    sessions.retain(|session| is_for(session, minor));
    output.reply(&ViewerReply::Sessions {
        count: count(&sessions),
    });
    output.sessions(sessions, minor);
}

/// Old viewers cannot read new trace formats.
fn is_for(session: &LiveSession, minor: Minor) -> bool {
    minor.has_trace_format() || session.info.trace_format == TraceFormat::CTF_1_8
}

fn inactive(beacon: Beacon) -> IndexReply {
    let mut reply = IndexReply::bare(IndexStatus::INACTIVE);
    reply.packet.timestamp_end = beacon.timestamp_end;
    reply.packet.stream_class_id = beacon.stream_class_id;
    reply
}

fn count<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}
