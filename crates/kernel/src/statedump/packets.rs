//! The packets of a state dump.

use ctf::types::ByteOrder;

use super::StateDump;
use super::events::Kind;
use crate::machine::Number;
use crate::tasks::Name;
use crate::transcode::StreamIdentity;
use crate::transcode::header;

/// A packet that has this many bytes is complete.
const PACKET_LEN: usize = 60 << 10;

/// Packets under construction.
pub(super) struct Packets<'a> {
    identity: StreamIdentity,
    order: ByteOrder,
    tid: u32,
    max_bytes: usize,
    now: &'a mut dyn FnMut() -> u64,
    dump: StateDump,
    /// Where the open packet starts in the bytes, and when.
    open: Option<(usize, u64)>,
    last: u64,
}

impl<'a> Packets<'a> {
    pub(super) fn new(
        identity: StreamIdentity,
        order: ByteOrder,
        tid: u32,
        max_bytes: usize,
        now: &'a mut dyn FnMut() -> u64,
    ) -> Self {
        Self {
            identity,
            order,
            tid,
            max_bytes,
            now,
            dump: StateDump {
                bytes: Vec::new(),
                packet_lens: Vec::new(),
                events: 0,
                left_out: 0,
            },
            open: None,
            last: 0,
        }
    }

    /// An event without fields. There is always room for it.
    pub(super) fn mark(&mut self, kind: Kind) {
        self.event(kind, |_| ());
        self.dump.events += 1;
    }

    /// An event with the fields that `fill` writes.
    pub(super) fn add(&mut self, kind: Kind, fill: impl FnOnce(&mut Payload<'_>)) {
        if self.dump.bytes.len() >= self.max_bytes {
            self.dump.left_out += 1;
            return;
        }
        self.event(kind, fill);
        self.dump.events += 1;
    }

    fn event(&mut self, kind: Kind, fill: impl FnOnce(&mut Payload<'_>)) {
        let time = (self.now)().max(self.last);
        self.last = time;
        if self.open.is_none() {
            let start = self.dump.bytes.len();
            self.dump.bytes.resize(start + header::LEN, 0);
            self.open = Some((start, time));
        }
        let mut payload = Payload {
            bytes: &mut self.dump.bytes,
            order: self.order,
        };
        // The extended header: reading the system can take longer than a short one tells.
        payload.u16(u16::MAX);
        payload.u32(kind.id().into());
        payload.u64(time);
        payload.u32(self.tid);
        fill(&mut payload);
        if let Some((start, _)) = self.open
            && self.dump.bytes.len() - start >= PACKET_LEN
        {
            self.close();
        }
    }

    fn close(&mut self) {
        let Some((start, begin)) = self.open.take() else {
            return;
        };
        let numbers = header::Numbers {
            begin,
            end: self.last,
            seq: self.dump.packet_lens.len() as u64,
            discarded: self.dump.left_out,
        };
        let packet = &mut self.dump.bytes[start..];
        header::write(packet, &self.identity, &numbers, self.order);
        self.dump.packet_lens.push(packet.len());
    }

    pub(super) fn finish(mut self) -> StateDump {
        self.close();
        self.dump
    }
}

/// Writes the fields of an event.
pub(super) struct Payload<'a> {
    bytes: &'a mut Vec<u8>,
    order: ByteOrder,
}

impl Payload<'_> {
    pub(super) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.bytes.extend(value.bytes(self.order));
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes.extend(value.bytes(self.order));
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.bytes.extend(value.bytes(self.order));
    }

    /// Text up to its first zero byte, if it has one.
    pub(super) fn text(&mut self, text: &str) {
        let text = text.split('\0').next().unwrap_or_default();
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
    }

    /// The name of a thread.
    pub(super) fn name(&mut self, name: &Name) {
        self.bytes.extend(name);
    }
}
