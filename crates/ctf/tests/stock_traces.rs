//! The decoder against traces of the stock daemons and what babeltrace2 prints for them.

use std::fs;
use std::path::{Path, PathBuf};

use ctf::decode::{DecodeErrorKind, Decoder};
use ctf::index::{IndexFile, IndexRecord, PacketPosition};
use ctf::metadata::EnvValue;
use ctf::metadata_packet::text_of;
use ctf::packet::{LongSize, PacketHeader};
use ctf::{Bits, metadata_packet};

mod pretty;

const TRACES: [&str; 3] = ["uid", "pid", "plain"];

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(path)
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn metadata(trace: &str) -> String {
    text_of(&read(&fixture(trace).join("metadata")))
        .unwrap()
        .into_owned()
}

/// The stream files of a trace, by name.
fn streams(trace: &str) -> Vec<(String, Vec<u8>)> {
    let mut streams: Vec<_> = fs::read_dir(fixture(trace))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_file() && entry.file_name() != "metadata")
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                read(&entry.path()),
            )
        })
        .collect();
    streams.sort();
    assert!(!streams.is_empty());
    streams
}

fn index(trace: &str, stream: &str) -> Vec<IndexRecord> {
    let file = read(&fixture(trace).join("index").join(format!("{stream}.idx")));
    let index = IndexFile::parse(&file).unwrap();
    assert_eq!(index.trailing_len(), 0);
    index.records().collect()
}

/// Where the events of a trace come from, as babeltrace2 puts it: host, and process if it is one.
fn origin(decoder: &Decoder) -> String {
    let env = |name: &str| {
        let (_, value) = decoder
            .schema()
            .env
            .iter()
            .find(|(known, _)| known == name)?;
        Some(match value {
            EnvValue::String(text) => text.clone(),
            EnvValue::Integer(number) => number.to_string(),
        })
    };
    let host = env("hostname").expect("a host name");
    match (env("procname"), env("vpid")) {
        (Some(procname), Some(vpid)) => format!("{host}:{procname}:({vpid})"),
        _ => host,
    }
}

/// All events of a trace in the order of their clock, as babeltrace2 prints them.
fn printed(decoder: &Decoder, trace: &str) -> Vec<u8> {
    let origin = origin(decoder);
    let mut lines = Vec::new();
    for (name, file) in streams(trace) {
        for record in index(trace, &name) {
            let mut cursor = decoder
                .events(&file[record.offset_bytes as usize..])
                .unwrap();
            let cpu_id = cursor.info().cpu_id.unwrap();
            while let Some(event) = cursor.next_event().unwrap() {
                lines.push((event.timestamp, pretty::line(&event, &origin, cpu_id)));
            }
        }
    }
    lines.sort_by_key(|(timestamp, _)| *timestamp);
    lines.into_iter().flat_map(|(_, line)| line).collect()
}

#[test]
fn every_value_is_what_babeltrace2_prints() {
    for trace in TRACES {
        let decoder = Decoder::new(&metadata(trace)).unwrap();
        let ours = printed(&decoder, trace);
        let theirs = read(&fixture(&format!("{trace}.txt")));
        for (n, (ours, theirs)) in ours
            .split(|b| *b == b'\n')
            .zip(theirs.split(|b| *b == b'\n'))
            .enumerate()
        {
            let text = |line| String::from_utf8_lossy(line).into_owned();
            assert_eq!(text(ours), text(theirs), "{trace} line {}", n + 1);
        }
        assert!(
            ours == theirs,
            "{trace}: {} and {} bytes",
            ours.len(),
            theirs.len()
        );
    }
}

#[test]
fn counting_finds_as_many_events_as_babeltrace2() {
    for trace in TRACES {
        let decoder = Decoder::new(&metadata(trace)).unwrap();
        let mut events = 0;
        for (name, file) in streams(trace) {
            let summary = decoder.count_trace_file(&file).unwrap();
            let index = index(trace, &name);
            assert_eq!(summary.packets, index.len() as u64, "{trace}/{name}");
            assert_eq!(
                summary.begin,
                index.first().map(|record| record.timestamp_begin)
            );
            assert_eq!(summary.end, index.last().map(|record| record.timestamp_end));
            assert_eq!((summary.discarded, summary.lost_packets), (0, 0));
            events += summary.events;
        }
        let lines = read(&fixture(&format!("{trace}.txt")))
            .iter()
            .filter(|b| **b == b'\n')
            .count();
        assert_eq!(events, lines as u64, "{trace}");
    }
}

#[test]
fn packets_say_what_the_index_of_stock_says() {
    let mut packets = 0;
    for trace in TRACES {
        let decoder = Decoder::new(&metadata(trace)).unwrap();
        let uuid = metadata_packet::uuid_of(&read(&fixture(trace).join("metadata"))).unwrap();
        for (name, file) in streams(trace) {
            for record in index(trace, &name) {
                let packet = &file[record.offset_bytes as usize..];
                let info = decoder.count_events(packet).unwrap().info;
                let header = PacketHeader::parse(packet, LongSize::Bits64).unwrap();
                assert_eq!(
                    record,
                    IndexRecord {
                        offset_bytes: record.offset_bytes,
                        packet_size: info.packet_size,
                        content_size: info.content_size,
                        timestamp_begin: info.begin.unwrap(),
                        timestamp_end: info.end.unwrap(),
                        events_discarded: info.discarded.unwrap(),
                        stream_id: info.stream_id,
                        position: Some(PacketPosition {
                            stream_instance_id: info.stream_instance_id.unwrap(),
                            packet_seq_num: info.seq.unwrap(),
                        }),
                    }
                );
                assert_eq!(header.uuid, uuid);
                assert_eq!(
                    (
                        header.packet_size,
                        header.content_size,
                        u64::from(header.stream_id)
                    ),
                    (info.packet_size, info.content_size, info.stream_id)
                );
                assert_eq!(
                    (Some(header.timestamp_begin), Some(header.timestamp_end)),
                    (info.begin, info.end)
                );
                assert_eq!(
                    (Some(header.packet_seq_num), Some(header.events_discarded)),
                    (info.seq, info.discarded)
                );
                assert_eq!(Some(header.cpu_id.into()), info.cpu_id);
                packets += 1;
            }
        }
    }
    assert_eq!(packets, 9);
}

#[test]
fn metadata_in_pieces_decodes_as_soon_as_it_is_complete() {
    let text = metadata("uid");
    let file = streams("uid").swap_remove(0).1;
    let complete = Decoder::new(&text)
        .unwrap()
        .count_trace_file(&file)
        .unwrap();
    let last = text.rfind("event {").unwrap();
    let mut decoder = Decoder::default();
    for piece in text.as_bytes()[..last].chunks(7) {
        decoder
            .add_metadata(std::str::from_utf8(piece).unwrap())
            .unwrap();
    }
    let error = decoder.count_trace_file(&file).unwrap_err().error.kind;
    assert_eq!(
        error,
        DecodeErrorKind::UnknownEvent {
            stream: 0,
            event: 2
        }
    );
    decoder.add_metadata(&text[last..]).unwrap();
    assert_eq!(decoder.count_trace_file(&file).unwrap(), complete);
}

#[test]
fn packets_of_another_trace_or_cut_packets_are_refused() {
    let decoder = Decoder::new(&metadata("uid")).unwrap();
    let other = streams("pid").swap_remove(0).1;
    assert!(matches!(
        decoder.count_trace_file(&other).unwrap_err().error.kind,
        DecodeErrorKind::WrongUuid(_)
    ));
    let file = streams("uid").swap_remove(0).1;
    let error = decoder.count_trace_file(&file[..4096 + 100]).unwrap_err();
    assert_eq!((error.packet, error.offset), (1, 4096));
    assert!(error.before.events > 0);
    assert!(matches!(
        error.error.kind,
        DecodeErrorKind::BadSize { available: 800, .. }
    ));
    let events = decoder.count_events(&file).unwrap();
    assert_eq!(events.info.packet_size, Bits(4096 * 8));
}
