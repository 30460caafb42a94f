//! A stream moves to another trace chunk.
//!
//! The position is a *packet* sequence number, which only indexes carry, while the data run ahead of
//! them with *network* sequence numbers. So the change happens when the index of the last packet of
//! the old chunk completes; whatever the data connection has brought beyond it by then is moved:
//!
//! ```text
//! old file  [ indexed … | last of the chunk ][ waiting | waiting ]      cut here ^
//! new file                                   [ waiting | waiting ]
//! ```

use super::{FileKey, Life, Stream, StreamEffect, StreamError};
use crate::{ChunkId, PacketIndex};

/// A rotation that was asked for and has not happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rotation {
    /// The first packet sequence number of the new chunk.
    position: u64,
    /// The new chunk; `None`: no file until the next rotation.
    pub(super) to: Option<ChunkId>,
    /// The next packet is known to belong to the new chunk.
    reached: bool,
}

impl Stream {
    /// The stream changes to trace chunk `to` before packet `position`. The stream uses both chunks
    /// until it leaves the old one.
    ///
    /// # Errors
    /// When it cannot rotate now.
    pub fn rotate(&mut self, position: u64, to: Option<ChunkId>) -> Result<(), StreamError> {
        if self.life == Life::Closed {
            return Err(StreamError::Closed);
        }
        if self.rotation.is_some() {
            return Err(StreamError::Rotating);
        }
        self.rotation = Some(Rotation {
            position,
            to,
            reached: false,
        });
        self.settle()
    }

    pub(super) fn rotation_is_due(&self) -> bool {
        let Some(rotation) = self.rotation else {
            return false;
        };
        if rotation.reached || self.is_metadata || self.data_file.is_none() {
            return true;
        }
        if !self.has_indexes {
            // Without indexes nobody knows better than now.
            return true;
        }
        match self.last_index {
            Some(last) => last.packet_seq_num.saturating_add(1) >= rotation.position,
            None => rotation.position == 0,
        }
    }

    /// Does this index, whose packet is there, belong to the new chunk although the packet before the
    /// position never came? (In overwrite mode numbers jump.)
    pub(super) fn rotate_before(&mut self, index: &PacketIndex) -> bool {
        match &mut self.rotation {
            Some(rotation) if index.packet_seq_num >= rotation.position => {
                rotation.reached = true;
                true
            }
            _ => false,
        }
    }

    pub(super) fn rotate_now(&mut self) -> Result<(), StreamError> {
        let Some(Rotation { to, .. }) = self.rotation.take() else {
            return Ok(());
        };
        let old = self.data_file;
        if self.index_file.take().is_some() {
            self.effects.push_back(StreamEffect::CloseIndex);
        }
        let moved = match to {
            Some(chunk) => {
                self.move_to(chunk);
                Ok(())
            }
            None => self.leave_files(),
        };
        // After an error too: the chunk must not wait for this stream for ever.
        if let Some(old) = old {
            self.effects.push_back(StreamEffect::LeaveChunk(old.chunk));
        }
        moved
    }

    fn leave_files(&mut self) -> Result<(), StreamError> {
        if self.data_file.take().is_some() {
            self.effects.push_back(StreamEffect::CloseData);
        }
        if self.waiting_packets.is_empty() {
            Ok(())
        } else {
            Err(StreamError::PastTheEnd)
        }
    }

    fn move_to(&mut self, chunk: ChunkId) {
        let old_file = self.data_file;
        self.open_data(FileKey {
            chunk,
            generation: 0,
        });
        // All of them: a packet whose index had come would not wait.
        let mut waiting = std::mem::take(&mut self.waiting_packets);
        let first = waiting.front().map(|packet| (packet.file, packet.offset));
        for packet in &mut waiting {
            self.move_packet(packet);
        }
        self.waiting_packets = waiting;
        let (Some(old_file), Some((first_file, first_offset))) = (old_file, first) else {
            return;
        };
        self.effects
            .push_back(StreamEffect::CutData(first_file, first_offset));
        for generation in first_file.generation + 1..=old_file.generation {
            self.effects.push_back(StreamEffect::RemoveData(FileKey {
                generation,
                ..old_file
            }));
        }
    }

    fn move_packet(&mut self, packet: &mut super::WaitingPacket) {
        let Some(mut key) = self.data_file else {
            return;
        };
        if self
            .tracefiles
            .is_full(self.data_size, packet.data_size.into())
        {
            key.generation += 1;
            self.open_data(key);
        }
        self.effects.push_back(StreamEffect::CopyData {
            from: packet.file,
            from_offset: packet.offset,
            len: packet.len(),
            to_offset: self.data_size,
        });
        packet.file = key;
        packet.offset = self.data_size;
        self.data_size += packet.len();
    }
}
