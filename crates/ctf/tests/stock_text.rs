//! The writer against recorded text of the stock session daemon, byte for byte.

use ctf::metadata::{Alignments, BufferOwner, UstEnvironment};
use ctf::metadata_packet::{Packetizer, text_of, uuid_of};
use ctf::tsdl::{self, Schema};
use ctf::types::{
    Encoding, EnumEntry, EnumType, EnumValue, FieldByteOrder, FloatType, IntegerType,
};
use ctf::{
    ByteOrder, Clock, EventClass, Field, FieldType, HeaderType, StreamClass, TraceClass, Uuid,
};

const TRACES: [&str; 3] = ["uid", "pid", "plain"];

fn recorded(trace: &str) -> Vec<u8> {
    let path = format!(
        "{}/tests/fixtures/{trace}/metadata",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The text that we write for what we read, blocks in the order of `text`.
fn written_again(text: &str, schema: &Schema) -> String {
    let trace = schema.trace_class().expect("a complete trace");
    let mut out = tsdl::preamble(&trace);
    let mut lines = text.lines().peekable();
    let number = |line: &str| -> u64 {
        line.trim_start_matches(|c: char| !c.is_ascii_digit())
            .trim_end_matches(';')
            .parse()
            .unwrap()
    };
    while let Some(line) = lines.next() {
        if line == "stream {" {
            let stream = &schema.streams[&number(lines.next().unwrap())];
            out += &tsdl::stream(&stream.stream_class().unwrap(), trace.byte_order);
        } else if line == "event {" {
            let _name = lines.next();
            let id = number(lines.next().unwrap());
            let stream = number(lines.next().unwrap());
            out += &tsdl::event(&schema.events[&(stream, id)].class, trace.byte_order);
        }
    }
    out
}

#[test]
fn stock_text_read_and_written_again_is_the_same() {
    for trace in TRACES {
        let file = recorded(trace);
        let text = text_of(&file).unwrap();
        let schema = tsdl::parse(&text).unwrap();
        assert_eq!(written_again(&text, &schema), text, "{trace}");
    }
}

#[test]
fn stock_packets_are_reproduced() {
    for trace in TRACES {
        let file = recorded(trace);
        let text = text_of(&file).unwrap();
        let mut ours = Vec::new();
        for packet in
            Packetizer::new(uuid_of(&file).unwrap(), ByteOrder::Little).packets(text.as_bytes())
        {
            ours.extend_from_slice(&packet.bytes);
            ours.resize(ours.len() + packet.padding, 0);
        }
        assert!(ours == file, "{trace}: the packets differ");
    }
}

/// `pattern` against `text`, where each `@` stands for a value that is different in each recording
/// (up to the next quote or semicolon). Returns those values.
fn values(pattern: &str, text: &str) -> Vec<String> {
    let mut values = Vec::new();
    let mut rest = text;
    for (n, piece) in pattern.split('@').enumerate() {
        if n > 0 {
            let end = rest.find(['"', ';']).expect("the end of a value");
            values.push(rest[..end].to_owned());
            rest = &rest[end..];
        }
        rest = rest.strip_prefix(piece).unwrap_or_else(|| {
            let same = piece
                .chars()
                .zip(rest.chars())
                .take_while(|(a, b)| a == b)
                .count();
            panic!(
                "differs: expected {:?}, found {:?}",
                &piece[same..],
                rest.get(same..same + 60)
            )
        });
    }
    values
}

/// What the applications announced, in their own words, gives the text of the stock daemon.
#[test]
fn what_applications_announce_becomes_stock_text() {
    for (name, pid) in [("uid", false), ("pid", true)] {
        let file = recorded(name);
        let text = text_of(&file).unwrap();
        let start = text.find("env {").unwrap();
        let env = &text[start..];
        let pattern = "env {\n\tdomain = \"ust\";\n\ttracer_name = \"lttng-ust\";\n\ttracer_major = 2;\n\
            \ttracer_minor = 13;\n\ttracer_buffering_scheme = \"@\";\n\ttracer_buffering_id = @;\n\
            \tarchitecture_bit_width = 64;\n\ttrace_name = \"@\";\n\ttrace_creation_datetime = \"@\";\n\
            \thostname = \"@\"";
        let stock = values(pattern, env);
        let clock = &text[text.find("clock {").unwrap()..];
        let clock = values(
            "clock {\n\tname = \"monotonic\";\n\tuuid = \"@\";\n\tdescription = \"Monotonic Clock\";\n\
            \tfreq = 1000000000; /* Frequency, in Hz */\n\
            \t/* clock value offset from Epoch is: offset * (1/freq) */\n\toffset = @",
            clock,
        );
        let owner = if pid {
            let at = env.find("\ttracer_patchlevel").unwrap();
            let app = values(
                "\ttracer_patchlevel = 5;\n\tvpid = @;\n\tprocname = \"kinds\";\n\tvpid_datetime = \"@",
                &env[at..],
            );
            assert_eq!(app[0], stock[1]);
            BufferOwner::Pid {
                pid: app[0].parse().unwrap(),
                tracer_patchlevel: 5,
                procname: "kinds".to_owned(),
                registered: app[1].clone(),
            }
        } else {
            BufferOwner::Uid(stock[1].parse().unwrap())
        };
        let trace = TraceClass {
            uuid: uuid_of(&file).unwrap(),
            byte_order: ByteOrder::Little,
            alignments: Alignments::PACKED,
            long_size_bits: 64,
            env: UstEnvironment {
                tracer_major: 2,
                tracer_minor: 13,
                owner,
                bits_per_long: 64,
                trace_name: format!("fix-{name}"),
                trace_creation_datetime: stock[3].clone(),
                hostname: stock[4].clone(),
            }
            .entries(),
            clock: Clock {
                name: "monotonic".to_owned(),
                uuid: Uuid::parse(&clock[0]),
                description: "Monotonic Clock".to_owned(),
                freq_hz: 1_000_000_000,
                offset: clock[1].parse().unwrap(),
            },
        };
        let order = trace.byte_order;
        let mut ours = tsdl::preamble(&trace);
        let mut blocks = vec![(text.find("stream {\n"), tsdl::stream(&stream(), order))];
        for event in [numbers(), compounds(), empty()] {
            let at = text.find(&format!("event {{\n\tname = \"{}\"", event.name));
            blocks.push((at, tsdl::event(&event, order)));
        }
        blocks.sort();
        ours.extend(blocks.into_iter().map(|(_, text)| text));
        assert_eq!(ours, text, "{name}");
    }
}

// ---- the application in tests/fixtures/app, as its tracer announces it ----

fn integer(size_bits: u32, signed: bool) -> IntegerType {
    IntegerType::new(size_bits, signed)
}

fn field(name: &str, ty: IntegerType) -> Field {
    Field::new(name, FieldType::Integer(ty))
}

fn float(name: &str, exp_dig: u32, mant_dig: u32) -> Field {
    let ty = FloatType {
        exp_dig,
        mant_dig,
        byte_order: FieldByteOrder::Native,
        align_bits: 8,
    };
    Field::new(name, FieldType::Float(ty))
}

fn array(name: &str, element: IntegerType, length: u32) -> Field {
    let element = Box::new(FieldType::Integer(element));
    Field::new(
        name,
        FieldType::Array {
            element,
            length,
            align_bits: 0,
        },
    )
}

fn sequence(name: &str, length: IntegerType, element: IntegerType) -> [Field; 2] {
    let length_name = format!("_{name}_length");
    let element = Box::new(FieldType::Integer(element));
    [
        field(&length_name, length),
        Field::new(
            name,
            FieldType::Sequence {
                element,
                length_name,
                align_bits: 0,
            },
        ),
    ]
}

fn string(name: &str) -> Field {
    Field::new(
        name,
        FieldType::String {
            encoding: Encoding::Utf8,
        },
    )
}

fn text() -> IntegerType {
    IntegerType {
        encoding: Encoding::Utf8,
        ..integer(8, true)
    }
}

fn hex(ty: IntegerType) -> IntegerType {
    IntegerType { base: 16, ..ty }
}

fn network(ty: IntegerType) -> IntegerType {
    IntegerType {
        byte_order: FieldByteOrder::Reversed,
        ..ty
    }
}

fn event(id: u64, name: &str, loglevel: i64, fields: Vec<Field>) -> EventClass {
    EventClass {
        name: name.to_owned(),
        id,
        stream_id: 0,
        loglevel: Some(loglevel),
        model_emf_uri: None,
        fields,
    }
}

fn numbers() -> EventClass {
    let fields = vec![
        field("i8", integer(8, true)),
        field("u8", integer(8, false)),
        field("i16", integer(16, true)),
        field("u64", integer(64, false)),
        field("native", integer(64, true)),
        field("hex", hex(integer(16, false))),
        field("negative_hex", hex(integer(32, true))),
        field("net", network(integer(32, true))),
        field("net_hex", hex(network(integer(64, false)))),
        float("f32", 8, 24),
        float("f64", 11, 53),
    ];
    event(0, "kinds:numbers", 13, fields)
}

fn color(name: &str, container: IntegerType) -> Field {
    let entries = vec![
        EnumEntry::value("BLACK", EnumValue::Signed(-3)),
        EnumEntry::auto("RED"),
        EnumEntry::range("GREEN", EnumValue::Signed(0), EnumValue::Signed(2)),
        EnumEntry::range("BIG", EnumValue::Signed(10), EnumValue::Signed(200)),
        EnumEntry::value("a \"quoted\" \\ label", EnumValue::Signed(5)),
    ];
    Field::new(
        name,
        FieldType::Enum(EnumType {
            container,
            name: "kinds_color".to_owned(),
            entries,
        }),
    )
}

fn compounds() -> EventClass {
    let mut fields = vec![
        string("text"),
        array("words", integer(32, true), 2),
        array("bytes_hex", hex(integer(8, false)), 3),
        array("words_net", network(integer(32, true)), 2),
        array("name", text(), 4),
    ];
    fields.extend(sequence("some", integer(64, false), integer(8, false)));
    fields.extend(sequence(
        "some_words",
        integer(8, false),
        hex(integer(32, true)),
    ));
    fields.extend(sequence("some_text", integer(16, false), text()));
    fields.push(color("color", integer(32, true)));
    fields.push(color("small_color", integer(8, false)));
    EventClass {
        model_emf_uri: Some("http://example.com/model?q=1&x=%22y%22".to_owned()),
        ..event(1, "kinds:compounds", 4, fields)
    }
}

fn empty() -> EventClass {
    event(2, "kinds:empty", 13, Vec::new())
}

fn stream() -> StreamClass {
    let kinds = [
        "none", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float",
        "double", "string",
    ];
    let tag = EnumType {
        container: integer(8, true),
        name: "dynamic_type_enum".to_owned(),
        entries: (0..)
            .zip(kinds)
            .map(|(value, kind)| EnumEntry::value(format!("_{kind}"), EnumValue::Signed(value)))
            .collect(),
    };
    let mut choices = vec![Field::new(
        "none",
        FieldType::Struct {
            fields: Vec::new(),
            align_bits: 0,
        },
    )];
    for (signed, prefix) in [(true, "int"), (false, "uint")] {
        for size in [8, 16, 32, 64] {
            choices.push(field(&format!("{prefix}{size}"), integer(size, signed)));
        }
    }
    choices.extend([
        float("float", 8, 24),
        float("double", 11, 53),
        string("string"),
    ]);
    let tag_name = "$app.prov:ctx.x_tag".to_owned();
    StreamClass {
        id: 0,
        header: HeaderType::Large,
        context: vec![
            field("vpid", integer(32, true)),
            field("vtid", integer(32, true)),
            array("procname", text(), 17),
            Field::new(tag_name.clone(), FieldType::Enum(tag)),
            Field::new(
                "$app.prov:ctx.x",
                FieldType::Variant {
                    tag_name,
                    choices,
                    align_bits: 0,
                },
            ),
        ],
    }
}
