//! How the payload of an event is made from a record: a row of steps, worked out once.
//!
//! What lies side by side in both is one copy, however many fields it is.

use std::io::Write as _;

use ctf::types::ByteOrder;

use crate::machine::Number;
use crate::names::rwbs_flags;

/// The steps of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// Bytes that a record must have for the fixed parts.
    pub(crate) record_len: usize,
    /// Bytes that the fixed parts have in the packet.
    pub(crate) fixed_len: usize,
    pub(crate) steps: Box<[Step]>,
}

/// Offsets count from the start of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Bytes as they are.
    Copy { from: u32, len: u32 },
    /// The word at `at` tells where text is: up to its first zero byte, with one zero byte after it.
    Text { at: u32, base: Base },
    /// The same; if the record has nothing behind its fixed parts, the number in `size` bytes at `from` in
    /// hexadecimal digits. The kernel makes room for an empty text.
    TextOrAddress {
        at: u32,
        base: Base,
        from: u32,
        size: u32,
    },
    /// The word at `at` tells where elements of `element` bytes are: a 16-bit count, then they.
    Elements { at: u32, base: Base, element: u32 },
    /// Text from `from` to the end of the record.
    RestText { from: u32 },
    /// Elements from `from` to the end of the record: a 32-bit count, then they.
    RestElements { from: u32, element: u32 },
    /// The letters of a block request's kind in `len` bytes: 32 bits of LTTng's flags.
    Rwbs { from: u32, len: u32 },
}

/// What the offset in a location word counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// The start of the record.
    Record,
    /// The end of the word.
    Word,
}

/// Collects steps.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    steps: Vec<Step>,
    record_len: usize,
    fixed_len: usize,
}

impl Builder {
    /// Copies `len` bytes at `from`.
    pub(crate) fn copy(&mut self, from: u32, len: u32) {
        self.needs(from, len);
        self.fixed_len += len as usize;
        if let Some(Step::Copy {
            from: before,
            len: length,
        }) = self.steps.last_mut()
            && *before + *length == from
        {
            *length += len;
            return;
        }
        self.steps.push(Step::Copy { from, len });
    }

    /// Adds any other step. The record must reach to `from + len`.
    pub(crate) fn push(&mut self, step: Step, from: u32, len: u32) {
        self.needs(from, len);
        self.fixed_len += match step {
            Step::Copy { len, .. } => len as usize,
            Step::Text { .. } | Step::TextOrAddress { .. } | Step::RestText { .. } => 1,
            Step::Elements { .. } => 2,
            Step::RestElements { .. } | Step::Rwbs { .. } => 4,
        };
        self.steps.push(step);
    }

    /// The record must reach to `from + len`.
    pub(crate) fn needs(&mut self, from: u32, len: u32) {
        self.record_len = self.record_len.max((from + len) as usize);
    }

    pub(crate) fn finish(self) -> Program {
        Program {
            record_len: self.record_len,
            fixed_len: self.fixed_len,
            steps: self.steps.into(),
        }
    }
}

/// A packet under construction: memory that is always initialised, and how much of it is in use.
#[derive(Debug, Default)]
pub(crate) struct Out {
    memory: Vec<u8>,
    len: usize,
}

impl Out {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.memory[..self.len]
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[..self.len]
    }

    /// Makes room for `more` bytes.
    #[inline(always)]
    pub(crate) fn reserve(&mut self, more: usize) {
        if self.memory.len() - self.len < more {
            self.grow(more);
        }
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        let wanted = (self.len + more).next_power_of_two().max(4096);
        self.memory.resize(wanted, 0);
    }

    /// Takes back what was written after the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Appends `bytes`; there is room, or this panics.
    #[inline(always)]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.memory[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Appends the first `len` of `bytes`; there is room for all of them, or this panics. One copy of a known
    /// length is faster than one of any length.
    #[inline(always)]
    pub(crate) fn put_some<const N: usize>(&mut self, bytes: &[u8; N], len: usize) {
        self.memory[self.len..self.len + N].copy_from_slice(bytes);
        self.len += len.min(N);
    }

    /// Appends zero bytes up to a length of `len`.
    pub(crate) fn zeros_to(&mut self, len: usize) {
        self.reserve(len.saturating_sub(self.len));
        if self.len < len {
            self.memory[self.len..len].fill(0);
            self.len = len;
        }
    }
}

impl Program {
    /// Appends the payload for `record`; `None`, and nothing appended that counts, if the record is not
    /// what the format says.
    #[inline(always)]
    pub(crate) fn run(&self, record: &[u8], order: ByteOrder, out: &mut Out) -> Option<()> {
        if record.len() < self.record_len {
            return None;
        }
        out.reserve(self.fixed_len);
        for step in &self.steps {
            match *step {
                Step::Copy { from, len } => {
                    out.put(&record[from as usize..(from + len) as usize]);
                }
                step => self.dynamic(step, record, order, out)?,
            }
        }
        Some(())
    }

    /// Every step but a copy. Leaves room for all fixed parts, of which some may follow.
    fn dynamic(&self, step: Step, record: &[u8], order: ByteOrder, out: &mut Out) -> Option<()> {
        match step {
            Step::Copy { from, len } => out.put(&record[from as usize..(from + len) as usize]),
            Step::Text { at, base } => self.text(located(record, at, base, order)?, out),
            Step::TextOrAddress {
                at,
                base,
                from,
                size,
            } => match located(record, at, base, order)? {
                [] if record.len() == self.record_len => {
                    self.address(&record[from as usize..(from + size) as usize], order, out);
                }
                text => self.text(text, out),
            },
            Step::RestText { from } => self.text(&record[from as usize..], out),
            Step::Elements { at, base, element } => {
                let bytes = located(record, at, base, order)?;
                // At most 65535 bytes, so the count fits.
                let count = (bytes.len() / element as usize) as u16;
                self.elements(&count.bytes(order), bytes, element, out);
            }
            Step::RestElements { from, element } => {
                let bytes = &record[from as usize..];
                let count = (bytes.len() / element as usize) as u32;
                self.elements(&count.bytes(order), bytes, element, out);
            }
            Step::Rwbs { from, len } => {
                let letters = &record[from as usize..(from + len) as usize];
                out.put(&rwbs_flags(letters).bytes(order));
            }
        }
        Some(())
    }

    fn text(&self, bytes: &[u8], out: &mut Out) {
        let end = bytes.iter().position(|&byte| byte == 0);
        let text = &bytes[..end.unwrap_or(bytes.len())];
        out.reserve(text.len() + self.fixed_len);
        out.put(text);
        out.put(&[0]);
    }

    fn address(&self, bytes: &[u8], order: ByteOrder, out: &mut Out) {
        let push = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        let address = match order {
            ByteOrder::Little => bytes.iter().rev().fold(0, push),
            ByteOrder::Big => bytes.iter().fold(0, push),
        };
        let mut text = [0; 20];
        // It always fits, and what it leaves free ends it.
        let _ = write!(&mut text[..], "{address:#x}");
        self.text(&text, out);
    }

    fn elements(&self, count: &[u8], bytes: &[u8], element: u32, out: &mut Out) {
        let whole = bytes.len() - bytes.len() % element as usize;
        out.reserve(whole + self.fixed_len);
        out.put(count);
        out.put(&bytes[..whole]);
    }
}

/// What the location word at `at` points to.
#[inline]
fn located(record: &[u8], at: u32, base: Base, order: ByteOrder) -> Option<&[u8]> {
    let word = u32::from_bytes(record.get(at as usize..)?.first_chunk()?, order);
    let (offset, length) = ((word & 0xffff) as usize, (word >> 16) as usize);
    let start = match base {
        Base::Record => offset,
        Base::Word => at as usize + 4 + offset,
    };
    record.get(start..)?.get(..length)
}
