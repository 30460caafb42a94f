//! Prints events as babeltrace2 does, so that texts can be compared.

use std::io::Write as _;

use ctf::decode::{Event, Value};

/// One line, with the newline, like `babeltrace2 --clock-cycles --no-delta`.
pub(crate) fn line(event: &Event<'_>, origin: &str, cpu_id: u64) -> Vec<u8> {
    let class = event.class().expect("an event of a known class");
    let fields = event.fields().expect("values");
    let mut out = Vec::new();
    write!(
        out,
        "[{:020}] {origin} {}: {{ cpu_id = {cpu_id} }}, ",
        event.timestamp, class.name
    )
    .unwrap();
    if fields.context != Value::Struct(Vec::new()) {
        value(&mut out, &fields.context);
        out.extend_from_slice(b", ");
    }
    value(&mut out, &fields.payload);
    out.push(b'\n');
    out
}

fn value(out: &mut Vec<u8>, of: &Value<'_>) {
    match of {
        Value::Unsigned { value, base: 16 } => write!(out, "0x{value:X}").unwrap(),
        Value::Unsigned { value, .. } => write!(out, "{value}").unwrap(),
        Value::Signed {
            value,
            base: 16,
            size_bits,
        } => {
            write!(
                out,
                "0x{:X}",
                *value as u64 & (u64::MAX >> (64 - size_bits))
            )
            .unwrap();
        }
        Value::Signed { value, .. } => write!(out, "{value}").unwrap(),
        Value::F32(number) => write!(out, "{}", general(f64::from(*number))).unwrap(),
        Value::F64(number) => write!(out, "{}", general(*number)).unwrap(),
        Value::Text(text) => quoted(out, text),
        Value::Enum { value, labels } => {
            out.extend_from_slice(b"( ");
            match labels.as_slice() {
                [] => out.extend_from_slice(b"<unknown>"),
                [label] => quoted(out, label.as_bytes()),
                more => panic!("labels {more:?}: the recorded traces have no such value"),
            }
            write!(out, " : container = {value} )").unwrap();
        }
        Value::Array(elements) => {
            out.extend_from_slice(b"[ ");
            for (n, element) in elements.iter().enumerate() {
                let comma = if n == 0 { "" } else { ", " };
                write!(out, "{comma}[{n}] = ").unwrap();
                value(out, element);
            }
            out.extend_from_slice(if elements.is_empty() { b"]" } else { b" ]" });
        }
        Value::Struct(members) => {
            out.extend_from_slice(b"{ ");
            for (n, (name, member)) in members.iter().enumerate() {
                let comma = if n == 0 { "" } else { ", " };
                write!(out, "{comma}{name} = ").unwrap();
                value(out, member);
            }
            out.extend_from_slice(if members.is_empty() { b"}" } else { b" }" });
        }
        Value::Variant { value: chosen, .. } => {
            out.extend_from_slice(b"{ ");
            value(out, chosen);
            out.extend_from_slice(b" }");
        }
    }
}

fn quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}

/// The `%g` of C: six significant digits, no trailing zeros.
fn general(number: f64) -> String {
    let scientific = format!("{number:.5e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap();
    if (-4..6).contains(&exponent) {
        let decimals = (5 - exponent) as usize;
        return trimmed(&format!("{number:.decimals$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(digits), exponent.abs())
}

fn trimmed(digits: &str) -> &str {
    if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.')
    } else {
        digits
    }
}
