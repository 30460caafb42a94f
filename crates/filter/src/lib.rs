//! Filter expressions, star-globs and exclusions of event rules.
//!
//! ```text
//! text --Expression::parse--> Expression (postfix nodes) --to_bytecode--> Bytecode (for liblttng-ust)
//!                                              --kernel::translate--> text for the kernel
//! ```
//!
//! No I/O and no recursion: the nesting of an expression is bounded by its length only.
//!
//! ```
//! let expression = filter::Expression::parse("size > 3 && name == \"foo*\"")?;
//! let bytecode = expression.to_bytecode()?;
//! assert!((bytecode.reloc_offset as usize) < bytecode.code_and_relocs.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod bytecode;
mod error;
pub mod exclusion;
mod expression;
pub mod glob;
pub mod kernel;
mod number;
mod parser;
mod token;

pub use bytecode::{Bytecode, BytecodeError};
pub use error::{ParseError, Problem};
pub use expression::{BinaryOp, Expression, FieldPath, Kind, LogicalOp, Node, Root, Step, UnaryOp};

/// Most bytes of an expression's text, and of its bytecode with relocations (LTTng 2.13 keeps both below
/// 65536).
pub const MAX_BYTES: usize = 65535;
