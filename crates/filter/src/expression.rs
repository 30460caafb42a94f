//! A checked expression.
//!
//! An expression is kept in postfix order, so that neither parsing nor code generation nor dropping
//! recurses. `a == 1 && !b` is
//!
//! ```text
//! Field(a) Integer(1) Binary(Equal) Branch(And, Integer) Field(b) Unary(Not) Join(And, Field)
//! ```
//!
//! where `Branch` stands between the two sides of a logical operator: there evaluation may end early.

use crate::error::{ParseError, Problem};
use crate::parser::Parser;
use crate::{Bytecode, BytecodeError, MAX_BYTES, bytecode};

/// What an operand is, as far as it is known before an event is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An integer constant, or the result of an operator.
    Integer,
    /// A floating point constant.
    Float,
    /// A field or context: its type is the event's business.
    Field,
    /// A string constant without star.
    Text,
    /// A string constant whose only star is its last character.
    Prefix,
    /// A string constant with a star elsewhere.
    Glob,
}

impl Kind {
    pub(crate) fn is_string(self) -> bool {
        matches!(self, Self::Text | Self::Prefix | Self::Glob)
    }
}

/// Where a field path starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// The event's own fields.
    Payload,
    /// `$ctx`.
    Context,
    /// `$app`.
    AppContext,
}

/// One step of a field path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// `.name`.
    Name(String),
    /// `[index]`.
    Index(u64),
}

/// A field: `a`, `$ctx.vpid`, `a.b[2].c`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath {
    /// Where it starts.
    pub root: Root,
    /// Names and indexes; the first is a name.
    pub steps: Vec<Step>,
}

/// An operator before its operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `!`
    Not,
    /// `~`
    BitNot,
}

/// An operator between two operands that are always evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the operators")]
pub enum BinaryOp {
    ShiftLeft,
    ShiftRight,
    BitAnd,
    BitXor,
    BitOr,
    Less,
    Greater,
    LessEqual,
    GreaterEqual,
    Equal,
    NotEqual,
}

/// An operator whose right side is evaluated when the left one leaves the result open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogicalOp {
    /// `&&`
    And,
    /// `||`
    Or,
}

/// One element of the postfix form.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// The value of a field.
    Field(FieldPath),
    /// A constant; compared as a signed integer.
    Integer(u64),
    /// A constant.
    Float(f64),
    /// A string constant with its escapes and stars as written.
    String(String),
    /// Replaces the top operand.
    Unary(UnaryOp),
    /// Replaces the top two operands.
    Binary(BinaryOp),
    /// The left side of a logical operator ends here; its kind.
    Branch(LogicalOp, Kind),
    /// The right side of a logical operator ends here; its kind.
    Join(LogicalOp, Kind),
}

/// A filter expression that can be evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    text: String,
    nodes: Vec<Node>,
}

impl Expression {
    /// Parses and checks a filter expression.
    ///
    /// # Errors
    ///
    /// What is wrong, and at which column.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if text.len() > MAX_BYTES {
            return Err(ParseError::new(text, 0, Problem::TooLong));
        }
        let nodes = Parser::new(text).run()?;
        Ok(Self {
            text: text.into(),
            nodes,
        })
    }

    /// The text it was parsed from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The postfix form.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The program for the user space tracer.
    ///
    /// # Errors
    ///
    /// When the program is larger than the tracer takes.
    pub fn to_bytecode(&self) -> Result<Bytecode, BytecodeError> {
        bytecode::generate(&self.nodes)
    }
}
