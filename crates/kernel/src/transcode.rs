//! Turns raw ring-buffer pages into CTF packets.
//!
//! ```text
//! page:   | stamp, commit | header | type flags preempt pid | fields … | header | …
//!                                        |               |       |
//! packet: | 84-byte header | id 16 | time 32 | tid 32 | more context | payload | id | …
//! ```
//!
//! An event has LTTng's large header: the kernel's id and the low 32 bits of its time stamp, 6 bytes; where
//! more than 2³² ns have passed since the event before, the extended form of 14 bytes with all 64 bits. Then
//! comes the context: the thread id, and what else the channel has; and the payload without the kernel's
//! padding. A reader gets back the exact time stamp of every event.
//!
//! Nothing is allocated for an event; the memory of a packet is kept for the next one.

mod context;
pub(crate) mod header;
mod packet;

use std::sync::Arc;

use ctf::types::ByteOrder;

use crate::context::Contexts;
use crate::machine::{Machine, Number};
use crate::page::{Missed, Page, PageError, Record};
use crate::program::{Out, Program};
use crate::schema::{COMMON_LEN, EventSchema};
use crate::tasks::Tasks;

use context::{ContextCache, NoContext, WriteContext};
pub use packet::Packet;

/// What all streams of a channel need to know about its events.
#[derive(Debug)]
pub struct Programs {
    machine: Machine,
    /// By id.
    by_id: Vec<Option<Program>>,
}

impl Programs {
    /// For `events` of a channel on `machine`. Of two with one id, the later one counts.
    pub fn new<'e>(machine: &Machine, events: impl IntoIterator<Item = &'e EventSchema>) -> Self {
        let mut by_id = Vec::new();
        for event in events {
            let id = usize::from(event.id());
            if by_id.len() <= id {
                by_id.resize(id + 1, None);
            }
            by_id[id] = Some(event.program.clone());
        }
        Self {
            machine: *machine,
            by_id,
        }
    }

    /// The machine that writes the pages.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }
}

/// Whose packets these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamIdentity {
    /// Of the trace.
    pub uuid: [u8; 16],
    /// Of the channel.
    pub stream_id: u32,
    /// CPU of the buffer.
    pub cpu: u32,
}

/// What the packets of a stream depend on, beside their pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Number of the next packet.
    pub next_seq: u64,
    /// Discarded events of the stream so far.
    pub discarded: u64,
    /// Clock of the last event; at least the end of the packet before.
    pub last: u64,
    /// The next packet begins no earlier.
    pub earliest: u64,
}

/// What became of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageSummary {
    /// Events that are in the packet now.
    pub events: u64,
    /// Records with an id that no event of the channel has.
    pub unknown: u64,
    /// Records that are not what the format of their event says.
    pub malformed: u64,
    /// Events whose time stamp was before that of the event before them, which they got instead.
    pub out_of_order: u64,
    /// Events lost before this page. A known number is in the packet's `events_discarded`, and so is one
    /// event for an unknown number; add what the kernel's statistics say beyond that.
    pub missed: Option<Missed>,
    /// The page ended in something that is no record.
    pub damaged: bool,
}

/// Makes the packets of one stream: pages are added to a packet until it is finished.
///
/// ```
/// use std::sync::Arc;
/// use ctf::types::ByteOrder;
/// use kernel::{format::PageHeader, machine::Machine};
/// use kernel::transcode::{Programs, StreamIdentity, Transcoder};
///
/// let machine = Machine { byte_order: ByteOrder::Little, page: PageHeader::LONG_64 };
/// let programs = Arc::new(Programs::new(&machine, []));
/// let identity = StreamIdentity { uuid: [0; 16], stream_id: 0, cpu: 3 };
/// let mut transcoder = Transcoder::new(programs, identity);
/// let mut page = vec![0; 4096];
/// page[..8].copy_from_slice(&1_000u64.to_le_bytes());
/// let summary = transcoder.add_page(&page)?;
/// assert_eq!(summary.events, 0);
/// let packet = transcoder.finish(Some(2_000));
/// assert_eq!((packet.begin, packet.end, packet.bytes.len()), (1_000, 2_000, 84));
/// # Ok::<(), kernel::page::PageError>(())
/// ```
#[derive(Debug)]
pub struct Transcoder {
    programs: Arc<Programs>,
    identity: StreamIdentity,
    contexts: ContextCache,
    out: Out,
    /// Nothing of the packet in `out` is wanted any more.
    finished: bool,
    /// Clock at the begin of the open packet.
    begin: Option<u64>,
    /// Clock of the last event; at least the end of the packet before.
    last: u64,
    /// The next packet begins no earlier.
    earliest: u64,
    events: u64,
    next_seq: u64,
    discarded: u64,
}

impl Transcoder {
    /// For the first packet of a stream without context fields but the thread id.
    pub fn new(programs: Arc<Programs>, identity: StreamIdentity) -> Self {
        Self::with_contexts(programs, identity, &Contexts::default())
    }

    /// For the first packet of a stream with these context fields.
    pub fn with_contexts(
        programs: Arc<Programs>,
        identity: StreamIdentity,
        contexts: &Contexts,
    ) -> Self {
        Self {
            programs,
            contexts: ContextCache::new(contexts, identity.cpu),
            identity,
            out: Out::default(),
            finished: false,
            begin: None,
            last: 0,
            earliest: 0,
            events: 0,
            next_seq: 0,
            discarded: 0,
        }
    }

    /// What the packets to come depend on, if no packet is open.
    pub fn state(&self) -> State {
        State {
            next_seq: self.next_seq,
            discarded: self.discarded,
            last: self.last,
            earliest: self.earliest,
        }
    }

    /// Goes on where another transcoder of this stream stopped. An open packet is forgotten.
    pub fn restore(&mut self, state: State) {
        self.next_seq = state.next_seq;
        self.discarded = state.discarded;
        self.last = state.last;
        self.earliest = state.earliest;
        self.begin = None;
        self.events = 0;
        self.finished = true;
    }

    /// Other events from now on: some were enabled, or a module brought some.
    pub fn set_programs(&mut self, programs: Arc<Programs>) {
        self.programs = programs;
    }

    /// It was said that nothing older than this is to come, while no event was in the open packet: the next packet
    /// begins no earlier, whatever the time stamp of its page.
    pub fn idle_until(&mut self, time: u64) {
        if self.events == 0 {
            self.begin = None;
            self.finished = true;
        }
        self.last = self.last.max(time);
    }

    /// Counts events that the kernel dropped without a mark in a page: what it does when the buffer is
    /// full and must not be overwritten (`dropped events` in `per_cpu/cpuN/stats`).
    pub fn add_discarded(&mut self, events: u64) {
        self.discarded += events;
    }

    /// The stream begins here: what was lost before is none of its business.
    pub fn forget_discarded(&mut self) {
        self.discarded = 0;
    }

    /// Discarded events of the stream so far.
    pub fn discarded(&self) -> u64 {
        self.discarded
    }

    /// No page has been added since the packet before.
    pub fn is_empty(&self) -> bool {
        self.begin.is_none()
    }

    /// Bytes of the open packet with its header.
    pub fn len(&self) -> usize {
        if self.is_empty() { 0 } else { self.out.len() }
    }

    /// Events in the open packet.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Clock of the last event, or the end of the packet before if that is later.
    pub fn last_timestamp(&self) -> u64 {
        self.last
    }

    fn open(&mut self, at: u64) {
        if self.finished {
            self.out.clear();
            self.finished = false;
        }
        if self.begin.is_none() {
            self.out.zeros_to(header::LEN);
            let begin = at.max(self.last).max(self.earliest);
            self.begin = Some(begin);
            self.last = begin;
        }
    }

    /// Adds the events of a page to the packet, as it was read from `trace_pipe_raw`, when nothing is known of
    /// any task.
    pub fn add_page(&mut self, page: &[u8]) -> Result<PageSummary, PageError> {
        self.add_page_of(page, &Tasks::default())
    }

    /// Adds the events of a page to the packet. `tasks` knows everything until the page was read.
    pub fn add_page_of(&mut self, page: &[u8], tasks: &Tasks) -> Result<PageSummary, PageError> {
        let page = Page::parse(page, &self.programs.machine)?;
        self.open(page.timestamp());
        let mut summary = PageSummary {
            missed: page.missed(),
            ..PageSummary::default()
        };
        self.discarded += match page.missed() {
            None => 0,
            Some(Missed::Count(events)) => events,
            Some(Missed::Unknown) => 1,
        };
        let order = self.programs.machine.byte_order;
        let mut writer = Writer {
            programs: &self.programs,
            out: &mut self.out,
            last: self.last,
        };
        // A loop for each order and for contexts or none: the compiler drops what the others need.
        if self.contexts.is_unused() {
            match order {
                ByteOrder::Little => {
                    writer.page(&page, ByteOrder::Little, &mut NoContext, &mut summary);
                }
                ByteOrder::Big => writer.page(&page, ByteOrder::Big, &mut NoContext, &mut summary),
            }
        } else {
            let context = &mut self.contexts.with(tasks, order);
            match order {
                ByteOrder::Little => writer.page(&page, ByteOrder::Little, context, &mut summary),
                ByteOrder::Big => writer.page(&page, ByteOrder::Big, context, &mut summary),
            }
        }
        self.last = writer.last;
        self.events += summary.events;
        Ok(summary)
    }

    /// Completes the packet. It ends at the last event, or at `end` if that is later; give the clock as it
    /// was before the buffer was looked at, so that no event of the next packet is earlier. Without a
    /// page, this is an empty packet at `end`.
    ///
    /// The next page begins the next packet.
    pub fn finish(&mut self, end: Option<u64>) -> Packet<'_> {
        self.open(end.unwrap_or(0));
        let begin = self.begin.take().unwrap_or(self.last);
        self.last = self.last.max(end.unwrap_or(0));
        // Readers sort the packets of several chunks by their begin: no two may have the same.
        self.earliest = begin + u64::from(begin == self.last);
        let numbers = header::Numbers {
            begin,
            end: self.last,
            seq: self.next_seq,
            discarded: self.discarded,
        };
        let order = self.programs.machine.byte_order;
        header::write(self.out.bytes_mut(), &self.identity, &numbers, order);
        self.finished = true;
        self.next_seq += 1;
        Packet {
            bytes: self.out.bytes(),
            begin,
            end: self.last,
            seq: numbers.seq,
            events: std::mem::take(&mut self.events),
            events_discarded: self.discarded,
            after: State {
                next_seq: self.next_seq,
                discarded: self.discarded,
                last: self.last,
                earliest: self.earliest,
            },
        }
    }
}

/// Appends events to a packet.
struct Writer<'a> {
    programs: &'a Programs,
    out: &'a mut Out,
    last: u64,
}

/// Bytes before the other context fields: header and thread id, at most.
const PREFIX_LEN: usize = 14 + 4;

impl Writer<'_> {
    #[inline(always)]
    fn page<C: WriteContext>(
        &mut self,
        page: &Page<'_>,
        order: ByteOrder,
        context: &mut C,
        summary: &mut PageSummary,
    ) {
        let mut records = page.records();
        for record in records.by_ref() {
            self.event(record, order, context, summary);
        }
        summary.damaged = records.damaged();
    }

    #[inline(always)]
    fn event<C: WriteContext>(
        &mut self,
        record: Record<'_>,
        order: ByteOrder,
        context: &mut C,
        summary: &mut PageSummary,
    ) {
        let Some(common) = record.data.first_chunk::<COMMON_LEN>() else {
            summary.malformed += 1;
            return;
        };
        let id = u16::from_bytes(&[common[0], common[1]], order);
        let Some(Some(program)) = self.programs.by_id.get(usize::from(id)) else {
            summary.unknown += 1;
            return;
        };
        let start = self.out.len();
        let before = self.last;
        self.out.reserve(PREFIX_LEN + C::ROOM + program.fixed_len);
        let mut time = record.timestamp;
        if time < before {
            time = before;
            summary.out_of_order += 1;
        }
        let tid = [common[4], common[5], common[6], common[7]];
        if time - before <= u64::from(u32::MAX) {
            let mut prefix = [0; 10];
            prefix[..2].copy_from_slice(&id.bytes(order));
            prefix[2..6].copy_from_slice(&(time as u32).bytes(order));
            prefix[6..].copy_from_slice(&tid);
            self.out.put(&prefix);
        } else {
            self.extended(id, time, tid, order);
        }
        context.write(
            common,
            u32::from_bytes(&tid, order),
            record.timestamp,
            self.out,
        );
        if program.run(record.data, order, self.out).is_none() {
            self.out.truncate(start);
            summary.malformed += 1;
            return;
        }
        self.last = time;
        summary.events += 1;
    }

    #[cold]
    fn extended(&mut self, id: u16, time: u64, tid: [u8; 4], order: ByteOrder) {
        self.out.put(&u16::MAX.bytes(order));
        self.out.put(&u32::from(id).bytes(order));
        self.out.put(&time.bytes(order));
        self.out.put(&tid);
    }
}
