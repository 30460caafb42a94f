//! The TSDL parser: its state and its view of the tokens. What it reads is in [`super::declare`]
//! (types) and [`super::block`] (the blocks that hold them).

use std::collections::HashMap;

use super::error::{ErrorKind, TsdlError};
use super::lex::{Lexer, Token, clip};
use super::scalar::Scalar;
use crate::types::{ByteOrder, Field, FieldType};

/// How deep types and blocks may nest.
pub const MAX_DEPTH: usize = 32;
/// How many nodes all types of one metadata text may have together, beyond those that the text
/// itself spells out. Named types of named types grow exponentially otherwise.
const MAX_COPIED_NODES: usize = 1 << 20;

/// Types with a name: aliases under their words, others as `struct x`, `enum x`, `variant x`.
pub(super) type Scope = HashMap<String, FieldType>;

/// What outlives a single piece of text.
#[derive(Debug)]
pub(super) struct Names {
    /// Innermost last. The first is the root.
    pub(super) scopes: Vec<Scope>,
    pub(super) byte_order: Option<ByteOrder>,
    copied_nodes: usize,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            scopes: vec![Scope::new()],
            byte_order: None,
            copied_nodes: 0,
        }
    }
}

impl Names {
    /// A copy of a named type.
    pub(super) fn find(&mut self, name: &str) -> Option<Result<FieldType, ErrorKind>> {
        let ty = self.scopes.iter().rev().find_map(|scope| scope.get(name))?;
        self.copied_nodes += nodes(ty);
        if self.copied_nodes > MAX_COPIED_NODES {
            return Some(Err(ErrorKind::TooLarge));
        }
        Some(Ok(ty.clone()))
    }

    pub(super) fn define(&mut self, name: String, ty: FieldType) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name, ty);
        }
    }
}

fn nodes(ty: &FieldType) -> usize {
    let fields = |fields: &[Field]| fields.iter().map(|field| nodes(&field.ty)).sum::<usize>();
    1 + match ty {
        FieldType::Array { element, .. } | FieldType::Sequence { element, .. } => nodes(element),
        FieldType::Struct {
            fields: members, ..
        } => fields(members),
        FieldType::Variant { choices, .. } => fields(choices),
        FieldType::Enum(ty) => ty.entries.len(),
        FieldType::Integer(_) | FieldType::Float(_) | FieldType::String { .. } => 0,
    }
}

pub(super) struct Parser<'t, 'n> {
    pub(super) lexer: Lexer<'t>,
    pub(super) names: &'n mut Names,
    pub(super) depth: usize,
}

impl<'t, 'n> Parser<'t, 'n> {
    pub(super) fn new(lexer: Lexer<'t>, names: &'n mut Names) -> Self {
        Self {
            lexer,
            names,
            depth: 0,
        }
    }

    pub(super) fn error<T>(&self, kind: ErrorKind) -> Result<T, TsdlError> {
        Err(self.lexer.error(kind))
    }

    pub(super) fn unexpected<T>(&self, expected: &'static str) -> Result<T, TsdlError> {
        let found = match self.lexer.peek() {
            Token::End => return self.error(ErrorKind::Incomplete),
            Token::Word(word) => format!("`{}`", clip(word)),
            Token::Number(number) => format!("`{number}`"),
            Token::Text(text) => format!("\"{}\"", clip(text)),
            Token::Punct(punct) => format!("`{punct}`"),
        };
        self.error(ErrorKind::Unexpected { expected, found })
    }

    pub(super) fn sees(&self, punct: &str) -> bool {
        matches!(self.lexer.peek(), Token::Punct(p) if *p == punct)
    }

    pub(super) fn sees_word(&self, word: &str) -> bool {
        matches!(self.lexer.peek(), Token::Word(w) if *w == word)
    }

    pub(super) fn accept(&mut self, punct: &str) -> Result<bool, TsdlError> {
        let there = self.sees(punct);
        if there {
            self.lexer.take()?;
        }
        Ok(there)
    }

    pub(super) fn expect(&mut self, punct: &'static str) -> Result<(), TsdlError> {
        if self.accept(punct)? {
            Ok(())
        } else {
            self.unexpected(punct)
        }
    }

    pub(super) fn word(&mut self) -> Result<&'t str, TsdlError> {
        match *self.lexer.peek() {
            Token::Word(word) => {
                self.lexer.take()?;
                Ok(word)
            }
            _ => self.unexpected("a name"),
        }
    }

    /// `a.b.c`, as one string.
    pub(super) fn path(&mut self) -> Result<String, TsdlError> {
        let mut path = self.word()?.to_owned();
        while self.accept(".")? {
            path.push('.');
            path.push_str(self.word()?);
        }
        Ok(path)
    }

    pub(super) fn number(&mut self) -> Result<i128, TsdlError> {
        let negative = self.accept("-")?;
        if !negative {
            self.accept("+")?;
        }
        match *self.lexer.peek() {
            Token::Number(number) => {
                self.lexer.take()?;
                Ok(if negative {
                    -i128::from(number)
                } else {
                    number.into()
                })
            }
            _ => self.unexpected("a number"),
        }
    }

    pub(super) fn scalar(&mut self) -> Result<Scalar, TsdlError> {
        match self.lexer.peek() {
            Token::Text(_) => match self.lexer.take()? {
                Token::Text(text) => Ok(Scalar::Text(text)),
                _ => self.unexpected("a text"),
            },
            Token::Word(_) => Ok(Scalar::Word(self.path()?)),
            _ => Ok(Scalar::Number(self.number()?)),
        }
    }

    /// Runs `inner` one level deeper, with a scope of its own for the types that it names.
    pub(super) fn nested<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, TsdlError>,
    ) -> Result<T, TsdlError> {
        if self.depth == MAX_DEPTH {
            return self.error(ErrorKind::TooDeep);
        }
        self.depth += 1;
        self.names.scopes.push(Scope::new());
        let result = inner(self);
        self.names.scopes.pop();
        self.depth -= 1;
        result
    }
}
