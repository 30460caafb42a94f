//! Viewers that say exactly what a test wants, beside a peer that sends exactly what a test wants.

#[expect(dead_code, reason = "other tests use the rest")]
mod raw_peer;

use std::borrow::Cow;
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use raw_peer::{PACKET_SIZE, RawPeer, index, stored, wait_closed};
use relay::live::{
    AttachStatus, ConnectionKind, DetachStatus, FLAG_NEW_METADATA, FLAG_NEW_STREAM, IndexStatus,
    MetadataStatus, NewStreamsStatus, PacketStatus, Seek, ViewerReply, ViewerRequest,
};
use relay::{
    ChunkId, CloseCommand, MAJOR, Minor, PacketIndex, RelaySessionId, Request, StreamHandle,
    StreamPosition,
};
use system_tests::Toolchain::Ours;
use system_tests::{Relay, Viewer, here, isolated};

const TREE: &str = "ust/uid/0/64-bit";
const METADATA: &[u8] = b"/* CTF 1.8 */";

/// A live session of a raw peer, with a data stream and a metadata stream that are announced.
struct Session {
    relay: Relay,
    peer: RawPeer,
    data: StreamHandle,
    metadata: StreamHandle,
}

impl Session {
    fn start(w: &mut system_tests::World) -> Result<Self> {
        let relay = w.relay(Ours)?;
        let mut peer = RawPeer::connect(&relay, Minor::NEWEST)?;
        peer.create_timed_session("s", "", 100_000)?;
        peer.create_chunk(0)?;
        let data = peer.add_stream(TREE, "c_0")?;
        let metadata = peer.add_stream(TREE, "metadata")?;
        peer.ok(&Request::StreamsSent)?;
        Ok(Self {
            relay,
            peer,
            data,
            metadata,
        })
    }

    fn port(&self) -> u16 {
        self.relay.ports()[2]
    }

    fn viewer(&self) -> Result<Viewer> {
        Viewer::new(self.port())
    }

    /// A viewer that is attached at the beginning.
    fn attached(&self) -> Result<Viewer> {
        let mut viewer = self.viewer()?;
        viewer.attach_to("s", Seek::BEGINNING)?;
        Ok(viewer)
    }

    fn packet(&mut self, number: u64) -> Result<()> {
        self.peer.packet(self.data, number)?;
        self.peer.index(self.data, number)
    }

    fn beacon(&mut self, timestamp_end: u64) -> Result<()> {
        self.peer.ok(&Request::SendIndex(PacketIndex {
            stream: self.data.0,
            timestamp_end,
            stream_class_id: 7,
            ..PacketIndex::default()
        }))
    }

    fn send_metadata(&mut self, bytes: &[u8], padding_size: u32) -> Result<()> {
        send_metadata(&mut self.peer, self.metadata, bytes, padding_size)
    }

    fn rotate(&mut self, to: Option<u64>, at: u64) -> Result<()> {
        let positions = [(self.data, at), (self.metadata, 0)].map(|(stream, rotate_at_seq_num)| {
            StreamPosition {
                stream,
                rotate_at_seq_num,
            }
        });
        self.peer.ok(&Request::RotateStreams {
            to: to.map(ChunkId),
            positions: Cow::Borrowed(&positions),
        })
    }

    fn close_chunk(&mut self, id: u64, command: CloseCommand) -> Result<()> {
        self.peer.ok(&Request::CloseTraceChunk {
            chunk: ChunkId(id),
            closed_unix_s: 1_700_000_100,
            command: Some(command),
        })
    }
}

fn send_metadata(
    peer: &mut RawPeer,
    stream: StreamHandle,
    bytes: &[u8],
    padding_size: u32,
) -> Result<()> {
    peer.client.request(&Request::SendMetadata {
        stream,
        padding_size,
        bytes,
    })?;
    peer.control.write_all(&peer.client.take_output())?;
    // It has no reply: after the next one it has been taken in.
    peer.ok(&Request::Quiescent { stream })
}

#[test]
fn everything_is_told_in_order() {
    isolated(here!(), |w| {
        let mut s = Session::start(w)?;
        let mut viewer = s.viewer()?;
        let sessions = viewer.sessions()?;
        ensure!(sessions.len() == 1, "{sessions:?}");
        let entry = &sessions[0];
        ensure!(
            (entry.hostname.as_ref(), entry.session_name.as_ref()) == ("raw", "s")
                && (entry.live_timer_us, entry.clients, entry.streams) == (100_000, 0, 2),
            "{entry:?}"
        );
        let watching = viewer.attach_to("s", Seek::BEGINNING)?;
        ensure!(watching.data() == [s.data] && watching.metadata() == [s.metadata]);
        ensure!(
            watching
                .streams
                .iter()
                .all(|entry| entry.trace_id == 1 && entry.path == TREE)
        );
        ensure!(watching.streams[0].channel_name == "c_0");

        // Nothing yet, and the flag says that metadata is missing.
        let nothing = viewer.next_index(s.data)?;
        ensure!(nothing.status == IndexStatus::RETRY && nothing.flags == FLAG_NEW_METADATA);
        ensure!(viewer.next_index(s.metadata)?.status == IndexStatus::HUP);

        // Metadata are told when there is a packet that needs them.
        s.send_metadata(METADATA, 3)?;
        ensure!(viewer.metadata(s.metadata)?.0 == MetadataStatus::NO_NEW);
        s.packet(0)?;
        s.peer.wait_received(s.data, 0)?;
        let (status, bytes) = viewer.metadata(s.metadata)?;
        ensure!(status == MetadataStatus::OK && bytes == [METADATA, &[0; 3]].concat());
        ensure!(viewer.metadata(s.metadata)?.0 == MetadataStatus::NO_NEW);
        ensure!(viewer.metadata(s.data)?.0 == MetadataStatus::ERROR);

        for number in 0..3 {
            if number > 0 {
                s.packet(number)?;
            }
            let told = viewer.wait_for_packet(s.data)?;
            ensure!(told.flags == 0, "{told:?}");
            let packet = told.packet;
            ensure!(
                packet.offset_bytes == number * PACKET_SIZE
                    && packet.packet_size_bits == PACKET_SIZE * 8
                    && (packet.timestamp_begin, packet.timestamp_end)
                        == (number * 10, number * 10 + 9),
                "{packet:?}"
            );
            ensure!(viewer.whole_packet(s.data, &packet)? == stored(number));
            // In two pieces, as babeltrace2 asks for large ones.
            let (status, half) = viewer.packet(s.data, packet.offset_bytes + 2048, 2048)?;
            ensure!(status == PacketStatus::OK && half == stored(number)[2048..]);
        }
        ensure!(viewer.packet(s.data, 0, 0)? == (PacketStatus::OK, vec![]));
        ensure!(viewer.packet(s.data, 3 * PACKET_SIZE, 1)?.0 == PacketStatus::ERROR);
        ensure!(viewer.packet(s.data, u64::MAX, 1)?.0 == PacketStatus::ERROR);
        ensure!(viewer.packet(s.metadata, 0, 1)?.0 == PacketStatus::ERROR);

        s.beacon(40)?;
        let told = viewer.next_index(s.data)?;
        ensure!(
            told.status == IndexStatus::INACTIVE
                && (told.packet.timestamp_end, told.packet.stream_class_id) == (40, 7),
            "{told:?}"
        );
        // The same again and again, until there is a newer one.
        ensure!(viewer.next_index(s.data)? == told);
        s.beacon(50)?;
        ensure!(viewer.next_index(s.data)?.packet.timestamp_end == 50);

        ensure!(viewer.new_streams(watching.session)? == (NewStreamsStatus::OK, vec![]));
        for stream in [s.data, s.metadata] {
            s.peer.ok(&Request::CloseStream {
                stream,
                last_net_seq_num: if stream == s.data { 2 } else { u64::MAX },
            })?;
        }
        viewer.wait_for_hup(s.data)?;
        ensure!(viewer.next_index(s.data)?.status == IndexStatus::ERROR);
        ensure!(viewer.metadata(s.metadata)?.0 == MetadataStatus::NO_NEW);
        ensure!(viewer.metadata(s.metadata)?.0 == MetadataStatus::ERROR);
        drop(s.peer);
        system_tests::eventually("the session is over", || {
            let (status, _) = viewer.new_streams(watching.session)?;
            Ok((status == NewStreamsStatus::HUP).then_some(()))
        })?;
        ensure!(viewer.sessions()?.is_empty());
        let session = watching.session;
        let detach = ViewerRequest::Detach { session };
        ensure!(viewer.ask(&detach)? == ViewerReply::Detached(DetachStatus::OK));
        ensure!(viewer.ask(&detach)? == ViewerReply::Detached(DetachStatus::UNKNOWN));
        Ok(())
    });
}

#[test]
fn each_mistake_has_its_answer() {
    isolated(here!(), |w| {
        let s = Session::start(w)?;
        let session = s.viewer()?.wait_for_session("s")?;
        let mut plain = RawPeer::session(&s.relay, "plain")?;
        plain.ok(&Request::StreamsSent)?;

        let mut viewer = Viewer::connect(s.port(), 4)?;
        let attach = |viewer: &mut Viewer, session, seek| -> Result<AttachStatus> {
            Ok(viewer.attach(session, seek)?.0)
        };
        ensure!(attach(&mut viewer, session, Seek::LAST)? == AttachStatus::NO_VIEWER_SESSION);
        let detach = |session| ViewerRequest::Detach { session };
        ensure!(viewer.ask(&detach(session))? == ViewerReply::Detached(DetachStatus::ERROR));
        viewer.create()?;
        // Again is no mistake: babeltrace2 does so while it waits for a session.
        viewer.create()?;
        let unknown = RelaySessionId(99);
        ensure!(attach(&mut viewer, unknown, Seek::LAST)? == AttachStatus::UNKNOWN);
        let not_live = viewer.wait_for_session("plain")?;
        ensure!(attach(&mut viewer, not_live, Seek::LAST)? == AttachStatus::NOT_LIVE);
        ensure!(attach(&mut viewer, session, Seek(3))? == AttachStatus::BAD_SEEK);
        // A viewer that is not attached sees nothing.
        ensure!(viewer.next_index(s.data)?.status == IndexStatus::ERROR);
        ensure!(viewer.packet(s.data, 0, 1)?.0 == PacketStatus::ERROR);
        ensure!(viewer.metadata(s.metadata)?.0 == MetadataStatus::ERROR);
        ensure!(viewer.new_streams(session)?.0 == NewStreamsStatus::ERROR);
        ensure!(viewer.ask(&detach(unknown))? == ViewerReply::Detached(DetachStatus::UNKNOWN));
        ensure!(viewer.ask(&detach(session))? == ViewerReply::Detached(DetachStatus::ERROR));
        ensure!(attach(&mut viewer, session, Seek::LAST)? == AttachStatus::OK);
        ensure!(attach(&mut viewer, session, Seek::LAST)? == AttachStatus::ALREADY);
        ensure!(viewer.ask(&detach(session))? == ViewerReply::Detached(DetachStatus::OK));
        ensure!(viewer.next_index(s.data)?.status == IndexStatus::ERROR);

        viewer
            .socket
            .write_all(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0])?;
        ensure!(viewer.wait_for_end()? == [0, 0, 0, 11]);
        let mut early = std::net::TcpStream::connect(("127.0.0.1", s.port()))?;
        early.write_all(&ViewerRequest::ListSessions.encode())?;
        wait_closed(&mut early)
    });
}

#[test]
fn notification_connections_and_both_layouts_of_lists() {
    isolated(here!(), |w| {
        let s = Session::start(w)?;
        let mut socket = std::net::TcpStream::connect(("127.0.0.1", s.port()))?;
        let connect = ViewerRequest::Connect {
            major: MAJOR,
            minor: Minor(4),
            kind: ConnectionKind::NOTIFICATION,
        };
        socket.write_all(&connect.encode())?;
        let mut reply = [0; 20];
        socket.read_exact(&mut reply)?;
        let reply = ViewerReply::parse_head(connect.command(), &reply);
        ensure!(
            matches!(reply, Some(ViewerReply::Connected { viewer: 0, .. })),
            "{reply:?}"
        );
        for minor in [4, 13, 15, 99] {
            let sessions = Viewer::connect(s.port(), minor)?.sessions()?;
            ensure!(
                sessions.len() == 1 && sessions[0].session_name == "s",
                "{sessions:?}"
            );
        }
        Ok(())
    });
}

#[test]
fn each_viewer_has_its_own_place() {
    isolated(here!(), |w| {
        let mut s = Session::start(w)?;
        let mut first = s.attached()?;
        s.packet(0)?;
        // Its bytes and its index come by two connections: now both are there.
        let told = first.wait_for_packet(s.data)?.packet;
        ensure!(told.offset_bytes == 0 && first.whole_packet(s.data, &told)? == stored(0));
        let mut late = s.viewer()?;
        late.attach_to("s", Seek::LAST)?;
        let mut again = s.attached()?;
        s.viewer()?.wait_for_clients("s", 3)?;
        s.packet(1)?;
        for (viewer, numbers) in [(&mut first, 1..2), (&mut late, 1..2), (&mut again, 0..2)] {
            for number in numbers {
                let told = viewer.wait_for_packet(s.data)?.packet;
                ensure!(told.offset_bytes == number * PACKET_SIZE);
                ensure!(viewer.whole_packet(s.data, &told)? == stored(number));
            }
        }
        drop((first, again));
        s.viewer()?.wait_for_clients("s", 1)
    });
}

/// "Nothing" is said twice at once, the third time waits for news.
/// After a packet the viewer is sent to sleep once.
fn sleeps(viewer: &mut Viewer, stream: StreamHandle) -> Result<()> {
    for _ in 0..3 {
        ensure!(viewer.next_index(stream)?.status == IndexStatus::RETRY);
    }
    Ok(())
}

/// Asks, and no answer comes for a moment.
fn asks_in_vain(viewer: &mut Viewer, request: &ViewerRequest) -> Result<bool> {
    /// So long an answer that tells nothing is held back at least.
    const HOLD: Duration = Duration::from_secs(1);
    let asked = Instant::now();
    viewer.send(request)?;
    let limit = |limit| viewer.socket.set_read_timeout(Some(limit));
    limit(Duration::from_millis(20))?;
    let peeked = viewer.socket.peek(&mut [0]);
    limit(Duration::from_secs(60))?;
    let is_silent = peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    // A test that had no processor for long cannot tell when the answer came.
    Ok(is_silent || asked.elapsed() >= HOLD)
}

#[test]
fn a_repeated_question_is_answered_when_there_is_something_to_tell() {
    isolated(here!(), |w| {
        let mut s = Session::start(w)?;
        s.packet(0)?;
        let mut viewer = s.attached()?;
        viewer.wait_for_packet(s.data)?;
        for number in 1..4 {
            sleeps(&mut viewer, s.data)?;
            let request = ViewerRequest::NextIndex { stream: s.data };
            ensure!(
                asks_in_vain(&mut viewer, &request)?,
                "answered before there was anything to tell"
            );
            s.packet(number)?;
            let ViewerReply::Index(told) = viewer.reply_to(&request)? else {
                bail!("no index")
            };
            // A machine that is busy enough reaches the limit first.
            if told.status == IndexStatus::RETRY {
                viewer.wait_for_packet(s.data)?;
            } else {
                ensure!(told.packet.offset_bytes == number * PACKET_SIZE, "{told:?}");
            }
        }
        Ok(())
    });
}

/// babeltrace2 that is interrupted while it waits: the next answer is that to its farewell.
#[test]
fn an_answer_is_not_held_for_a_viewer_that_leaves() {
    isolated(here!(), |w| {
        let mut s = Session::start(w)?;
        s.packet(0)?;
        for _ in 0..20 {
            let mut viewer = s.viewer()?;
            let session = viewer.attach_to("s", Seek::BEGINNING)?.session;
            viewer.wait_for_packet(s.data)?;
            sleeps(&mut viewer, s.data)?;
            let request = ViewerRequest::NextIndex { stream: s.data };
            ensure!(
                asks_in_vain(&mut viewer, &request)?,
                "answered though there is nothing to tell"
            );
            viewer.send(&ViewerRequest::Detach { session })?;
            viewer.socket.shutdown(std::net::Shutdown::Write)?;
            let mut answers = Vec::new();
            viewer.socket.read_to_end(&mut answers)?;
            if answers == DetachStatus::OK.0.to_be_bytes() {
                return Ok(());
            }
            // A machine that is busy enough reaches the limit first.
        }
        bail!("a question that was given up was answered");
    });
}

#[test]
fn a_viewer_that_asks_on_is_not_kept_waiting() {
    isolated(here!(), |w| {
        let s = Session::start(w)?;
        let mut viewer = s.attached()?;
        let request = ViewerRequest::NextIndex { stream: s.data };
        let many = request.encode().repeat(100);
        viewer.socket.write_all(&many)?;
        for _ in 0..100 {
            let ViewerReply::Index(told) = viewer.reply_to(&request)? else {
                bail!("no index")
            };
            ensure!(told.status == IndexStatus::RETRY);
        }
        Ok(())
    });
}

/// A viewer that looks at the flags of packets only, as babeltrace2 2.0 does, is kept from passing the time at
/// which new streams begin before a packet tells it of them.
#[test]
fn time_does_not_pass_new_streams() {
    isolated(here!(), |w| {
        let mut s = Session::start(w)?;
        let other = s.peer.add_stream(TREE, "c_1")?;
        s.peer.ok(&Request::StreamsSent)?;
        let mut viewer = s.viewer()?;
        let watching = viewer.attach_to("s", Seek::BEGINNING)?;
        s.packet(0)?;
        s.peer.packet(other, 0)?;
        s.peer.index(other, 0)?;
        viewer.wait_for_packet(s.data)?;
        viewer.wait_for_packet(other)?;
        s.beacon(15)?;
        let inactive = |viewer: &mut Viewer, stream| -> Result<u64> {
            let told = viewer.next_index(stream)?;
            ensure!(told.status == IndexStatus::INACTIVE, "{told:?}");
            Ok(told.packet.timestamp_end)
        };
        ensure!(inactive(&mut viewer, s.data)? == 15);
        let new = s.peer.add_stream(TREE, "c_2")?;
        s.peer.ok(&Request::StreamsSent)?;
        s.beacon(50)?;
        s.peer.ok(&Request::SendIndex(PacketIndex {
            stream: other.0,
            timestamp_end: 50,
            ..PacketIndex::default()
        }))?;
        // 15 was the newest time when it was announced; no two streams are told the same.
        ensure!(inactive(&mut viewer, s.data)? == 15);
        let before = inactive(&mut viewer, other)?;
        ensure!((12..15).contains(&before), "{before}");
        ensure!(inactive(&mut viewer, other)? == before);
        // Until a packet waits: then by a little, so that the viewer gets to ask for it.
        s.packet(6)?;
        s.peer.wait_received(s.data, 6)?;
        let after = inactive(&mut viewer, other)?;
        ensure!((before + 1..before + 5).contains(&after), "{after}");
        let told = viewer.next_index(s.data)?;
        ensure!(told.status == IndexStatus::OK && told.flags & FLAG_NEW_STREAM != 0);
        let (_, streams) = viewer.new_streams(watching.session)?;
        ensure!(streams.len() == 1 && streams[0].stream == new);
        ensure!(inactive(&mut viewer, other)? == 50);
        Ok(())
    });
}

#[test]
fn new_streams_are_told_once_and_from_their_beginning() {
    isolated(here!(), |w| {
        let mut s = Session::start(w)?;
        s.send_metadata(METADATA, 0)?;
        let mut viewer = s.viewer()?;
        let watching = viewer.attach_to("s", Seek::LAST)?;
        s.packet(0)?;
        viewer.wait_for_packet(s.data)?;
        viewer.metadata(s.metadata)?;

        // Another trace, complete and over before the viewer hears of it.
        let tree = "ust/pid/short-1-20261126-000000";
        let data = s.peer.add_stream(tree, "c_0")?;
        s.peer.ok(&Request::StreamsSent)?;
        s.packet(1)?;
        ensure!(
            viewer.wait_for_packet(s.data)?.flags == 0,
            "the trace has no metadata stream yet"
        );
        let metadata = s.peer.add_stream(tree, "metadata")?;
        s.peer.ok(&Request::StreamsSent)?;
        send_metadata(&mut s.peer, metadata, METADATA, 0)?;
        s.peer.packet(data, 0)?;
        s.peer.index(data, 0)?;
        s.peer.wait_received(data, 0)?;
        for (stream, last_net_seq_num) in [(data, 0), (metadata, u64::MAX)] {
            s.peer.ok(&Request::CloseStream {
                stream,
                last_net_seq_num,
            })?;
        }
        s.packet(2)?;
        ensure!(viewer.wait_for_packet(s.data)?.flags == FLAG_NEW_STREAM);
        let (status, streams) = viewer.new_streams(watching.session)?;
        ensure!(
            status == NewStreamsStatus::OK && streams.len() == 2,
            "{streams:?}"
        );
        ensure!(
            streams
                .iter()
                .all(|entry| entry.trace_id == 2 && entry.path == tree)
        );
        ensure!(viewer.new_streams(watching.session)?.1.is_empty());
        ensure!(viewer.metadata(metadata)?.1 == METADATA);
        let told = viewer.next_index(data)?;
        ensure!(told.status == IndexStatus::OK, "{told:?}");
        ensure!(viewer.whole_packet(data, &told.packet)? == stored(0));
        ensure!(viewer.next_index(data)?.status == IndexStatus::HUP);
        Ok(())
    });
}

/// A rotation: nothing is told while it goes on; then the rest of the old chunk, then the new one.
#[test]
fn rotation_while_attached() {
    isolated(here!(), |w| {
        let mut s = Session::start(w)?;
        s.send_metadata(METADATA, 0)?;
        let mut viewer = s.attached()?;
        for number in 0..3 {
            s.packet(number)?;
        }
        ensure!(viewer.wait_for_packet(s.data)?.packet.offset_bytes == 0);
        ensure!(viewer.metadata(s.metadata)?.1 == METADATA);
        s.peer.create_chunk(1)?;
        s.rotate(Some(1), 3)?;
        ensure!(viewer.next_index(s.data)?.status == IndexStatus::RETRY);
        s.packet(3)?;
        s.close_chunk(0, CloseCommand::MOVE_TO_COMPLETED)?;
        s.peer.wait_received(s.data, 3)?;
        for (number, offset) in [(1, 1), (2, 2), (3, 0)] {
            let told = viewer.wait_for_packet(s.data)?;
            ensure!(told.packet.offset_bytes == offset * PACKET_SIZE, "{told:?}");
            ensure!(viewer.whole_packet(s.data, &told.packet)? == stored(number));
        }
        // Metadata comes again from the start; the viewer gets only what is new.
        ensure!(viewer.metadata(s.metadata)?.0 == MetadataStatus::NO_NEW);
        s.send_metadata(METADATA, 0)?;
        ensure!(viewer.metadata(s.metadata)?.0 == MetadataStatus::NO_NEW);
        s.send_metadata(b"more", 0)?;
        ensure!(viewer.metadata(s.metadata)?.1 == b"more");
        s.packet(4)?;
        let told = viewer.wait_for_packet(s.data)?;
        ensure!(told.flags == 0 && told.packet.offset_bytes == PACKET_SIZE);

        // The end of the session: what was not read can still be read.
        s.packet(5)?;
        s.rotate(None, 6)?;
        s.close_chunk(1, CloseCommand::MOVE_TO_COMPLETED)?;
        s.peer.ok(&Request::CloseStream {
            stream: s.data,
            last_net_seq_num: 5,
        })?;
        let told = viewer.wait_for_packet(s.data)?;
        ensure!(viewer.whole_packet(s.data, &told.packet)? == stored(5));
        viewer.wait_for_hup(s.data)
    });
}

/// A clear: what was not read is gone, the stream goes on.
#[test]
fn clear_while_attached() {
    isolated(here!(), |w| {
        let mut s = Session::start(w)?;
        let mut viewer = s.attached()?;
        for number in 0..3 {
            s.packet(number)?;
        }
        s.peer.create_chunk(1)?;
        s.rotate(Some(1), 3)?;
        s.packet(3)?;
        s.close_chunk(0, CloseCommand::DELETE)?;
        s.peer.wait_received(s.data, 3)?;
        let told = viewer.wait_for_packet(s.data)?;
        ensure!(told.packet.timestamp_begin == 30, "{told:?}");
        ensure!(viewer.whole_packet(s.data, &told.packet)? == stored(3));
        ensure!(viewer.next_index(s.data)?.status == IndexStatus::RETRY);
        Ok(())
    });
}

/// A clear between the index and the packet: babeltrace2 takes "error" for the end of everything.
#[test]
fn a_packet_that_was_told_outlives_a_clear() {
    isolated(here!(), |w| {
        let mut s = Session::start(w)?;
        let mut viewer = s.attached()?;
        s.packet(0)?;
        let told = viewer.wait_for_packet(s.data)?;
        s.peer.create_chunk(1)?;
        s.rotate(Some(1), 1)?;
        s.packet(1)?;
        s.close_chunk(0, CloseCommand::DELETE)?;
        ensure!(viewer.whole_packet(s.data, &told.packet)? == stored(0));
        let told = viewer.wait_for_packet(s.data)?;
        ensure!(viewer.whole_packet(s.data, &told.packet)? == stored(1));
        Ok(())
    });
}

/// An index before its packet: a beacon that comes in between is not told.
#[test]
fn a_beacon_does_not_overtake_a_packet() {
    isolated(here!(), |w| {
        let mut s = Session::start(w)?;
        let mut viewer = s.attached()?;
        // Before the first packet, which may begin earlier.
        s.beacon(5)?;
        ensure!(viewer.next_index(s.data)?.status == IndexStatus::RETRY);
        s.packet(0)?;
        viewer.wait_for_packet(s.data)?;
        s.beacon(9)?;
        ensure!(viewer.next_index(s.data)?.packet.timestamp_end == 9);
        s.peer.ok(&Request::SendIndex(index(s.data, 1)))?;
        s.beacon(25)?;
        ensure!(viewer.next_index(s.data)?.status == IndexStatus::RETRY);
        s.peer.packet(s.data, 1)?;
        let told = viewer.wait_for_packet(s.data)?.packet;
        ensure!(told.timestamp_begin == 10);
        Ok(())
    });
}

/// Viewers that stop reading, go away in the middle of an answer, or send rubbish harm nobody.
#[test]
fn bad_viewers_are_alone() {
    isolated(here!(), |w| {
        let mut s = Session::start(w)?;
        for number in 0..600 {
            s.packet(number)?;
        }
        s.peer.wait_received(s.data, 599)?;
        let mut stalled = s.attached()?;
        stalled.wait_for_packet(s.data)?;
        let request = ViewerRequest::Packet {
            stream: s.data,
            offset_bytes: 0,
            len_bytes: (600 * PACKET_SIZE) as u32,
        };
        // More than the socket takes, and never read.
        for _ in 0..20 {
            stalled.send(&request)?;
        }
        let mut half = s.viewer()?;
        half.socket.write_all(&[0, 0, 0])?;
        let mut gone = s.attached()?;
        gone.wait_for_packet(s.data)?;
        gone.send(&request)?;
        drop(gone);
        let mut rubbish = s.viewer()?;
        rubbish.socket.write_all(&[0xff; 4096])?;
        rubbish.wait_for_end()?;

        let mut good = s.attached()?;
        for number in 0..600 {
            let told = good.wait_for_packet(s.data)?.packet;
            ensure!(good.whole_packet(s.data, &told)? == stored(number));
        }
        s.packet(600)?;
        good.wait_for_packet(s.data)?;
        // The stalled one wakes up and gets what it asked for.
        for _ in 0..20 {
            let ViewerReply::Packet { status, len_bytes } = stalled.reply_to(&request)? else {
                bail!("no packet")
            };
            ensure!(status == PacketStatus::OK);
            let bytes = stalled.read(len_bytes as usize)?;
            ensure!(bytes[599 * PACKET_SIZE as usize..] == stored(599));
        }
        s.viewer()?.wait_for_clients("s", 2)
    });
}

/// Tracefiles that are overwritten: a viewer that lags goes on with the oldest that is there, and what it has
/// open it can read to the end.
#[test]
fn overwritten_tracefiles() {
    isolated(here!(), |w| {
        let mut s = Session::start(w)?;
        let ring = s.peer.add_tracefiles(TREE, "ring_0", 2 * PACKET_SIZE, 3)?;
        s.peer.ok(&Request::StreamsSent)?;
        let mut viewer = s.attached()?;
        let send = |peer: &mut RawPeer, number| -> Result<()> {
            peer.packet(ring, number)?;
            peer.index(ring, number)?;
            peer.wait_received(ring, number)
        };
        for number in 0..2 {
            send(&mut s.peer, number)?;
        }
        let first = viewer.wait_for_packet(ring)?.packet;
        ensure!(viewer.whole_packet(ring, &first)? == stored(0));
        // Twelve more: six files, of which three are left.
        for number in 2..14 {
            send(&mut s.peer, number)?;
        }
        ensure!(
            viewer.whole_packet(ring, &first)? == stored(0),
            "the open file is still the old one"
        );
        for number in 8..14 {
            let told = viewer.wait_for_packet(ring)?.packet;
            ensure!(told.timestamp_begin == number * 10, "{number}: {told:?}");
            ensure!(viewer.whole_packet(ring, &told)? == stored(number));
        }
        ensure!(viewer.next_index(ring)?.status == IndexStatus::RETRY);
        Ok(())
    });
}
