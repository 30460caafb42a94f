//! A channel as an application is told of it.

use zerocopy::{FromZeros, IntoBytes};

use crate::geometry::{BufferMode, Geometry, Wakeup};
use crate::layout::{
    BLOB_HEAD, BLOB_STREAM_REFS, ChannelHead, ChannelIdentity, ClientConfig, ShmRef,
};

/// What identifies the packets of one stream: it stands in every packet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamIdentity {
    /// Trace uuid, the same for all channels of a trace.
    pub uuid: [u8; 16],
    /// CTF stream id.
    pub channel_id: u32,
    /// CPU number of the buffer.
    pub cpu: u32,
}

/// All that the ring buffers of one channel have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelLayout {
    /// Sizes.
    pub geometry: Geometry,
    /// Who wakes the reader.
    pub wakeup: Wakeup,
    /// Number of streams: see [`crate::possible_cpus`].
    pub nr_cpus: u32,
    /// Informative: the consumer daemon runs the timer. Microseconds.
    pub switch_timer_us: u64,
    /// Informative, as above. Microseconds.
    pub read_timer_us: u64,
    /// How long a writer may wait for space, in milliseconds: 0 not at all, -1 for ever.
    pub blocking_timeout_ms: i32,
    /// CTF stream id; the reply to the application's channel notification must repeat it.
    pub channel_id: u32,
    /// Trace uuid.
    pub uuid: [u8; 16],
}

impl ChannelLayout {
    /// What the packets of the stream of this CPU carry.
    pub fn identity(&self, cpu: u32) -> StreamIdentity {
        StreamIdentity {
            uuid: self.uuid,
            channel_id: self.channel_id,
            cpu,
        }
    }

    /// The channel object that applications get by value, 888 + 16 bytes per CPU.
    ///
    /// Fields in which stock sends leftovers of its own process (pointers, timers) are zero.
    pub fn blob(&self) -> Vec<u8> {
        let refs = size_of::<ShmRef>() * self.nr_cpus as usize;
        let tail = BLOB_HEAD + refs;
        let mut blob = vec![0; tail + size_of::<ChannelIdentity>()];
        blob[..BLOB_STREAM_REFS].copy_from_slice(self.head(tail as u64).as_bytes());
        for cpu in 0..self.nr_cpus {
            let at = BLOB_STREAM_REFS + size_of::<ShmRef>() * cpu as usize;
            let stream = ShmRef {
                index: i64::from(cpu) + 1,
                offset: 0,
            };
            blob[at..at + size_of::<ShmRef>()].copy_from_slice(stream.as_bytes());
        }
        let mut identity = ChannelIdentity::new_zeroed();
        identity.id.set(self.channel_id);
        identity.uuid = self.uuid;
        blob[tail..].copy_from_slice(identity.as_bytes());
        blob
    }

    fn head(&self, priv_data_offset: u64) -> ChannelHead {
        let geometry = &self.geometry;
        let client = self.client_name().as_bytes();
        let mut name = [0; 255];
        name[..client.len()].copy_from_slice(client);
        ChannelHead {
            commit_count_mask: geometry.commit_mask(),
            switch_timer_interval: self.switch_timer_us,
            read_timer_interval: self.read_timer_us,
            priv_data_offset,
            nr_streams: self.nr_cpus,
            blocking_timeout_ms: self.blocking_timeout_ms,
            buf_size: geometry.buffer_size(),
            subbuf_size: geometry.subbuf_size(),
            subbuf_size_order: geometry.subbuf_order(),
            num_subbuf_order: geometry.count_order(),
            buf_size_order: geometry.buffer_order(),
            extra_reader_sb: u32::from(geometry.mode() == BufferMode::Overwrite),
            num_subbuf: geometry.subbuf_count(),
            config: self.client_config(),
            name,
            ..ChannelHead::new_zeroed()
        }
    }

    fn client_config(&self) -> ClientConfig {
        use BufferMode::{Discard, Overwrite};
        ClientConfig {
            sync: 1,
            mode: match self.geometry.mode() {
                Overwrite => 0,
                Discard => 1,
            },
            output: 1,
            oops: 1,
            ipi: 1,
            wakeup: match self.wakeup {
                Wakeup::ByTimer => 0,
                Wakeup::ByWriter => 1,
            },
            tsc_bits: 27,
            client_type: match (self.geometry.mode(), self.wakeup) {
                (Discard, Wakeup::ByWriter) => 1,
                (Overwrite, Wakeup::ByWriter) => 2,
                (Discard, Wakeup::ByTimer) => 3,
                (Overwrite, Wakeup::ByTimer) => 4,
            },
            ..ClientConfig::new_zeroed()
        }
    }

    /// Name of the client code in liblttng-ust that writes such a buffer.
    fn client_name(&self) -> &'static str {
        match (self.geometry.mode(), self.wakeup) {
            (BufferMode::Discard, Wakeup::ByWriter) => "relay-discard-mmap",
            (BufferMode::Overwrite, Wakeup::ByWriter) => "relay-overwrite-mmap",
            (BufferMode::Discard, Wakeup::ByTimer) => "relay-discard-rt-mmap",
            (BufferMode::Overwrite, Wakeup::ByTimer) => "relay-overwrite-rt-mmap",
        }
    }
}
