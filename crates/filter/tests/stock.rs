//! The same expressions give the same bytes as the stock client of LTTng 2.13.9.

use filter::Expression;

/// Recorded from the stock client.
const STOCK: &str = include_str!("data/stock-2.13.9.tsv");

/// Refused by the stock client for reasons of its scanner; accepted here.
const ACCEPTED_HERE: [&str; 3] = ["x == 0X1f", "x == 0L", "x == ''"];

/// Accepted by the stock client, which overlooks that the comment is never closed; refused here.
const REFUSED_HERE: [&str; 1] = ["a /*"];

/// The stock client changes the meaning without a word: it drops line breaks in strings, and all but the first of
/// adjacent indexes.
const MEANT_HERE: [&str; 7] = [
    "a == \"x\ny\"",
    "a[1][2] == 3",
    "a[1].b[2][3].c == 4",
    "a.b[1][2].c == 1",
    "a.b[1][2][3] == 1",
    "a[1][2].b[3] == 1",
    "a[1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1] == 1",
];

#[derive(Debug)]
struct Sample {
    expression: String,
    bytecode: Option<(u32, String)>,
}

fn samples() -> Vec<Sample> {
    let lines = STOCK.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut parts = line.splitn(3, '\t');
            let offset = parts.next().unwrap().parse().ok();
            let hex = parts.next().unwrap().to_owned();
            Sample {
                expression: unescape(parts.next().unwrap()),
                bytecode: offset.map(|offset| (offset, hex)),
            }
        })
        .collect()
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some(other) => other,
                None => '\\',
            },
            (c, false) => c,
        });
    }
    out
}

fn ours(expression: &str) -> Option<(u32, String)> {
    let bytecode = Expression::parse(expression).ok()?.to_bytecode().ok()?;
    let hex = bytecode.code_and_relocs.iter();
    let hex = hex.map(|byte| format!("{byte:02x}")).collect();
    Some((bytecode.reloc_offset, hex))
}

#[test]
fn every_recorded_expression_gives_the_recorded_bytes() {
    let samples = samples();
    assert!(samples.len() > 400, "only {} samples", samples.len());
    let mut different = Vec::new();
    for sample in &samples {
        let expression = sample.expression.as_str();
        let ours = ours(expression);
        if ACCEPTED_HERE.contains(&expression) {
            assert!(sample.bytecode.is_none() && ours.is_some(), "{expression}");
        } else if REFUSED_HERE.contains(&expression) {
            assert!(sample.bytecode.is_some() && ours.is_none(), "{expression}");
        } else if MEANT_HERE.contains(&expression) {
            assert!(sample.bytecode.is_some() && ours.is_some(), "{expression}");
            assert_ne!(ours, sample.bytecode, "{expression}");
        } else if ours != sample.bytecode {
            different.push(format!("{sample:?}\n   ours: {ours:?}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn every_deviation_is_recorded() {
    let samples = samples();
    for expression in ACCEPTED_HERE.iter().chain(&REFUSED_HERE).chain(&MEANT_HERE) {
        assert!(
            samples
                .iter()
                .any(|sample| sample.expression == **expression),
            "{expression}"
        );
    }
}

/// The whole example of the user space ABI facts, section 6.3.
#[test]
fn the_example_of_64_bytes() {
    let expression =
        Expression::parse("my_integer_field > 3 && my_string_field != \"foo*\"").unwrap();
    let bytecode = expression.to_bytecode().unwrap();
    let mut expected =
        b"\x3b\xff\xff\x41\x03\0\0\0\0\0\0\0\x0e\x39\x1a\0\x3b\xff\xff\x40foo*\0\x0d\x01".to_vec();
    expected.extend(b"\0\0my_integer_field\0\x10\0my_string_field\0");
    assert_eq!(expected.len(), 64);
    assert_eq!(bytecode.reloc_offset, 27);
    assert_eq!(bytecode.code_and_relocs, expected);
}
