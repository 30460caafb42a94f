//! What can be wrong with TSDL text.

/// A mistake in TSDL text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("metadata line {line}: {kind}")]
pub struct TsdlError {
    /// Line of the mistake, from 1.
    pub line: usize,
    /// The mistake.
    pub kind: ErrorKind,
}

/// The mistakes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text ends inside a block.
    #[error("the text ends inside a block")]
    Incomplete,
    /// A character that cannot start anything.
    #[error("unexpected character {0:?}")]
    BadCharacter(char),
    /// A number that does not fit 64 bits or has bad digits.
    #[error("`{0}` is no number of at most 64 bits")]
    BadNumber(String),
    /// Something else was expected here.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What belongs here.
        expected: &'static str,
        /// What is here.
        found: String,
    },
    /// A type that no earlier text declares.
    #[error("unknown type `{0}`")]
    UnknownType(String),
    /// An attribute whose value makes no sense.
    #[error("bad value for `{0}`")]
    BadAttribute(String),
    /// An integer, float or enumeration without its size or container.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// Types nest too deeply.
    #[error("types nest deeper than {} levels", super::parse::MAX_DEPTH)]
    TooDeep,
    /// Types refer to types so often that the whole becomes too large.
    #[error("the types are too large when written out")]
    TooLarge,
}
