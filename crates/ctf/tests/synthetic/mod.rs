//! Made-up traces: a random schema, random values, and the packet that holds them, encoded by rules
//! that are written down here once more, independent of the decoder.

#![allow(dead_code, reason = "each test uses its part")]

mod encode;
mod generate;

use ctf::decode::Value;
use ctf::metadata::Alignments;
use ctf::{ByteOrder, Clock, EventClass, HeaderType, StreamClass, TraceClass, Uuid, tsdl};

pub(crate) use generate::Kinds;

/// A small generator of pseudo-random numbers; the same seed gives the same trace.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// How a trace lays out its values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) order: ByteOrder,
    /// Basic types on their natural alignment, instead of packed.
    pub(crate) natural: bool,
    pub(crate) header: HeaderType,
}

impl Layout {
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for order in [ByteOrder::Little, ByteOrder::Big] {
            for natural in [false, true] {
                for header in [HeaderType::Compact, HeaderType::Large] {
                    all.push(Self {
                        order,
                        natural,
                        header,
                    });
                }
            }
        }
        all
    }
}

/// One event as it was put into the packet.
#[derive(Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) id: u64,
    pub(crate) timestamp: u64,
    pub(crate) context: Value<'a>,
    pub(crate) payload: Value<'a>,
}

/// The schema of a made-up trace.
pub(crate) struct Synthetic {
    pub(crate) layout: Layout,
    pub(crate) kinds: Kinds,
    pub(crate) trace: TraceClass,
    pub(crate) stream: StreamClass,
    pub(crate) events: Vec<EventClass>,
}

impl Synthetic {
    pub(crate) fn new(layout: Layout, kinds: Kinds, rng: &mut Rng) -> Self {
        let alignments = if layout.natural {
            Alignments {
                u8_bits: 8,
                u16_bits: 16,
                u32_bits: 32,
                u64_bits: 64,
                long_bits: 64,
            }
        } else {
            Alignments::PACKED
        };
        let trace = TraceClass {
            uuid: Uuid([0x5A; 16]),
            byte_order: layout.order,
            alignments,
            long_size_bits: 64,
            env: vec![
                ("hostname".to_owned(), "made-up".into()),
                ("number".to_owned(), (-7i64).into()),
            ],
            clock: Clock {
                name: "monotonic".to_owned(),
                uuid: None,
                description: "A \"clock\"".to_owned(),
                freq_hz: 1_000_000_000,
                offset: 0,
            },
        };
        let mut generator = generate::Generator {
            rng,
            layout,
            kinds,
            names: 0,
        };
        let stream = StreamClass {
            id: 3,
            header: layout.header,
            context: generator.fields(2, 2),
        };
        // Ids that fit the short headers, and ids that need the extended ones.
        let events = [0, 1, 30, 31, 65534, 65535, 70000]
            .into_iter()
            .map(|id| EventClass {
                name: format!("made:up_{id}"),
                id,
                stream_id: 3,
                loglevel: Some((id % 15) as i64),
                model_emf_uri: (id == 1).then(|| "http://example.com/\"\\".to_owned()),
                fields: generator.fields(5, 3),
            })
            .collect();
        Self {
            layout,
            kinds,
            trace,
            stream,
            events,
        }
    }

    pub(crate) fn metadata(&self) -> String {
        let mut text = tsdl::preamble(&self.trace);
        text += &tsdl::stream(&self.stream, self.layout.order);
        for event in &self.events {
            text += &tsdl::event(event, self.layout.order);
        }
        text
    }

    /// A packet with `count` events.
    pub(crate) fn packet(&self, count: usize, rng: &mut Rng) -> (Vec<u8>, Vec<Expected<'_>>) {
        encode::packet(self, count, rng)
    }
}
