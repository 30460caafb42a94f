//! Bytes captured between stock 2.13.9 daemons, in both directions through this crate's codecs.

use std::borrow::Cow;

use crate::{
    AddStream, CONTROL_HEADER_LEN, ChunkId, CloseCommand, ControlHeader, CreateSession, DataPacket,
    Minor, PacketIndex, RelaySessionId, Reply, Request, ReturnCode, SessionKey, StreamHandle,
    StreamPosition, TraceFormat,
};

const V13: Minor = Minor(13);

/// Hex digits, blanks, and "text" with \0 for NUL, to bytes.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for (nr, part) in text.split('"').enumerate() {
        if nr % 2 == 1 {
            out.extend_from_slice(part.replace("\\0", "\0").as_bytes());
            continue;
        }
        let digits: Vec<u8> = part
            .chars()
            .filter_map(|digit| digit.to_digit(16))
            .map(|digit| u8::try_from(digit).unwrap())
            .collect();
        assert!(digits.len().is_multiple_of(2), "{part}");
        out.extend(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]));
    }
    out
}

fn decode(message: &[u8]) -> Request<'_> {
    let (header, payload) = message.split_first_chunk::<CONTROL_HEADER_LEN>().unwrap();
    let header = ControlHeader::decode(header);
    assert_eq!(header.payload_len, payload.len() as u64);
    Request::decode(header.command, V13, payload).unwrap()
}

/// The message decodes to the request, and the request encodes to the message.
fn both_ways(message: &str, request: &Request<'_>) {
    let message = bytes(message);
    assert_eq!(decode(&message), *request);
    assert_eq!(request.encode(V13).unwrap(), message);
}

fn reply_both_ways(request: &Request<'_>, message: &str, reply: &Reply) {
    let message = bytes(message);
    let kind = request.reply_kind(V13).unwrap();
    for cut in 0..message.len() {
        assert_eq!(kind.parse(&message[..cut]), Ok(None), "after {cut} bytes");
    }
    let with_more = [&message[..], &[1, 2, 3]].concat();
    assert_eq!(
        kind.parse(&with_more),
        Ok(Some((reply.clone(), message.len())))
    );
    let mut encoded = Vec::new();
    reply.encode_into(&mut encoded);
    assert_eq!(encoded, message);
}

#[test]
fn version() {
    let request = Request::Version {
        major: 2,
        minor: V13,
    };
    both_ways(
        "0000000000000000 0000000000000008 00000005 00000000 00000002 0000000d",
        &request,
    );
    reply_both_ways(
        &request,
        "00000002 0000000d",
        &Reply::Version {
            major: 2,
            minor: V13,
        },
    );
}

#[test]
fn configuration() {
    let request = Request::GetConfiguration { query_flags: 0 };
    both_ways(
        "0000000000000000 0000000000000008 00000016 00000000 0000000000000000",
        &request,
    );
    let reply = Reply::Configuration {
        code: ReturnCode::OK,
        flags: 1,
    };
    reply_both_ways(&request, "0000000a 0000000000000001", &reply);
}

fn demo_session() -> CreateSession<'static> {
    CreateSession {
        session_name: "demo",
        hostname: "vm",
        live_timer_us: 0,
        snapshot: false,
        base_path: "",
        name_has_creation_time: false,
        key: SessionKey {
            sessiond_uuid: bytes("966aa3fef21e4be2889ee4c35c7bf9a3")
                .try_into()
                .unwrap(),
            sessiond_session_id: 0,
        },
        creation_unix_s: 0x6b03_62dc,
        current_chunk: None,
        trace_format: TraceFormat::CTF_1_8,
    }
}

#[test]
fn create_session() {
    let request = Request::CreateSession(demo_session());
    both_ways(
        r#"0000000000000000 0000000000000044 00000002 00000000
           00000005 00000003 00000001 00000000 00 00 966aa3fef21e4be2889ee4c35c7bf9a3
           0000000000000000 000000006b0362dc 00 0000000000000000 "demo\0" "vm\0" "\0""#,
        &request,
    );
    let reply = Reply::Session {
        session: RelaySessionId(1),
        code: ReturnCode::OK,
        output_path: Some("vm/demo-20261122-214708".to_owned()),
    };
    let message = r#"0000000000000001 0000000a 00000018 "vm/demo-20261122-214708\0""#;
    reply_both_ways(&request, message, &reply);
}

/// Of lttng-tools 2.15.1.
#[test]
fn create_session_of_2_15() {
    let message = bytes(
        r#"0000000000000000 0000000000000049 00000002 00000000
           00000002 00000007 00000001 00000000 00 00 1368d3d78647421a848e23e82d90961a
           0000000000000000 000000006b0812e8 00 0000000000000000 00000002
           "s\0" "target\0" "\0""#,
    );
    let request = Request::CreateSession(CreateSession {
        session_name: "s",
        hostname: "target",
        key: SessionKey {
            sessiond_uuid: bytes("1368d3d78647421a848e23e82d90961a")
                .try_into()
                .unwrap(),
            sessiond_session_id: 0,
        },
        creation_unix_s: 0x6b08_12e8,
        trace_format: TraceFormat::CTF_2,
        ..demo_session()
    });
    assert_eq!(request.encode(Minor(15)).unwrap(), message);
    let payload = &message[CONTROL_HEADER_LEN..];
    let decoded = Request::decode(crate::Command::CREATE_SESSION, Minor(15), payload);
    assert_eq!(decoded.unwrap(), request);
}

#[test]
fn create_session_in_every_minor() {
    for minor in [1, 4, 10, 11, 14, 15].map(Minor) {
        let mut session = demo_session();
        if !minor.has_trace_chunks() {
            session.key = SessionKey {
                sessiond_uuid: [0; 16],
                sessiond_session_id: 0,
            };
            session.creation_unix_s = 0;
        }
        if !minor.has_indexes() {
            (session.session_name, session.hostname) = ("", "");
        }
        if minor.has_trace_format() {
            session.trace_format = TraceFormat::CTF_2;
        }
        let request = Request::CreateSession(session);
        let message = request.encode(minor).unwrap();
        let payload = &message[CONTROL_HEADER_LEN..];
        let size = match minor.0 {
            1 => 0,
            4 | 10 => 327,
            15 => 63 + 9,
            _ => 59 + 9,
        };
        assert_eq!(payload.len(), size, "{minor}");
        assert_eq!(
            Request::decode(request.command(), minor, payload),
            Ok(request),
            "{minor}"
        );
    }
}

#[test]
fn add_stream() {
    let stream = AddStream {
        channel_name: "ch0_0",
        pathname: "ust/uid/0/64-bit",
        tracefile_size: 0,
        tracefile_count: 0,
        chunk: ChunkId(0),
    };
    let request = Request::AddStream(stream);
    both_ways(
        r#"0000000000000000 0000000000000037 00000001 00000000
           00000006 00000011 0000000000000000 0000000000000000 0000000000000000
           "ch0_0\0" "ust/uid/0/64-bit\0""#,
        &request,
    );
    let reply = Reply::Stream {
        stream: StreamHandle(1),
        code: ReturnCode::OK,
    };
    reply_both_ways(&request, "0000000000000001 0000000a", &reply);
    for (minor, size) in [(1, 4360), (2, 4376), (10, 4376)] {
        let message = request.encode(Minor(minor)).unwrap();
        let payload = &message[CONTROL_HEADER_LEN..];
        assert_eq!(payload.len(), size);
        let decoded = Request::decode(request.command(), Minor(minor), payload);
        assert_eq!(decoded.as_ref(), Ok(&request));
    }
}

#[test]
fn streams_sent() {
    let request = Request::StreamsSent;
    both_ways(
        "0000000000000000 0000000000000000 00000010 00000000",
        &request,
    );
    reply_both_ways(&request, "0000000a", &Reply::Code(ReturnCode::OK));
}

#[test]
fn data_header() {
    let message = bytes("0000000000000000 0000000000000002 0000000000000000 00000ffc 00000004");
    let packet = DataPacket {
        stream: StreamHandle(2),
        net_seq_num: 0,
        data_size: 4092,
        padding_size: 4,
    };
    assert_eq!(DataPacket::decode(&message[..].try_into().unwrap()), packet);
    assert_eq!(packet.encode()[..], message[..]);
}

#[test]
fn send_index() {
    let index = PacketIndex {
        stream: 2,
        net_seq_num: 0,
        packet_size_bits: 32768,
        content_size_bits: 32736,
        timestamp_begin: 0x19a_05c3_1e59,
        timestamp_end: 0x19a_0943_3128,
        events_discarded: 0,
        stream_class_id: 0,
        stream_instance_id: 1,
        packet_seq_num: 0,
    };
    both_ways(
        "0000000000000000 0000000000000050 0000000d 00000000 0000000000000002 0000000000000000
         0000000000008000 0000000000007fe0 0000019a05c31e59 0000019a09433128
         0000000000000000 0000000000000000 0000000000000001 0000000000000000",
        &Request::SendIndex(index),
    );
    let old = Request::SendIndex(index).encode(Minor(7)).unwrap();
    assert_eq!(old.len(), CONTROL_HEADER_LEN + 64);
}

#[test]
fn send_metadata() {
    let request = Request::SendMetadata {
        stream: StreamHandle(3),
        padding_size: 1297,
        bytes: b"\x57\x1d\xd1\x75",
    };
    let message = "0000000000000000 0000000000000010 00000006 00000000 0000000000000003 00000511
         571dd175";
    both_ways(message, &request);
    assert_eq!(request.reply_kind(V13), None);
}

#[test]
fn rotate_streams_ignores_the_garbage_of_stock_peers_and_sends_none() {
    let message = bytes(
        "0000000000000000 0000000000000034 00000012 00000000 00000002 00 dfc2c5a2000000
         0000000000000000 0000000000000001 0000000000000001 0000000000000002 0000000000000002",
    );
    let at = |stream| StreamPosition {
        stream: StreamHandle(stream),
        rotate_at_seq_num: stream,
    };
    let positions = [at(1), at(2)];
    let request = Request::RotateStreams {
        to: None,
        positions: Cow::Borrowed(&positions),
    };
    assert_eq!(decode(&message), request);
    assert_eq!(request.encode(V13).unwrap().len(), message.len());
}

#[test]
fn rotate_streams_in_the_layouts_of_all_senders() {
    let position = "0000000000000001 0000000000000005";
    for head in [
        "00000001 01 0000000000000007",
        "00000001 01 aaaaaa 0000000000000007",
        "00000001 01 aaaaaaaaaaaaaa 0000000000000007",
    ] {
        let payload = bytes(&format!("{head} {position}"));
        let request = Request::decode(crate::Command::ROTATE_STREAMS, V13, &payload).unwrap();
        let Request::RotateStreams {
            to: Some(ChunkId(7)),
            positions,
        } = request
        else {
            panic!("{request:?}")
        };
        assert_eq!(positions.len(), 1);
        assert_eq!(positions[0].rotate_at_seq_num, 5);
    }
    let payload = bytes(&format!("00000001 01 aa 0000000000000007 {position}"));
    assert!(Request::decode(crate::Command::ROTATE_STREAMS, V13, &payload).is_err());
}

#[test]
fn chunk_commands() {
    both_ways(
        "0000000000000000 0000000000000014 00000013 00000000
         0000000000000000 000000006b0362dd 00000000",
        &Request::CreateTraceChunk {
            chunk: ChunkId(0),
            created_unix_s: 0x6b03_62dd,
            override_name: None,
        },
    );
    let close = Request::CloseTraceChunk {
        chunk: ChunkId(0),
        closed_unix_s: 0x6b03_62de,
        command: None,
    };
    both_ways(
        "0000000000000000 0000000000000015 00000014 00000000
         0000000000000000 000000006b0362de 00 00000000",
        &close,
    );
    let reply = Reply::ChunkClosed {
        code: ReturnCode::OK,
        path: "vm/demo-20261122-214708".to_owned(),
    };
    reply_both_ways(
        &close,
        r#"0000000a 00000018 "vm/demo-20261122-214708\0""#,
        &reply,
    );
    both_ways(
        "0000000000000000 0000000000000015 00000014 00000000
         0000000000000001 000000006b03634d 01 00000002",
        &Request::CloseTraceChunk {
            chunk: ChunkId(1),
            closed_unix_s: 0x6b03_634d,
            command: Some(CloseCommand::DELETE),
        },
    );
    let exists = Request::TraceChunkExists { chunk: ChunkId(0) };
    both_ways(
        "0000000000000000 0000000000000008 00000015 00000000 0000000000000000",
        &exists,
    );
    let reply = Reply::ChunkExists {
        code: ReturnCode::OK,
        exists: false,
    };
    reply_both_ways(&exists, "0000000a 00", &reply);
}

#[test]
fn a_failed_reply_never_has_an_empty_path() {
    let reply = Reply::ChunkClosed {
        code: ReturnCode::NO_MEMORY,
        path: String::new(),
    };
    let mut encoded = Vec::new();
    reply.encode_into(&mut encoded);
    assert_eq!(encoded, bytes("0000001a 00000001 00"));
}
