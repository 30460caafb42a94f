//! The trace chunk that packets go to, and its end.

use consumer_api::{ChunkEnding, ChunkSetup, RotationSetup, StreamKey};
use ring_buffer::FlushMode;

use super::{Session, WRITER_PATIENCE};
use crate::output::OutputError;
use crate::poller::Poller;
use crate::source::{Progress, Writers};
use crate::stream::Stream;

/// The current chunk.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// None before the first one, and between a rotation after a stop and the next start.
    id: Option<u64>,
    /// Bytes that were there when the chunk began.
    begun_at: u64,
    /// Somebody wants to know when so many bytes were delivered into it.
    watch: Option<u64>,
}

impl Chunk {
    pub(super) fn is_open(&self) -> bool {
        self.id.is_some()
    }
}

impl Session {
    /// Begins a chunk. `true`: an interrupted rotation was complete, and it is the chunk after it.
    pub(crate) fn open_chunk(&mut self, setup: &ChunkSetup) -> Result<bool, OutputError> {
        let rotated = self.output.open_chunk(setup)?;
        let next = setup.interrupted.as_deref().filter(|_| rotated);
        let current = match next {
            Some(rotation) => rotation.next.as_ref(),
            None => Some(setup),
        };
        self.enter_chunk(current)?;
        Ok(rotated)
    }

    /// Ends the current chunk at a packet boundary of each stream, and goes on in the next one.
    pub(crate) fn rotate(
        &mut self,
        rotation: &RotationSetup,
    ) -> Result<Option<String>, OutputError> {
        let keys = self.stream_keys();
        for &key in &keys {
            self.deliver_pending(key, Writers::Alive)?;
        }
        self.deliver_metadata()?;
        for &key in &keys {
            // A stream that had no packet in the chunk gets an empty one, which tells that there was nothing.
            let begun = |stream: &Stream| stream.has_begun();
            let mode = match self.streams.get(&key).is_some_and(begun) {
                true => FlushMode::Active,
                false => FlushMode::Full,
            };
            self.close_packet(key, mode);
        }
        // A packet that its writer does not finish belongs to the next chunk then.
        self.deliver_all_patiently(&keys)?;
        self.deliver_metadata()?;
        let rotated = self.output.rotate(rotation);
        if let Err(broken @ OutputError::Broken(_)) = rotated {
            return Err(broken);
        }
        self.enter_chunk(rotation.next.as_ref())?;
        rotated
    }

    /// Delivers what the streams have, and waits a moment for writers in the middle of an event. Tracing goes on,
    /// and so do the other streams meanwhile.
    fn deliver_all_patiently(&mut self, keys: &[StreamKey]) -> Result<(), OutputError> {
        for pause in WRITER_PATIENCE {
            if !pause.is_zero() {
                std::thread::sleep(pause);
            }
            let mut waiting = false;
            for &key in keys {
                waiting |= self.deliver_pending(key, Writers::Alive)? == Progress::NotReady;
            }
            if !waiting {
                break;
            }
        }
        Ok(())
    }

    fn enter_chunk(&mut self, setup: Option<&ChunkSetup>) -> Result<(), OutputError> {
        self.chunk = Chunk {
            id: setup.map(|setup| setup.chunk_id),
            begun_at: self.activity.bytes(),
            watch: None,
        };
        let Some(setup) = setup else {
            return Ok(());
        };
        self.watch_size(setup.watch_bytes);
        for trace in self.traces.values_mut() {
            trace.enter_chunk();
        }
        // Before any packet, so that whoever looks finds something that can be read.
        self.deliver_metadata()?;
        for key in self.stream_keys() {
            if let Some(stream) = self.streams.get_mut(&key) {
                stream.enter_chunk();
            }
            // A packet that marks the time.
            self.close_packet(key, FlushMode::Full);
            self.deliver_pending(key, Writers::Alive)?;
            self.is_ready(key);
        }
        Ok(())
    }

    /// From now on [`Session::size_reached`] looks for so many bytes in the current chunk; 0 = for none.
    pub(crate) fn watch_size(&mut self, bytes: u64) {
        self.chunk.watch = (bytes != 0).then_some(bytes);
    }

    /// The chunk's number, once, when it has grown to the watched size.
    pub(crate) fn size_reached(&mut self) -> Option<u64> {
        let watch = self.chunk.watch?;
        let in_chunk = self.activity.bytes().saturating_sub(self.chunk.begun_at);
        if in_chunk < watch {
            return None;
        }
        self.chunk.watch = None;
        self.chunk.id
    }

    /// Copies what is in the buffers, and all metadata, and leaves the buffers as they are.
    pub(crate) fn snapshot(
        &mut self,
        packets_per_stream: u64,
        active: bool,
    ) -> Result<(), OutputError> {
        let keys = self.stream_keys();
        self.deliver_metadata()?;
        for &key in &keys {
            self.close_packet(
                key,
                match active {
                    true => FlushMode::Full,
                    false => FlushMode::Active,
                },
            );
        }
        for key in keys {
            if let Some(stream) = self.streams.get_mut(&key) {
                stream.copy_packets(packets_per_stream, &mut *self.output)?;
            }
        }
        // After the packets: what they need is there.
        self.deliver_metadata()?;
        self.output.settle()
    }

    /// Ends the chunk, and with it all traces. Returns where the chunk is, if a relay decides it.
    pub(crate) fn close_chunk(
        &mut self,
        poller: &mut Poller,
        closed_unix_s: u64,
        writers_alive: bool,
        ending: &ChunkEnding,
    ) -> Result<Option<String>, OutputError> {
        let keys = self.stream_keys();
        if writers_alive {
            // What was recorded before the change belongs to this place: the packets under way end here.
            for &key in &keys {
                self.deliver_pending(key, Writers::Alive)?;
                if let Some(stream) = self.streams.get_mut(&key) {
                    stream.flush(FlushMode::Active);
                }
            }
        }
        let unfinished = self.deliver_patiently(keys)?;
        if !writers_alive {
            // Complete packets behind one that a killed writer left open would be lost with it. Its writer
            // may be stopped and not dead: then it finds the place as it left it, and loses that one
            // packet.
            for key in unfinished {
                self.deliver_pending(key, Writers::Gone)?;
            }
        }
        self.deliver_metadata()?;
        let path = self.output.close_chunk(closed_unix_s, ending);
        if let Err(broken @ OutputError::Broken(_)) = path {
            return Err(broken);
        }
        self.chunk = Chunk::default();
        for key in self.stream_keys() {
            self.forget_stream(poller, key);
        }
        self.traces.clear();
        path
    }
}
