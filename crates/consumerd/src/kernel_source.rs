//! The ring buffer of one CPU of a kernel instance: raw pages come in, packets go out.
//!
//! While tracing goes on only full pages are read, as soon as there are enough for a packet; a flush reads all
//! there is. What was read is gone from the kernel: it is in a [`PageStore`], which outlives us, until the packet
//! has arrived. A successor makes the packet under way again, byte for byte, and goes on with the pages that were
//! read for the next one.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use consumer_api::{KernelStream, StreamSetup};
use kernel::context::Contexts;
use kernel::page::Page;
use kernel::tasks::Tasks;
use kernel::transcode::{Programs, State, StreamIdentity, Transcoder};
use ring_buffer::{BegunPacket, FlushMode, PacketState, PagePosition, PageStore, monotonic_now};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::kernel_formats::KernelFormats;
use crate::kernel_losses::Losses;
use crate::kernel_tasks::{HistoryReader, SharedTasks};
use crate::output::OutputError;
use crate::packet::MemoryPacket;
use crate::source::{Deliver, Progress, Source, TakeError, Writers};

/// Largest page that is taken for possible, bytes.
const MAX_PAGE_BYTES: u64 = 16 << 20;
/// Bytes of pages for which the history of tasks is read once, if it is needed.
const BATCH_BYTES: u64 = 64 << 10;
/// Longest time from the stamp of an event to its end, nanoseconds.
pub(crate) const WRITING_NS: u64 = 1_000_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct KernelSource {
    pipe: OwnedFd,
    pages: PageStore,
    losses: Losses,
    formats: KernelFormats,
    programs: Arc<Programs>,
    identity: StreamIdentity,
    contexts: Contexts,
    /// What the context fields need.
    history: Option<HistoryReader>,
    transcoder: Transcoder,
    /// Copy of one page.
    page: Vec<u8>,
    page_size: u64,
    /// Pages that make a packet.
    packet_pages: u64,
    /// The open packet has the pages up to here, this many.
    position: PagePosition,
    in_packet: u64,
    /// Most packets that the buffer holds.
    capacity: u64,
    /// Deliver all there was at this time.
    flush: Option<(FlushMode, u64)>,
}

/// The descriptors of a stream.
#[derive(Debug)]
pub(crate) struct KernelFds {
    /// `trace_pipe_raw`.
    pub(crate) pipe: OwnedFd,
    /// `stats`.
    pub(crate) stats: OwnedFd,
    /// The memory of a [`PageStore`].
    pub(crate) pages: OwnedFd,
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
    /// Becomes the reader of the buffer.
    pub(crate) fn new(
        setup: &StreamSetup,
        kernel: &KernelStream,
        uuid: [u8; 16],
        fds: KernelFds,
        formats: KernelFormats,
        tasks: Option<&SharedTasks>,
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
        let pages =
            PageStore::map(&fds.pages, kernel.page_size).context("cannot map the pages read")?;
        let contexts = Contexts::of(kernel.contexts.iter().map(String::as_str));
        let history = match tasks {
            _ if !contexts.need_tasks() => None,
            Some(tasks) => Some(HistoryReader::begin(tasks, &fds.stats)?),
            None => bail!("the context fields of the stream need a history of tasks"),
        };
        let mut transcoder = Transcoder::with_contexts(programs.clone(), identity, &contexts);
        transcoder.restore(from_stored(pages.state()));
        let overwrite = setup.mode == consumer_api::BufferMode::Overwrite;
        // A stream begins with a packet before any loss, so that readers know what is lost.
        let is_new = pages.state().next_packet == 0;
        Ok(Self {
            pipe: fds.pipe,
            losses: Losses::new(fds.stats, overwrite),
            formats,
            programs,
            identity,
            contexts,
            history,
            transcoder,
            page: Vec::new(),
            page_size: kernel.page_size,
            packet_pages: kernel.packet_pages(setup.subbuf_size),
            position: pages.delivered(),
            in_packet: 0,
            pages,
            // One that was begun, what was read for the next one, and what the flush makes.
            capacity: setup.subbuf_count + 3,
            flush: is_new.then(|| (FlushMode::Full, monotonic_now())),
        })
    }

    /// Enough is there for a packet of full pages.
    fn is_ready(&self) -> bool {
        let mut fds = [PollFd::new(&self.pipe, PollFlags::IN)];
        let now = Timespec::default();
        poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
    }

    /// Adds pages until there are enough for a packet, or no more.
    fn fill(&mut self, all: bool) -> anyhow::Result<()> {
        while self.in_packet < self.packet_pages && self.history.is_some() {
            let batch = (BATCH_BYTES / self.page_size).max(1);
            let end = self.read_ahead(batch.min(self.packet_pages - self.in_packet), all)?;
            // After the pages: what the tasks in them are was told before they ran.
            self.catch_up();
            let before = self.in_packet;
            while self.in_packet < self.packet_pages
                && let Some(next) = self.pages.page_after(self.position, &mut self.page)
            {
                self.transcode()?;
                self.position = next;
                self.in_packet += 1;
            }
            if end || self.in_packet == before {
                return Ok(());
            }
        }
        while self.in_packet < self.packet_pages {
            match self.add_page()? {
                Got::Full => {}
                // More may have come meanwhile; that is for the next packet, if somebody wants it.
                Got::Partial if !all => break,
                Got::Partial => {}
                Got::Nothing => break,
            }
        }
        Ok(())
    }

    /// Reads so many pages, or what there is, if none is left of an earlier reading. `true`: that was all.
    fn read_ahead(&mut self, pages: u64, all: bool) -> anyhow::Result<bool> {
        let ahead = self.pages.page_after(self.position, &mut self.page);
        if ahead.is_some() {
            return Ok(false);
        }
        for _ in 0..pages {
            if !self.pages.has_room() || !self.read_page()? {
                return Ok(true);
            }
            self.pages.keep(self.used()?);
            if !all && !self.is_full()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Lets the history of tasks reach until now.
    fn catch_up(&mut self) {
        if let Some(history) = &self.history {
            history.reads_since(self.pages.state().last);
            history.catch_up();
        }
    }

    /// Adds a page that was read before, or the next one.
    fn add_page(&mut self) -> anyhow::Result<Got> {
        let next = match self.pages.page_after(self.position, &mut self.page) {
            Some(next) => next,
            None if self.pages.has_room() && self.read_page()? => self.pages.keep(self.used()?),
            None => return Ok(Got::Nothing),
        };
        self.transcode()?;
        self.position = next;
        self.in_packet += 1;
        Ok(if self.is_full()? {
            Got::Full
        } else {
            Got::Partial
        })
    }

    /// The writer has gone on to another page. What the longest event left free says nothing about that.
    fn is_full(&self) -> anyhow::Result<bool> {
        let page = Page::parse(&self.page, self.programs.machine())?;
        Ok(page.len() as u64 * 2 >= self.page_size)
    }

    fn read_page(&mut self) -> anyhow::Result<bool> {
        let got = self.pages.read(self.pipe.as_fd(), &mut self.page);
        got.context("cannot read the kernel's buffer")
    }

    /// Bytes of the page that are to be kept.
    fn used(&self) -> anyhow::Result<u64> {
        Ok(Page::parse(&self.page, self.programs.machine())?.used() as u64)
    }

    /// Adds the page to the open packet.
    fn transcode(&mut self) -> anyhow::Result<()> {
        // After the page: whatever is in it was announced before it was enabled.
        let programs = self.formats.current()?;
        if !Arc::ptr_eq(&programs, &self.programs) {
            self.programs = programs.clone();
            self.transcoder.set_programs(programs);
        }
        let summary = match &self.history {
            Some(history) => {
                let tasks = history.tasks();
                self.transcoder.add_page_of(&self.page, tasks.table())?
            }
            None => self.transcoder.add_page_of(&self.page, &Tasks::default())?,
        };
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
        Ok(())
    }

    /// Delivers a packet of the pages up to the position.
    fn send(&mut self, end: Option<u64>, deliver: &mut Deliver<'_>) -> Result<(), TakeError> {
        let packet = self.transcoder.finish(end);
        self.pages.begin(BegunPacket {
            end: self.position,
            after: to_stored(packet.after),
        });
        let shown =
            MemoryPacket::new(packet.bytes, Some(packet.events)).map_err(TakeError::Broken)?;
        deliver(&shown).map_err(TakeError::Output)?;
        self.commit();
        Ok(())
    }

    fn commit(&mut self) {
        self.pages.commit();
        self.position = self.pages.delivered();
        self.in_packet = 0;
        if let Some(history) = &self.history
            && self.pages.is_empty()
        {
            history.has_read_until(self.pages.state().last);
        }
    }

    /// Makes the packet again that was begun: a predecessor died, or the output did not take it.
    fn repeat(&mut self, begun: BegunPacket, deliver: &mut Deliver<'_>) -> Result<(), TakeError> {
        let before = self.pages.state();
        self.transcoder.restore(from_stored(before));
        self.position = self.pages.delivered();
        self.catch_up();
        while self.position < begun.end
            && let Some(next) = self.pages.page_after(self.position, &mut self.page)
        {
            self.transcode().map_err(TakeError::Broken)?;
            self.position = next;
        }
        let after = begun.after;
        if after.next_packet == before.next_packet {
            // Pages without events, of which no packet was made.
            self.commit();
        } else {
            // The kernel's own count is another one by now.
            let lost = after.discarded.saturating_sub(self.transcoder.discarded());
            self.transcoder.add_discarded(lost);
            self.send(Some(after.last), deliver)?;
        }
        self.transcoder.restore(from_stored(after));
        Ok(())
    }

    /// The open packet has no event: lets go of its pages.
    fn skip_pages(&mut self) {
        if self.in_packet > 0 {
            self.pages.begin(BegunPacket {
                end: self.position,
                after: to_stored(self.transcoder.state()),
            });
            self.commit();
        }
    }

    /// Reads all there is, and keeps as much of it as the kernel's buffer would.
    fn retain(&mut self) -> anyhow::Result<()> {
        // Not what comes meanwhile, however much that is.
        for _ in 0..self.capacity * (self.packet_pages + 1) {
            while !self.pages.has_room() {
                self.drop_oldest();
            }
            if !self.read_page()? {
                break;
            }
            let page = Page::parse(&self.page, self.programs.machine())?;
            let before = self.pages.head();
            self.pages.keep(page.used() as u64);
            if page.missed().is_some() {
                // What was overwritten was younger than all that was read before.
                self.pages.drop_until(before);
            }
        }
        Ok(())
    }

    fn drop_oldest(&self) {
        let oldest = self.pages.positions().nth(1);
        self.pages
            .drop_until(oldest.unwrap_or_else(|| self.pages.head()));
    }

    /// Lets `deliver` have packets of all pages that are kept; the newest `most` packets if that is not 0.
    fn show(
        &mut self,
        most: u64,
        deliver: &mut Deliver<'_>,
    ) -> anyhow::Result<Result<(), OutputError>> {
        let flush = self.flush.take();
        let positions: Vec<_> = self.pages.positions().collect();
        let count = positions.len() - 1;
        // Counted from the newest page, so that what is left out is as old as possible.
        let size = self.packet_pages as usize;
        let packets = count.div_ceil(size);
        let shown = match most {
            0 => packets,
            most => packets.min(most as usize),
        };
        self.transcoder =
            Transcoder::with_contexts(self.programs.clone(), self.identity, &self.contexts);
        self.catch_up();
        for packet in (0..shown).rev() {
            let last = count - packet * size;
            for at in &positions[last.saturating_sub(size)..last] {
                self.pages.page_after(*at, &mut self.page);
                self.transcode()?;
                // Nothing is lost behind the first page that is kept.
                self.transcoder.forget_discarded();
            }
            if packet == 0
                && let Some((FlushMode::Full, _)) = flush
            {
                break;
            }
            if let Err(error) = self.hand_out(None, deliver)? {
                return Ok(Err(error));
            }
        }
        match flush {
            Some((FlushMode::Full, _)) => self.hand_out(Some(settled_now()), deliver),
            _ => Ok(Ok(())),
        }
    }

    fn hand_out(
        &mut self,
        end: Option<u64>,
        deliver: &mut Deliver<'_>,
    ) -> anyhow::Result<Result<(), OutputError>> {
        let packet = self.transcoder.finish(end);
        Ok(deliver(&MemoryPacket::new(
            packet.bytes,
            Some(packet.events),
        )?))
    }
}

impl Source for KernelSource {
    fn wakeup(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    fn woken(&mut self) {}

    fn take(&mut self, _: Writers, deliver: &mut Deliver<'_>) -> Result<Progress, TakeError> {
        if let Some(begun) = self.pages.begun() {
            self.repeat(begun, deliver)?;
            return Ok(Progress::Delivered);
        }
        if self.flush.is_none() && self.pages.is_empty() && !self.is_ready() {
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
                Some((FlushMode::Active, _)) | None => {
                    self.skip_pages();
                    return Ok(Progress::Nothing);
                }
            }
        }
        let last = self.transcoder.last_timestamp();
        self.flush = self.flush.filter(|(_, since)| last < *since);
        self.send(end, deliver)?;
        Ok(Progress::Delivered)
    }

    fn flush(&mut self, mode: FlushMode) {
        self.flush = Some((mode, monotonic_now()));
    }

    fn pending(&self) -> u64 {
        self.capacity + self.pages.positions().count() as u64 / self.packet_pages
    }

    fn flush_or_idle(&mut self) -> Option<u64> {
        let since = settled_now();
        let idle =
            self.losses.nothing_to_read() && self.pages.is_empty() && self.pages.begun().is_none();
        if idle {
            self.transcoder.idle_until(since);
            return Some(self.transcoder.last_timestamp());
        }
        self.flush(FlushMode::Active);
        None
    }

    /// The kernel's buffer is emptied, it has no other way of reading: what it had is kept for the next time.
    fn peek(&mut self, most: u64, deliver: &mut Deliver<'_>) -> Result<(), OutputError> {
        self.retain().map_err(OutputError::Refused)?;
        self.show(most, deliver).map_err(OutputError::Refused)?
    }
}

/// A time that no event to come is older than: one that is being written may have its stamp already.
fn settled_now() -> u64 {
    monotonic_now().saturating_sub(WRITING_NS)
}

fn from_stored(state: PacketState) -> State {
    State {
        next_seq: state.next_packet,
        discarded: state.discarded,
        last: state.last,
        earliest: state.earliest,
    }
}

fn to_stored(state: State) -> PacketState {
    PacketState {
        next_packet: state.next_seq,
        discarded: state.discarded,
        last: state.last,
        earliest: state.earliest,
    }
}
