//! Filter expressions in the language of the kernel's event filters.
//!
//! The kernel knows comparisons of one field with one constant, a test of bits, and `!`, `&&`, `||` between
//! them. What is more than that is refused with the reason. Names are looked up by the caller, who knows the
//! event.
//!
//! ```
//! use filter::{Expression, kernel::{Content, KernelField, Number, translate}};
//!
//! let expression = Expression::parse("prev_comm == \"bash*\" || (flags & 4) != 0")?;
//! let flags = Number { bits: 32, signed: false };
//! let text = translate(&expression, &|path| {
//!     let filter::Step::Name(name) = &path.steps[0] else { return None };
//!     let content = match name.as_str() {
//!         "prev_comm" => Content::Text,
//!         _ => Content::Number { stored: flags, meant: flags },
//!     };
//!     Some(KernelField { name: name.clone(), content })
//! })?;
//! assert_eq!(text, r#"(prev_comm ~ "bash*") || (flags & 0x4)"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod value;

pub use value::Number;

use crate::{BinaryOp, Expression, FieldPath, LogicalOp, Node, Root, Step, UnaryOp, glob};
use value::Value;

/// Longest string that the kernel compares with, bytes.
const MAX_TEXT: usize = 255;

/// A field of an event of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelField {
    /// The kernel's name of it.
    pub name: String,
    /// What it holds.
    pub content: Content,
}

/// What a field of the kernel can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Text.
    Text,
    /// A number.
    Number {
        /// As it lies in the kernel's record.
        stored: Number,
        /// As it is in the trace.
        meant: Number,
    },
    /// Nothing: the kernel compares no such field, or not as the trace has it.
    Opaque,
}

/// Why there is no such filter of the kernel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KernelFilterError {
    /// The event has no such field: it is not among those that the expression is about.
    #[error("no field `{0}`")]
    NoField(String),
    /// The kernel cannot do it for any event.
    #[error("the kernel's filters have no {0}")]
    NotThere(&'static str),
    /// A comparison of text with a number.
    #[error("`{0}` is compared with something of another type")]
    Type(String),
    /// A comparison with an array, a structure, or an address that the kernel looks behind.
    #[error(
        "the kernel's filters cannot compare `{0}`, which is neither a number nor text for them"
    )]
    Opaque(String),
    /// A string that cannot be written down.
    #[error("the kernel cannot compare with the string `{0}`")]
    Text(String),
}

type Result<T> = std::result::Result<T, KernelFilterError>;

/// Looks up a field.
pub type Lookup<'a> = dyn Fn(&FieldPath) -> Option<KernelField> + 'a;

/// A field and what the user calls it.
struct Known {
    shown: String,
    field: KernelField,
}

impl Known {
    fn number(&self) -> Result<Value> {
        match self.field.content {
            Content::Number { stored, meant } => Ok(Value {
                name: self.field.name.clone(),
                stored,
                meant,
            }),
            Content::Text => Err(KernelFilterError::Type(self.shown.clone())),
            Content::Opaque => Err(KernelFilterError::Opaque(self.shown.clone())),
        }
    }
}

/// An operand on the way.
enum Operand {
    Field(Known),
    /// From the least signed number of 64 bits to the largest one without a sign.
    Number(i128),
    Text(String),
    /// A field and bits of it.
    Bits(Known, u64),
    /// A condition in the kernel's language, and whether it is more than a comparison.
    Condition(String),
}

/// The filter of an event whose fields `lookup` knows.
///
/// # Errors
///
/// What the event or the kernel does not have.
pub fn translate(expression: &Expression, lookup: &Lookup<'_>) -> Result<String> {
    let mut stack = Vec::new();
    for node in expression.nodes() {
        let operand = match node {
            Node::Field(path) => Operand::Field(field(path, lookup)?),
            Node::Integer(number) => Operand::Number((*number).into()),
            Node::Float(_) => return Err(KernelFilterError::NotThere("floating point numbers")),
            Node::String(text) => Operand::Text(text.clone()),
            Node::Unary(op) => unary(*op, pop(&mut stack)?)?,
            Node::Binary(op) => {
                let right = pop(&mut stack)?;
                binary(*op, pop(&mut stack)?, right)?
            }
            Node::Branch(..) => Operand::Condition(condition(pop(&mut stack)?)?),
            Node::Join(op, _) => {
                let right = condition(pop(&mut stack)?)?;
                let left = condition(pop(&mut stack)?)?;
                let sign = match op {
                    LogicalOp::And => "&&",
                    LogicalOp::Or => "||",
                };
                Operand::Condition(format!("({left}) {sign} ({right})"))
            }
        };
        stack.push(operand);
    }
    condition(pop(&mut stack)?)
}

fn pop(stack: &mut Vec<Operand>) -> Result<Operand> {
    // An expression that was parsed is complete.
    stack
        .pop()
        .ok_or(KernelFilterError::NotThere("expressions like this"))
}

fn field(path: &FieldPath, lookup: &Lookup<'_>) -> Result<Known> {
    match path.steps[..] {
        [Step::Name(_)] => match lookup(path) {
            Some(field) => Ok(Known {
                shown: name_of(path),
                field,
            }),
            None => Err(KernelFilterError::NoField(name_of(path))),
        },
        _ => Err(KernelFilterError::NotThere(
            "access to elements and members of fields",
        )),
    }
}

fn name_of(path: &FieldPath) -> String {
    let steps = path.steps.iter().map(|step| match step {
        Step::Name(name) => name.clone(),
        Step::Index(index) => index.to_string(),
    });
    let name = steps.collect::<Vec<_>>().join(".");
    match path.root {
        Root::Payload => name,
        Root::Context => format!("$ctx.{name}"),
        Root::AppContext => format!("$app.{name}"),
    }
}

fn unary(op: UnaryOp, operand: Operand) -> Result<Operand> {
    Ok(match (op, operand) {
        (UnaryOp::Plus, operand) => operand,
        (UnaryOp::Minus, Operand::Number(number)) => {
            Operand::Number((number as i64).wrapping_neg().into())
        }
        (UnaryOp::BitNot, Operand::Number(number)) => Operand::Number((!number as i64).into()),
        (UnaryOp::Not, Operand::Number(number)) => Operand::Number((number == 0).into()),
        (UnaryOp::Not, operand) => Operand::Condition(format!("!({})", condition(operand)?)),
        (UnaryOp::Minus | UnaryOp::BitNot, _) => {
            return Err(KernelFilterError::NotThere("arithmetic with fields"));
        }
    })
}

fn binary(op: BinaryOp, left: Operand, right: Operand) -> Result<Operand> {
    use Operand::{Bits, Condition, Field, Number, Text};

    let condition = match (left, right) {
        (Number(left), Number(right)) => return constant(op, left, right),
        (Field(field), Number(number)) | (Number(number), Field(field))
            if op == BinaryOp::BitAnd =>
        {
            return Ok(Bits(field, number as u64));
        }
        (Field(field), Number(number)) => compare(&field, op, number)?,
        (Number(number), Field(field)) => compare(&field, flipped(op), number)?,
        (Field(field), Text(text)) | (Text(text), Field(field)) => compare_text(op, &field, &text)?,
        (Bits(field, bits), Number(number)) | (Number(number), Bits(field, bits)) => {
            test_bits(op, &field, bits, number as u64)?
        }
        (Field(_), Field(_)) => {
            return Err(KernelFilterError::NotThere("comparisons of two fields"));
        }
        (Condition(_), _) | (_, Condition(_)) => {
            return Err(KernelFilterError::NotThere("arithmetic with conditions"));
        }
        (Text(_), _) | (_, Text(_)) | (Bits(..), _) | (_, Bits(..)) => {
            return Err(KernelFilterError::NotThere("operators between these"));
        }
    };
    Ok(Condition(condition))
}

fn constant(op: BinaryOp, left: i128, right: i128) -> Result<Operand> {
    let shift = u32::try_from(right).unwrap_or(u32::MAX);
    let bits = left as u64;
    Ok(Operand::Number(match op {
        BinaryOp::ShiftLeft => bits.checked_shl(shift).unwrap_or(0).into(),
        BinaryOp::ShiftRight => bits.checked_shr(shift).unwrap_or(0).into(),
        BinaryOp::BitAnd => (bits & right as u64).into(),
        BinaryOp::BitXor => (bits ^ right as u64).into(),
        BinaryOp::BitOr => (bits | right as u64).into(),
        BinaryOp::Less => (left < right).into(),
        BinaryOp::Greater => (left > right).into(),
        BinaryOp::LessEqual => (left <= right).into(),
        BinaryOp::GreaterEqual => (left >= right).into(),
        BinaryOp::Equal => (left == right).into(),
        BinaryOp::NotEqual => (left != right).into(),
    }))
}

fn sign(op: BinaryOp) -> Result<&'static str> {
    Ok(match op {
        BinaryOp::Less => "<",
        BinaryOp::Greater => ">",
        BinaryOp::LessEqual => "<=",
        BinaryOp::GreaterEqual => ">=",
        BinaryOp::Equal => "==",
        BinaryOp::NotEqual => "!=",
        BinaryOp::ShiftLeft
        | BinaryOp::ShiftRight
        | BinaryOp::BitAnd
        | BinaryOp::BitXor
        | BinaryOp::BitOr => return Err(KernelFilterError::NotThere("arithmetic with fields")),
    })
}

fn flipped(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Less => BinaryOp::Greater,
        BinaryOp::Greater => BinaryOp::Less,
        BinaryOp::LessEqual => BinaryOp::GreaterEqual,
        BinaryOp::GreaterEqual => BinaryOp::LessEqual,
        other => other,
    }
}

fn compare(field: &Known, op: BinaryOp, number: i128) -> Result<String> {
    let sign = sign(op)?;
    Ok(field.number()?.compare(op, sign, number))
}

fn compare_text(op: BinaryOp, field: &Known, text: &str) -> Result<String> {
    match field.field.content {
        Content::Text => {}
        Content::Number { .. } => return Err(KernelFilterError::Type(field.shown.clone())),
        Content::Opaque => return Err(KernelFilterError::Opaque(field.shown.clone())),
    }
    let pattern = glob::is_pattern(text);
    let written = if pattern { as_glob(text) } else { plain(text) };
    let quote = match (written.contains('"'), written.contains('\'')) {
        (false, _) => '"',
        (true, false) => '\'',
        (true, true) => return Err(KernelFilterError::Text(text.to_owned())),
    };
    if written.len() > MAX_TEXT || written.contains('\0') {
        return Err(KernelFilterError::Text(text.to_owned()));
    }
    let name = &field.field.name;
    Ok(match (op, pattern) {
        (BinaryOp::Equal, true) => format!("{name} ~ {quote}{written}{quote}"),
        (BinaryOp::NotEqual, true) => format!("!({name} ~ {quote}{written}{quote})"),
        (BinaryOp::Equal, false) => format!("{name} == {quote}{written}{quote}"),
        (BinaryOp::NotEqual, false) => format!("{name} != {quote}{written}{quote}"),
        _ => return Err(KernelFilterError::NotThere("order of strings")),
    })
}

/// Without the escapes.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.extend(chars.next()),
            c => plain.push(c),
        }
    }
    plain
}

/// What is special in the kernel's patterns and not in ours is escaped.
fn as_glob(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let (c, escaped) = match c {
            '\\' => (chars.next().unwrap_or('\\'), true),
            c => (c, false),
        };
        if matches!(c, '?' | '[' | '\\') || (c == '*' && escaped) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn test_bits(op: BinaryOp, field: &Known, bits: u64, pattern: u64) -> Result<String> {
    let value = field.number()?;
    match (op, pattern) {
        (BinaryOp::NotEqual, 0) => Ok(value.has_any(bits)),
        (BinaryOp::Equal, 0) => Ok(format!("!({})", value.has_any(bits))),
        (BinaryOp::Equal, _) => Ok(value.has_exactly(bits, pattern)),
        (BinaryOp::NotEqual, _) => Ok(format!("!({})", value.has_exactly(bits, pattern))),
        _ => Err(KernelFilterError::NotThere("order of bits")),
    }
}

/// What an operand means when it stands alone.
fn condition(operand: Operand) -> Result<String> {
    match operand {
        Operand::Condition(text) => Ok(text),
        Operand::Field(field) => compare(&field, BinaryOp::NotEqual, 0),
        Operand::Bits(field, bits) => Ok(field.number()?.has_any(bits)),
        Operand::Number(_) => Err(KernelFilterError::NotThere("conditions without a field")),
        Operand::Text(text) => Err(KernelFilterError::Text(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(text: &str) -> Result<String> {
        let lookup = |path: &FieldPath| {
            let Step::Name(name) = &path.steps[0] else {
                return None;
            };
            let name = match (path.root, name.as_str()) {
                (Root::Payload, "a" | "b" | "comm" | "row") => name.clone(),
                (Root::Context, "tid") => "common_pid".to_owned(),
                _ => return None,
            };
            let int = Number {
                bits: 32,
                signed: true,
            };
            let content = match name.as_str() {
                "comm" => Content::Text,
                "row" => Content::Opaque,
                _ => Content::Number {
                    stored: int,
                    meant: int,
                },
            };
            Some(KernelField { name, content })
        };
        translate(&Expression::parse(text).unwrap(), &lookup)
    }

    #[test]
    fn what_the_kernel_can_do_is_written_in_its_language() {
        for (text, kernel) in [
            ("a == 1", "a == 1"),
            ("1 < a", "a > 1"),
            ("a >= -5", "a >= -5"),
            ("a", "a != 0"),
            ("!a", "!(a != 0)"),
            ("a & 4", "a & 0x4"),
            ("(a & 6) == 0", "!(a & 0x6)"),
            ("(a & 4) == 4", "a & 0x4"),
            ("(a & (1 << 3)) != 0", "a & 0x8"),
            ("(a & 7) == 5", "(a & 0x1) && (a & 0x4) && (!(a & 0x2))"),
            ("(a & 6) != 2", "!((a & 0x2) && (!(a & 0x4)))"),
            ("a < ~0", "a < -1"),
            ("$ctx.tid == 7", "common_pid == 7"),
            ("comm == \"x\"", "comm == \"x\""),
            ("comm != \"x*\"", "!(comm ~ \"x*\")"),
            (r#"comm == "x\*""#, r#"comm == "x*""#),
            (
                "a == 1 && b == 2 || a",
                "((a == 1) && (b == 2)) || (a != 0)",
            ),
        ] {
            assert_eq!(translated(text).as_deref(), Ok(kernel), "{text}");
        }
    }

    #[test]
    fn what_it_cannot_do_is_refused_with_the_reason() {
        for (text, error) in [
            (
                "a == b",
                "the kernel's filters have no comparisons of two fields",
            ),
            ("(a & 6) < 2", "the kernel's filters have no order of bits"),
            (
                "row == 2",
                "the kernel's filters cannot compare `row`, which is neither a number nor text for them",
            ),
            (
                "a == 1.5",
                "the kernel's filters have no floating point numbers",
            ),
            ("c == 1", "no field `c`"),
            ("$ctx.uid == 1", "no field `$ctx.uid`"),
            (
                "comm == 1",
                "`comm` is compared with something of another type",
            ),
            (
                "a == \"x\"",
                "`a` is compared with something of another type",
            ),
            (
                "(a == 1) == 0",
                "the kernel's filters have no arithmetic with conditions",
            ),
            (
                "1",
                "the kernel's filters have no conditions without a field",
            ),
        ] {
            assert_eq!(translated(text).unwrap_err().to_string(), error, "{text}");
        }
    }
}
