//! Against what stock 2.13 daemons sent and mapped; see `tests/fixtures/README.md`.

use zerocopy::FromBytes;

use super::{dump, fresh};
use crate::channel::{ChannelLayout, StreamIdentity};
use crate::flush::{FlushMode, Flushed};
use crate::geometry::{BufferMode, Geometry, Wakeup};
use crate::layout::PacketHeader;
use crate::reader::{Next, Reader};

const DISCARD: &[u8] = include_bytes!("../../tests/fixtures/stream-discard-4x16384.bin");
const OVERWRITE: &[u8] = include_bytes!("../../tests/fixtures/stream-overwrite-2x8192.bin");
const AFTER_ONE_PACKET: &[u8] =
    include_bytes!("../../tests/fixtures/stream-overwrite-8x8192-after-one-packet.bin");

/// The recorded bytes: everything but the data behind the first header.
fn without_data(geometry: &Geometry, dump: &[u8]) -> Vec<u8> {
    let at = &geometry.at;
    let mut bytes = dump[..at.memory_map as usize + size_of::<PacketHeader>()].to_vec();
    bytes.extend_from_slice(&dump[at.pages as usize..]);
    bytes
}

fn recorded_header(geometry: &Geometry, recorded: &[u8]) -> PacketHeader {
    let (header, _) =
        PacketHeader::read_from_prefix(&recorded[geometry.at.memory_map as usize..]).unwrap();
    header
}

fn identity(header: &PacketHeader) -> StreamIdentity {
    StreamIdentity {
        uuid: header.uuid,
        channel_id: header.stream_id.get(),
        cpu: header.cpu_id.get(),
    }
}

/// Offsets at which the bytes differ, in runs of neighbours.
fn differences(ours: &[u8], stock: &[u8]) -> Vec<(usize, usize)> {
    assert_eq!(ours.len(), stock.len());
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for at in (0..ours.len()).filter(|&at| ours[at] != stock[at]) {
        match runs.last_mut() {
            Some((_, end)) if *end == at => *end += 1,
            _ => runs.push((at, at + 1)),
        }
    }
    runs
}

fn assert_within(differences: Vec<(usize, usize)>, allowed: &[(usize, usize)]) {
    for (from, to) in differences {
        assert!(
            allowed.iter().any(|&(a, b)| a <= from && to <= b),
            "bytes {from}..{to} are not those of stock"
        );
    }
}

#[test]
fn fresh_memory_is_that_of_stock() {
    let cases = [
        (DISCARD, Geometry::new(16384, 4, BufferMode::Discard)),
        (OVERWRITE, Geometry::new(8192, 2, BufferMode::Overwrite)),
    ];
    for (stock, geometry) in cases {
        let geometry = geometry.unwrap();
        let header = recorded_header(&geometry, stock);
        let memory = fresh(&geometry, identity(&header), header.timestamp_begin.get());
        let ours = without_data(&geometry, &dump(&memory, &geometry));
        // `active_readers` is set when the reader comes, then it takes a first snapshot (scratch).
        assert_within(differences(&ours, stock), &[(384, 392), (448, 464)]);
    }
}

/// The same steps as the stock consumer's switch timer and reader lead to the same memory.
#[test]
fn a_flush_and_a_read_leave_what_stock_leaves() {
    let geometry = Geometry::new(8192, 8, BufferMode::Overwrite).unwrap();
    let stock = AFTER_ONE_PACKET;
    let header = recorded_header(&geometry, stock);
    let memory = fresh(&geometry, identity(&header), header.timestamp_begin.get());
    let mut reader = Reader::attach_to(memory.clone(), geometry, identity(&header)).unwrap();
    let end = header.timestamp_end.get();
    assert_eq!(reader.flush(FlushMode::Active, || end), Flushed::Closed);
    assert_eq!(reader.flush(FlushMode::Active, || end), Flushed::Nothing);
    let Next::Packet(lease) = reader.next_packet().unwrap() else {
        panic!("the flush delivered nothing");
    };
    assert_eq!(lease.header().content_size.get(), 84 * 8);
    assert_eq!(lease.header().packet_size.get(), 4096 * 8);
    lease.release();
    assert!(matches!(reader.next_packet(), Ok(Next::Empty)));

    let ours = without_data(&geometry, &dump(&memory, &geometry));
    // Positions of the last snapshot: scratch of the stock reader, which we do not keep.
    assert_within(differences(&ours, stock), &[(448, 464)]);
}

fn blob_layout(geometry: Geometry, stock: &[u8]) -> ChannelLayout {
    ChannelLayout {
        geometry,
        wakeup: Wakeup::ByWriter,
        nr_cpus: 2,
        switch_timer_us: 0,
        read_timer_us: 0,
        blocking_timeout_ms: 0,
        channel_id: u32::from_ne_bytes(stock[892..896].try_into().unwrap()),
        uuid: stock[900..916].try_into().unwrap(),
    }
}

#[test]
fn the_channel_blob_is_that_of_stock() {
    let discard: &[u8] = include_bytes!("../../tests/fixtures/blob-discard-4x16384.bin");
    let overwrite: &[u8] = include_bytes!("../../tests/fixtures/blob-overwrite-2x8192.bin");
    let timer: &[u8] = include_bytes!("../../tests/fixtures/blob-discard-rt-2x4096.bin");
    let layouts = [
        blob_layout(
            Geometry::new(16384, 4, BufferMode::Discard).unwrap(),
            discard,
        ),
        blob_layout(
            Geometry::new(8192, 2, BufferMode::Overwrite).unwrap(),
            overwrite,
        ),
        ChannelLayout {
            wakeup: Wakeup::ByTimer,
            read_timer_us: 200_000,
            blocking_timeout_ms: 5,
            ..blob_layout(Geometry::new(4096, 2, BufferMode::Discard).unwrap(), timer)
        },
    ];
    // Pointers, timers and callbacks of the stock process; clock at creation; informative.
    let ignored = [
        (24, 40),
        (48, 60),
        (80, 88),
        (96, 120),
        (160, 184),
        (184 + 40, 184 + 120),
        (184 + 128, 184 + 160),
    ];
    for (layout, stock) in layouts.iter().zip([discard, overwrite, timer]) {
        let ours = layout.blob();
        assert_eq!(ours.len(), 888 + 16 * 2);
        assert_within(differences(&ours, stock), &ignored);
    }
}
