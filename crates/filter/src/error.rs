//! What can be wrong with the text of an expression, and where.

use crate::MAX_BYTES;

/// An expression that cannot be used, with the place of the problem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {problem}")]
pub struct ParseError {
    /// Byte offset of the problem in the text.
    pub offset: usize,
    /// The same place in characters, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: Problem,
}

impl ParseError {
    pub(crate) fn new(text: &str, offset: usize, problem: Problem) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        Self {
            offset,
            column: before.chars().count() + 1,
            problem,
        }
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The text is longer than a session daemon accepts.
    #[error("the expression is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// Nothing but white space and comments.
    #[error("the expression is empty")]
    Empty,
    /// A character that starts nothing.
    #[error("unexpected character {0:?}")]
    Character(char),
    /// A quote without its partner.
    #[error("this string has no closing {0}")]
    OpenString(char),
    /// `/*` without `*/`.
    #[error("this comment has no closing `*/`")]
    OpenComment,
    /// A backslash that is not before `*` or `\`.
    #[error("a string knows the escapes `\\*` and `\\\\` only, not `\\{0}`")]
    Escape(String),
    /// Something that starts like a number.
    #[error("`{0}` is not a number")]
    Number(String),
    /// A single `=`.
    #[error("`=` is not an operator; compare with `==`")]
    Assignment,
    /// `+ - * / %` between two operands.
    #[error(
        "the operator `{0}` is not supported in filters (arithmetic cannot be used on event fields)"
    )]
    Arithmetic(char),
    /// An operand was due.
    #[error("expected a field, a constant or `(`, found {0}")]
    ExpectedOperand(String),
    /// An operator was due.
    #[error("expected an operator, found {0}")]
    ExpectedOperator(String),
    /// A name was due after `.` or `->`.
    #[error("expected a field name, found {0}")]
    ExpectedName(String),
    /// `(` without `)`.
    #[error("this `(` is never closed")]
    OpenParenthesis,
    /// `)` without `(`.
    #[error("this `)` closes nothing")]
    StrayParenthesis,
    /// An index that is not a constant, not negative integer.
    #[error("an index must be a constant integer that is not negative")]
    Index,
    /// `]` is missing.
    #[error("expected `]`, found {0}")]
    ExpectedBracket(String),
    /// `$something` that is no root.
    #[error(
        "`{0}` is unknown; use `$ctx.NAME` for a context field or `$app.PROVIDER:TYPE` for one of an application"
    )]
    UnknownRoot(String),
    /// `$ctx` or `$app` alone.
    #[error("expected `.` and a name after `{0}`")]
    RootAlone(&'static str),
    /// A string where a number is needed.
    #[error("`{0}` cannot be applied to a string")]
    StringOperand(&'static str),
    /// A floating point constant under a bitwise operator.
    #[error("`{0}` cannot be applied to a floating point number")]
    FloatOperand(&'static str),
    /// A string compared with a number.
    #[error("`{0}` cannot compare a string with a number")]
    Mismatch(&'static str),
    /// A pattern under an order comparison.
    #[error("a pattern with `*` can be compared with `==` and `!=` only, not with `{0}`")]
    PatternOrder(&'static str),
    /// A pattern on both sides.
    #[error("two patterns with `*` cannot be compared")]
    TwoPatterns,
    /// The whole expression is a string.
    #[error("a string alone is no condition; compare it with a field")]
    StringResult,
    /// The whole expression is a floating point constant.
    #[error("a floating point number alone is no condition; compare it with a field")]
    FloatResult,
}
