//! What goes between the thread id and the payload of an event: the other context fields of the channel.

use ctf::types::ByteOrder;

use crate::context::{ContextField, Contexts};
use crate::machine::Number;
use crate::program::Out;
use crate::schema::COMMON_LEN;
use crate::tasks::{Tasks, UNKNOWN_ID, UNKNOWN_NAME};

/// Bytes of all context fields; copied whole, which is faster than in pieces.
const MAX_LEN: usize = 32;
/// Threads whose fields are kept, by the last bits of their ids.
const SLOTS: usize = 64;
/// In `common_flags`: interrupts were off; the thread should give up the CPU.
const IRQS_OFF: u8 = 0x01;
const NEED_RESCHED: u8 = 0x04;

/// Writes the context fields of an event.
pub(super) trait WriteContext {
    /// Bytes for which there must be room.
    const ROOM: usize;
    /// `common` is how the record begins.
    fn write(&mut self, common: &[u8; COMMON_LEN], tid: u32, time: u64, out: &mut Out);
}

/// There are none.
pub(super) struct NoContext;

impl WriteContext for NoContext {
    const ROOM: usize = 0;

    #[inline(always)]
    fn write(&mut self, _: &[u8; COMMON_LEN], _: u32, _: u64, _: &mut Out) {}
}

/// Context fields of the threads that ran lately.
#[derive(Clone, Debug)]
pub(super) struct ContextCache {
    contexts: Contexts,
    cpu: u32,
    generation: u64,
    /// Bytes that depend on the thread, and all of them.
    task_len: usize,
    len: usize,
    slots: Box<[Slot]>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    tid: u32,
    /// For events of these times.
    from: u64,
    until: u64,
    bytes: [u8; MAX_LEN],
}

/// For no event.
const EMPTY: Slot = Slot {
    tid: 0,
    from: 1,
    until: 0,
    bytes: [0; MAX_LEN],
};

impl ContextCache {
    pub(super) fn new(contexts: &Contexts, cpu: u32) -> Self {
        let len = |field: &ContextField| match field {
            ContextField::Pid | ContextField::Ppid => 4,
            ContextField::Procname => 16,
            ContextField::Interruptible | ContextField::NeedReschedule => 1,
        };
        let fields = contexts.fields();
        let flag = |field: &&ContextField| {
            matches!(
                field,
                ContextField::Interruptible | ContextField::NeedReschedule
            )
        };
        let total: usize = fields.iter().map(len).sum();
        Self {
            contexts: contexts.clone(),
            cpu,
            generation: 0,
            task_len: total - fields.iter().filter(flag).count(),
            len: total,
            slots: vec![EMPTY; SLOTS].into(),
        }
    }

    pub(super) fn is_unused(&self) -> bool {
        self.len == 0
    }

    /// For the events of a page.
    pub(super) fn with<'c>(&'c mut self, tasks: &'c Tasks, order: ByteOrder) -> Context<'c> {
        if self.generation != tasks.generation() {
            self.generation = tasks.generation();
            self.slots.fill(EMPTY);
        }
        let has = |field| self.contexts.fields().contains(&field);
        Context {
            interruptible: has(ContextField::Interruptible),
            need_reschedule: has(ContextField::NeedReschedule),
            cache: self,
            tasks,
            order,
        }
    }
}

/// Writes those that there are.
pub(super) struct Context<'c> {
    cache: &'c mut ContextCache,
    tasks: &'c Tasks,
    order: ByteOrder,
    interruptible: bool,
    need_reschedule: bool,
}

impl WriteContext for Context<'_> {
    const ROOM: usize = MAX_LEN;

    #[inline(always)]
    fn write(&mut self, common: &[u8; COMMON_LEN], tid: u32, time: u64, out: &mut Out) {
        let slot = &self.cache.slots[tid as usize % SLOTS];
        if slot.tid != tid || time < slot.from || time >= slot.until {
            self.find(tid, time);
        }
        let mut bytes = self.cache.slots[tid as usize % SLOTS].bytes;
        let mut at = self.cache.task_len;
        if self.interruptible {
            bytes[at % MAX_LEN] = (common[2] & IRQS_OFF == 0).into();
            at += 1;
        }
        if self.need_reschedule {
            bytes[at % MAX_LEN] = (common[2] & NEED_RESCHED != 0).into();
        }
        out.put_some(&bytes, self.cache.len);
    }
}

impl Context<'_> {
    #[inline(never)]
    fn find(&mut self, tid: u32, time: u64) {
        let cpu = self.cache.cpu;
        let mut slot = Slot {
            tid,
            from: time,
            until: u64::MAX,
            bytes: [0; MAX_LEN],
        };
        let (pid, ppid, name) = if tid == 0 {
            // Each CPU has an idle task of its own.
            (0, 0, crate::tasks::name(format_swapper(cpu, &mut [0; 20])))
        } else {
            let (version, until) = self.tasks.at(tid, time);
            slot.until = until;
            match version {
                Some(version) => (version.pid, version.ppid, version.name),
                None => (UNKNOWN_ID, UNKNOWN_ID, UNKNOWN_NAME),
            }
        };
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            slot.bytes[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        for field in self.cache.contexts.fields() {
            match field {
                ContextField::Pid => put(&(pid as u32).bytes(self.order)),
                ContextField::Ppid => put(&(ppid as u32).bytes(self.order)),
                ContextField::Procname => put(&name),
                ContextField::Interruptible | ContextField::NeedReschedule => {}
            }
        }
        self.cache.slots[tid as usize % SLOTS] = slot;
    }
}

/// `swapper/CPU`, without memory of its own.
fn format_swapper(cpu: u32, text: &mut [u8; 20]) -> &[u8] {
    use std::io::Write;
    let mut rest = &mut text[..];
    // It always fits.
    let _ = write!(rest, "swapper/{cpu}");
    let left = rest.len();
    &text[..20 - left]
}
