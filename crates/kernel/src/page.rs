//! Reads the records of a raw ring-buffer page: what `trace_pipe_raw` gives, or what lies in a mapped
//! ring buffer.
//!
//! ```text
//! time stamp | commit word        | record | record | … | (missed count) | rest of the page
//!     8      | 4 or 8: length,    | 32-bit header: type_len 5, time_delta 27
//!            | and two flags      |
//! ```
//!
//! | `type_len` | what follows |
//! | --- | --- |
//! | 1 … 28 | a record of that many 32-bit words |
//! | 0 | a word with the length of itself and the record, then the record |
//! | 29 | nothing more in the page (no delta); or a discarded record, with the length as above |
//! | 30 | a word: the higher bits of a delta that needs more than 27 |
//! | 31 | a word: the higher bits of an absolute time stamp of 59 bits |
//!
//! Pages come from the kernel, but they are read as if they did not: nothing in them can make the reader
//! leave the page, loop or panic. Held by `tests/any_bytes.rs`.

use ctf::types::ByteOrder;

use crate::machine::{Machine, Number};

/// Flag of the commit word: events were lost before this page.
const MISSED: u64 = 1 << 31;
/// Flag of the commit word: their number stands after the last record.
const MISSED_STORED: u64 = 1 << 30;
/// Bits of the commit word that are the length.
const LENGTH_MASK: u64 = (1 << 27) - 1;
/// Bits of a delta in the header of a record.
const DELTA_BITS: u32 = 27;
/// Bits of an absolute time stamp; the rest is that of the time stamp before.
const ABSOLUTE_BITS: u32 = 59;

const PADDING: u32 = 29;
const TIME_EXTEND: u32 = 30;
const TIME_STAMP: u32 = 31;

/// Events that were overwritten before this page was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// That many.
    Count(u64),
    /// At least one: the page had no room for the number.
    Unknown,
}

/// Why bytes are no page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// Shorter than the header of a page.
    #[error("a page of {got} bytes, its header alone has {needed}")]
    TooShort {
        /// Bytes of the header.
        needed: usize,
        /// Bytes given.
        got: usize,
    },
    /// The records would go beyond the end.
    #[error("{commit} bytes of records in a page with room for {room}")]
    CommitTooLarge {
        /// Length in the commit word.
        commit: usize,
        /// Bytes after the header.
        room: usize,
    },
}

/// A page whose header has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    timestamp: u64,
    missed: Option<Missed>,
    records: &'a [u8],
    used: usize,
    order: ByteOrder,
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Clock of the trace instance.
    pub timestamp: u64,
    /// From `common_type` on; a whole number of 32-bit words.
    pub data: &'a [u8],
}

impl<'a> Page<'a> {
    /// Checks the header of `bytes`, a page of any size.
    pub fn parse(bytes: &'a [u8], machine: &Machine) -> Result<Self, PageError> {
        let layout = &machine.page;
        let order = machine.byte_order;
        let data_offset = layout.data_offset as usize;
        let Some((header, data)) = bytes.split_at_checked(data_offset) else {
            return Err(PageError::TooShort {
                needed: data_offset,
                got: bytes.len(),
            });
        };
        // The header was checked to have both words inside.
        let word = |offset: u32, size: u32| long(header, offset as usize, size, order);
        let timestamp = word(layout.timestamp_offset, 8).unwrap_or(0);
        let commit = word(layout.commit_offset, layout.commit_size).unwrap_or(0);
        let length = (commit & LENGTH_MASK) as usize;
        let Some((records, rest)) = data.split_at_checked(length) else {
            return Err(PageError::CommitTooLarge {
                commit: length,
                room: data.len(),
            });
        };
        let stored = if commit & MISSED != 0 && commit & MISSED_STORED != 0 {
            long(rest, 0, layout.commit_size, order)
        } else {
            None
        };
        let missed = (commit & MISSED != 0).then(|| stored.map_or(Missed::Unknown, Missed::Count));
        let behind = stored.map_or(0, |_| layout.commit_size as usize);
        Ok(Self {
            timestamp,
            missed,
            records,
            used: data_offset + length + behind,
            order,
        })
    }

    /// What the time stamps of the records count from: not later than the first of them.
    pub fn timestamp(&self) -> u64 {
        self.timestamp
    }

    /// Events lost before this page.
    pub fn missed(&self) -> Option<Missed> {
        self.missed
    }

    /// Bytes from the begin of the page that mean something: as good as the whole page.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Bytes of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Nothing is in the page.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The records, in order.
    pub fn records(&self) -> Records<'a> {
        Records {
            rest: self.records,
            timestamp: self.timestamp,
            order: self.order,
            damaged: false,
        }
    }
}

/// An unsigned number of 4 or 8 bytes.
fn long(bytes: &[u8], offset: usize, size: u32, order: ByteOrder) -> Option<u64> {
    let bytes = bytes.get(offset..)?;
    if size == 8 {
        Some(u64::from_bytes(bytes.first_chunk()?, order))
    } else {
        word(bytes, order).map(u64::from)
    }
}

#[inline(always)]
fn word(bytes: &[u8], order: ByteOrder) -> Option<u32> {
    Some(u32::from_bytes(bytes.first_chunk()?, order))
}

/// Iterator over the records of a page.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    timestamp: u64,
    order: ByteOrder,
    damaged: bool,
}

impl<'a> Records<'a> {
    /// After the end: whether the page ended in something that is no record. What came before is good.
    pub fn damaged(&self) -> bool {
        self.damaged
    }

    /// Splits `length` bytes off the front, or ends the page.
    #[inline(always)]
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        match self.rest.split_at_checked(length) {
            Some((taken, rest)) => {
                self.rest = rest;
                Some(taken)
            }
            None => self.damage(),
        }
    }

    #[cold]
    fn damage<T>(&mut self) -> Option<T> {
        self.damaged = true;
        self.rest = &[];
        None
    }

    /// Everything that is not a record of a length in its header. `Some(None)`: go on.
    fn special(&mut self, kind: u32, delta: u64) -> Option<Option<&'a [u8]>> {
        if kind == PADDING && delta == 0 {
            // The kernel leaves the rest of the page alone.
            self.rest = &[];
            return None;
        }
        // The length word, or the higher bits of a time.
        let Some(value) = word(&self.rest[4..], self.order) else {
            return self.damage();
        };
        match kind {
            TIME_EXTEND => {
                self.take(8)?;
                let delta = delta + (u64::from(value) << DELTA_BITS);
                self.timestamp = self.timestamp.wrapping_add(delta);
            }
            TIME_STAMP => {
                self.take(8)?;
                let low = delta + (u64::from(value) << DELTA_BITS);
                self.timestamp = absolute(low, self.timestamp);
            }
            kind => {
                let length = value as usize;
                if length < 4 || !length.is_multiple_of(4) {
                    return self.damage();
                }
                let record = self.take(length.saturating_add(4))?;
                if kind == PADDING {
                    // A discarded record must have a delta, so one nanosecond stands for none.
                    let delta = if delta == 1 { 0 } else { delta };
                    self.timestamp = self.timestamp.wrapping_add(delta);
                } else {
                    self.timestamp = self.timestamp.wrapping_add(delta);
                    return Some(Some(&record[8..]));
                }
            }
        }
        Some(None)
    }
}

/// The time whose low 59 bits are `low` and that is not before `before`.
fn absolute(low: u64, before: u64) -> u64 {
    let high = before >> ABSOLUTE_BITS << ABSOLUTE_BITS;
    let low = low & ((1 << ABSOLUTE_BITS) - 1);
    if high == 0 {
        return low;
    }
    let time = high | low;
    if time < before {
        time.wrapping_add(1 << ABSOLUTE_BITS)
    } else {
        time
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Record<'a>> {
        loop {
            let Some(header) = word(self.rest, self.order) else {
                self.damaged |= !self.rest.is_empty();
                return None;
            };
            // The bit fields of C begin at the least significant bit on little-endian machines only.
            let (kind, delta) = match self.order {
                ByteOrder::Little => (header & 31, header >> 5),
                ByteOrder::Big => (header >> DELTA_BITS, header & ((1 << DELTA_BITS) - 1)),
            };
            let delta = u64::from(delta);
            if kind.wrapping_sub(1) < 28 {
                self.timestamp = self.timestamp.wrapping_add(delta);
                let record = self.take(4 + 4 * kind as usize)?;
                return Some(Record {
                    timestamp: self.timestamp,
                    data: &record[4..],
                });
            }
            if let Some(data) = self.special(kind, delta)? {
                return Some(Record {
                    timestamp: self.timestamp,
                    data,
                });
            }
        }
    }
}
