//! The events of a packet.

use super::error::{DecodeError, DecodeErrorKind};
use super::header::PacketInfo;
use super::run::Machine;
use super::value::{Value, Values};
use super::{Decoder, EventPlan, PacketSummary, StreamPlan};
use crate::metadata::EventClass;

/// Walks over the events of a packet, in order.
#[derive(Debug)]
pub struct PacketCursor<'a> {
    decoder: &'a Decoder,
    stream: &'a StreamPlan,
    info: PacketInfo,
    machine: Machine<'a>,
    /// Clock of the last event, or of the begin of the packet.
    clock: u64,
}

/// One event. Its values are decoded only when asked for.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Stream class id.
    pub stream_id: u64,
    /// Event id.
    pub id: u64,
    /// Clock value, all 64 bits.
    pub timestamp: u64,
    decoder: &'a Decoder,
    stream: &'a StreamPlan,
    plan: &'a EventPlan,
    bytes: &'a [u8],
    /// Where contexts and payload start, and the end of the event, in bits.
    start: u64,
    end: u64,
}

/// The values of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct EventFields<'a> {
    /// Context fields of the stream.
    pub context: Value<'a>,
    /// Context fields of this kind of event.
    pub own_context: Value<'a>,
    /// Payload fields.
    pub payload: Value<'a>,
}

impl Decoder {
    /// The events of `packet`: the bytes from its start to its end or beyond.
    pub fn events<'a>(&'a self, packet: &'a [u8]) -> Result<PacketCursor<'a>, DecodeError> {
        let (stream, info, machine) = self.open(packet)?;
        let clock = info.begin.unwrap_or(0);
        Ok(PacketCursor {
            decoder: self,
            stream,
            info,
            machine,
            clock,
        })
    }

    /// Counts the events of `packet` without decoding their values.
    pub fn count_events(&self, packet: &[u8]) -> Result<PacketSummary, DecodeError> {
        let mut cursor = self.events(packet)?;
        let mut events = 0;
        while cursor.step()?.is_some() {
            events += 1;
        }
        Ok(PacketSummary {
            events,
            info: cursor.info,
        })
    }
}

impl<'a> PacketCursor<'a> {
    /// What the packet says about itself.
    pub fn info(&self) -> &PacketInfo {
        &self.info
    }

    /// The next event, or `None` behind the last one. After an error the packet cannot be decoded
    /// further: each later call meets an error or the end.
    pub fn next_event(&mut self) -> Result<Option<Event<'a>>, DecodeError> {
        let Some((plan, start)) = self.step()? else {
            return Ok(None);
        };
        Ok(Some(Event {
            stream_id: self.info.stream_id,
            id: plan.id,
            timestamp: self.clock,
            decoder: self.decoder,
            stream: self.stream,
            plan,
            bytes: self.machine.bytes,
            start,
            end: self.machine.at,
        }))
    }

    /// Walks over the next event; returns its plan and where its contexts start.
    #[inline]
    fn step(&mut self) -> Result<Option<(&'a EventPlan, u64)>, DecodeError> {
        let machine = &mut self.machine;
        let begin = machine.at;
        if begin >= machine.limit {
            return Ok(None);
        }
        let (id, stamp) = self.stream.event_header.read(machine)?;
        if let Some((stamp, bits)) = stamp {
            self.clock = later(self.clock, stamp, bits);
        }
        let Some(plan) = self.stream.event(id) else {
            let stream = self.info.stream_id;
            machine.at = begin;
            return Err(machine.error(DecodeErrorKind::UnknownEvent { stream, event: id }));
        };
        let start = machine.at;
        machine.reserve(plan.plan.slots);
        machine.run(&plan.plan.ops)?;
        if machine.at == begin {
            return Err(machine.error(DecodeErrorKind::Endless));
        }
        Ok(Some((plan, start)))
    }
}

/// The first clock value that is not before `clock` and ends with the `bits` bits of `stamp`.
fn later(clock: u64, stamp: u64, bits: u32) -> u64 {
    if bits >= 64 {
        return stamp;
    }
    let mask = (1 << bits) - 1;
    let candidate = clock & !mask | stamp;
    if candidate < clock {
        candidate.wrapping_add(mask + 1)
    } else {
        candidate
    }
}

impl<'a> Event<'a> {
    /// The event class: name, log level, declared fields.
    pub fn class(&self) -> Option<&'a EventClass> {
        let event = self
            .decoder
            .schema()
            .events
            .get(&(self.stream_id, self.id))?;
        Some(&event.class)
    }

    /// Decodes all values.
    pub fn fields(&self) -> Result<EventFields<'a>, DecodeError> {
        let mut machine = Machine::new(self.bytes);
        machine.at = self.start;
        machine.limit = self.end;
        let mut values = Values::new(machine, self.decoder.byte_order());
        Ok(EventFields {
            context: values.row(&self.stream.event_context)?,
            own_context: values.row(&self.plan.own_context)?,
            payload: values.row(&self.plan.payload)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::PacketInfo;
    use crate::units::Bits;

    #[test]
    fn short_time_stamps_go_on_from_the_last_one() {
        let clock = 0x0000_0205_6B69_E1A9;
        assert_eq!(later(clock, 0x6B69_E1A9, 32), clock);
        assert_eq!(later(clock, 0x6B69_E1AA, 32), clock + 1);
        // The low bits went once around.
        assert_eq!(later(clock, 0x6B69_E1A8, 32), clock + (1 << 32) - 1);
        assert_eq!(later(clock, 5, 27), (clock >> 27 << 27) + (1 << 27) + 5);
        assert_eq!(later(clock, 5, 64), 5);
    }

    /// A schema by hand, without the writer: short headers, big endian, natural alignment.
    const BIG_ENDIAN: &str = "
        typealias integer { size = 8; align = 8; } := u8;
        typealias integer { size = 16; align = 16; } := u16;
        typealias integer { size = 32; align = 32; } := u32;
        typealias integer { size = 64; align = 64; } := u64;
        trace {
            byte_order = be;
            packet.header := struct { u32 magic; u8 uuid[16]; u32 stream_id; };
            uuid = \"00010203-0405-0607-0809-0a0b0c0d0e0f\";
        };
        stream {
            id = 2;
            packet.context := struct { u64 timestamp_begin; u16 content_size; u32 packet_size; };
            event.header := struct { u8 id; u32 timestamp; };
            event.context := struct { u16 _cpu; };
        };
        event {
            id = 7; stream_id = 2; name = \"x\";
            fields := struct { u8 _n; u32 _words[ _n ]; string _s; integer { size = 16; align = 16; byte_order = le; } _le; };
        };";

    #[test]
    fn a_big_endian_packet_with_natural_alignment_by_hand() {
        let packet = [
            "c1fc1fc1 00010203 04050607 08090a0b 0c0d0e0f 00000002", // header; context on 8 bytes
            "00000001 fffffff0 02e0 0000 00000300",                  // begin, content, packet
            "07 000000 00000005 1234 0000", // event header, context, up to the 4-byte payload
            "02 000000 aaaaaaaa bbbbbbbb",  // n, words
            "6869 00 00 3412", // \"hi\", up to the next even byte, little-endian 0x1234
            "0000",            // the next header starts on 4 bytes
            "07 000000 00000004 0001 0000 00 000000 00 00 0100", // no words, empty text
            "00000000",
        ]
        .concat();
        let digits: Vec<u32> = packet.chars().filter_map(|c| c.to_digit(16)).collect();
        let packet: Vec<u8> = digits
            .chunks(2)
            .map(|pair| (pair[0] << 4 | pair[1]) as u8)
            .collect();
        let decoder = Decoder::new(BIG_ENDIAN).unwrap();

        let mut cursor = decoder.events(&packet).unwrap();
        assert_eq!(
            *cursor.info(),
            PacketInfo {
                stream_id: 2,
                stream_instance_id: None,
                begin: Some(0x1_FFFF_FFF0),
                end: None,
                discarded: None,
                seq: None,
                cpu_id: None,
                content_size: Bits(0x2e0),
                packet_size: Bits(0x300),
            }
        );
        let unsigned = |value| Value::Unsigned { value, base: 10 };
        let event = cursor.next_event().unwrap().unwrap();
        assert_eq!((event.id, event.timestamp), (7, 0x2_0000_0005));
        let fields = event.fields().unwrap();
        assert_eq!(
            fields.context,
            Value::Struct(vec![("cpu", unsigned(0x1234))])
        );
        assert_eq!(
            fields.payload,
            Value::Struct(vec![
                ("n", unsigned(2)),
                (
                    "words",
                    Value::Array(vec![unsigned(0xAAAA_AAAA), unsigned(0xBBBB_BBBB)])
                ),
                ("s", Value::Text(b"hi")),
                ("le", unsigned(0x1234)),
            ])
        );
        // The clock went around 2^32 once more.
        let event = cursor.next_event().unwrap().unwrap();
        assert_eq!(event.timestamp, 0x3_0000_0004);
        assert!(cursor.next_event().unwrap().is_none());
        assert_eq!(decoder.count_events(&packet).unwrap().events, 2);
    }
}
