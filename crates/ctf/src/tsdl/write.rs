//! The TSDL writer.

use std::fmt::Write as _;

use super::names::{escaped, field_identifier, identifier};
use crate::metadata::{EnvValue, EventClass, HeaderType, StreamClass, TraceClass};
use crate::types::{
    ByteOrder, Encoding, EnumMapping, EnumType, EnumValue, Field, FieldByteOrder, FieldType,
    FloatType, IntegerType,
};

/// Text that begins the metadata of a trace: basic types, the `trace`, `env` and `clock` blocks, and
/// the structures that stream blocks refer to.
pub fn preamble(trace: &TraceClass) -> String {
    let mut out = Text::new(trace.byte_order);
    out.push("/* CTF 1.8 */\n\n");
    basic_types(&mut out, trace);
    trace_block(&mut out, trace);
    env_block(&mut out, trace);
    clock_block(&mut out, trace);
    clock_types(&mut out, trace);
    packet_context(&mut out);
    event_headers(&mut out, trace);
    out.text
}

/// The block of one stream class of a trace in byte order `order`.
pub fn stream(stream: &StreamClass, order: ByteOrder) -> String {
    let mut out = Text::new(order);
    let header = match stream.header {
        HeaderType::Compact => "event_header_compact",
        HeaderType::Large => "event_header_large",
    };
    out.line(0, format_args!("stream {{"));
    out.line(1, format_args!("id = {};", stream.id));
    out.line(1, format_args!("event.header := struct {header};"));
    out.line(1, format_args!("packet.context := struct packet_context;"));
    if !stream.context.is_empty() {
        out.line(1, format_args!("event.context := struct {{"));
        out.fields(&stream.context, 2);
        out.line(1, format_args!("}};"));
    }
    out.push("};\n\n");
    out.text
}

/// Ids of the stream classes whose blocks, as [`stream`] writes them, begin in `text`.
pub fn streams_in(text: &str) -> impl Iterator<Item = u64> + '_ {
    text.split("stream {\n\tid = ").skip(1).filter_map(|rest| {
        let (id, _) = rest.split_once(';')?;
        id.parse().ok()
    })
}

/// The block of one event class of a trace in byte order `order`.
pub fn event(event: &EventClass, order: ByteOrder) -> String {
    let mut out = Text::new(order);
    out.line(0, format_args!("event {{"));
    out.line(1, format_args!("name = \"{}\";", escaped(&event.name)));
    out.line(1, format_args!("id = {};", event.id));
    out.line(1, format_args!("stream_id = {};", event.stream_id));
    // A negative level is no LTTng level, and babeltrace2 refuses the whole trace for it.
    if let Some(loglevel) = event.loglevel.filter(|level| *level >= 0) {
        out.line(1, format_args!("loglevel = {loglevel};"));
    }
    if let Some(uri) = &event.model_emf_uri {
        out.line(1, format_args!("model.emf.uri = \"{}\";", escaped(uri)));
    }
    out.line(1, format_args!("fields := struct {{"));
    out.fields(&event.fields, 2);
    out.line(1, format_args!("}};"));
    out.push("};\n\n");
    out.text
}

fn basic_types(out: &mut Text, trace: &TraceClass) {
    let align = &trace.alignments;
    for (size, align, name) in [
        (8, align.u8_bits, "uint8_t"),
        (16, align.u16_bits, "uint16_t"),
        (32, align.u32_bits, "uint32_t"),
        (64, align.u64_bits, "uint64_t"),
        (trace.long_size_bits, align.long_bits, "unsigned long"),
        (5, 1, "uint5_t"),
        (27, 1, "uint27_t"),
    ] {
        out.line(
            0,
            format_args!(
                "typealias integer {{ size = {size}; align = {align}; signed = false; }} := {name};"
            ),
        );
    }
    out.push("\n");
}

fn trace_block(out: &mut Text, trace: &TraceClass) {
    out.line(0, format_args!("trace {{"));
    out.line(1, format_args!("major = 1;"));
    out.line(1, format_args!("minor = 8;"));
    out.line(1, format_args!("uuid = \"{}\";", trace.uuid));
    out.line(
        1,
        format_args!("byte_order = {};", order_name(trace.byte_order)),
    );
    out.push("\tpacket.header := struct {\n");
    out.push("\t\tuint32_t magic;\n");
    out.push("\t\tuint8_t  uuid[16];\n");
    out.push("\t\tuint32_t stream_id;\n");
    out.push("\t\tuint64_t stream_instance_id;\n");
    out.push("\t};\n");
    out.push("};\n\n");
}

fn env_block(out: &mut Text, trace: &TraceClass) {
    out.push("env {\n");
    for (name, value) in &trace.env {
        let name = identifier(name);
        match value {
            EnvValue::String(text) => out.line(1, format_args!("{name} = \"{}\";", escaped(text))),
            EnvValue::Integer(number) => out.line(1, format_args!("{name} = {number};")),
        }
    }
    out.push("};\n\n");
}

fn clock_block(out: &mut Text, trace: &TraceClass) {
    let clock = &trace.clock;
    out.push("clock {\n");
    out.line(1, format_args!("name = \"{}\";", identifier(&clock.name)));
    if let Some(uuid) = clock.uuid {
        out.line(1, format_args!("uuid = \"{uuid}\";"));
    }
    out.line(
        1,
        format_args!("description = \"{}\";", escaped(&clock.description)),
    );
    out.line(
        1,
        format_args!("freq = {}; /* Frequency, in Hz */", clock.freq_hz),
    );
    out.push("\t/* clock value offset from Epoch is: offset * (1/freq) */\n");
    out.line(1, format_args!("offset = {};", clock.offset));
    out.push("};\n\n");
}

fn clock_types(out: &mut Text, trace: &TraceClass) {
    let align = &trace.alignments;
    let clock = identifier(&trace.clock.name);
    // The names of these types say `monotonic` whatever the clock is called.
    for (size, align) in [(27, 1), (32, align.u32_bits), (64, align.u64_bits)] {
        out.line(0, format_args!("typealias integer {{"));
        out.line(
            1,
            format_args!("size = {size}; align = {align}; signed = false;"),
        );
        out.line(1, format_args!("map = clock.{clock}.value;"));
        out.line(0, format_args!("}} := uint{size}_clock_monotonic_t;\n"));
    }
}

fn packet_context(out: &mut Text) {
    out.push("struct packet_context {\n");
    for member in [
        "uint64_clock_monotonic_t timestamp_begin",
        "uint64_clock_monotonic_t timestamp_end",
        "uint64_t content_size",
        "uint64_t packet_size",
        "uint64_t packet_seq_num",
        "unsigned long events_discarded",
        "uint32_t cpu_id",
    ] {
        out.line(1, format_args!("{member};"));
    }
    out.push("};\n\n");
}

fn event_headers(out: &mut Text, trace: &TraceClass) {
    let align = &trace.alignments;
    for (name, id, last, stamp, align) in [
        ("compact", "uint5_t", 30, "uint27", align.u32_bits),
        ("large", "uint16_t", 65534, "uint32", align.u16_bits),
    ] {
        let extended = last + 1;
        out.line(0, format_args!("struct event_header_{name} {{"));
        out.line(
            1,
            format_args!("enum : {id} {{ compact = 0 ... {last}, extended = {extended} }} id;"),
        );
        out.line(1, format_args!("variant <id> {{"));
        out.line(2, format_args!("struct {{"));
        out.line(3, format_args!("{stamp}_clock_monotonic_t timestamp;"));
        out.line(2, format_args!("}} compact;"));
        out.line(2, format_args!("struct {{"));
        out.line(3, format_args!("uint32_t id;"));
        out.line(3, format_args!("uint64_clock_monotonic_t timestamp;"));
        out.line(2, format_args!("}} extended;"));
        out.line(1, format_args!("}} v;"));
        out.line(0, format_args!("}} align({align});\n"));
    }
}

fn order_name(order: ByteOrder) -> &'static str {
    match order {
        ByteOrder::Little => "le",
        ByteOrder::Big => "be",
    }
}

fn encoding_name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::None => "none",
        Encoding::Utf8 => "UTF8",
        Encoding::Ascii => "ASCII",
    }
}

/// TSDL text under construction.
struct Text {
    text: String,
    /// Byte order of the trace, for fields that have the other one.
    order: ByteOrder,
}

impl Text {
    fn new(order: ByteOrder) -> Self {
        Self {
            text: String::new(),
            order,
        }
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn line(&mut self, depth: usize, line: std::fmt::Arguments<'_>) {
        self.text.extend(std::iter::repeat_n('\t', depth));
        // Writing to a `String` cannot fail.
        let _ = self.text.write_fmt(line);
        self.text.push('\n');
    }

    fn fields(&mut self, fields: &[Field], depth: usize) {
        for field in fields {
            self.field(field, depth);
        }
    }

    fn field(&mut self, field: &Field, depth: usize) {
        let name = field_identifier(&field.name);
        self.declaration(&field.ty, &name, "", depth);
    }

    /// Writes `TYPE NAME SUFFIX;`, where `suffix` holds the subscripts of arrays around the type.
    fn declaration(&mut self, ty: &FieldType, name: &str, suffix: &str, depth: usize) {
        match ty {
            FieldType::Integer(integer) => {
                let integer = self.integer(integer);
                self.line(depth, format_args!("{integer} {name}{suffix};"));
            }
            FieldType::Float(float) => {
                let float = self.float(float);
                self.line(depth, format_args!("{float} {name}{suffix};"));
            }
            FieldType::String { encoding } => {
                // UTF-8 is the default.
                let encoding = match encoding {
                    Encoding::Ascii => " { encoding = ASCII; }",
                    Encoding::None | Encoding::Utf8 => "",
                };
                self.line(depth, format_args!("string{encoding} {name}{suffix};"));
            }
            FieldType::Enum(enumeration) => self.enumeration(enumeration, name, suffix, depth),
            FieldType::Array {
                element,
                length,
                align_bits,
            } => {
                self.padding(*align_bits, name, depth);
                self.declaration(element, name, &format!("{suffix}[{length}]"), depth);
            }
            FieldType::Sequence {
                element,
                length_name,
                align_bits,
            } => {
                self.padding(*align_bits, name, depth);
                let length = field_identifier(length_name);
                self.declaration(element, name, &format!("{suffix}[ {length} ]"), depth);
            }
            FieldType::Struct { fields, align_bits } => {
                self.structure(fields, *align_bits, name, suffix, depth);
            }
            FieldType::Variant {
                tag_name,
                choices,
                align_bits,
            } => {
                self.padding(*align_bits, name, depth);
                self.line(
                    depth,
                    format_args!("variant <{}> {{", field_identifier(tag_name)),
                );
                self.fields(choices, depth + 1);
                self.line(depth, format_args!("}} {name}{suffix};"));
            }
        }
    }

    /// An empty structure that aligns what follows: TSDL cannot align an array or a variant.
    fn padding(&mut self, align_bits: u32, name: &str, depth: usize) {
        if align_bits != 0 {
            self.line(
                depth,
                format_args!("struct {{ }} align({align_bits}) {name}_padding;"),
            );
        }
    }

    fn structure(
        &mut self,
        fields: &[Field],
        align_bits: u32,
        name: &str,
        suffix: &str,
        depth: usize,
    ) {
        let align = if align_bits == 0 {
            String::new()
        } else {
            format!(" align({align_bits})")
        };
        if fields.is_empty() {
            self.line(depth, format_args!("struct {{}}{align} {name}{suffix};"));
            return;
        }
        self.line(depth, format_args!("struct {{"));
        self.fields(fields, depth + 1);
        self.line(depth, format_args!("}}{align} {name}{suffix};"));
    }

    fn enumeration(&mut self, ty: &EnumType, name: &str, suffix: &str, depth: usize) {
        if ty.entries.is_empty() {
            // The grammar wants a label.
            let integer = self.integer(&ty.container);
            self.line(depth, format_args!("{integer} {name}{suffix};"));
            return;
        }
        let native = IntegerType {
            byte_order: FieldByteOrder::Native,
            ..ty.container.clone()
        };
        let container = self.integer(&native);
        self.line(depth, format_args!("enum : {container} {{"));
        for entry in &ty.entries {
            let label = entry.label.replace('\\', "\\\\").replace('"', "\\\"");
            match entry.mapping {
                EnumMapping::Auto => self.line(depth + 1, format_args!("\"{label}\",")),
                EnumMapping::Range { start, end }
                    if start == end || is_inverted(&ty.container, start, end) =>
                {
                    self.line(depth + 1, format_args!("\"{label}\" = {},", Number(start)));
                }
                EnumMapping::Range { start, end } => self.line(
                    depth + 1,
                    format_args!("\"{label}\" = {} ... {},", Number(start), Number(end)),
                ),
            }
        }
        self.line(depth, format_args!("}} {name}{suffix};"));
    }

    fn integer(&self, ty: &IntegerType) -> String {
        format!(
            "integer {{ size = {}; align = {}; signed = {}; encoding = {}; base = {};{} }}",
            ty.size_bits,
            ty.align_bits,
            u8::from(ty.signed),
            encoding_name(ty.encoding),
            ty.base,
            self.byte_order(ty.byte_order),
        )
    }

    fn float(&self, ty: &FloatType) -> String {
        format!(
            "floating_point {{ exp_dig = {}; mant_dig = {}; align = {};{} }}",
            ty.exp_dig,
            ty.mant_dig,
            ty.align_bits,
            self.byte_order(ty.byte_order),
        )
    }

    /// Nothing for a field in the byte order of the trace.
    fn byte_order(&self, order: FieldByteOrder) -> String {
        match order {
            FieldByteOrder::Native => String::new(),
            other => format!(" byte_order = {};", order_name(other.resolve(self.order))),
        }
    }
}

/// Whether a range has its end before its start once both are taken as values of the container. At
/// such a range babeltrace2 aborts; no tracer means it.
fn is_inverted(container: &IntegerType, start: EnumValue, end: EnumValue) -> bool {
    // Truncation is what readers do.
    if container.signed {
        start.to_i128() as i64 > end.to_i128() as i64
    } else {
        start.to_i128() as u64 > end.to_i128() as u64
    }
}

/// An end of an enumeration mapping, as text.
struct Number(EnumValue);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            EnumValue::Signed(value) => value.fmt(f),
            EnumValue::Unsigned(value) => value.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::EnumEntry;

    fn event_with(ty: FieldType, loglevel: i64) -> String {
        let event = EventClass {
            name: "p:\"e".to_owned(),
            id: 1,
            stream_id: 2,
            loglevel: Some(loglevel),
            model_emf_uri: None,
            fields: vec![Field::new("x", ty)],
        };
        super::event(&event, ByteOrder::Little)
    }

    fn enumeration(entries: Vec<EnumEntry>) -> FieldType {
        let container = IntegerType::new(8, true);
        FieldType::Enum(EnumType {
            container,
            name: String::new(),
            entries,
        })
    }

    #[test]
    fn stream_classes_are_found_in_what_was_written() {
        let stream = |id| {
            let class = StreamClass {
                id,
                header: HeaderType::Large,
                context: Vec::new(),
            };
            super::stream(&class, ByteOrder::Little)
        };
        let event = event_with(enumeration(Vec::new()), 13);
        let text = [event.clone(), stream(0), event, stream(12)].concat();
        assert_eq!(streams_in(&text).collect::<Vec<_>>(), [0, 12]);
    }

    #[test]
    fn what_would_make_a_trace_unreadable_is_not_written() {
        let text = event_with(enumeration(Vec::new()), -1);
        assert_eq!(
            text,
            "event {\n\tname = \"p:\\\"e\";\n\tid = 1;\n\tstream_id = 2;\n\tfields := struct {\n\
            \t\tinteger { size = 8; align = 8; signed = 1; encoding = none; base = 10; } _x;\n\t};\n};\n\n"
        );
        let range = EnumEntry::range("big", EnumValue::Signed(10), EnumValue::Unsigned(u64::MAX));
        let text = event_with(enumeration(vec![range]), 3);
        assert!(text.contains("\tloglevel = 3;\n"), "{text}");
        assert!(text.contains("\t\t\t\"big\" = 10,\n"), "{text}");
    }

    #[test]
    fn compound_types_are_aligned_by_a_structure_before_them() {
        let element = Box::new(FieldType::Integer(IntegerType::new(8, false)));
        let text = event_with(
            FieldType::Array {
                element,
                length: 3,
                align_bits: 32,
            },
            3,
        );
        assert!(
            text.contains(
                "\t\tstruct { } align(32) _x_padding;\n\t\tinteger { size = 8; align = 8; \
                signed = 0; encoding = none; base = 10; } _x[3];\n"
            ),
            "{text}"
        );
    }
}
