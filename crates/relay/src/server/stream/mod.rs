//! One stream: joins packets with their indexes, places both in files, changes files at tracefile
//! limits and trace chunks at rotations, and closes when everything announced has arrived.
//!
//! The packets come from a data connection, everything else from the session's control connection;
//! nothing orders the two against each other. Whoever drives a stream runs its effects, in order,
//! after every call.

mod join;
mod rotation;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use self::join::WaitingPacket;
use self::rotation::Rotation;
use crate::{ChunkId, DataPacket, NO_PACKET, PacketIndex};

/// One data file and the index file beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileKey {
    /// The trace chunk whose directory it is in.
    pub chunk: ChunkId,
    /// Counts the tracefiles of the stream in this chunk, from 0. Files are reused: see
    /// [`Tracefiles::number`].
    pub generation: u64,
}

/// When a new data file begins, and how many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tracefiles {
    /// A packet that would make the file larger goes into the next file; 0: never.
    pub size: u64,
    /// Files before the first one is overwritten; 0: never.
    pub count: u64,
}

impl Tracefiles {
    /// The number in the file's name, `None` if there is only one file without a number.
    #[must_use]
    pub fn number(&self, key: FileKey) -> Option<u64> {
        match (self.size, self.count) {
            (0, _) => None,
            (_, 0) => Some(key.generation),
            (_, count) => Some(key.generation % count),
        }
    }

    fn is_full(&self, size: u64, data_size: u64) -> bool {
        // As stock does: without padding, and a packet that no file can hold opens one all the same.
        self.size > 0 && size.saturating_add(data_size) > self.size
    }
}

/// What to do to the files of a stream. In order; when one fails, the session has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEffect {
    /// Close the current data file, if any; create this one anew. It becomes the current one.
    OpenData(FileKey),
    /// Close the current data file.
    CloseData,
    /// Cut a data file (the current one or not) to this many bytes.
    CutData(FileKey, u64),
    /// Remove a data file that is not the current one.
    RemoveData(FileKey),
    /// Copy bytes of another data file into the current one.
    CopyData {
        /// Read here.
        from: FileKey,
        /// From this offset.
        from_offset: u64,
        /// So many bytes.
        len: u64,
        /// Write them at this offset of the current data file.
        to_offset: u64,
    },
    /// Close the current index file, if any; create this one anew. It becomes the current one.
    OpenIndex(FileKey),
    /// Close the current index file.
    CloseIndex,
    /// Append a record to the current index file.
    WriteIndex {
        /// Where the packet begins in its data file.
        offset: u64,
        /// The rest.
        index: PacketIndex,
    },
    /// The stream uses this trace chunk no more.
    LeaveChunk(ChunkId),
    /// The last effect of a stream.
    Closed,
}

/// What a peer did wrong with a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// Nothing can be sent for it any more.
    #[error("the stream is closed")]
    Closed,
    /// Between a rotation to nothing and one to a new trace chunk.
    #[error("the stream is in no trace chunk")]
    NoChunk,
    /// Packets for metadata, or metadata for a data stream.
    #[error("a data stream was meant, this one carries metadata")]
    IsMetadata,
    /// Metadata for a data stream.
    #[error("a metadata stream was meant, this one carries packets")]
    IsData,
    /// Two data connections send one packet each.
    #[error("another data connection is sending a packet of this stream")]
    Busy,
    /// Sequence numbers must grow.
    #[error("packet {net_seq_num} after packet {last}")]
    PacketOrder {
        /// This one.
        net_seq_num: u64,
        /// The last one before.
        last: u64,
    },
    /// Sequence numbers must grow.
    #[error("index of packet {net_seq_num} after the one of packet {last}")]
    IndexOrder {
        /// This one.
        net_seq_num: u64,
        /// The last one before.
        last: u64,
    },
    /// More packets without index, or indexes without packet, than anyone needs.
    #[error("more than {MAX_WAITING} packets or indexes wait for their other half")]
    TooManyWaiting,
    /// The previous rotation is not done.
    #[error("the stream is still rotating")]
    Rotating,
    /// The peer said that it ends there.
    #[error("packets came after the position at which the stream left its last trace chunk")]
    PastTheEnd,
}

/// How many packets may wait for their index, or indexes for their packet.
pub const MAX_WAITING: usize = 16_384;

/// What a new stream is.
#[derive(Clone, Copy, Debug)]
pub struct StreamSetup {
    /// It carries metadata.
    pub is_metadata: bool,
    /// Indexes will come: neither a snapshot, nor a peer too old for them.
    pub has_indexes: bool,
    /// Its limits.
    pub tracefiles: Tracefiles,
    /// The trace chunk it begins in.
    pub chunk: ChunkId,
}

/// See the module.
#[derive(Debug)]
pub struct Stream {
    is_metadata: bool,
    has_indexes: bool,
    tracefiles: Tracefiles,
    /// The current data file, and how much of it is complete packets.
    data_file: Option<FileKey>,
    data_size: u64,
    index_file: Option<FileKey>,
    receiving: Option<Receiving>,
    last_packet: Option<u64>,
    last_index: Option<IndexPosition>,
    /// Packets whose index has not come, by growing sequence number.
    waiting_packets: VecDeque<WaitingPacket>,
    /// Indexes whose packet has not come, by growing sequence number.
    waiting_indexes: VecDeque<PacketIndex>,
    rotation: Option<Rotation>,
    life: Life,
    effects: VecDeque<StreamEffect>,
}

/// The packet that is arriving: it lies behind the complete ones.
#[derive(Clone, Copy, Debug)]
struct Receiving {
    packet: DataPacket,
    /// What arrives is not wanted any more.
    dropped: bool,
}

/// The last index whose packet is there.
#[derive(Clone, Copy, Debug)]
struct IndexPosition {
    net_seq_num: u64,
    packet_seq_num: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Open,
    /// Until this packet is complete; [`NO_PACKET`]: until none is arriving.
    Closing {
        last: u64,
    },
    Closed,
}

impl Stream {
    /// A new stream; its first effect creates its file.
    #[must_use]
    pub fn new(setup: &StreamSetup) -> Self {
        let key = FileKey {
            chunk: setup.chunk,
            generation: 0,
        };
        let tracefiles = if setup.is_metadata {
            Tracefiles::default()
        } else {
            setup.tracefiles
        };
        Self {
            is_metadata: setup.is_metadata,
            has_indexes: setup.has_indexes && !setup.is_metadata,
            tracefiles,
            data_file: Some(key),
            data_size: 0,
            index_file: None,
            receiving: None,
            last_packet: None,
            last_index: None,
            waiting_packets: VecDeque::new(),
            waiting_indexes: VecDeque::new(),
            rotation: None,
            life: Life::Open,
            effects: VecDeque::from([StreamEffect::OpenData(key)]),
        }
    }

    /// What to do next; `None` when there is nothing left.
    pub fn next_effect(&mut self) -> Option<StreamEffect> {
        self.effects.pop_front()
    }

    /// The limits of its data files.
    #[must_use]
    pub fn tracefiles(&self) -> Tracefiles {
        self.tracefiles
    }

    /// The current data file.
    #[must_use]
    pub fn data_file(&self) -> Option<FileKey> {
        self.data_file
    }

    /// The current index file.
    #[must_use]
    pub fn index_file(&self) -> Option<FileKey> {
        self.index_file
    }

    /// Bytes of complete packets, or of metadata, in the current data file.
    #[must_use]
    pub fn data_size(&self) -> u64 {
        self.data_size
    }

    /// An index has come whose packet has not.
    #[must_use]
    pub fn waits_for_packets(&self) -> bool {
        !self.waiting_indexes.is_empty()
    }

    /// A packet begins to arrive. Returns the offset in the current data file, which is known after
    /// the effects were run, at which its bytes go.
    ///
    /// # Errors
    /// When the peer may not send it. Nothing has changed then.
    pub fn begin_packet(&mut self, packet: DataPacket) -> Result<u64, StreamError> {
        if self.life == Life::Closed {
            return Err(StreamError::Closed);
        }
        if self.is_metadata {
            return Err(StreamError::IsMetadata);
        }
        let key = self.data_file.ok_or(StreamError::NoChunk)?;
        if self.receiving.is_some() {
            return Err(StreamError::Busy);
        }
        let net_seq_num = packet.net_seq_num;
        if let Some(last) = self.last_packet.filter(|last| net_seq_num <= *last) {
            return Err(StreamError::PacketOrder { net_seq_num, last });
        }
        if self.waiting_packets.len() >= MAX_WAITING {
            return Err(StreamError::TooManyWaiting);
        }
        if self
            .tracefiles
            .is_full(self.data_size, packet.data_size.into())
        {
            self.open_data(FileKey {
                generation: key.generation + 1,
                ..key
            });
        }
        self.receiving = Some(Receiving {
            packet,
            dropped: false,
        });
        Ok(self.data_size)
    }

    /// The packet that is arriving, if it is wanted.
    #[must_use]
    pub fn arriving(&self) -> Option<DataPacket> {
        let receiving = self.receiving.filter(|receiving| !receiving.dropped);
        receiving.map(|receiving| receiving.packet)
    }

    /// The packet has arrived and is written, padding included.
    ///
    /// # Errors
    /// When it shows that the peer broke the protocol before.
    pub fn end_packet(&mut self) -> Result<(), StreamError> {
        let Some(Receiving { packet, dropped }) = self.receiving.take() else {
            return Ok(());
        };
        if dropped {
            return self.forget_packet();
        }
        let key = self.data_file.ok_or(StreamError::NoChunk)?;
        let waiting = WaitingPacket {
            net_seq_num: packet.net_seq_num,
            file: key,
            offset: self.data_size,
            data_size: packet.data_size,
            padding_size: packet.padding_size,
        };
        self.last_packet = Some(packet.net_seq_num);
        self.data_size += waiting.len();
        if self.has_indexes {
            self.waiting_packets.push_back(waiting);
        }
        self.settle()
    }

    /// The rest of the packet will not come: what came of it is cut off.
    ///
    /// # Errors
    /// As [`Stream::end_packet`].
    pub fn abort_packet(&mut self) -> Result<(), StreamError> {
        match self.receiving.take() {
            Some(_) => self.forget_packet(),
            None => Ok(()),
        }
    }

    fn forget_packet(&mut self) -> Result<(), StreamError> {
        if let Some(key) = self.data_file {
            self.effects
                .push_back(StreamEffect::CutData(key, self.data_size));
        }
        self.settle()
    }

    /// Metadata of `len` bytes (with padding) arrives: the offset in the current data file for it.
    ///
    /// # Errors
    /// When this is no place for metadata.
    pub fn append_metadata(&mut self, len: u64) -> Result<u64, StreamError> {
        if self.life != Life::Open {
            return Err(StreamError::Closed);
        }
        if !self.is_metadata {
            return Err(StreamError::IsData);
        }
        if self.data_file.is_none() {
            return Err(StreamError::NoChunk);
        }
        let offset = self.data_size;
        self.data_size += len;
        Ok(offset)
    }

    /// Metadata begins again, with an empty file.
    ///
    /// # Errors
    /// When this is no metadata stream in a trace chunk.
    pub fn reset_metadata(&mut self) -> Result<(), StreamError> {
        self.append_metadata(0)?;
        let key = self.data_file.ok_or(StreamError::NoChunk)?;
        self.open_data(key);
        Ok(())
    }

    /// No more packets than up to this one will be sent: the stream closes when they are complete.
    pub fn close(&mut self, last_net_seq_num: u64) {
        if self.life == Life::Open {
            self.life = Life::Closing {
                last: last_net_seq_num,
            };
            self.try_close();
        }
    }

    /// The control connection has ended in order: waits for the packets whose index has come.
    pub fn control_ended(&mut self) {
        self.close(
            self.waiting_indexes
                .back()
                .map_or(NO_PACKET, |index| index.net_seq_num),
        );
    }

    /// Closes without waiting for anything.
    pub fn abort(&mut self) {
        if self.life == Life::Closed {
            return;
        }
        if let Some(receiving) = &mut self.receiving {
            receiving.dropped = true;
        }
        self.life = Life::Closing { last: NO_PACKET };
        self.try_close();
    }

    /// Nothing is left of it but its files.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.life == Life::Closed
    }

    /// Is something up to this packet still to come, the packet or its index?
    #[must_use]
    pub fn is_pending(&self, last_net_seq_num: u64) -> bool {
        let at = |position: Option<u64>| position.unwrap_or(NO_PACKET).cast_signed();
        let mut received = at(self.last_packet);
        if self.has_indexes {
            received = received.min(at(self.last_index.map(|index| index.net_seq_num)));
        }
        received.wrapping_sub(last_net_seq_num.cast_signed()) < 0
    }

    fn open_data(&mut self, key: FileKey) {
        self.data_file = Some(key);
        self.data_size = 0;
        self.effects.push_back(StreamEffect::OpenData(key));
    }

    fn try_close(&mut self) {
        let Life::Closing { last } = self.life else {
            return;
        };
        let complete = last == NO_PACKET || self.last_packet.is_some_and(|packet| packet >= last);
        if !complete || self.receiving.is_some() {
            return;
        }
        self.life = Life::Closed;
        if self.index_file.take().is_some() {
            self.effects.push_back(StreamEffect::CloseIndex);
        }
        if let Some(key) = self.data_file.take() {
            self.effects.push_back(StreamEffect::CloseData);
            self.effects.push_back(StreamEffect::LeaveChunk(key.chunk));
        }
        if let Some(to) = self.rotation.take().and_then(|rotation| rotation.to) {
            self.effects.push_back(StreamEffect::LeaveChunk(to));
        }
        self.waiting_packets.clear();
        self.waiting_indexes.clear();
        self.effects.push_back(StreamEffect::Closed);
    }
}
