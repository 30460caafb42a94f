//! However data, indexes and a rotation interleave, each packet ends up once in the chunk it belongs to,
//! and the indexes describe the files.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use relay::server::{FileKey, Stream, StreamEffect, StreamSetup, Tracefiles};
use relay::{ChunkId, DataPacket, NO_PACKET, PacketIndex, StreamHandle};

const OLD: ChunkId = ChunkId(0);
const NEW: ChunkId = ChunkId(1);
const PADDING: u32 = 3;

/// The files of a stream, in memory.
#[derive(Default)]
struct Disk {
    files: BTreeMap<(u64, u64), Vec<u8>>,
    data: Option<FileKey>,
    index: Option<FileKey>,
    /// Chunk, file, offset, packet.
    entries: Vec<(FileKey, u64, PacketIndex)>,
    left: Vec<ChunkId>,
    closed: bool,
}

fn name(key: FileKey) -> (u64, u64) {
    (key.chunk.0, key.generation)
}

impl Disk {
    fn run(&mut self, stream: &mut Stream) {
        while let Some(effect) = stream.next_effect() {
            assert!(!self.closed, "{effect:?} after the last effect");
            match effect {
                StreamEffect::OpenData(key) => {
                    self.files.insert(name(key), Vec::new());
                    self.data = Some(key);
                }
                StreamEffect::CloseData => self.data = None,
                StreamEffect::CutData(key, size) => {
                    let file = self.files.get_mut(&name(key)).unwrap();
                    assert!(file.len() as u64 >= size);
                    file.truncate(usize::try_from(size).unwrap());
                }
                StreamEffect::RemoveData(key) => {
                    assert_ne!(self.data, Some(key));
                    self.files.remove(&name(key)).unwrap();
                }
                StreamEffect::CopyData {
                    from,
                    from_offset,
                    len,
                    to_offset,
                } => {
                    let start = usize::try_from(from_offset).unwrap();
                    let end = start + usize::try_from(len).unwrap();
                    let bytes = self.files[&name(from)][start..end].to_vec();
                    self.write(to_offset, &bytes);
                }
                StreamEffect::OpenIndex(key) => self.index = Some(key),
                StreamEffect::CloseIndex => self.index = None,
                StreamEffect::WriteIndex { offset, index } => {
                    self.entries.push((self.index.unwrap(), offset, index));
                }
                StreamEffect::LeaveChunk(chunk) => self.left.push(chunk),
                StreamEffect::Closed => self.closed = true,
            }
        }
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) {
        let file = self.files.get_mut(&name(self.data.unwrap())).unwrap();
        assert_eq!(
            file.len() as u64,
            offset,
            "packets lie one behind the other"
        );
        file.extend_from_slice(bytes);
    }
}

#[derive(Clone, Copy, Debug)]
enum Control {
    Index(u64),
    Rotate,
    Close,
}

fn packet(net_seq_num: u64, size: u32) -> DataPacket {
    DataPacket {
        stream: StreamHandle(1),
        net_seq_num,
        data_size: size,
        padding_size: PADDING,
    }
}

fn stored(net_seq_num: u64, size: u32) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(net_seq_num + 1).unwrap(); size as usize];
    bytes.resize((size + PADDING) as usize, 0);
    bytes
}

proptest! {
    #[test]
    fn every_packet_ends_up_where_it_belongs(
        sizes in vec(1..50_u32, 1..30),
        // Net sequence numbers start anywhere; so do the tracer's.
        first_net in 0..3_u64,
        first_packet in 0..3_u64,
        position in 0..30_u64,
        rotate_early in 0..30_usize,
        tracefile_size in prop_oneof![Just(0_u64), 60..200_u64],
        // Whether the next step is one of the data connection.
        mut turns in vec(any::<bool>(), 200),
    ) {
        let count = sizes.len() as u64;
        let position = position % (count + 1);
        let mut control: Vec<_> = (0..count).map(Control::Index).collect();
        // Somewhere before the index of the first packet of the new chunk.
        let rotate_at = usize::try_from(position).unwrap().saturating_sub(rotate_early);
        control.insert(rotate_at, Control::Rotate);
        control.push(Control::Close);
        let mut control = control.into_iter();
        let mut data = (0..count).zip(&sizes);
        let mut arriving = false;

        let mut stream = Stream::new(&StreamSetup {
            is_metadata: false,
            has_indexes: true,
            tracefiles: Tracefiles { size: tracefile_size, count: 0 },
            chunk: OLD,
        });
        let mut disk = Disk::default();
        disk.run(&mut stream);
        let (mut control_left, mut data_left) = (true, true);
        while control_left || data_left {
            if turns.pop().unwrap_or(control_left) && control_left || !data_left {
                match control.next() {
                    Some(Control::Index(nr)) => stream.on_index(PacketIndex {
                        stream: 1,
                        net_seq_num: first_net + nr,
                        packet_size_bits: 8,
                        packet_seq_num: first_packet + nr,
                        ..PacketIndex::default()
                    }).unwrap(),
                    Some(Control::Rotate) => {
                        // "No packet yet" cannot be told from "all packets before were lost".
                        let at = if position == 0 { 0 } else { first_packet + position };
                        stream.rotate(at, Some(NEW)).unwrap();
                    }
                    Some(Control::Close) => stream.close(first_net + count - 1),
                    None => control_left = false,
                }
            } else if std::mem::take(&mut arriving) {
                stream.end_packet().unwrap();
            } else if let Some((nr, size)) = data.next() {
                let offset = stream.begin_packet(packet(first_net + nr, *size)).unwrap();
                disk.run(&mut stream);
                disk.write(offset, &stored(nr, *size));
                arriving = true;
            } else {
                data_left = false;
            }
            disk.run(&mut stream);
        }

        prop_assert!(disk.closed);
        prop_assert_eq!(disk.left, [OLD, NEW]);
        prop_assert_eq!(disk.entries.len() as u64, count);
        let mut ends: BTreeMap<_, u64> = disk.files.keys().map(|key| (*key, 0)).collect();
        for (nr, (key, offset, index)) in (0..).zip(&disk.entries) {
            prop_assert_eq!(index.net_seq_num, first_net + nr);
            prop_assert_eq!(key.chunk, if nr < position { OLD } else { NEW });
            let end = ends.get_mut(&name(*key)).unwrap();
            prop_assert_eq!(*offset, *end);
            let bytes = stored(nr, sizes[usize::try_from(nr).unwrap()]);
            let start = usize::try_from(*offset).unwrap();
            prop_assert_eq!(&disk.files[&name(*key)][start..start + bytes.len()], &bytes[..]);
            *end += bytes.len() as u64;
        }
        for (key, end) in ends {
            prop_assert_eq!(disk.files[&key].len() as u64, end);
        }
    }

    #[test]
    fn nonsense_is_an_error_and_no_panic(steps in vec((0..8_u8, 0..6_u64, 0..4_u64), 0..60)) {
        let mut stream = Stream::new(&StreamSetup {
            is_metadata: false,
            has_indexes: true,
            tracefiles: Tracefiles { size: 100, count: 2 },
            chunk: OLD,
        });
        for (what, nr, other) in steps {
            let _ = match what {
                0 => stream.begin_packet(packet(nr, 40)).map(drop),
                1 => stream.end_packet(),
                2 => stream.abort_packet(),
                3 => stream.on_index(PacketIndex {
                    net_seq_num: nr,
                    packet_size_bits: other,
                    packet_seq_num: other,
                    ..PacketIndex::default()
                }),
                4 => stream.rotate(nr, (other > 0).then_some(ChunkId(other))),
                5 => { stream.close(if other == 0 { NO_PACKET } else { nr }); Ok(()) }
                6 => { stream.control_ended(); Ok(()) }
                _ => stream.append_metadata(nr).map(drop),
            };
            while stream.next_effect().is_some() {}
            let _ = stream.is_pending(nr);
        }
        stream.abort();
        let _ = stream.end_packet();
        prop_assert!(stream.is_closed());
    }
}
