//! Both ends on heap memory, against recorded stock memory, against each other, and against garbage.

mod garbage;
mod page_store;
mod recovery;
mod stock;
mod stress;
mod traffic;

use std::cell::Cell;
use std::sync::Arc;

use crate::channel::StreamIdentity;
use crate::geometry::{BufferMode, Geometry};
use crate::lease::PacketLease;
use crate::memory::Memory;
use crate::reader::{Next, Reader};
use crate::stream_memory::initial_state;
use crate::writer::Writer;

const IDENTITY: StreamIdentity = StreamIdentity {
    uuid: *b"0123456789abcdef",
    channel_id: 3,
    cpu: 1,
};

const S: u64 = 4096;

/// A stream without a kernel object, with both ends.
struct Bench {
    memory: Arc<Memory>,
    geometry: Geometry,
    writer: Writer,
    reader: Reader,
    clock: Cell<u64>,
}

impl Bench {
    fn new(subbuf_count: u64, mode: BufferMode) -> Self {
        Self::with_size(S, subbuf_count, mode)
    }

    fn with_size(subbuf_size: u64, subbuf_count: u64, mode: BufferMode) -> Self {
        let geometry = Geometry::new(subbuf_size, subbuf_count, mode).unwrap();
        let memory = fresh(&geometry, IDENTITY, 1000);
        Self {
            reader: Reader::attach_to(memory.clone(), geometry, IDENTITY).unwrap(),
            writer: Writer::over(memory.clone(), geometry, IDENTITY, None),
            memory,
            geometry,
            clock: Cell::new(1000),
        }
    }

    fn tick(&self) -> u64 {
        self.clock.set(self.clock.get() + 1);
        self.clock.get()
    }

    /// Writes an event of this many equal bytes.
    fn write(&self, value: u8, len: u64) -> Result<(), crate::Lost> {
        let event = self.writer.reserve(len, || self.tick())?;
        event.commit(&vec![value; len as usize]);
        Ok(())
    }

    fn flush(&mut self, mode: crate::FlushMode) -> crate::Flushed {
        let clock = &self.clock;
        self.reader.flush(mode, || {
            clock.set(clock.get() + 1);
            clock.get()
        })
    }

    fn read(&mut self) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        while let Next::Packet(lease) = self.reader.next_packet().unwrap() {
            packets.push(content(&lease));
            lease.release();
        }
        packets
    }
}

fn content(lease: &PacketLease<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    lease.copy_to(&mut bytes);
    bytes
}

fn fresh(geometry: &Geometry, identity: StreamIdentity, now_ns: u64) -> Arc<Memory> {
    let memory = Memory::heap(geometry.file_size() as usize);
    for (at, bytes) in initial_state(geometry, identity, now_ns) {
        memory.copy_in(at, &bytes);
    }
    Arc::new(memory)
}

fn dump(memory: &Memory, geometry: &Geometry) -> Vec<u8> {
    let mut bytes = vec![0; geometry.file_size() as usize];
    memory.copy_out(0, &mut bytes);
    bytes
}
