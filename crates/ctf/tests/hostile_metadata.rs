//! Metadata that tries to break its reader: the answer is an error with its line.

use ctf::decode::{Decoder, MetadataError};
use ctf::tsdl::{self, ErrorKind, MAX_DEPTH, Reader};

fn kind(text: &str) -> ErrorKind {
    tsdl::parse(text).unwrap_err().kind
}

#[test]
fn types_may_not_nest_without_end() {
    let nested = |levels: usize| {
        format!(
            "struct s {{ {} int8_t x; {} }};",
            "struct { ".repeat(levels),
            "} x; ".repeat(levels)
        )
    };
    let int = "typealias integer { size = 8; } := int8_t;";
    assert!(tsdl::parse(&format!("{int}{}", nested(MAX_DEPTH - 3))).is_ok());
    assert_eq!(
        kind(&format!("{int}{}", nested(MAX_DEPTH))),
        ErrorKind::TooDeep
    );
    assert_eq!(kind(&nested(100_000)), ErrorKind::TooDeep);
    let subscripts = format!("struct s {{ string x{}; }};", "[1]".repeat(100_000));
    assert_eq!(kind(&subscripts), ErrorKind::TooDeep);
    let containers = format!("struct s {{ {} }};", "enum : ".repeat(100_000));
    assert_eq!(kind(&containers), ErrorKind::TooDeep);
}

#[test]
fn types_may_not_become_deep_by_their_names() {
    let mut text = "struct s0 { string x; };".to_owned();
    for n in 1..100_000 {
        text += &format!("struct s{n} {{ struct s{} x; }};", n - 1);
    }
    assert_eq!(kind(&text), ErrorKind::TooDeep);
}

#[test]
fn types_may_not_become_large_by_their_names() {
    let mut text = "struct s0 { string x; };\n".to_owned();
    for n in 1..MAX_DEPTH - 2 {
        let m = n - 1;
        text += &format!("struct s{n} {{ struct s{m} x; struct s{m} y; struct s{m} z; }};\n");
    }
    assert_eq!(kind(&text), ErrorKind::TooLarge);
}

#[test]
fn mistakes_are_told_with_their_line() {
    let start = "/* CTF 1.8 */\n\ntrace { major = 1; minor = 8; byte_order = le; };\n";
    for (block, line, mistake) in [
        ("event {\n id = x;\n};", 5, "bad value for `id`"),
        (
            "event {\n id = 99999999999999999999;\n};",
            5,
            "no number of at most 64 bits",
        ),
        (
            "event {\n fields := struct {\n  nothing x;\n };\n};",
            6,
            "unknown type `nothing`",
        ),
        (
            "event {\n fields := struct {\n  integer { size = 65; } x;\n };\n};",
            6,
            "bad value for `size`",
        ),
        (
            "event {\n fields := struct {\n  integer { size = 8; align = 3; } x;\n };\n};",
            6,
            "bad value for `align`",
        ),
        (
            "event {\n fields := struct {\n  integer { signed = 1; } x;\n };\n};",
            6,
            "`size` is missing",
        ),
        ("event {\n id 3;\n};", 5, "expected `=` or `:=`, found `3`"),
        ("\n\nevant { };", 6, "expected a block, found `evant`"),
        ("event { } }; x;", 4, "expected ;, found `}`"),
        ("event {\n id = 3;", 5, "the text ends inside a block"),
        (
            "clock {\n offset_s = 9223372036854775807;\n};",
            6,
            "bad value for `offset_s`",
        ),
    ] {
        let error = tsdl::parse(&format!("{start}{block}")).unwrap_err();
        assert_eq!(error.line, line, "{error} in {block}");
        assert!(error.to_string().contains(mistake), "{error} in {block}");
    }
}

#[test]
fn what_was_read_before_a_mistake_stays() {
    let mut reader = Reader::new();
    let text = "trace { byte_order = be; };\nevent { id = 4; };\nevent { id = 5; bad };\n";
    let error = reader.append(text).unwrap_err();
    assert_eq!(error.line, 3);
    assert_eq!(reader.take_added(), [(0, 4)]);
    assert_eq!(reader.append("event { id = 6; };").unwrap_err(), error);
    assert!(reader.take_added().is_empty());
}

#[test]
fn lengths_and_tags_must_come_before_their_use() {
    let decoder = |fields: &str| {
        Decoder::new(&format!(
            "typealias integer {{ size = 8; }} := u8;\n\
            trace {{ byte_order = le; }};\nstream {{ id = 0; }};\n\
            event {{ name = \"a:b\"; id = 0; fields := struct {{ {fields} }}; }};\n"
        ))
    };
    assert!(decoder("u8 n; u8 x[n];").is_ok());
    assert!(decoder("struct { u8 n; u8 x[n]; } s;").is_ok());
    assert!(decoder("enum : u8 { a } t; variant <t> { u8 a; } v;").is_ok());
    for fields in [
        "u8 x[n];",
        "u8 x[n]; u8 n;",
        "string n; u8 x[n];",
        "struct { u8 n; } s; u8 x[n];",
        "u8 t; variant <t> { u8 a; } v;",
        "variant <> { u8 a; } v;",
        "enum : u8 { a } t; variant <t> { u8 n; } v; u8 x[n];",
    ] {
        match decoder(fields) {
            Err(MetadataError::Unresolved { place, .. }) => assert_eq!(place, "event `a:b`"),
            Err(MetadataError::Text(_)) if fields.contains("<>") => {}
            other => panic!("{fields}: {other:?}"),
        }
    }
}
