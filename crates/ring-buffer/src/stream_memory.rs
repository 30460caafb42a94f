//! Creation of a stream's shared memory, by its owner.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, memfd_create};
use rustix::io::pwrite;
use zerocopy::{FromZeros, IntoBytes};

use crate::channel::{ChannelLayout, StreamIdentity};
use crate::geometry::{BufferMode, Geometry};
use crate::ids::SubbufId;
use crate::layout::{
    BackendPages, CRASH_MAGIC, CommitHot, CrashAbi, PACKET_HEADER_BYTES, PACKET_MAGIC,
    PacketHeader, ShmRef, StreamHead,
};
use crate::ring::LossCounters;

/// Why the memory of a stream could not be created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The system has too little memory, or the process too few descriptors.
    #[error("cannot create {bytes} bytes of shared memory for CPU {cpu}: {source}")]
    System {
        /// CPU number of the stream.
        cpu: u32,
        /// Size asked for.
        bytes: u64,
        /// The system's reason.
        source: io::Error,
    },
}

/// Events that the writers of a stream have dropped so far. For an owner that does not map the memory.
pub fn loss_counters(memory: impl AsFd) -> io::Result<LossCounters> {
    let counter = |at: usize| {
        let mut bytes = [0; 8];
        match rustix::io::pread(&memory, &mut bytes, at as u64)? {
            8 => Ok(u64::from_ne_bytes(bytes)),
            _ => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
        }
    };
    Ok(LossCounters {
        full: counter(std::mem::offset_of!(StreamHead, records_lost_full))?,
        wrap: counter(std::mem::offset_of!(StreamHead, records_lost_wrap))?,
        big: counter(std::mem::offset_of!(StreamHead, records_lost_big))?,
    })
}

/// Lets writers go that wait for space in a buffer that nobody reads any more: they drop their events from
/// now on, and what is in the buffer is given up. For an owner that does not map the memory.
pub fn release_writers(memory: impl AsFd, subbuf_size: u64) -> io::Result<()> {
    let at = |offset: usize| offset as u64;
    let disabled = at(std::mem::offset_of!(StreamHead, record_disabled));
    pwrite(&memory, &1_i32.to_ne_bytes(), disabled)?;
    let mut bytes = [0; 8];
    rustix::io::pread(
        &memory,
        &mut bytes,
        at(std::mem::offset_of!(StreamHead, offset)),
    )?;
    // A power of two, as every geometry has it.
    let begin = u64::from_ne_bytes(bytes) & !(subbuf_size - 1);
    pwrite(
        &memory,
        &begin.to_ne_bytes(),
        at(std::mem::offset_of!(StreamHead, consumed)),
    )?;
    Ok(())
}

/// The memory of one stream: a memfd ready for writers, that nobody can shrink or grow.
///
/// It is not mapped here: who creates buffers need not look into them.
#[derive(Debug)]
pub struct StreamMemory {
    fd: OwnedFd,
}

impl StreamMemory {
    /// Creates the memory and writes the initial state, with the first packet begun at `now_ns`
    /// (`CLOCK_MONOTONIC`).
    ///
    /// All pages are allocated at once: lack of memory is an error here and not a signal in a
    /// traced application.
    pub fn create(layout: &ChannelLayout, cpu: u32, now_ns: u64) -> Result<Self, CreateError> {
        let bytes = layout.geometry.file_size();
        Self::try_create(layout, cpu, now_ns).map_err(|source| CreateError::System {
            cpu,
            bytes,
            source,
        })
    }

    fn try_create(layout: &ChannelLayout, cpu: u32, now_ns: u64) -> io::Result<Self> {
        let geometry = &layout.geometry;
        let fd = memfd_create(
            "lttng-stream",
            MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
        )?;
        fallocate(&fd, FallocateFlags::empty(), 0, geometry.file_size())?;
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        for (at, bytes) in initial_state(geometry, layout.identity(cpu), now_ns) {
            write_all_at(fd.as_fd(), &bytes, at)?;
        }
        Ok(Self { fd })
    }

    /// The descriptor, for an application or a consumer daemon.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<StreamMemory> for OwnedFd {
    fn from(memory: StreamMemory) -> Self {
        memory.fd
    }
}

impl From<OwnedFd> for StreamMemory {
    /// Takes back a descriptor that [`StreamMemory::create`] made, after a restart of the owner.
    fn from(fd: OwnedFd) -> Self {
        Self { fd }
    }
}

fn write_all_at(fd: BorrowedFd<'_>, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match pwrite(fd, bytes, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(done) => {
                bytes = &bytes[done..];
                at += done as u64;
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// What is not zero in fresh memory: pieces of bytes with their offsets.
pub(crate) fn initial_state(
    geometry: &Geometry,
    identity: StreamIdentity,
    now_ns: u64,
) -> Vec<(u64, Vec<u8>)> {
    let at = &geometry.at;
    let object = i64::from(identity.cpu) + 1;
    let buffers = geometry.data_buffers();
    let first = CommitHot {
        cc: PACKET_HEADER_BYTES,
        seq: PACKET_HEADER_BYTES,
        padding: [0; 14],
    };
    let begun = packet_begin(identity, now_ns, 0);

    let mut array = Vec::new();
    let mut pages = Vec::new();
    for index in 0..buffers {
        let size = size_of::<BackendPages>() as u64;
        array.extend_from_slice(shm_ref(object, at.pages + size * index).as_bytes());
        let offset = geometry.subbuf_size() * index;
        pages.extend_from_slice(
            BackendPages {
                mmap_offset: offset,
                p: shm_ref(object, at.memory_map + offset),
                ..BackendPages::new_zeroed()
            }
            .as_bytes(),
        );
    }
    let mut buf_wsb = Vec::new();
    for slot in 0..geometry.subbuf_count() {
        let id = match geometry.mode() {
            BufferMode::Discard => SubbufId::plain(slot),
            // The packet in slot 0 has begun: the reader must keep off.
            BufferMode::Overwrite => SubbufId::tagged(slot, 0, slot != 0),
        };
        buf_wsb.extend_from_slice(&id.0.to_ne_bytes());
    }
    vec![
        (0, stream_head(geometry, identity).as_bytes().to_vec()),
        (at.commit_hot, first.as_bytes().to_vec()),
        (at.array, array),
        (at.memory_map, begun.as_bytes().to_vec()),
        (at.pages, pages),
        (at.buf_wsb, buf_wsb),
    ]
}

/// A packet header as it stands while the packet is being written.
pub(crate) fn packet_begin(identity: StreamIdentity, now_ns: u64, seq_num: u64) -> PacketHeader {
    PacketHeader {
        magic: PACKET_MAGIC.into(),
        uuid: identity.uuid,
        stream_id: identity.channel_id.into(),
        stream_instance_id: u64::from(identity.cpu).into(),
        timestamp_begin: now_ns.into(),
        timestamp_end: 0.into(),
        content_size: u64::MAX.into(),
        packet_size: u64::MAX.into(),
        packet_seq_num: seq_num.into(),
        events_discarded: 0.into(),
        cpu_id: identity.cpu.into(),
    }
}

fn shm_ref(index: i64, offset: u64) -> ShmRef {
    ShmRef {
        index,
        offset: offset as i64,
    }
}

fn stream_head(geometry: &Geometry, identity: StreamIdentity) -> StreamHead {
    let at = &geometry.at;
    let object = i64::from(identity.cpu) + 1;
    StreamHead {
        crash_abi: crash_abi(geometry),
        offset: PACKET_HEADER_BYTES,
        commit_hot: shm_ref(object, at.commit_hot),
        buf_wsb: shm_ref(object, at.buf_wsb),
        buf_rsb: match geometry.mode() {
            BufferMode::Discard => SubbufId::plain(0).0,
            BufferMode::Overwrite => SubbufId::tagged(geometry.subbuf_count(), 0, true).0,
        },
        buf_cnt: shm_ref(object, at.buf_cnt),
        array: shm_ref(object, at.array),
        memory_map: shm_ref(object, at.memory_map),
        chan: shm_ref(0, 0),
        cpu: identity.cpu as i32,
        allocated: 1,
        commit_cold: shm_ref(object, at.commit_cold),
        ts_end: shm_ref(object, at.ts_end),
        self_: shm_ref(object, 0),
        ..StreamHead::new_zeroed()
    }
}

fn crash_abi(geometry: &Geometry) -> CrashAbi {
    let at = &geometry.at;
    let head = |offset: usize| offset as u32;
    CrashAbi {
        magic: CRASH_MAGIC,
        mmap_length: geometry.file_size().into(),
        endian: 0x1234.into(),
        major: 0.into(),
        minor: 0.into(),
        word_size: 8,
        layout_type: 0,
        offset: [
            head(core::mem::offset_of!(StreamHead, offset)),
            head(core::mem::offset_of!(StreamHead, consumed)),
            at.commit_hot as u32,
            head(core::mem::offset_of!(CommitHot, seq)),
            at.buf_wsb as u32,
            0,
            at.array as u32,
            head(core::mem::offset_of!(ShmRef, offset)),
            // Offset part of `p`.
            head(core::mem::offset_of!(BackendPages, p) + core::mem::offset_of!(ShmRef, offset)),
            head(core::mem::offset_of!(PacketHeader, content_size)),
            head(core::mem::offset_of!(PacketHeader, packet_size)),
        ]
        .map(Into::into),
        length: [8; 8],
        stride: [size_of::<CommitHot>() as u32, 8, size_of::<ShmRef>() as u32].map(Into::into),
        buf_size: geometry.buffer_size().into(),
        subbuf_size: geometry.subbuf_size().into(),
        num_subbuf: geometry.subbuf_count().into(),
        mode: match geometry.mode() {
            BufferMode::Overwrite => 0,
            BufferMode::Discard => 1,
        }
        .into(),
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{fcntl_get_seals, fstat, ftruncate};

    use super::*;
    use crate::geometry::Wakeup;

    fn layout() -> ChannelLayout {
        ChannelLayout {
            geometry: Geometry::new(16384, 4, BufferMode::Overwrite).unwrap(),
            wakeup: Wakeup::ByWriter,
            nr_cpus: 2,
            switch_timer_us: 0,
            read_timer_us: 0,
            blocking_timeout_ms: 0,
            channel_id: 3,
            uuid: [7; 16],
        }
    }

    #[test]
    fn the_memory_is_sealed_and_allocated() {
        let layout = layout();
        let memory = StreamMemory::create(&layout, 1, 5).unwrap();
        let stat = fstat(memory.fd()).unwrap();
        assert_eq!(stat.st_size as u64, layout.geometry.file_size());
        assert!(stat.st_blocks as u64 * 512 >= layout.geometry.file_size());
        assert!(ftruncate(memory.fd(), 0).is_err());
        assert!(ftruncate(memory.fd(), 1 << 20).is_err());
        assert!(
            fcntl_get_seals(memory.fd())
                .unwrap()
                .contains(SealFlags::SEAL)
        );
    }
}
