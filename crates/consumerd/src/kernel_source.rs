//! The ring buffer of one CPU of a kernel instance: raw pages come in, packets go out.
//!
//! While tracing goes on only full pages are read, as soon as there are enough for a packet; a flush reads all
//! there is. What was read is gone from the kernel: a packet that the output does not take is kept.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use anyhow::{Context, ensure};
use consumer_api::{KernelStream, Predecessor, StreamSetup};
use kernel::page::Page;
use kernel::tracefs::Stats;
use kernel::transcode::{Programs, StreamIdentity, Transcoder};
use ring_buffer::{FlushMode, monotonic_now};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::kernel_formats::KernelFormats;
use crate::output::OutputError;
use crate::packet::{MemoryPacket, Packet};
use crate::source::{Deliver, Progress, Source, TakeError, Writers};

/// Largest page that is taken for possible, bytes.
const MAX_PAGE_BYTES: u64 = 16 << 20;
/// Longest time from the stamp of an event to its end, nanoseconds.
const WRITING_NS: u64 = 1_000_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct KernelSource {
    pipe: OwnedFd,
    losses: Losses,
    formats: KernelFormats,
    programs: Arc<Programs>,
    transcoder: Transcoder,
    /// Memory of one page.
    page: Vec<u8>,
    /// Pages that make a packet.
    packet_pages: u64,
    /// Most packets that the buffer holds.
    capacity: u64,
    /// A packet that the output has not taken.
    kept: Option<Kept>,
    /// Deliver all there was at this time.
    flush: Option<(FlushMode, u64)>,
}

#[derive(Debug)]
struct Kept {
    bytes: Vec<u8>,
    events: u64,
}

/// What a read has brought.
enum Got {
    /// All of a page.
    Full,
    /// What there was of one.
    Partial,
    Nothing,
}

impl KernelSource {
    /// Becomes the reader of the buffer behind `pipe`.
    pub(crate) fn new(
        setup: &StreamSetup,
        kernel: KernelStream,
        uuid: [u8; 16],
        pipe: OwnedFd,
        stats: OwnedFd,
        formats: KernelFormats,
    ) -> anyhow::Result<Self> {
        ensure!(
            (1..=MAX_PAGE_BYTES).contains(&kernel.page_size),
            "pages of {} bytes are not possible",
            kernel.page_size
        );
        let programs = formats.current()?;
        let identity = StreamIdentity {
            uuid,
            stream_id: setup.channel_id,
            cpu: setup.cpu,
        };
        Ok(Self {
            pipe,
            losses: Losses {
                stats,
                overwrite: setup.mode == consumer_api::BufferMode::Overwrite,
                gaps: Vec::new(),
            },
            formats,
            transcoder: Transcoder::new(programs.clone(), identity),
            programs,
            page: vec![0; kernel.page_size as usize],
            // One less than what wakes us: the last one may be the one that is being written.
            packet_pages: (setup.subbuf_size / kernel.page_size)
                .saturating_sub(1)
                .max(1),
            capacity: setup.subbuf_count + 2,
            kept: None,
            flush: None,
        })
    }

    /// Enough is there for a packet of full pages.
    fn is_ready(&self) -> bool {
        let mut fds = [PollFd::new(&self.pipe, PollFlags::IN)];
        let now = Timespec::default();
        poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
    }

    /// Reads pages until there are enough for a packet, or no more.
    fn fill(&mut self, all: bool) -> anyhow::Result<()> {
        for _ in 0..self.packet_pages {
            match self.read_page()? {
                Got::Full => {}
                // More may have come meanwhile; that is for the next packet, if somebody wants it.
                Got::Partial if !all => break,
                Got::Partial => {}
                Got::Nothing => break,
            }
        }
        Ok(())
    }

    fn read_page(&mut self) -> anyhow::Result<Got> {
        let got = loop {
            match rustix::io::read(&self.pipe, &mut self.page[..]) {
                Ok(0) | Err(rustix::io::Errno::AGAIN) => return Ok(Got::Nothing),
                Ok(got) => break got,
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => {
                    return Err(io::Error::from(errno)).context("cannot read the kernel's buffer");
                }
            }
        };
        // After the page: whatever is in it was announced before it was enabled.
        let programs = self.formats.current()?;
        if !Arc::ptr_eq(&programs, &self.programs) {
            self.programs = programs.clone();
            self.transcoder.set_programs(programs);
        }
        let summary = self.transcoder.add_page(&self.page[..got])?;
        if summary.unknown + summary.malformed > 0 || summary.damaged {
            tracing::warn!(
                "a page of the kernel has {} unknown and {} malformed events{}",
                summary.unknown,
                summary.malformed,
                if summary.damaged {
                    ", and is damaged"
                } else {
                    ""
                }
            );
        }
        let page = Page::parse(&self.page[..got], self.programs.machine())?;
        // What the longest event left free says nothing about the writer.
        let full = page.len() * 2 >= got;
        Ok(if full { Got::Full } else { Got::Partial })
    }
}

impl Source for KernelSource {
    fn wakeup(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    fn woken(&mut self) {}

    fn resume_after(&mut self, last: Predecessor) -> bool {
        let next = last.last_packet.map_or(0, |number| number + 1);
        self.transcoder.resume(next, last.discarded_events);
        if last.last_packet.is_none() {
            // A stream begins with a packet before any loss, so that readers know what is lost.
            self.flush(FlushMode::Full);
        }
        true
    }

    fn take(&mut self, _: Writers, deliver: &mut Deliver<'_>) -> Result<Progress, TakeError> {
        if let Some(kept) = &self.kept {
            deliver(&MemoryPacket::new(&kept.bytes, Some(kept.events)).map_err(TakeError::Broken)?)
                .map_err(TakeError::Output)?;
            self.kept = None;
            return Ok(Progress::Delivered);
        }
        if self.flush.is_none() && !self.is_ready() {
            return Ok(Progress::Nothing);
        }
        self.fill(self.flush.is_some()).map_err(TakeError::Broken)?;
        let lost = self.losses.lost(self.transcoder.discarded());
        self.transcoder.add_discarded(lost);
        let mut end = None;
        if self.transcoder.events() == 0 {
            // All there was has been read. The last packet says so, and until when.
            match self.flush.take() {
                Some((FlushMode::Full, _)) => end = Some(settled_now()),
                Some((FlushMode::Active, _)) | None => return Ok(Progress::Nothing),
            }
        }
        let last = self.transcoder.last_timestamp();
        self.flush = self.flush.filter(|(_, since)| last < *since);
        let packet = self.transcoder.finish(end);
        let shown =
            MemoryPacket::new(packet.bytes, Some(packet.events)).map_err(TakeError::Broken)?;
        if let Err(error) = deliver(&shown) {
            self.kept = Some(Kept {
                bytes: packet.bytes.to_vec(),
                events: packet.events,
            });
            return Err(TakeError::Output(error));
        }
        Ok(Progress::Delivered)
    }

    fn flush(&mut self, mode: FlushMode) {
        self.flush = Some((mode, monotonic_now()));
    }

    fn pending(&self) -> u64 {
        self.capacity
    }

    fn flush_or_idle(&mut self) -> Option<u64> {
        let since = settled_now();
        match self.losses.read() {
            Some(stats) if stats.entries == 0 && self.kept.is_none() => {
                Some(since.max(self.transcoder.last_timestamp()))
            }
            _ => {
                self.flush(FlushMode::Active);
                None
            }
        }
    }

    /// The kernel's buffer is emptied: it has no other way of reading.
    fn peek(&mut self, most: u64, deliver: &mut Deliver<'_>) -> Result<(), OutputError> {
        self.flush
            .get_or_insert((FlushMode::Active, monotonic_now()));
        let mut held = VecDeque::new();
        for _ in 0..self.capacity {
            let mut taken = None;
            let keep = &mut |packet: &dyn Packet| {
                let mut bytes = Vec::new();
                packet.copy_to(&mut bytes);
                let events = packet.events().unwrap_or(0);
                taken = Some(Kept { bytes, events });
                Ok(())
            };
            match self.take(Writers::Alive, keep) {
                Ok(Progress::Delivered) => held.extend(taken),
                Ok(Progress::NotReady | Progress::Nothing) => break,
                Err(TakeError::Output(error)) => return Err(error),
                Err(TakeError::BadPacket(error) | TakeError::Broken(error)) => {
                    return Err(OutputError::Refused(error));
                }
            }
        }
        let most = if most == 0 { self.capacity } else { most };
        let skipped = held.len().saturating_sub(most as usize);
        for held in held.iter().skip(skipped) {
            let packet = MemoryPacket::new(&held.bytes, Some(held.events));
            deliver(&packet.map_err(OutputError::Refused)?)?;
        }
        Ok(())
    }
}

/// A time that no event to come is older than: one that is being written may have its stamp already.
fn settled_now() -> u64 {
    monotonic_now().saturating_sub(WRITING_NS)
}

/// Events that the kernel could not record.
#[derive(Debug)]
struct Losses {
    stats: OwnedFd,
    overwrite: bool,
    /// After so many events of the buffer, so many were lost in all.
    gaps: Vec<(u64, u64)>,
}

impl Losses {
    /// How many more were lost than `counted` before what has been read. Where the oldest events are
    /// overwritten the pages tell, and only the total is compared when everything is read.
    fn lost(&mut self, counted: u64) -> u64 {
        let Some(stats) = self.read() else { return 0 };
        let total = stats.lost();
        if self.overwrite {
            return match stats.entries {
                0 => total.saturating_sub(counted),
                _ => 0,
            };
        }
        // Events are dropped when the buffer is full: behind all that is in it now.
        let known = self.gaps.last().map_or(counted, |gap| gap.1);
        if total > known {
            self.gaps.push((stats.read + stats.entries, total));
        }
        let passed = self
            .gaps
            .iter()
            .take_while(|gap| gap.0 <= stats.read)
            .count();
        let last = self.gaps.drain(..passed).next_back();
        last.map_or(0, |(_, total)| total.saturating_sub(counted))
    }

    fn read(&self) -> Option<Stats> {
        let mut text = [0; 1024];
        let got = rustix::io::pread(&self.stats, &mut text, 0).ok()?;
        Some(Stats::parse(&String::from_utf8_lossy(&text[..got])))
    }
}
