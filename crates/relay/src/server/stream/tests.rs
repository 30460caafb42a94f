use super::StreamEffect::{
    CloseData, CloseIndex, Closed, CopyData, CutData, LeaveChunk, OpenData, OpenIndex, RemoveData,
    WriteIndex,
};
use super::*;
use crate::StreamHandle;

const C0: ChunkId = ChunkId(0);
const C1: ChunkId = ChunkId(1);

fn key(chunk: ChunkId, generation: u64) -> FileKey {
    FileKey { chunk, generation }
}

fn stream_with(tracefiles: Tracefiles) -> Stream {
    let setup = StreamSetup {
        is_metadata: false,
        has_indexes: true,
        tracefiles,
        chunk: C0,
    };
    let mut stream = Stream::new(&setup);
    assert_eq!(effects(&mut stream), [OpenData(key(C0, 0))]);
    stream
}

fn stream() -> Stream {
    stream_with(Tracefiles::default())
}

fn metadata() -> Stream {
    let setup = StreamSetup {
        is_metadata: true,
        has_indexes: true,
        tracefiles: Tracefiles::default(),
        chunk: C0,
    };
    let mut stream = Stream::new(&setup);
    effects(&mut stream);
    stream
}

fn effects(stream: &mut Stream) -> Vec<StreamEffect> {
    std::iter::from_fn(|| stream.next_effect()).collect()
}

fn packet(net_seq_num: u64) -> DataPacket {
    DataPacket {
        stream: StreamHandle(1),
        net_seq_num,
        data_size: 90,
        padding_size: 10,
    }
}

fn index(net_seq_num: u64, packet_seq_num: u64) -> PacketIndex {
    PacketIndex {
        stream: 1,
        net_seq_num,
        packet_size_bits: 800,
        content_size_bits: 720,
        packet_seq_num,
        ..PacketIndex::default()
    }
}

fn receive(stream: &mut Stream, net_seq_num: u64) -> u64 {
    let offset = stream.begin_packet(packet(net_seq_num)).unwrap();
    stream.end_packet().unwrap();
    offset
}

fn written(offset: u64, index: PacketIndex) -> StreamEffect {
    WriteIndex { offset, index }
}

#[test]
fn an_entry_is_written_when_both_halves_are_there_in_either_order() {
    let mut stream = stream();
    receive(&mut stream, 0);
    assert_eq!(effects(&mut stream), []);
    stream.on_index(index(0, 0)).unwrap();
    assert_eq!(
        effects(&mut stream),
        [OpenIndex(key(C0, 0)), written(0, index(0, 0))]
    );

    stream.on_index(index(1, 1)).unwrap();
    assert_eq!(effects(&mut stream), []);
    assert_eq!(receive(&mut stream, 1), 100);
    assert_eq!(effects(&mut stream), [written(100, index(1, 1))]);
}

#[test]
fn numbers_need_not_start_at_zero_and_may_jump() {
    let mut stream = stream();
    receive(&mut stream, 41);
    receive(&mut stream, 43);
    stream.on_index(index(41, 7)).unwrap();
    stream.on_index(index(43, 9)).unwrap();
    let expected = [
        OpenIndex(key(C0, 0)),
        written(0, index(41, 7)),
        written(100, index(43, 9)),
    ];
    assert_eq!(effects(&mut stream), expected);
}

#[test]
fn a_packet_whose_index_never_comes_has_no_entry() {
    let mut stream = stream();
    receive(&mut stream, 0);
    receive(&mut stream, 1);
    stream.on_index(index(1, 1)).unwrap();
    assert_eq!(
        effects(&mut stream),
        [OpenIndex(key(C0, 0)), written(100, index(1, 1))]
    );
    assert!(matches!(
        stream.on_index(index(0, 0)),
        Err(StreamError::IndexOrder { .. })
    ));
}

#[test]
fn numbers_must_grow() {
    let mut stream = stream();
    receive(&mut stream, 5);
    let error = StreamError::PacketOrder {
        net_seq_num: 5,
        last: 5,
    };
    assert_eq!(stream.begin_packet(packet(5)), Err(error));
    stream.on_index(index(6, 6)).unwrap();
    assert!(matches!(
        stream.on_index(index(6, 6)),
        Err(StreamError::IndexOrder { .. })
    ));
}

#[test]
fn beacons_touch_nothing() {
    let mut stream = stream();
    let beacon = PacketIndex {
        packet_size_bits: 0,
        ..index(0, 0)
    };
    stream.on_index(beacon).unwrap();
    stream.on_index(beacon).unwrap();
    assert_eq!(effects(&mut stream), []);
}

#[test]
fn half_a_packet_is_cut_off_and_may_come_again() {
    let mut stream = stream();
    receive(&mut stream, 0);
    stream.begin_packet(packet(1)).unwrap();
    assert_eq!(stream.begin_packet(packet(2)), Err(StreamError::Busy));
    stream.abort_packet().unwrap();
    assert_eq!(effects(&mut stream), [CutData(key(C0, 0), 100)]);
    assert_eq!(receive(&mut stream, 1), 100);
}

#[test]
fn tracefiles_change_before_the_packet_and_the_index_follows() {
    let mut stream = stream_with(Tracefiles {
        size: 210,
        count: 2,
    });
    receive(&mut stream, 0);
    receive(&mut stream, 1);
    assert_eq!(effects(&mut stream), []);
    // 200 + 90 is more than 210.
    assert_eq!(receive(&mut stream, 2), 0);
    assert_eq!(effects(&mut stream), [OpenData(key(C0, 1))]);
    for nr in 0..3 {
        stream.on_index(index(nr, nr)).unwrap();
    }
    let expected = [
        OpenIndex(key(C0, 0)),
        written(0, index(0, 0)),
        written(100, index(1, 1)),
        OpenIndex(key(C0, 1)),
        written(0, index(2, 2)),
    ];
    assert_eq!(effects(&mut stream), expected);
    let number = |generation| stream.tracefiles().number(key(C0, generation));
    assert_eq!(
        [number(0), number(1), number(2)],
        [Some(0), Some(1), Some(0)]
    );
}

#[test]
fn tracefile_size_without_count_never_wraps() {
    let tracefiles = Tracefiles { size: 1, count: 0 };
    assert_eq!(tracefiles.number(key(C0, 1000)), Some(1000));
    assert_eq!(Tracefiles::default().number(key(C0, 0)), None);
}

#[test]
fn rotation_waits_for_the_last_packet_of_the_chunk() {
    let mut stream = stream();
    receive(&mut stream, 0);
    stream.on_index(index(0, 0)).unwrap();
    effects(&mut stream);
    stream.rotate(2, Some(C1)).unwrap();
    assert_eq!(effects(&mut stream), []);
    receive(&mut stream, 1);
    stream.on_index(index(1, 1)).unwrap();
    let expected = [
        written(100, index(1, 1)),
        CloseIndex,
        OpenData(key(C1, 0)),
        LeaveChunk(C0),
    ];
    assert_eq!(effects(&mut stream), expected);
    assert_eq!(receive(&mut stream, 2), 0);
    stream.on_index(index(2, 2)).unwrap();
    assert_eq!(
        effects(&mut stream),
        [OpenIndex(key(C1, 0)), written(0, index(2, 2))]
    );
}

#[test]
fn rotation_is_at_once_when_the_position_is_reached() {
    let mut stream = stream();
    stream.rotate(0, Some(C1)).unwrap();
    assert_eq!(effects(&mut stream), [OpenData(key(C1, 0)), LeaveChunk(C0)]);
}

#[test]
fn data_beyond_the_position_move_to_the_new_chunk() {
    let mut stream = stream();
    for nr in 0..3 {
        receive(&mut stream, nr);
    }
    stream.rotate(1, Some(C1)).unwrap();
    assert_eq!(effects(&mut stream), []);
    // A fourth packet is arriving while the position is found: all wait for it.
    stream.begin_packet(packet(3)).unwrap();
    stream.on_index(index(0, 0)).unwrap();
    stream.on_index(index(1, 1)).unwrap();
    assert_eq!(
        effects(&mut stream),
        [OpenIndex(key(C0, 0)), written(0, index(0, 0))]
    );
    stream.end_packet().unwrap();
    let copy = |from_offset, to_offset| CopyData {
        from: key(C0, 0),
        from_offset,
        len: 100,
        to_offset,
    };
    let expected = [
        CloseIndex,
        OpenData(key(C1, 0)),
        copy(100, 0),
        copy(200, 100),
        copy(300, 200),
        CutData(key(C0, 0), 100),
        LeaveChunk(C0),
        OpenIndex(key(C1, 0)),
        written(0, index(1, 1)),
    ];
    assert_eq!(effects(&mut stream), expected);
}

#[test]
fn moving_follows_the_tracefiles_of_both_chunks() {
    let mut stream = stream_with(Tracefiles {
        size: 210,
        count: 4,
    });
    for nr in 0..5 {
        receive(&mut stream, nr);
    }
    assert_eq!(
        effects(&mut stream),
        [OpenData(key(C0, 1)), OpenData(key(C0, 2))]
    );
    stream.rotate(1, Some(C1)).unwrap();
    stream.on_index(index(0, 0)).unwrap();
    let copy = |generation, from_offset, to_offset| CopyData {
        from: key(C0, generation),
        from_offset,
        len: 100,
        to_offset,
    };
    let expected = [
        OpenIndex(key(C0, 0)),
        written(0, index(0, 0)),
        CloseIndex,
        OpenData(key(C1, 0)),
        copy(0, 100, 0),
        copy(1, 0, 100),
        OpenData(key(C1, 1)),
        copy(1, 100, 0),
        copy(2, 0, 100),
        CutData(key(C0, 0), 100),
        RemoveData(key(C0, 1)),
        RemoveData(key(C0, 2)),
        LeaveChunk(C0),
    ];
    assert_eq!(effects(&mut stream), expected);
}

#[test]
fn a_jump_over_the_position_puts_the_packet_into_the_new_chunk() {
    for packet_seq_num in [3, 5] {
        a_jump_to(packet_seq_num);
    }
}

fn a_jump_to(packet_seq_num: u64) {
    let mut stream = stream();
    receive(&mut stream, 0);
    stream.on_index(index(0, 0)).unwrap();
    effects(&mut stream);
    // The packets between were overwritten before they could be sent.
    stream.rotate(3, Some(C1)).unwrap();
    receive(&mut stream, 1);
    stream.on_index(index(1, packet_seq_num)).unwrap();
    let expected = [
        CloseIndex,
        OpenData(key(C1, 0)),
        CopyData {
            from: key(C0, 0),
            from_offset: 100,
            len: 100,
            to_offset: 0,
        },
        CutData(key(C0, 0), 100),
        LeaveChunk(C0),
        OpenIndex(key(C1, 0)),
        written(0, index(1, packet_seq_num)),
    ];
    assert_eq!(effects(&mut stream), expected);
}

#[test]
fn rotation_to_nothing_and_back() {
    let mut stream = stream();
    receive(&mut stream, 0);
    stream.on_index(index(0, 0)).unwrap();
    effects(&mut stream);
    stream.rotate(1, None).unwrap();
    assert_eq!(
        effects(&mut stream),
        [CloseIndex, CloseData, LeaveChunk(C0)]
    );
    assert_eq!(stream.begin_packet(packet(1)), Err(StreamError::NoChunk));
    stream.rotate(1, Some(C1)).unwrap();
    assert_eq!(effects(&mut stream), [OpenData(key(C1, 0))]);
    assert_eq!(receive(&mut stream, 1), 0);
}

#[test]
fn one_rotation_at_a_time() {
    let mut stream = stream();
    stream.rotate(5, Some(C1)).unwrap();
    assert_eq!(stream.rotate(6, None), Err(StreamError::Rotating));
}

#[test]
fn metadata_rotates_at_once_and_starts_again() {
    let mut stream = metadata();
    assert_eq!(stream.append_metadata(4096), Ok(0));
    assert_eq!(stream.append_metadata(4096), Ok(4096));
    stream.rotate(0, Some(C1)).unwrap();
    assert_eq!(effects(&mut stream), [OpenData(key(C1, 0)), LeaveChunk(C0)]);
    assert_eq!(stream.append_metadata(4096), Ok(0));
    stream.reset_metadata().unwrap();
    assert_eq!(effects(&mut stream), [OpenData(key(C1, 0))]);
    assert_eq!(stream.append_metadata(10), Ok(0));
    assert_eq!(stream.begin_packet(packet(0)), Err(StreamError::IsMetadata));
}

#[test]
fn close_waits_for_the_last_packet() {
    let mut stream = stream();
    stream.on_index(index(0, 0)).unwrap();
    stream.close(0);
    assert_eq!(effects(&mut stream), []);
    receive(&mut stream, 0);
    let expected = [
        OpenIndex(key(C0, 0)),
        written(0, index(0, 0)),
        CloseIndex,
        CloseData,
        LeaveChunk(C0),
        Closed,
    ];
    assert_eq!(effects(&mut stream), expected);
    assert_eq!(stream.begin_packet(packet(1)), Err(StreamError::Closed));
    stream.close(7);
    stream.abort();
    assert_eq!(effects(&mut stream), []);
}

#[test]
fn close_without_packets_is_at_once() {
    let mut stream = stream();
    stream.close(NO_PACKET);
    assert_eq!(effects(&mut stream), [CloseData, LeaveChunk(C0), Closed]);
}

#[test]
fn a_closing_stream_leaves_the_chunk_it_was_to_rotate_to() {
    let mut stream = stream();
    stream.rotate(5, Some(C1)).unwrap();
    stream.close(NO_PACKET);
    assert_eq!(
        effects(&mut stream),
        [CloseData, LeaveChunk(C0), LeaveChunk(C1), Closed]
    );
}

#[test]
fn the_end_of_control_waits_for_announced_packets_only() {
    let mut waiting = stream();
    waiting.on_index(index(3, 3)).unwrap();
    waiting.control_ended();
    assert!(!waiting.is_closed());
    receive(&mut waiting, 3);
    assert!(waiting.is_closed());

    let mut unannounced = stream();
    receive(&mut unannounced, 0);
    unannounced.control_ended();
    assert!(unannounced.is_closed());
}

#[test]
fn abort_drops_the_packet_that_is_arriving() {
    let mut stream = stream();
    receive(&mut stream, 0);
    stream.begin_packet(packet(1)).unwrap();
    stream.abort();
    assert_eq!(effects(&mut stream), []);
    stream.end_packet().unwrap();
    let expected = [CutData(key(C0, 0), 100), CloseData, LeaveChunk(C0), Closed];
    assert_eq!(effects(&mut stream), expected);
}

#[test]
fn pending_means_packet_or_index_missing() {
    let mut stream = stream();
    assert!(!stream.is_pending(NO_PACKET));
    assert!(stream.is_pending(0));
    receive(&mut stream, 0);
    assert!(stream.is_pending(0));
    stream.on_index(index(0, 0)).unwrap();
    assert!(!stream.is_pending(0));
    assert!(stream.is_pending(1));
}

#[test]
fn snapshots_have_no_indexes() {
    let setup = StreamSetup {
        is_metadata: false,
        has_indexes: false,
        tracefiles: Tracefiles::default(),
        chunk: C0,
    };
    let mut stream = Stream::new(&setup);
    effects(&mut stream);
    for nr in 4..MAX_WAITING as u64 + 10 {
        receive(&mut stream, nr);
    }
    assert!(!stream.is_pending(MAX_WAITING as u64 + 9));
    stream.close(MAX_WAITING as u64 + 9);
    assert_eq!(effects(&mut stream), [CloseData, LeaveChunk(C0), Closed]);
}

#[test]
fn waiting_is_bounded() {
    let mut stream = stream();
    for nr in 0..MAX_WAITING as u64 {
        receive(&mut stream, nr);
    }
    let error = stream.begin_packet(packet(MAX_WAITING as u64));
    assert_eq!(error, Err(StreamError::TooManyWaiting));
}
