//! Packets meet their indexes, whichever comes first.

use std::cmp::Ordering;

use super::{FileKey, IndexPosition, Life, MAX_WAITING, Stream, StreamEffect, StreamError};
use crate::PacketIndex;

/// A complete packet whose index has not come.
#[derive(Clone, Copy, Debug)]
pub(super) struct WaitingPacket {
    pub(super) net_seq_num: u64,
    pub(super) file: FileKey,
    pub(super) offset: u64,
    pub(super) data_size: u32,
    pub(super) padding_size: u32,
}

impl WaitingPacket {
    /// Bytes it takes in the file.
    pub(super) fn len(&self) -> u64 {
        u64::from(self.data_size) + u64::from(self.padding_size)
    }
}

impl Stream {
    /// An index or a beacon came.
    ///
    /// # Errors
    /// When the peer may not send it.
    pub fn on_index(&mut self, index: PacketIndex) -> Result<(), StreamError> {
        if self.life != Life::Open {
            return Err(StreamError::Closed);
        }
        if self.is_metadata {
            return Err(StreamError::IsMetadata);
        }
        if index.is_beacon() || !self.has_indexes {
            return Ok(());
        }
        let last = self
            .waiting_indexes
            .back()
            .map(|waiting| waiting.net_seq_num)
            .or(self.last_index.map(|last| last.net_seq_num));
        if let Some(last) = last.filter(|last| index.net_seq_num <= *last) {
            return Err(StreamError::IndexOrder {
                net_seq_num: index.net_seq_num,
                last,
            });
        }
        if self.waiting_indexes.len() >= MAX_WAITING {
            return Err(StreamError::TooManyWaiting);
        }
        self.waiting_indexes.push_back(index);
        self.settle()
    }

    /// Restores order after anything changed: rotates when due, writes the indexes of the packets that
    /// have both halves, closes when nothing is missing.
    pub(super) fn settle(&mut self) -> Result<(), StreamError> {
        loop {
            if self.rotation_is_due() {
                if self.receiving.is_some() {
                    // Its bytes are being written behind the others; they move when it is complete.
                    break;
                }
                self.rotate_now()?;
                continue;
            }
            let Some(index) = self.waiting_indexes.front().copied() else {
                break;
            };
            let Some(packet) = self.waiting_packets.front().copied() else {
                if self
                    .last_packet
                    .is_some_and(|last| index.net_seq_num <= last)
                {
                    // The packets went on without the one it describes.
                    self.waiting_indexes.pop_front();
                    continue;
                }
                break;
            };
            match packet.net_seq_num.cmp(&index.net_seq_num) {
                // The indexes went on without this packet: its bytes stay, unindexed.
                Ordering::Less => drop(self.waiting_packets.pop_front()),
                Ordering::Greater => drop(self.waiting_indexes.pop_front()),
                Ordering::Equal if self.rotate_before(&index) => {}
                Ordering::Equal => {
                    self.waiting_packets.pop_front();
                    self.waiting_indexes.pop_front();
                    self.complete(&packet, index);
                }
            }
        }
        self.try_close();
        Ok(())
    }

    fn complete(&mut self, packet: &WaitingPacket, index: PacketIndex) {
        if self.index_file != Some(packet.file) {
            self.index_file = Some(packet.file);
            self.effects.push_back(StreamEffect::OpenIndex(packet.file));
        }
        self.effects.push_back(StreamEffect::WriteIndex {
            offset: packet.offset,
            index,
        });
        self.last_index = Some(IndexPosition {
            net_seq_num: index.net_seq_num,
            packet_seq_num: index.packet_seq_num,
        });
    }
}
