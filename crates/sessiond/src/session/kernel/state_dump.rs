//! The state of the system when tracing starts: a stream that this daemon writes itself.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex};

use consumer_api::{BufferMode, Predecessor, StreamKey, StreamSetup, TraceKey, Wakeup};
use ctf::packet::RawHeader64;
use ctf::tsdl;
use ctf::types::ByteOrder;
use kernel::format::PageHeader;
use kernel::machine::Machine;
use kernel::schema;
use kernel::statedump::{self, Sources};
use kernel::transcode::{Programs, StreamIdentity, Transcoder};
use ring_buffer::monotonic_now;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::pipe::{PipeFlags, pipe_with};
use tracing::warn;
use zerocopy::FromBytes;

use crate::app::SharedFd;
use crate::lock::lock;

/// What the channel is called, if the user has none of that name.
const NAME: &str = "state-dump";
/// The consumer daemon needs some size; packets have their own.
const SUBBUF_SIZE: u64 = 64 << 10;

/// What the memfd begins with: nothing is being written, or something that may be as old as this.
const IDLE: [u8; 8] = [0; 8];
const BUSY: [u8; 8] = [1; 8];

fn set_busy(packets: &File, word: [u8; 8]) {
    // It fits where it was.
    let _ = packets.write_all_at(&word, 0);
}

/// See the module.
#[derive(Debug)]
pub(super) struct StateDumpStream {
    key: StreamKey,
    identity: StreamIdentity,
    channel_name: String,
    written: Mutex<Written>,
    packets: SharedFd,
    wakeup_reader: SharedFd,
    /// Viewers are told this often that there is nothing new; 0 = there are none.
    live_timer_us: u64,
}

#[derive(Debug)]
struct Written {
    packets: File,
    wakeup: File,
    /// Packets so far.
    count: u64,
}

impl StateDumpStream {
    /// In a trace whose other channels have these names; numbered after them.
    pub(super) fn create<'n>(
        uuid: [u8; 16],
        key: StreamKey,
        others: impl Iterator<Item = &'n str> + Clone,
        live_timer_us: u64,
    ) -> io::Result<Self> {
        let mut channel_name = NAME.to_owned();
        while others.clone().any(|other| other == channel_name) {
            channel_name.push('_');
        }
        let stream_id = others.count() as u32;
        let packets = memfd_create("lttng-state-dump", MemfdFlags::CLOEXEC)?;
        let mut file = File::from(packets.try_clone()?);
        file.write_all(&IDLE)?;
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Self {
            key,
            identity: StreamIdentity {
                uuid,
                stream_id,
                cpu: 0,
            },
            channel_name,
            packets: Arc::new(packets.try_clone()?),
            written: Mutex::new(Written {
                packets: file,
                wakeup: File::from(writer),
                count: 0,
            }),
            wakeup_reader: Arc::new(reader),
            live_timer_us,
        })
    }

    /// Name of the stream between the daemons.
    pub(super) fn key(&self) -> StreamKey {
        self.key
    }

    /// The stream class and its events as metadata text.
    pub(super) fn metadata(&self) -> String {
        let id = u64::from(self.identity.stream_id);
        let mut text = tsdl::stream(&schema::stream_class(id), ByteOrder::NATIVE);
        for class in statedump::classes(id) {
            text += &tsdl::event(&class, ByteOrder::NATIVE);
        }
        text
    }

    /// Looks at the system and writes down what there is.
    pub(super) fn write(&self) {
        // Held meanwhile, so that packets are in the order of time.
        let mut written = lock(&self.written);
        set_busy(&written.packets, BUSY);
        let dump = statedump::collect(&Sources::default(), &self.identity, &mut monotonic_now);
        if dump.left_out > 0 {
            warn!("{} events of the state dump found no room", dump.left_out);
        }
        self.append(&mut written, dump.bytes, &dump.packet_lens);
    }

    /// A chunk has begun: relay daemons do not tell viewers of a stream without a packet that it is idle.
    pub(super) fn begin_chunk(&self) {
        let mut written = lock(&self.written);
        // Otherwise the first dump is still to come.
        if self.live_timer_us != 0 && written.count > 0 {
            let machine = Machine::native(&PageHeader::LONG_64);
            set_busy(&written.packets, BUSY);
            let programs = Arc::new(Programs::new(&machine, []));
            let mut empty = Transcoder::new(programs, self.identity);
            let bytes = empty.finish(Some(monotonic_now())).bytes.to_vec();
            let len = bytes.len();
            self.append(&mut written, bytes, &[len]);
        }
    }

    fn append(&self, written: &mut Written, mut bytes: Vec<u8>, packet_lens: &[usize]) {
        let mut at = 0;
        for len in packet_lens {
            // Numbers go on where the dump of an earlier start ended.
            if let Ok((header, _)) = RawHeader64::mut_from_prefix(&mut bytes[at..]) {
                header.common.packet_seq_num = written.count.into();
            }
            written.count += 1;
            at += len;
        }
        if let Err(error) = written.packets.write_all(&bytes) {
            warn!("cannot store the state dump: {error}");
        }
        set_busy(&written.packets, IDLE);
        // A full pipe wakes the reader as well.
        let _ = written.wakeup.write(&[0]);
    }

    /// What hands it to a consumer daemon.
    pub(super) fn setup(
        &self,
        trace: TraceKey,
        resume: Option<Predecessor>,
    ) -> (StreamSetup, Vec<SharedFd>) {
        let setup = StreamSetup {
            stream: self.key,
            trace,
            channel_name: self.channel_name.clone(),
            cpu: self.identity.cpu,
            channel_id: self.identity.stream_id,
            subbuf_size: SUBBUF_SIZE,
            subbuf_count: 2,
            mode: BufferMode::Discard,
            wakeup: Wakeup::ByWriter,
            switch_timer_us: 0,
            read_timer_us: 0,
            live_timer_us: self.live_timer_us,
            tracefile_size: 0,
            tracefile_count: 0,
            resume,
            kernel: None,
            written: true,
        };
        (
            setup,
            vec![self.packets.clone(), self.wakeup_reader.clone()],
        )
    }
}
