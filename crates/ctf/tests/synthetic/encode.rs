//! Random values and their bytes.

use ctf::decode::Value;
use ctf::types::{Encoding, EnumMapping, EnumType, IntegerType};
use ctf::{ByteOrder, Field, FieldType, HeaderType};

use super::{Expected, Kinds, Rng, Synthetic};

/// Bits of a packet, first to last.
struct Bits {
    bytes: Vec<u8>,
    at: usize,
}

impl Bits {
    fn new() -> Self {
        Self {
            bytes: Vec::new(),
            at: 0,
        }
    }

    fn align(&mut self, bits: u32) {
        while !self.at.is_multiple_of(bits.max(1) as usize) {
            self.bit(false, ByteOrder::Little);
        }
    }

    fn bit(&mut self, set: bool, order: ByteOrder) {
        if self.at / 8 == self.bytes.len() {
            self.bytes.push(0);
        }
        let shift = match order {
            ByteOrder::Little => self.at % 8,
            ByteOrder::Big => 7 - self.at % 8,
        };
        self.bytes[self.at / 8] |= u8::from(set) << shift;
        self.at += 1;
    }

    /// The lowest `size` bits of `value`: least significant first in little endian.
    fn put(&mut self, value: u64, size: u32, order: ByteOrder) {
        for n in 0..size {
            let bit = match order {
                ByteOrder::Little => n,
                ByteOrder::Big => size - 1 - n,
            };
            self.bit(value >> bit & 1 == 1, order);
        }
    }

    fn put_aligned(&mut self, value: u64, size: u32, align: u32, order: ByteOrder) {
        self.align(align);
        self.put(value, size, order);
    }
}

/// The largest alignment in `ty`.
fn alignment(ty: &FieldType) -> u32 {
    let of = |fields: &[Field]| fields.iter().map(|f| alignment(&f.ty)).max().unwrap_or(1);
    match ty {
        FieldType::Integer(ty) => ty.align_bits,
        FieldType::Float(ty) => ty.align_bits,
        FieldType::String { .. } => 8,
        FieldType::Enum(ty) => ty.container.align_bits,
        FieldType::Array {
            element,
            align_bits,
            ..
        }
        | FieldType::Sequence {
            element,
            align_bits,
            ..
        } => alignment(element).max(*align_bits),
        FieldType::Struct { fields, align_bits } => of(fields).max(*align_bits),
        FieldType::Variant { align_bits, .. } => (*align_bits).max(1),
    }
}

struct Encoder<'r> {
    bits: Bits,
    order: ByteOrder,
    rng: &'r mut Rng,
    /// Least number of characters in a text, and of elements in a sequence.
    least: u64,
}

impl Encoder<'_> {
    fn row<'a>(&mut self, fields: &'a [Field]) -> Value<'a> {
        let align = fields.iter().map(|f| alignment(&f.ty)).max().unwrap_or(1);
        self.bits.align(align);
        self.fields(fields)
    }

    fn fields<'a>(&mut self, fields: &'a [Field]) -> Value<'a> {
        let mut members: Vec<(&str, Value<'a>)> = Vec::new();
        for field in fields {
            // Lengths and tags are what the field after them says.
            let value = match &field.ty {
                FieldType::Integer(ty) if field.name.ends_with("_length") => {
                    let length = self.least + self.rng.below(4 - self.least);
                    self.integer(ty, length)
                }
                FieldType::Sequence {
                    length_name,
                    element,
                    ..
                } => {
                    let length = members.iter().find_map(|(name, value)| match value {
                        Value::Unsigned { value, .. } if name == length_name => Some(*value),
                        _ => None,
                    });
                    self.bits.align(alignment(&field.ty));
                    self.elements(element, length.expect("a length before each sequence"))
                }
                FieldType::Variant {
                    tag_name, choices, ..
                } => {
                    let label = members.iter().find_map(|(name, value)| match value {
                        Value::Enum { labels, .. } if name == tag_name => Some(labels[0]),
                        _ => None,
                    });
                    let label = label.expect("a tag with a label before each variant");
                    let chosen = choices
                        .iter()
                        .find(|choice| format!("_{}", choice.name) == label)
                        .unwrap();
                    self.bits.align(alignment(&field.ty));
                    Value::Variant {
                        choice: &chosen.name,
                        value: Box::new(self.value(&chosen.ty)),
                    }
                }
                ty => self.value(ty),
            };
            members.push((&field.name, value));
        }
        Value::Struct(members)
    }

    fn value<'a>(&mut self, ty: &'a FieldType) -> Value<'a> {
        self.bits.align(alignment(ty));
        match ty {
            FieldType::Integer(ty) => {
                let raw = self.rng.next();
                self.integer(ty, raw)
            }
            FieldType::Float(ty) => {
                // A multiple of a quarter: exact in both sizes and in six digits.
                let number = self.rng.below(1000) as f64 / 4.0 - 125.0;
                let order = ty.byte_order.resolve(self.order);
                if ty.exp_dig == 8 {
                    self.bits.put((number as f32).to_bits().into(), 32, order);
                    Value::F32(number as f32)
                } else {
                    self.bits.put(number.to_bits(), 64, order);
                    Value::F64(number)
                }
            }
            FieldType::String { .. } => {
                let length = self.least + self.rng.below(20);
                let text = self.text(length, 1);
                text.iter()
                    .for_each(|byte| self.bits.put((*byte).into(), 8, self.order));
                self.bits.put(0, 8, self.order);
                Value::Text(text)
            }
            FieldType::Enum(ty) => self.enumeration(ty),
            FieldType::Array {
                element, length, ..
            } => self.elements(element, (*length).into()),
            FieldType::Struct { fields, .. } => self.fields(fields),
            FieldType::Sequence { .. } | FieldType::Variant { .. } => {
                unreachable!("only made as fields of structures")
            }
        }
    }

    fn integer<'a>(&mut self, ty: &IntegerType, raw: u64) -> Value<'a> {
        let raw = raw & (u64::MAX >> (64 - ty.size_bits));
        self.bits.put_aligned(
            raw,
            ty.size_bits,
            ty.align_bits,
            ty.byte_order.resolve(self.order),
        );
        if ty.signed {
            let negative = raw >> (ty.size_bits - 1) == 1;
            let above = if negative {
                u64::MAX.checked_shl(ty.size_bits).unwrap_or(0)
            } else {
                0
            };
            Value::Signed {
                value: (raw | above) as i64,
                base: ty.base,
                size_bits: ty.size_bits,
            }
        } else {
            Value::Unsigned {
                value: raw,
                base: ty.base,
            }
        }
    }

    fn enumeration<'a>(&mut self, ty: &'a EnumType) -> Value<'a> {
        let mut next = 0;
        let entry = self.rng.below(ty.entries.len() as u64) as usize;
        let mut value = 0;
        for entry in &ty.entries[..=entry] {
            value = match entry.mapping {
                EnumMapping::Auto => next,
                EnumMapping::Range { end, .. } => end.to_i128(),
            };
            next = value + 1;
        }
        self.integer(&ty.container, value as u64);
        Value::Enum {
            value,
            labels: vec![&ty.entries[entry].label],
        }
    }

    fn elements<'a>(&mut self, element: &'a FieldType, length: u64) -> Value<'a> {
        if let FieldType::Integer(ty) = element
            && ty.encoding != Encoding::None
        {
            // Zeros, where there may be some, end the text before the end of the array.
            let text = self.text(length, self.least);
            text.iter()
                .for_each(|byte| self.bits.put((*byte).into(), 8, self.order));
            return Value::Text(text.split(|byte| *byte == 0).next().unwrap());
        }
        Value::Array((0..length).map(|_| self.value(element)).collect())
    }

    /// Printable characters, and zeros if `from` is 0. Leaked: values borrow from what they decode.
    fn text<'a>(&mut self, length: u64, from: u64) -> &'a [u8] {
        let letters = b"\0abcXYZ 09_\"\\";
        let text = (0..length)
            .map(|_| letters[(from + self.rng.below(letters.len() as u64 - from)) as usize]);
        Box::leak(text.collect::<Box<[u8]>>())
    }
}

const BEGIN: u64 = 0x12_3456_789A;

fn packet_header(of: &Synthetic, end: u64, content: u64, size: u64) -> Bits {
    let mut bits = Bits::new();
    let (align, order) = (of.trace.alignments, of.layout.order);
    bits.put_aligned(0xC1FC_1FC1, 32, align.u32_bits, order);
    of.trace
        .uuid
        .0
        .iter()
        .for_each(|byte| bits.put((*byte).into(), 8, order));
    bits.put_aligned(of.stream.id, 32, align.u32_bits, order);
    bits.put_aligned(9, 64, align.u64_bits, order);
    for value in [BEGIN, end, content, size, 4, 5] {
        bits.put_aligned(value, 64, align.u64_bits, order);
    }
    bits.put_aligned(2, 32, align.u32_bits, order);
    bits
}

fn event_header(of: &Synthetic, bits: &mut Bits, id: u64, timestamp: u64, last: &mut u64) {
    let (align, order) = (of.trace.alignments, of.layout.order);
    let far = (timestamp - *last) >> 27 != 0;
    *last = timestamp;
    let extended_align = align.u32_bits.max(align.u64_bits);
    match of.layout.header {
        HeaderType::Compact => {
            bits.align(align.u32_bits.max(8));
            if far || id > 30 {
                bits.put(31, 5, order);
                bits.align(extended_align);
            } else {
                bits.put(id, 5, order);
                bits.put(timestamp & ((1 << 27) - 1), 27, order);
                return;
            }
        }
        HeaderType::Large => {
            bits.align(align.u16_bits.max(8));
            if far || id > 65534 {
                bits.put(65535, 16, order);
                bits.align(extended_align);
            } else {
                bits.put(id, 16, order);
                bits.put_aligned(timestamp & 0xFFFF_FFFF, 32, align.u32_bits, order);
                return;
            }
        }
    }
    bits.put_aligned(id, 32, align.u32_bits, order);
    bits.put_aligned(timestamp, 64, align.u64_bits, order);
}

pub(super) fn packet<'a>(
    of: &'a Synthetic,
    count: usize,
    rng: &mut Rng,
) -> (Vec<u8>, Vec<Expected<'a>>) {
    let order = of.layout.order;
    let mut encoder = Encoder {
        bits: packet_header(of, 0, 0, 0),
        order,
        rng,
        least: u64::from(of.kinds == Kinds::Printable),
    };
    let header_len = encoder.bits.bytes.len();
    let mut expected = Vec::new();
    // The first event of a stream has its full time stamp.
    let (mut timestamp, mut last) = (BEGIN, 0);
    for _ in 0..count {
        let event = &of.events[encoder.rng.below(of.events.len() as u64) as usize];
        timestamp += encoder
            .rng
            .pick(&[0, 1, 1000, (1 << 27) - 1, 1 << 27, 1 << 33]);
        event_header(of, &mut encoder.bits, event.id, timestamp, &mut last);
        let context = encoder.row(&of.stream.context);
        let payload = encoder.row(&event.fields);
        expected.push(Expected {
            id: event.id,
            timestamp,
            context,
            payload,
        });
    }
    let content = encoder.bits.at as u64;
    let mut bytes = encoder.bits.bytes;
    let size = bytes.len().next_multiple_of(512);
    let header = packet_header(of, timestamp, content, size as u64 * 8).bytes;
    bytes[..header_len].copy_from_slice(&header);
    bytes.resize(size, 0);
    (bytes, expected)
}
