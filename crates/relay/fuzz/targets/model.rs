//! A relay daemon without files: the state machines, wired as the daemon wires them.

use std::collections::BTreeMap;

use relay::server::layout::{Grouping, session_directory};
use relay::server::names::{Component, RelativePath};
use relay::server::{
    Answer, ChunkEffect, ChunkMember, ChunkSet, CloseReason, ControlPeer, DataPeer, DataPiece,
    Step, Stream, StreamEffect, StreamSetup, Tracefiles, refused_session,
};
use relay::{Minor, Reply, Request, ReturnCode, StreamHandle};

const OK: Answer = Answer::Reply(Reply::Code(ReturnCode::OK));

pub(super) struct Session {
    peer: ControlPeer,
    state: State,
}

#[derive(Default)]
struct State {
    chunks: Option<ChunkSet>,
    member: ChunkMember,
    streams: BTreeMap<StreamHandle, (Stream, RelativePath)>,
    next: u64,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            peer: ControlPeer::new(true),
            state: State::default(),
        }
    }
}

impl Session {
    pub(super) fn on_control(&mut self, bytes: &[u8]) {
        self.peer.on_bytes(bytes);
        loop {
            let minor = self.peer.minor();
            let answer = match self.peer.step() {
                Step::NeedMore => break,
                Step::Handled => continue,
                Step::Request(request) => self.state.answer(minor, &request),
            };
            self.peer.answer(&answer);
            self.state.settle();
        }
    }

    pub(super) fn on_data(&mut self, mut bytes: &[u8]) {
        let mut peer = DataPeer::default();
        let mut current = None;
        while !bytes.is_empty() {
            let (used, piece) = peer.next_piece(bytes);
            bytes = &bytes[used..];
            match piece {
                Some(DataPiece::Header(packet)) => {
                    let Some((stream, _)) = self.state.streams.get_mut(&packet.stream) else {
                        return;
                    };
                    if stream.begin_packet(packet).is_err() {
                        return;
                    }
                    current = Some(packet.stream);
                    if packet.data_size == 0 && stream.end_packet().is_err() {
                        return;
                    }
                }
                Some(DataPiece::Payload { complete: true, .. }) => {
                    let stream = current.and_then(|stream| self.state.streams.get_mut(&stream));
                    if stream.is_none_or(|(stream, _)| stream.end_packet().is_err()) {
                        return;
                    }
                }
                _ => {}
            }
            self.state.settle();
        }
        // The connection ends here, perhaps inside a packet.
        if let Some((stream, _)) = current.and_then(|stream| self.state.streams.get_mut(&stream)) {
            let _ = stream.abort_packet();
        }
        self.state.settle();
    }

    /// Everything ends: nothing is held any more.
    pub(super) fn end(mut self) {
        for (stream, _) in self.state.streams.values_mut() {
            stream.abort();
        }
        self.state.settle();
        assert!(
            self.state
                .streams
                .values()
                .all(|(stream, _)| stream.is_closed())
        );
        if let Some(chunks) = &mut self.state.chunks {
            chunks.member_left(&mut self.state.member);
            self.state.settle();
        }
        assert!(self.state.chunks.is_none_or(|chunks| chunks.is_empty()));
    }
}

impl State {
    fn answer(&mut self, minor: Minor, request: &Request<'_>) -> Answer {
        let command = request.command();
        let done = match request {
            Request::CreateSession(_) => return self.create_session(minor, request),
            Request::SendMetadata {
                stream,
                padding_size,
                bytes,
            } => {
                let len = bytes.len() as u64 + u64::from(*padding_size);
                let stream = self.streams.get_mut(stream);
                match stream.map(|(stream, _)| stream.append_metadata(len)) {
                    Some(Ok(_)) => return Answer::Nothing,
                    _ => false,
                }
            }
            Request::AddStream(request) => self.add_stream(minor, request).is_some(),
            Request::CloseStream {
                stream,
                last_net_seq_num,
            } => self.on_stream(*stream, |stream| {
                stream.close(*last_net_seq_num);
                true
            }),
            Request::ResetMetadata { stream, .. } => {
                self.on_stream(*stream, |stream| stream.reset_metadata().is_ok())
            }
            Request::SendIndex(index) => self.on_stream(StreamHandle(index.stream), |stream| {
                stream.on_index(*index).is_ok()
            }),
            Request::DataPending {
                stream,
                last_net_seq_num,
            } => self.on_stream(*stream, |stream| stream.is_pending(*last_net_seq_num)),
            Request::CreateTraceChunk {
                chunk,
                override_name,
                ..
            } => {
                let name = override_name.map(Component::chunk_name).transpose();
                match (name, &mut self.chunks) {
                    (Ok(name), Some(chunks)) => {
                        let start = "20261122T214708+0000";
                        chunks.create(&mut self.member, *chunk, start, name).is_ok()
                    }
                    _ => false,
                }
            }
            Request::CloseTraceChunk { chunk, command, .. } => {
                self.chunks.as_mut().is_some_and(|chunks| {
                    let end = "20261122T214709+0000";
                    let closed = chunks.close(&mut self.member, *chunk, end, *command, true);
                    closed.is_ok_and(|path| {
                        assert_inside(&path);
                        true
                    })
                })
            }
            Request::RotateStreams { to, positions } => positions.iter().all(|position| {
                let Some((stream, path)) = self.streams.get_mut(&position.stream) else {
                    return false;
                };
                let Some(chunks) = &mut self.chunks else {
                    return false;
                };
                if let Some(to) = to
                    && chunks.stream_joins(*to, path).is_err()
                {
                    return false;
                }
                let rotated = stream.rotate(position.rotate_at_seq_num, *to);
                if let (Err(_), Some(to)) = (&rotated, to)
                    && !stream.is_closed()
                {
                    chunks.leave(*to);
                }
                rotated.is_ok()
            }),
            _ => true,
        };
        if done {
            return OK;
        }
        let why = "refused".to_owned();
        Answer::ReplyThenClose(
            Reply::Code(ReturnCode::UNKNOWN),
            CloseReason::Failed { command, why },
        )
    }

    fn create_session(&mut self, minor: Minor, request: &Request<'_>) -> Answer {
        let Request::CreateSession(session) = request else {
            return OK;
        };
        if !minor.has_trace_chunks() {
            let (chunks, member) = ChunkSet::for_old_peer();
            (self.chunks, self.member) = (Some(chunks), member);
        } else {
            let grouping = match session.snapshot {
                true => Grouping::BySession,
                false => Grouping::ByHost,
            };
            let Ok(directory) = session_directory(grouping, session, "20261122-214708") else {
                return Answer::Reply(refused_session(minor));
            };
            assert_inside(directory.as_str());
            self.chunks = Some(ChunkSet::new(&directory));
        }
        Answer::Reply(Reply::Session {
            session: relay::RelaySessionId(1),
            code: ReturnCode::OK,
            output_path: minor.has_trace_chunks().then(String::new),
        })
    }

    fn add_stream(&mut self, minor: Minor, request: &relay::AddStream<'_>) -> Option<()> {
        Component::new("channel name", request.channel_name).ok()?;
        let path = RelativePath::new("stream path", request.pathname).ok()?;
        assert_inside(path.as_str());
        let chunk = self.member.current()?;
        self.chunks.as_mut()?.stream_joins(chunk, &path).ok()?;
        self.next += 1;
        let stream = Stream::new(&StreamSetup {
            is_metadata: request.is_metadata(),
            has_indexes: minor.has_indexes(),
            tracefiles: Tracefiles {
                size: request.tracefile_size,
                count: request.tracefile_count,
            },
            chunk,
        });
        self.streams.insert(StreamHandle(self.next), (stream, path));
        Some(())
    }

    fn on_stream(&mut self, handle: StreamHandle, work: impl FnOnce(&mut Stream) -> bool) -> bool {
        self.streams
            .get_mut(&handle)
            .is_some_and(|(stream, _)| work(stream))
    }

    /// Carries out all that is wanted.
    fn settle(&mut self) {
        let Some(chunks) = &mut self.chunks else {
            return;
        };
        for (stream, _) in self.streams.values_mut() {
            while let Some(effect) = stream.next_effect() {
                match effect {
                    StreamEffect::LeaveChunk(chunk) => chunks.leave(chunk),
                    StreamEffect::OpenData(key) | StreamEffect::OpenIndex(key) => {
                        let directory = chunks.directory_of(key.chunk);
                        let directory = directory.expect("a file in a chunk that is gone");
                        assert!(directory.is_empty() || is_inside(&directory), "{directory}");
                    }
                    _ => {}
                }
            }
        }
        while let Some(effect) = chunks.next_effect() {
            match effect {
                ChunkEffect::MakeDirectory(path) | ChunkEffect::RemoveTree(path) => {
                    assert_inside(&path);
                }
                ChunkEffect::Rename { from, to } => {
                    assert_inside(&from);
                    assert_inside(&to);
                }
                ChunkEffect::RemoveEmpty(paths) => {
                    paths.iter().for_each(|path| assert_inside(path))
                }
            }
        }
    }
}

fn assert_inside(path: &str) {
    assert!(is_inside(path), "{path:?} is outside");
}

fn is_inside(path: &str) -> bool {
    path.split('/')
        .all(|name| !name.is_empty() && name != "." && name != "..")
}
