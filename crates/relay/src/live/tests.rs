//! Bytes captured between babeltrace2 2.0.4 and the stock relay daemon 2.13.9, in both directions through
//! this crate's codecs.

use super::*;
use crate::captures::bytes;
use crate::{MAJOR, Minor, RelaySessionId, StreamHandle, TraceFormat};

fn request_both_ways(message: &str, request: ViewerRequest) {
    let message = bytes(message);
    assert_eq!(request.encode(), message);
    for cut in 0..message.len() {
        assert_eq!(ViewerRequest::parse(&message[..cut]), Ok(None), "{cut}");
    }
    let with_more = [&message[..], &[1, 2, 3]].concat();
    assert_eq!(
        ViewerRequest::parse(&with_more),
        Ok(Some((request, message.len())))
    );
}

fn reply_both_ways(command: ViewerCommand, message: &str, reply: ViewerReply) {
    let message = bytes(message);
    assert_eq!(ViewerReply::head_len(command), message.len());
    assert_eq!(ViewerReply::parse_head(command, &message), Some(reply));
    let mut encoded = Vec::new();
    reply.encode_into(&mut encoded);
    assert_eq!(encoded, message);
}

#[test]
fn requests() {
    request_both_ways(
        "0000000000000014 00000001 00000000 ffffffffffffffff 00000002 00000004 00000001",
        ViewerRequest::Connect {
            major: MAJOR,
            minor: Minor(4),
            kind: ConnectionKind::COMMAND,
        },
    );
    request_both_ways(
        "0000000000000000 00000008 00000000",
        ViewerRequest::CreateSession,
    );
    request_both_ways(
        "0000000000000000 00000002 00000000",
        ViewerRequest::ListSessions,
    );
    request_both_ways(
        "0000000000000014 00000003 00000000 0000000000000001 0000000000000000 00000002",
        ViewerRequest::Attach {
            session: RelaySessionId(1),
            seek: Seek::LAST,
        },
    );
    let stream = StreamHandle(2);
    request_both_ways(
        "0000000000000008 00000004 00000000 0000000000000002",
        ViewerRequest::NextIndex { stream },
    );
    request_both_ways(
        "0000000000000014 00000005 00000000 0000000000000002 0000000000002000 00001000",
        ViewerRequest::Packet {
            stream,
            offset_bytes: 0x2000,
            len_bytes: 0x1000,
        },
    );
    request_both_ways(
        "0000000000000008 00000006 00000000 0000000000000003",
        ViewerRequest::Metadata {
            stream: StreamHandle(3),
        },
    );
    let session = RelaySessionId(1);
    request_both_ways(
        "0000000000000008 00000007 00000000 0000000000000001",
        ViewerRequest::NewStreams { session },
    );
    request_both_ways(
        "0000000000000008 00000009 00000000 0000000000000001",
        ViewerRequest::Detach { session },
    );
}

#[test]
fn replies() {
    reply_both_ways(
        ViewerCommand::CONNECT,
        "0000000000000002 00000002 0000000d 00000000",
        ViewerReply::Connected {
            viewer: 2,
            major: MAJOR,
            minor: Minor(13),
        },
    );
    reply_both_ways(
        ViewerCommand::CREATE_SESSION,
        "00000001",
        ViewerReply::Created(CreateStatus::OK),
    );
    reply_both_ways(
        ViewerCommand::ATTACH_SESSION,
        "00000001 00000003",
        ViewerReply::Attached {
            status: AttachStatus::OK,
            streams: 3,
        },
    );
    reply_both_ways(
        ViewerCommand::GET_METADATA,
        "0000000000001000 00000001",
        ViewerReply::Metadata {
            status: MetadataStatus::OK,
            len_bytes: 4096,
        },
    );
    reply_both_ways(
        ViewerCommand::GET_PACKET,
        "00000001 00001000 00000000",
        ViewerReply::Packet {
            status: PacketStatus::OK,
            len_bytes: 4096,
        },
    );
    reply_both_ways(
        ViewerCommand::GET_NEW_STREAMS,
        "00000004 00000000",
        ViewerReply::NewStreams {
            status: NewStreamsStatus::HUP,
            streams: 0,
        },
    );
    reply_both_ways(
        ViewerCommand::DETACH_SESSION,
        "00000001",
        ViewerReply::Detached(DetachStatus::OK),
    );
}

#[test]
fn indexes() {
    reply_both_ways(
        ViewerCommand::GET_NEXT_INDEX,
        "0000000000002000 0000000000008000 00000000000007a0 000001c4a569c4f0 000001c4c24bed74
         0000000000000000 0000000000000000 00000001 00000002",
        ViewerReply::Index(IndexReply {
            status: IndexStatus::OK,
            flags: FLAG_NEW_STREAM,
            packet: ViewerIndex {
                offset_bytes: 8192,
                packet_size_bits: 0x8000,
                content_size_bits: 0x7a0,
                timestamp_begin: 0x1c4_a569_c4f0,
                timestamp_end: 0x1c4_c24b_ed74,
                ..ViewerIndex::default()
            },
        }),
    );
    let mut inactive = IndexReply::bare(IndexStatus::INACTIVE);
    inactive.packet.timestamp_end = 0x1c4_c248_fdf9;
    reply_both_ways(
        ViewerCommand::GET_NEXT_INDEX,
        "0000000000000000 0000000000000000 0000000000000000 0000000000000000 000001c4c248fdf9
         0000000000000000 0000000000000000 00000005 00000000",
        ViewerReply::Index(inactive),
    );
}

#[test]
fn entries() {
    let entry = SessionEntry {
        session: RelaySessionId(1),
        live_timer_us: 0x7a120,
        clients: 0,
        streams: 3,
        hostname: "vm".into(),
        session_name: "liv".into(),
        trace_format: TraceFormat::CTF_1_8,
    };
    let mut message = bytes(r#"0000000000000001 0007a120 00000000 00000003 "vm\0""#);
    message.resize(84, 0);
    message.extend(bytes(r#""liv\0""#));
    message.resize(339, 0);
    let mut encoded = Vec::new();
    entry.encode_into(Minor(13), &mut encoded);
    assert_eq!(encoded, message);
    assert_eq!(SessionEntry::parse(Minor(13), &message), Some((entry, 339)));

    let entry = StreamEntry {
        stream: StreamHandle(3),
        trace_id: 1,
        is_metadata: true,
        path: "ust/uid/0/64-bit".into(),
        channel_name: "metadata".into(),
    };
    let mut message = bytes(r#"0000000000000003 0000000000000001 00000001 "ust/uid/0/64-bit\0""#);
    message.resize(4116, 0);
    message.extend(bytes(r#""metadata\0""#));
    message.resize(StreamEntry::LEN, 0);
    let mut encoded = Vec::new();
    entry.encode_into(&mut encoded);
    assert_eq!(encoded, message);
    assert_eq!(StreamEntry::parse(&message), Some(entry));
    assert_eq!(StreamEntry::parse(&message[1..]), None);
}
