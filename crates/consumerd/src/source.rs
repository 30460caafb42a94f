//! A stream that yields packets: the one thing that the data path knows of a buffer.

use std::fmt::Debug;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, anyhow, ensure};
use consumer_api::StreamSetup;
use ring_buffer::{
    BufferMode, FlushMode, Geometry, Next, ReadError, Reader, StreamIdentity, monotonic_now,
};

use crate::kernel_formats::ChannelFormats;
use crate::kernel_source::{KernelFds, KernelSource};
use crate::kernel_tasks::SharedTasks;
use crate::output::OutputError;
use crate::packet::Packet;
use crate::written_source::WrittenSource;

/// Whether the writers of a stream may still finish what they began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writers {
    /// Wait for them.
    Alive,
    /// Cut what they left.
    Gone,
}

/// What an attempt to deliver a packet brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// A packet is gone from the buffer; there may be more.
    Delivered,
    /// A writer has to finish first.
    NotReady,
    /// Nothing is there.
    Nothing,
}

/// Why an attempt to deliver a packet failed.
#[derive(Debug)]
pub(crate) enum TakeError {
    /// The output did not take the packet, which stays where it was.
    Output(OutputError),
    /// The packet makes no sense and is gone; the next one may be good.
    BadPacket(anyhow::Error),
    /// Nothing more will come from this source.
    Broken(anyhow::Error),
}

/// What is done with a packet.
pub(crate) type Deliver<'a> = dyn FnMut(&dyn Packet) -> Result<(), OutputError> + 'a;

/// A buffer that somebody fills, seen from its reader.
pub(crate) trait Source: Debug {
    /// Becomes readable when there may be packets.
    fn wakeup(&self) -> BorrowedFd<'_>;

    /// The wakeup was seen.
    fn woken(&mut self);

    /// Lets `deliver` have the next packet, which is gone from the buffer when that succeeded.
    fn take(&mut self, writers: Writers, deliver: &mut Deliver<'_>) -> Result<Progress, TakeError>;

    /// Closes the current packet.
    fn flush(&mut self, mode: FlushMode);

    /// Most packets that one call after another can bring before writers add more.
    fn pending(&self) -> u64;

    /// Closes the current packet. `Some`: there was none, and no packet is to be read: what is to come is not
    /// older than this time on the clock of the trace.
    fn flush_or_idle(&mut self) -> Option<u64>;

    /// Lets the first packet begin now, if nothing was written. For a buffer that no writer has.
    fn begin_now(&mut self) {}

    /// Lets `deliver` have copies of the newest packets, at most `most` of them if that is not 0, oldest
    /// first; the buffer stays as it is.
    fn peek(&mut self, most: u64, deliver: &mut Deliver<'_>) -> Result<(), OutputError>;
}

/// Whether the descriptors of a stream are as many as it needs.
pub(crate) fn check(setup: &StreamSetup, fds: &[OwnedFd]) -> anyhow::Result<()> {
    let (wanted, got) = (if setup.kernel.is_some() { 4 } else { 2 }, fds.len());
    ensure!(
        wanted == got,
        "such a stream comes with {wanted} descriptors, not {got}"
    );
    Ok(())
}

/// The source that `setup` describes, from its descriptors.
pub(crate) fn open(
    setup: &StreamSetup,
    uuid: [u8; 16],
    fds: Vec<OwnedFd>,
    formats: &mut ChannelFormats,
    tasks: Option<&SharedTasks>,
) -> anyhow::Result<Box<dyn Source>> {
    let count = fds.len();
    let Some(kernel) = &setup.kernel else {
        let [memory, pipe] = <[OwnedFd; 2]>::try_from(fds)
            .map_err(|_| anyhow!("a stream comes with 2 descriptors, not {count}"))?;
        return Ok(if setup.written {
            Box::new(WrittenSource::new(memory, pipe))
        } else {
            Box::new(RingSource::attach(setup, uuid, &memory, pipe)?)
        });
    };
    let [pipe, stats, text, pages] = <[OwnedFd; 4]>::try_from(fds)
        .map_err(|_| anyhow!("a stream of the kernel comes with 4 descriptors, not {count}"))?;
    let formats = formats.of(setup.channel_id, text)?;
    let fds = KernelFds { pipe, stats, pages };
    let source = KernelSource::new(setup, kernel, uuid, fds, formats, tasks)?;
    Ok(Box::new(source))
}

/// The ring buffer of applications.
#[derive(Debug)]
pub(crate) struct RingSource {
    reader: Reader,
    pipe: OwnedFd,
}

impl RingSource {
    /// Becomes the reader of the buffer. `shm` is not needed any more afterwards.
    pub(crate) fn attach(
        setup: &StreamSetup,
        uuid: [u8; 16],
        shm: &OwnedFd,
        pipe: OwnedFd,
    ) -> anyhow::Result<Self> {
        let mode = match setup.mode {
            consumer_api::BufferMode::Discard => BufferMode::Discard,
            consumer_api::BufferMode::Overwrite => BufferMode::Overwrite,
        };
        let geometry = Geometry::new(setup.subbuf_size, setup.subbuf_count, mode)?;
        let identity = StreamIdentity {
            uuid,
            channel_id: setup.channel_id,
            cpu: setup.cpu,
        };
        let reader = if setup.resume.is_some() {
            Reader::resume(shm.as_fd(), geometry, identity)
        } else {
            Reader::attach(shm.as_fd(), geometry, identity)
        }
        .with_context(|| format!("cannot read stream {}_{}", setup.channel_name, setup.cpu))?;
        Ok(Self { reader, pipe })
    }
}

impl Source for RingSource {
    fn wakeup(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    fn woken(&mut self) {
        // What does not fit is reported again.
        let _ = rustix::io::read(&self.pipe, &mut [0; 512]);
    }

    fn take(&mut self, writers: Writers, deliver: &mut Deliver<'_>) -> Result<Progress, TakeError> {
        let next = match writers {
            Writers::Alive => self.reader.next_packet(),
            Writers::Gone => self.reader.salvage_packet(),
        };
        match next {
            Ok(Next::Packet(lease)) => {
                deliver(&lease).map_err(TakeError::Output)?;
                lease.release();
                Ok(Progress::Delivered)
            }
            Ok(Next::NotReady) => Ok(Progress::NotReady),
            Ok(Next::Empty) => Ok(Progress::Nothing),
            Err(error @ ReadError::BadPacket { .. }) => Err(TakeError::BadPacket(error.into())),
            Err(error @ ReadError::BadPositions { .. }) => Err(TakeError::Broken(error.into())),
        }
    }

    fn flush(&mut self, mode: FlushMode) {
        self.reader.flush(mode, monotonic_now);
    }

    fn pending(&self) -> u64 {
        // One more: a packet that a predecessor held.
        self.reader.pending() + 1
    }

    fn flush_or_idle(&mut self) -> Option<u64> {
        // Before the look: what comes after it is younger.
        let now = monotonic_now();
        self.flush(FlushMode::Active);
        self.reader.is_empty().then_some(now)
    }

    fn begin_now(&mut self) {
        self.reader.begin_at(monotonic_now());
    }

    fn peek(&mut self, most: u64, deliver: &mut Deliver<'_>) -> Result<(), OutputError> {
        let positions = self.reader.closed_positions();
        let skipped = match most {
            0 => 0,
            most => (positions.len() as u64).saturating_sub(most),
        };
        for position in positions.skip(skipped as usize) {
            // One that is gone was overwritten meanwhile.
            if let Some(packet) = self.reader.peek_packet(position) {
                deliver(&packet)?;
            }
        }
        Ok(())
    }
}
