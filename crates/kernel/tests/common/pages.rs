//! Builds ring-buffer pages as the kernel does, in either byte order.

use ctf::types::ByteOrder;
use kernel::machine::Machine;

/// A page under construction.
pub(crate) struct PageBuilder {
    machine: Machine,
    timestamp: u64,
    records: Vec<u8>,
    flags: u64,
    /// Goes after the records.
    missed: Option<u64>,
    size: usize,
}

const PADDING: u32 = 29;
const TIME_EXTEND: u32 = 30;
const TIME_STAMP: u32 = 31;

impl PageBuilder {
    /// A page of 4096 bytes whose first delta counts from `timestamp`.
    pub(crate) fn new(machine: &Machine, timestamp: u64) -> Self {
        Self {
            machine: *machine,
            timestamp,
            records: Vec::new(),
            flags: 0,
            missed: None,
            size: 4096,
        }
    }

    /// Another size of the page.
    pub(crate) fn size(&mut self, bytes: usize) -> &mut Self {
        self.size = bytes;
        self
    }

    fn put(&mut self, word: u32) {
        match self.machine.byte_order {
            ByteOrder::Little => self.records.extend(word.to_le_bytes()),
            ByteOrder::Big => self.records.extend(word.to_be_bytes()),
        }
    }

    /// The header of a record.
    pub(crate) fn header(&mut self, kind: u32, delta: u32) -> &mut Self {
        assert!(kind < 32 && delta < 1 << 27);
        match self.machine.byte_order {
            ByteOrder::Little => self.put(kind | delta << 5),
            ByteOrder::Big => self.put(kind << 27 | delta),
        }
        self
    }

    /// A word as it is.
    pub(crate) fn word(&mut self, word: u32) -> &mut Self {
        self.put(word);
        self
    }

    fn data(&mut self, data: &[u8]) -> &mut Self {
        self.records.extend_from_slice(data);
        let padded = self.records.len().next_multiple_of(4);
        self.records.resize(padded, 0);
        self
    }

    /// A record, `delta` after what came before.
    pub(crate) fn record(&mut self, delta: u32, data: &[u8]) -> &mut Self {
        let words = data.len().div_ceil(4);
        if (1..=28).contains(&words) {
            self.header(words as u32, delta).data(data)
        } else {
            self.header(0, delta).word(words as u32 * 4 + 4).data(data)
        }
    }

    /// A record that was taken back after it had been written.
    pub(crate) fn discarded(&mut self, delta: u32, data: &[u8]) -> &mut Self {
        let start = self.records.len();
        self.record(delta, data);
        let length = (self.records.len() - start - 4) as u32;
        let records = self.records.split_off(start);
        self.header(PADDING, delta.max(1)).word(length);
        self.records.extend_from_slice(&records[8..]);
        self
    }

    /// Time passes: more than a delta can tell.
    pub(crate) fn time_extend(&mut self, delta: u64) -> &mut Self {
        self.header(TIME_EXTEND, delta as u32 & ((1 << 27) - 1))
            .word((delta >> 27) as u32)
    }

    /// The time as it is, but for its highest 5 bits.
    pub(crate) fn time_stamp(&mut self, time: u64) -> &mut Self {
        let low = time & ((1 << 59) - 1);
        self.header(TIME_STAMP, low as u32 & ((1 << 27) - 1))
            .word((low >> 27) as u32)
    }

    /// The rest of the page is not used.
    pub(crate) fn end_padding(&mut self) -> &mut Self {
        self.header(PADDING, 0)
    }

    /// Events were lost before this page.
    pub(crate) fn missed(&mut self, count: Option<u64>) -> &mut Self {
        self.flags |= 1 << 31;
        if count.is_some() {
            self.flags |= 1 << 30;
        }
        self.missed = count;
        self
    }

    /// The page.
    pub(crate) fn finish(&self) -> Vec<u8> {
        let layout = &self.machine.page;
        let order = self.machine.byte_order;
        let bytes = |value: u64, size: u32| match (order, size) {
            (ByteOrder::Little, 8) => value.to_le_bytes().to_vec(),
            (ByteOrder::Little, _) => (value as u32).to_le_bytes().to_vec(),
            (ByteOrder::Big, 8) => value.to_be_bytes().to_vec(),
            (ByteOrder::Big, _) => (value as u32).to_be_bytes().to_vec(),
        };
        let mut page = bytes(self.timestamp, 8);
        page.extend(bytes(
            self.records.len() as u64 | self.flags,
            layout.commit_size,
        ));
        assert_eq!(page.len(), layout.data_offset as usize);
        page.extend_from_slice(&self.records);
        if let Some(missed) = self.missed {
            page.extend(bytes(missed, layout.commit_size));
        }
        assert!(page.len() <= self.size, "too much for the page");
        page.resize(self.size, 0xa5);
        page
    }
}
