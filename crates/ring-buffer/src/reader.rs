//! The consumer's side of a ring buffer.
//!
//! Nothing in the shared memory is believed: places are computed from the geometry, indices and sizes
//! are checked, loops are bounded, and a packet counts only if its header fits its position.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use rustix::fs::{SealFlags, fcntl_get_seals, fstat};

use crate::channel::StreamIdentity;
use crate::geometry::{BufferMode, Geometry};
use crate::ids::SubbufId;
use crate::layout::{PACKET_HEADER_BYTES, PACKET_MAGIC, PacketHeader};
use crate::lease::{Packet, PacketLease};
use crate::memory::Memory;
use crate::read_error::{AttachError, PacketFault, ReadError};
use crate::ring::{BufferIndex, LossCounters, MAX_TRIES, Ring};
use crate::sync::Ordering;

/// What there is to read.
#[derive(Debug)]
pub enum Next<'a> {
    /// A packet.
    Packet(PacketLease<'a>),
    /// A packet was closed, but a writer has not finished an event in it. That writer wakes the
    /// reader (by-writer wakeup) when it has; packets behind it have to wait, to keep the order.
    NotReady,
    /// No closed packet.
    Empty,
}

/// Where reader and writers stand, in bytes of sub-buffers since the creation of the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Positions {
    /// Read position.
    pub consumed: u64,
    /// Write position.
    pub offset: u64,
}

/// The one reader of a ring buffer.
#[derive(Debug)]
pub struct Reader {
    pub(crate) ring: Ring,
    /// Where the next packet begins if none gets lost.
    expected: u64,
    /// The read position never goes back behind this, or somebody plays with it.
    floor: u64,
    /// Overwrite mode: the data buffer that is ours. The word in the memory is only for successors.
    pub(crate) own: SubbufId,
    /// A packet that a dead predecessor had taken out of its slot.
    pub(crate) inherited: Option<u64>,
}

/// As [`Next`], without the hold on the reader.
pub(crate) enum Taken {
    Packet(Packet),
    NotReady,
    Empty,
}

/// Outcome of one attempt to take a packet.
pub(crate) enum Attempt {
    Got(BufferIndex),
    NotReady,
    NoBuffer(u64),
}

impl Reader {
    /// Becomes the reader of a buffer that has none.
    ///
    /// `fd` is mapped; it may be closed afterwards. Fails if size or seals are not those of
    /// [`crate::StreamMemory`].
    pub fn attach(
        fd: BorrowedFd<'_>,
        geometry: Geometry,
        identity: StreamIdentity,
    ) -> Result<Self, AttachError> {
        Self::attach_to(map(fd, &geometry)?, geometry, identity)
    }

    /// Becomes the reader after another one, which is certainly gone, whatever it was doing.
    ///
    /// Goes on at the position in the memory. A packet that the other had passed on but not released
    /// comes again: compare `packet_seq_num` with what was stored.
    pub fn resume(
        fd: BorrowedFd<'_>,
        geometry: Geometry,
        identity: StreamIdentity,
    ) -> Result<Self, AttachError> {
        Self::resume_on(map(fd, &geometry)?, geometry, identity)
    }

    pub(crate) fn attach_to(
        memory: Arc<Memory>,
        geometry: Geometry,
        identity: StreamIdentity,
    ) -> Result<Self, AttachError> {
        let mut reader = Self::over(memory, geometry, identity);
        // SeqCst: writers that see the 1 wake us for every packet after our first look.
        reader
            .ring
            .active_readers()
            .compare_exchange(0, 1, Ordering::SeqCst, Ordering::Relaxed)
            .map_err(|_| AttachError::Busy)?;
        reader.check_own_buffer()?;
        Ok(reader)
    }

    pub(crate) fn resume_on(
        memory: Arc<Memory>,
        geometry: Geometry,
        identity: StreamIdentity,
    ) -> Result<Self, AttachError> {
        let mut reader = Self::over(memory, geometry, identity);
        reader.ring.active_readers().store(1, Ordering::SeqCst);
        reader.expected = geometry.trunc(reader.positions().consumed);
        reader.floor = reader.expected;
        if geometry.mode() == BufferMode::Overwrite {
            reader.repair_own_buffer()?;
            reader.inherited = reader.find_inherited();
        }
        Ok(reader)
    }

    fn over(memory: Arc<Memory>, geometry: Geometry, identity: StreamIdentity) -> Self {
        let ring = Ring {
            memory,
            geometry,
            identity,
        };
        let own = SubbufId(ring.read_side_id().load(Ordering::Relaxed));
        Self {
            ring,
            expected: 0,
            floor: 0,
            own,
            inherited: None,
        }
    }

    fn check_own_buffer(&mut self) -> Result<(), AttachError> {
        if self.ring.geometry.mode() == BufferMode::Overwrite
            && self.ring.buffer(self.own).is_none()
        {
            return Err(AttachError::Ids);
        }
        Ok(())
    }

    /// The sizes of the buffer.
    pub fn geometry(&self) -> &Geometry {
        &self.ring.geometry
    }

    /// Read and write position.
    pub fn positions(&self) -> Positions {
        // Acquire on `consumed`: see snapshot in `next_packet`.
        Positions {
            consumed: self.ring.consumed().load(Ordering::Acquire),
            offset: self.ring.offset().load(Ordering::Acquire),
        }
    }

    /// No closed packet is unread. (An open one may hold events: flush to see them.)
    pub fn is_empty(&self) -> bool {
        let at = self.positions();
        self.ring.geometry.trunc(at.consumed) == self.ring.geometry.trunc(at.offset)
            && self.inherited.is_none()
    }

    /// Number of closed packets that are not read yet, complete or not. At most the number of
    /// sub-buffers, whatever the memory says.
    pub fn pending(&self) -> u64 {
        let g = &self.ring.geometry;
        let at = self.positions();
        let bytes = g.trunc(at.offset).wrapping_sub(g.trunc(at.consumed));
        (bytes / g.subbuf_size()).min(g.subbuf_count())
    }

    /// Events that the writers dropped.
    pub fn loss_counters(&self) -> LossCounters {
        self.ring.loss_counters()
    }

    /// Takes the next packet.
    pub fn next_packet(&mut self) -> Result<Next<'_>, ReadError> {
        let taken = self.take()?;
        Ok(self.lend(taken))
    }

    /// Takes the next packet when all writers are gone: one that is incomplete is cut to what was
    /// written without a gap. Flush first. Never [`Next::NotReady`].
    pub fn salvage_packet(&mut self) -> Result<Next<'_>, ReadError> {
        let taken = match self.take()? {
            Taken::NotReady => self.salvage()?,
            taken => taken,
        };
        Ok(self.lend(taken))
    }

    fn lend(&mut self, taken: Taken) -> Next<'_> {
        match taken {
            Taken::NotReady => Next::NotReady,
            Taken::Empty => Next::Empty,
            Taken::Packet(packet) => Next::Packet(PacketLease {
                reader: self,
                packet,
                released: false,
            }),
        }
    }

    fn take(&mut self) -> Result<Taken, ReadError> {
        if let Some(position) = self.inherited.take()
            && let Some(buffer) = self.ring.buffer(self.own)
        {
            return self.examine(position, buffer);
        }
        let Some(mut position) = self.next_position()? else {
            return Ok(Taken::Empty);
        };
        for _ in 0..MAX_TRIES {
            match self.try_get(position) {
                Attempt::Got(buffer) => return self.examine(position, buffer),
                Attempt::NoBuffer(index) => {
                    return Err(self.skip(position, PacketFault::Buffer(index)));
                }
                Attempt::NotReady => {}
            }
            // Overwriting writers may have pushed us on between the two looks.
            match self.next_position()? {
                None => return Ok(Taken::Empty),
                Some(same) if same == position => return Ok(Taken::NotReady),
                Some(later) => position = later,
            }
        }
        Ok(Taken::NotReady)
    }

    /// Start of the sub-buffer to read, or `None` if nothing was closed.
    pub(crate) fn next_position(&self) -> Result<Option<u64>, ReadError> {
        let g = &self.ring.geometry;
        // Acquire, in this order: the write position is at least as new as the read position.
        let consumed = self.ring.consumed().load(Ordering::Acquire);
        let offset = self.ring.offset().load(Ordering::Acquire);
        let position = g.trunc(consumed);
        let ahead = g.trunc(offset).wrapping_sub(position);
        let went_back = (position.wrapping_sub(self.floor) as i64) < 0;
        // Overwriting writers move the write position first and the read position after it.
        let too_far = g.mode() == BufferMode::Discard && ahead > g.buffer_size();
        if went_back || too_far || (ahead as i64) < 0 {
            return Err(ReadError::BadPositions { consumed, offset });
        }
        Ok((ahead != 0).then_some(position))
    }

    /// Takes the packet at `position` if it is complete.
    pub(crate) fn try_get(&mut self, position: u64) -> Attempt {
        let ring = &self.ring;
        let g = &ring.geometry;
        let slot = g.slot(position);
        // Acquire pairs with the Release store in `Ring::check_deliver` (liblttng-ust: the barrier in
        // front of the same store): data, header, size and id come before it.
        let cc_sb = ring.cc_sb(slot).load(Ordering::Acquire);
        let offset = ring.offset().load(Ordering::Acquire);
        if !ring.is_delivered(position, cc_sb) || g.trunc(offset) == position {
            return Attempt::NotReady;
        }
        let buffer = match g.mode() {
            BufferMode::Overwrite => match self.exchange(position) {
                Err(attempt) => return attempt,
                Ok(buffer) => {
                    self.set_own(self.own.with_noref(false));
                    buffer
                }
            },
            BufferMode::Discard => {
                let id = SubbufId(ring.write_side_id(slot).load(Ordering::Relaxed));
                ring.read_side_id().store(id.0, Ordering::Relaxed);
                match ring.buffer(id) {
                    Some(buffer) => buffer,
                    None => return Attempt::NoBuffer(id.index_untrusted()),
                }
            }
        };
        let ring = &self.ring;
        // For tools that look into the memory; we believe our own variables.
        ring.held_position().store(position, Ordering::Relaxed);
        ring.held_flag().store(1, Ordering::Relaxed);
        Attempt::Got(buffer)
    }

    /// Overwrite mode: swaps our data buffer with the one in the slot of `position`, if that one holds
    /// the packet of this position and no writer uses it.
    fn exchange(&mut self, position: u64) -> Result<BufferIndex, Attempt> {
        let lap = self.ring.geometry.lap(position);
        let slot = self.ring.geometry.slot(position);
        let found = SubbufId(self.ring.write_side_id(slot).load(Ordering::Relaxed));
        if !found.is_noref() || !found.has_lap(lap) {
            return Err(Attempt::NotReady);
        }
        let Some(buffer) = self.ring.buffer(found) else {
            return Err(Attempt::NoBuffer(found.index_untrusted()));
        };
        let spare = SubbufId::tagged(self.own.index_untrusted(), lap, true);
        // Before the swap, so that a successor sees the tag in the slot and here.
        self.set_own(spare);
        // SeqCst: from now on the packet is ours, and the writers use the spare. Pairs with
        // `clear_noref` of the writers.
        self.ring
            .write_side_id(slot)
            .compare_exchange(found.0, spare.0, Ordering::SeqCst, Ordering::Relaxed)
            .map_err(|_| Attempt::NotReady)?;
        self.set_own(found);
        Ok(buffer)
    }

    pub(crate) fn set_own(&mut self, id: SubbufId) {
        self.own = id;
        self.ring.read_side_id().store(id.0, Ordering::Relaxed);
    }

    /// Looks at the packet that was taken.
    fn examine(&mut self, position: u64, buffer: BufferIndex) -> Result<Taken, ReadError> {
        let header = self.ring.packet_header(buffer);
        match self.check(position, &header) {
            Ok(()) => Ok(Taken::Packet(self.packet(position, buffer, header, true))),
            Err(fault) => {
                self.put_back(position);
                Err(self.skip(position, fault))
            }
        }
    }

    pub(crate) fn packet(
        &self,
        position: u64,
        buffer: BufferIndex,
        header: PacketHeader,
        exchanged: bool,
    ) -> Packet {
        let lost = position.wrapping_sub(self.expected);
        Packet {
            position,
            buffer,
            header,
            content_len: header.content_size.get() / 8,
            padded_len: header.packet_size.get() / 8,
            lost_before: lost / self.ring.geometry.subbuf_size(),
            exchanged,
        }
    }

    pub(crate) fn check(&self, position: u64, header: &PacketHeader) -> Result<(), PacketFault> {
        let g = &self.ring.geometry;
        let identity = &self.ring.identity;
        if header.magic.get() != PACKET_MAGIC {
            return Err(PacketFault::Magic(header.magic.get()));
        }
        if header.uuid != identity.uuid
            || header.stream_id.get() != identity.channel_id
            || header.cpu_id.get() != identity.cpu
        {
            return Err(PacketFault::Identity);
        }
        let number = header.packet_seq_num.get();
        if number != position / g.subbuf_size() {
            return Err(PacketFault::Number(number));
        }
        let content_bits = header.content_size.get();
        let packet_bits = header.packet_size.get();
        let content = content_bits / 8;
        let fits = content_bits.is_multiple_of(8)
            && (PACKET_HEADER_BYTES..=g.subbuf_size()).contains(&content)
            && packet_bits == g.padded(content) * 8;
        if !fits {
            return Err(PacketFault::Sizes {
                content_bits,
                packet_bits,
            });
        }
        Ok(())
    }

    /// Gives up the packet at `position`, and says why.
    pub(crate) fn skip(&mut self, position: u64, fault: PacketFault) -> ReadError {
        self.advance(position);
        ReadError::BadPacket {
            number: position / self.ring.geometry.subbuf_size(),
            fault,
        }
    }

    /// Ends a lease without having read the packet.
    pub(crate) fn put(&mut self, packet: &Packet) {
        if packet.exchanged {
            self.put_back(packet.position);
        }
    }

    /// Ends a lease; the packet is done with.
    pub(crate) fn finish(&mut self, packet: &Packet) {
        self.put(packet);
        self.advance(packet.position);
        self.expected = self.floor;
    }

    pub(crate) fn put_back(&mut self, position: u64) {
        self.ring.held_flag().store(0, Ordering::Relaxed);
        if self.ring.geometry.mode() == BufferMode::Overwrite {
            if let Some(buffer) = self.ring.buffer(self.own) {
                self.ring.records_unread(buffer).store(0, Ordering::Relaxed);
            }
            self.set_own(self.own.with_noref(true));
            // If the writers have come round, the slot is theirs and we keep this buffer.
            let _ = self.exchange(position);
        }
    }

    /// Moves the read position behind the packet at `position`, unless writers have moved it further.
    fn advance(&mut self, position: u64) {
        let next = self.ring.geometry.next(position);
        self.floor = next;
        for _ in 0..MAX_TRIES {
            let consumed = self.ring.consumed().load(Ordering::Relaxed);
            if consumed.wrapping_sub(next) as i64 >= 0 {
                return;
            }
            // SeqCst (at least Release): our reads of the packet come before a writer sees the new
            // position, in `Ring::is_full`, and reuses the space.
            let moved = self.ring.consumed().compare_exchange(
                consumed,
                next,
                Ordering::SeqCst,
                Ordering::Relaxed,
            );
            if moved.is_ok() {
                return;
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // SeqCst pairs with the writers' look before they wake a reader.
        let _ =
            self.ring
                .active_readers()
                .compare_exchange(1, 0, Ordering::SeqCst, Ordering::Relaxed);
    }
}

pub(crate) fn map(fd: BorrowedFd<'_>, geometry: &Geometry) -> Result<Arc<Memory>, AttachError> {
    let expected = geometry.file_size();
    let actual = fstat(fd).map_err(io::Error::from)?.st_size as u64;
    if actual != expected {
        return Err(AttachError::Size { actual, expected });
    }
    let seals = fcntl_get_seals(fd).map_err(io::Error::from)?;
    if !seals.contains(SealFlags::SHRINK) {
        return Err(AttachError::NotSealed);
    }
    Ok(Arc::new(Memory::map(fd, expected as usize)?))
}
