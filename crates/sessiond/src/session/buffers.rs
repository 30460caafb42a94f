//! The buffers of one trace: shared memory, wakeup pipes and metadata text.
//!
//! The session daemon makes them, keeps them as long as the trace lives, and hands them to applications and to
//! the consumer daemon. It never looks at a packet.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use consumer_api::{Predecessor, Request, StreamKey, StreamSetup, TraceKey, TraceSetup};
use ring_buffer::{ChannelLayout, Geometry, StreamMemory};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::app::SharedFd;
use crate::lock::lock;
use crate::session::live_trace::{After, BufferShape, LiveTrace};
use crate::session::metadata_text::MetadataText;
use crate::session::plan::{Attributes, PlannedChannel};
use crate::session::registry::{Registered, RegistryError, TraceRegistry};

/// Whose buffers they are, and all that follows from it.
#[derive(Clone, Debug)]
pub(crate) struct TraceIdentity {
    /// Name of the trace between the daemons.
    pub key: TraceKey,
    /// Directory below the chunk.
    pub path: String,
    /// Random.
    pub uuid: [u8; 16],
    /// The trace ends with its writers (per-PID).
    pub ends_with_writers: bool,
}

/// All buffers of a trace.
#[derive(Debug)]
pub(crate) struct TraceBuffers {
    /// Whose buffers they are.
    pub identity: TraceIdentity,
    /// In the order of the plan.
    pub channels: Vec<ChannelBuffers>,
    metadata: Mutex<Metadata>,
    channel_wakeup: SharedFd,
}

/// The buffers of a channel.
#[derive(Debug)]
pub(crate) struct ChannelBuffers {
    /// The channel's number in its trace.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// What an application must know of the ring buffers.
    pub blob: Vec<u8>,
    /// By CPU.
    pub streams: Vec<StreamBuffers>,
    attributes: Attributes,
    layout: ChannelLayout,
}

/// The buffer of one CPU.
#[derive(Debug)]
pub(crate) struct StreamBuffers {
    /// Name of the stream between the daemons.
    pub key: StreamKey,
    /// Length of the memory in bytes.
    pub memory_bytes: u64,
    /// The ring buffer.
    pub memory: SharedFd,
    wakeup_reader: SharedFd,
    /// `None` once only the applications shall hold it, so that their end is seen as a hang-up.
    wakeup_writer: Mutex<Option<SharedFd>>,
}

#[derive(Debug)]
struct Metadata {
    registry: TraceRegistry,
    text: MetadataText,
}

/// Why buffers could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuffersError {
    /// Memory or descriptors are short.
    #[error("cannot make the buffers: {0}")]
    System(#[from] io::Error),
    /// The channel's sizes do not work together.
    #[error(transparent)]
    Geometry(#[from] ring_buffer::GeometryError),
    /// The ring buffer could not be created.
    #[error("cannot make the ring buffer: {0}")]
    Memory(#[from] ring_buffer::CreateError),
}

impl TraceBuffers {
    /// Makes the buffers of all channels. `preamble` begins the metadata; streams are numbered from
    /// `first_stream`.
    pub(crate) fn create(
        identity: TraceIdentity,
        channels: &[Arc<PlannedChannel>],
        cpus: u32,
        preamble: &str,
        first_stream: u64,
    ) -> Result<Self, BuffersError> {
        let mut next_stream = first_stream;
        let channels = channels
            .iter()
            .map(|channel| ChannelBuffers::create(channel, identity.uuid, cpus, &mut next_stream))
            .collect::<Result<Vec<_>, _>>()?;
        let metadata = Metadata {
            registry: TraceRegistry::new(channels.len()),
            text: MetadataText::new(preamble)?,
        };
        Ok(Self {
            identity,
            channels,
            metadata: Mutex::new(metadata),
            channel_wakeup: Arc::new(
                std::fs::File::options()
                    .write(true)
                    .open("/dev/null")?
                    .into(),
            ),
        })
    }

    /// What applications take for the write end of a pipe; they never write on it.
    pub(crate) fn channel_wakeup(&self) -> SharedFd {
        self.channel_wakeup.clone()
    }

    /// Lets `change` register something and stores the new text before the id is returned: whoever learns
    /// the id can rely on the text being there.
    pub(crate) fn register<T>(
        &self,
        change: impl FnOnce(&mut TraceRegistry) -> Result<Registered<T>, RegistryError>,
    ) -> Result<T, RegisterError> {
        let mut metadata = lock(&self.metadata);
        let Registered { id, text } = change(&mut metadata.registry)?;
        metadata.text.append(&text)?;
        Ok(id)
    }

    /// Gives the text another beginning. The request tells a consumer daemon that has the trace.
    pub(crate) fn replace_preamble(&self, preamble: &str) -> io::Result<(Request, Vec<SharedFd>)> {
        let mut metadata = lock(&self.metadata);
        metadata.text.replace_preamble(preamble)?;
        Ok(metadata.text.replacement(self.identity.key))
    }

    /// Reads from the registry.
    pub(crate) fn with_registry<T>(&self, read: impl FnOnce(&mut TraceRegistry) -> T) -> T {
        read(&mut lock(&self.metadata).registry)
    }

    /// An application has the buffers. If they are its own, the write ends of the wakeup pipes are given up:
    /// from now on only the application has them, and its end is seen as a hang-up.
    pub(crate) fn handed_to_writer(&self) {
        if !self.identity.ends_with_writers {
            return;
        }
        for stream in self.channels.iter().flat_map(|channel| &channel.streams) {
            lock(&stream.wakeup_writer).take();
        }
    }
}

impl LiveTrace for TraceBuffers {
    fn key(&self) -> TraceKey {
        self.identity.key
    }

    fn handover(&self, after: &After<'_>) -> Vec<(Request, Vec<SharedFd>)> {
        let trace = self.identity.key;
        let setup = TraceSetup {
            trace,
            path: self.identity.path.clone(),
            uuid: self.identity.uuid,
            ends_with_writers: self.identity.ends_with_writers,
        };
        let metadata = lock(&self.metadata).text.reader();
        let mut requests = vec![(Request::AddTrace(setup), vec![metadata])];
        for channel in &self.channels {
            for (cpu, stream) in channel.streams.iter().enumerate() {
                let setup = channel.stream_setup(trace, stream.key, cpu as u32, after(stream.key));
                let fds = vec![stream.memory.clone(), stream.wakeup_reader.clone()];
                requests.push((Request::AddStream(setup), fds));
            }
        }
        let publish = Request::PublishTrace {
            trace,
            unwritten: false,
        };
        requests.push((publish, Vec::new()));
        requests
    }

    fn discarded_events(&self) -> HashMap<StreamKey, u64> {
        let streams = self.channels.iter().flat_map(|channel| &channel.streams);
        let discarded = streams.map(|stream| {
            let dropped = ring_buffer::loss_counters(&stream.memory);
            (stream.key, dropped.unwrap_or_default().total())
        });
        discarded.collect()
    }

    fn shapes(&self) -> Vec<BufferShape> {
        let shapes = self.channels.iter().flat_map(|channel| {
            let shape = BufferShape {
                subbuf_size: channel.attributes.subbuf_size,
                subbuf_count: channel.attributes.subbuf_count,
            };
            std::iter::repeat_n(shape, channel.streams.len())
        });
        shapes.collect()
    }

    /// Lets applications go that wait for space in the buffers.
    fn give_up(&self) {
        for channel in &self.channels {
            for stream in &channel.streams {
                let released =
                    ring_buffer::release_writers(&stream.memory, channel.attributes.subbuf_size);
                if let Err(error) = released {
                    tracing::warn!("cannot release the writers of a buffer: {error}");
                }
            }
        }
    }
}

/// An announcement could not be stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegisterError {
    /// The registry refused it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The text could not be stored.
    #[error("cannot store metadata: {0}")]
    Store(#[from] io::Error),
}

impl ChannelBuffers {
    fn create(
        channel: &PlannedChannel,
        uuid: [u8; 16],
        cpus: u32,
        next_stream: &mut u64,
    ) -> Result<Self, BuffersError> {
        let layout = layout(channel, uuid, cpus)?;
        let mut streams = Vec::with_capacity(cpus as usize);
        for cpu in 0..cpus {
            streams.push(StreamBuffers::create(
                &layout,
                cpu,
                StreamKey(*next_stream),
            )?);
            *next_stream += 1;
        }
        Ok(Self {
            id: channel.id,
            name: channel.name.clone(),
            blob: layout.blob(),
            streams,
            attributes: channel.attributes,
            layout,
        })
    }

    fn stream_setup(
        &self,
        trace: TraceKey,
        stream: StreamKey,
        cpu: u32,
        resume: Option<Predecessor>,
    ) -> StreamSetup {
        use consumer_api::{BufferMode, Wakeup};

        let attributes = &self.attributes;
        StreamSetup {
            stream,
            trace,
            channel_name: self.name.clone(),
            cpu,
            channel_id: self.id,
            subbuf_size: attributes.subbuf_size,
            subbuf_count: attributes.subbuf_count,
            mode: if attributes.overwrite {
                BufferMode::Overwrite
            } else {
                BufferMode::Discard
            },
            wakeup: match self.layout.wakeup {
                ring_buffer::Wakeup::ByWriter => Wakeup::ByWriter,
                ring_buffer::Wakeup::ByTimer => Wakeup::ByTimer,
            },
            switch_timer_us: attributes.switch_timer_us,
            read_timer_us: attributes.read_timer_us,
            live_timer_us: attributes.live_timer_us,
            tracefile_size: attributes.tracefile_size,
            tracefile_count: attributes.tracefile_count,
            resume,
            kernel: None,
            written: false,
        }
    }
}

impl StreamBuffers {
    fn create(layout: &ChannelLayout, cpu: u32, key: StreamKey) -> Result<Self, BuffersError> {
        let memory = StreamMemory::create(layout, cpu, ring_buffer::monotonic_now())?;
        let (reader, writer) =
            pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(io::Error::from)?;
        Ok(Self {
            key,
            memory_bytes: layout.geometry.file_size(),
            memory: Arc::new(OwnedFd::from(memory)),
            wakeup_reader: Arc::new(reader),
            wakeup_writer: Mutex::new(Some(Arc::new(writer))),
        })
    }

    /// The write end of the wakeup pipe, for an application; `None` once it was given up.
    pub(crate) fn wakeup_writer(&self) -> Option<SharedFd> {
        lock(&self.wakeup_writer).clone()
    }
}

/// The ring buffer description that the attributes ask for.
pub(super) fn layout(
    channel: &PlannedChannel,
    uuid: [u8; 16],
    cpus: u32,
) -> Result<ChannelLayout, ring_buffer::GeometryError> {
    use ring_buffer::{BufferMode, Wakeup};

    let attributes = &channel.attributes;
    let mode = if attributes.overwrite {
        BufferMode::Overwrite
    } else {
        BufferMode::Discard
    };
    Ok(ChannelLayout {
        geometry: Geometry::new(attributes.subbuf_size, attributes.subbuf_count, mode)?,
        wakeup: if attributes.read_timer_us == 0 {
            Wakeup::ByWriter
        } else {
            Wakeup::ByTimer
        },
        nr_cpus: cpus,
        switch_timer_us: attributes.switch_timer_us,
        read_timer_us: attributes.read_timer_us,
        blocking_timeout_ms: blocking_timeout_ms(attributes.blocking_timeout_us),
        channel_id: channel.id,
        uuid,
    })
}

/// Applications count in milliseconds. A timeout above zero stays above zero.
fn blocking_timeout_ms(timeout_us: i64) -> i32 {
    match timeout_us {
        ..0 => -1,
        0 => 0,
        _ => i32::try_from(timeout_us.unsigned_abs().div_ceil(1000)).unwrap_or(i32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocking_timeout_never_becomes_none_or_for_ever() {
        assert_eq!(
            [-1, 0, 1, 1000, 1001].map(blocking_timeout_ms),
            [-1, 0, 1, 1, 2]
        );
        assert_eq!(blocking_timeout_ms(i64::MAX), i32::MAX);
    }
}
