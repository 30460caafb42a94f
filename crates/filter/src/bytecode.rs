//! Expression to the program that liblttng-ust links and runs.
//!
//! ```text
//! code ... RETURN | u16 offset of instruction, "symbol\0" | u16 offset, "symbol\0" | ...
//!                 ^ reloc_offset
//! ```
//!
//! Host byte order. Source: the user space ABI facts, sections 6.1 to 6.3; held by `tests/stock.rs`, which
//! compares with what the stock client sends.

use std::borrow::Cow;

use crate::expression::{BinaryOp, FieldPath, Kind, LogicalOp, Node, Root, Step, UnaryOp};
use crate::{MAX_BYTES, glob};

/// A filter program with its relocation table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytecode {
    /// The code, then the relocation table; at most [`MAX_BYTES`].
    pub code_and_relocs: Vec<u8>,
    /// Where the relocation table starts, bytes.
    pub reloc_offset: u32,
}

/// Why there is no program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BytecodeError {
    /// The tracer takes no larger one.
    #[error("the filter's program is larger than {MAX_BYTES} bytes; use a shorter expression")]
    TooLarge,
}

mod opcode {
    pub(super) const RETURN: u8 = 1;
    pub(super) const RSHIFT: u8 = 7;
    pub(super) const LSHIFT: u8 = 8;
    pub(super) const BIT_AND: u8 = 9;
    pub(super) const BIT_OR: u8 = 10;
    pub(super) const BIT_XOR: u8 = 11;
    pub(super) const EQ: u8 = 12;
    pub(super) const NE: u8 = 13;
    pub(super) const GT: u8 = 14;
    pub(super) const LT: u8 = 15;
    pub(super) const GE: u8 = 16;
    pub(super) const LE: u8 = 17;
    pub(super) const UNARY_MINUS: u8 = 49;
    pub(super) const UNARY_NOT: u8 = 50;
    pub(super) const AND: u8 = 57;
    pub(super) const OR: u8 = 58;
    pub(super) const LOAD_FIELD_REF: u8 = 59;
    pub(super) const LOAD_STRING: u8 = 64;
    pub(super) const LOAD_S64: u8 = 65;
    pub(super) const LOAD_DOUBLE: u8 = 66;
    pub(super) const CAST_TO_S64: u8 = 67;
    pub(super) const CAST_DOUBLE_TO_S64: u8 = 68;
    pub(super) const GET_CONTEXT_REF: u8 = 70;
    pub(super) const LOAD_STAR_GLOB_STRING: u8 = 76;
    pub(super) const GET_CONTEXT_ROOT: u8 = 79;
    pub(super) const GET_APP_CONTEXT_ROOT: u8 = 80;
    pub(super) const GET_PAYLOAD_ROOT: u8 = 81;
    pub(super) const GET_SYMBOL: u8 = 82;
    pub(super) const GET_INDEX_U64: u8 = 85;
    pub(super) const LOAD_FIELD: u8 = 86;
    pub(super) const UNARY_BIT_NOT: u8 = 98;
}

/// Operand of a reference that the application resolves by relocation.
const UNRESOLVED: u16 = 0xFFFF;

pub(crate) fn generate(nodes: &[Node]) -> Result<Bytecode, BytecodeError> {
    let mut generator = Generator::default();
    for node in nodes {
        generator.node(node)?;
    }
    generator.finish()
}

#[derive(Default)]
struct Generator {
    code: Vec<u8>,
    relocs: Vec<u8>,
    /// Where the targets of open branches go.
    branches: Vec<usize>,
}

impl Generator {
    fn node(&mut self, node: &Node) -> Result<(), BytecodeError> {
        match node {
            Node::Field(path) => self.field(path)?,
            Node::Integer(value) => {
                self.code.push(opcode::LOAD_S64);
                self.code.extend(value.to_ne_bytes());
            }
            Node::Float(value) => {
                self.code.push(opcode::LOAD_DOUBLE);
                self.code.extend(value.to_ne_bytes());
            }
            Node::String(text) => self.string(text),
            Node::Unary(UnaryOp::Plus) => {}
            Node::Unary(UnaryOp::Minus) => self.code.push(opcode::UNARY_MINUS),
            Node::Unary(UnaryOp::Not) => self.code.push(opcode::UNARY_NOT),
            Node::Unary(UnaryOp::BitNot) => self.code.push(opcode::UNARY_BIT_NOT),
            Node::Binary(op) => self.code.push(binary_opcode(*op)),
            Node::Branch(op, left) => {
                self.cast(*left);
                self.code.push(match op {
                    LogicalOp::And => opcode::AND,
                    LogicalOp::Or => opcode::OR,
                });
                self.branches.push(self.code.len());
                self.code.extend([0, 0]);
            }
            Node::Join(_, right) => {
                self.cast(*right);
                let target = offset_of(self.code.len())?;
                if let Some(at) = self.branches.pop() {
                    self.code[at..at + 2].copy_from_slice(&target.to_ne_bytes());
                }
            }
        }
        // Checked here, so that memory stays bounded by the limit.
        if self.code.len() + self.relocs.len() > MAX_BYTES {
            return Err(BytecodeError::TooLarge);
        }
        Ok(())
    }

    /// Logical operators want integers.
    fn cast(&mut self, kind: Kind) {
        match kind {
            Kind::Field => self.code.push(opcode::CAST_TO_S64),
            Kind::Float => self.code.push(opcode::CAST_DOUBLE_TO_S64),
            Kind::Integer | Kind::Text | Kind::Prefix | Kind::Glob => {}
        }
    }

    fn string(&mut self, text: &str) {
        self.code.push(match glob::classify(text) {
            glob::Class::Literal | glob::Class::StarAtEnd => opcode::LOAD_STRING,
            glob::Class::Pattern => opcode::LOAD_STAR_GLOB_STRING,
        });
        self.code.extend(glob::normalize(text).bytes());
        self.code.push(0);
    }

    fn field(&mut self, path: &FieldPath) -> Result<(), BytecodeError> {
        match dotted(path) {
            Some(name) => self.reference(path.root, &name),
            None => self.traversal(path),
        }
    }

    /// A field without index: one instruction, the dotted name in the relocation.
    fn reference(&mut self, root: Root, name: &str) -> Result<(), BytecodeError> {
        let (opcode, prefix) = match root {
            Root::Payload => (opcode::LOAD_FIELD_REF, ""),
            Root::Context => (opcode::GET_CONTEXT_REF, "$ctx."),
            Root::AppContext => (opcode::GET_CONTEXT_REF, "$app."),
        };
        self.relocate(&[prefix, name])?;
        self.code.push(opcode);
        self.code.extend(UNRESOLVED.to_ne_bytes());
        Ok(())
    }

    /// A field with an index: root, then one instruction per step, then the load.
    fn traversal(&mut self, path: &FieldPath) -> Result<(), BytecodeError> {
        self.code.push(match path.root {
            Root::Payload => opcode::GET_PAYLOAD_ROOT,
            Root::Context => opcode::GET_CONTEXT_ROOT,
            Root::AppContext => opcode::GET_APP_CONTEXT_ROOT,
        });
        for step in &path.steps {
            match step {
                Step::Name(name) => {
                    let name_offset = offset_of(self.relocs.len() + 2)?;
                    self.relocate(&[name])?;
                    self.code.push(opcode::GET_SYMBOL);
                    self.code.extend(name_offset.to_ne_bytes());
                }
                Step::Index(index) => {
                    self.code.push(opcode::GET_INDEX_U64);
                    self.code.extend(index.to_ne_bytes());
                }
            }
        }
        self.code.push(opcode::LOAD_FIELD);
        Ok(())
    }

    /// A relocation for the instruction that comes next.
    fn relocate(&mut self, symbol: &[&str]) -> Result<(), BytecodeError> {
        let at = offset_of(self.code.len())?;
        self.relocs.extend(at.to_ne_bytes());
        for part in symbol {
            self.relocs.extend(part.bytes());
        }
        self.relocs.push(0);
        Ok(())
    }

    fn finish(mut self) -> Result<Bytecode, BytecodeError> {
        self.code.push(opcode::RETURN);
        let reloc_offset = u32::from(offset_of(self.code.len())?);
        self.code.append(&mut self.relocs);
        if self.code.len() > MAX_BYTES {
            return Err(BytecodeError::TooLarge);
        }
        Ok(Bytecode {
            code_and_relocs: self.code,
            reloc_offset,
        })
    }
}

fn offset_of(length: usize) -> Result<u16, BytecodeError> {
    u16::try_from(length).map_err(|_| BytecodeError::TooLarge)
}

/// The names joined by dots, `None` when there is an index among them.
fn dotted(path: &FieldPath) -> Option<Cow<'_, str>> {
    if let [Step::Name(name)] = path.steps.as_slice() {
        return Some(Cow::Borrowed(name));
    }
    let names: Option<Vec<_>> = path
        .steps
        .iter()
        .map(|step| match step {
            Step::Name(name) => Some(name.as_str()),
            Step::Index(_) => None,
        })
        .collect();
    Some(Cow::Owned(names?.join(".")))
}

fn binary_opcode(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::ShiftLeft => opcode::LSHIFT,
        BinaryOp::ShiftRight => opcode::RSHIFT,
        BinaryOp::BitAnd => opcode::BIT_AND,
        BinaryOp::BitXor => opcode::BIT_XOR,
        BinaryOp::BitOr => opcode::BIT_OR,
        BinaryOp::Less => opcode::LT,
        BinaryOp::Greater => opcode::GT,
        BinaryOp::LessEqual => opcode::LE,
        BinaryOp::GreaterEqual => opcode::GE,
        BinaryOp::Equal => opcode::EQ,
        BinaryOp::NotEqual => opcode::NE,
    }
}
