//! Values on the right of `=`, and what they can mean.

use crate::types::{ByteOrder, Encoding, FieldByteOrder};

/// A value on the right of `=`.
pub(super) enum Scalar {
    Text(String),
    Number(i128),
    Word(String),
}

impl Scalar {
    pub(super) fn number(&self) -> Option<i128> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn alignment(&self) -> Option<u32> {
        u32::try_from(self.number()?)
            .ok()
            .filter(|bits| bits.is_power_of_two() && *bits <= 1 << 16)
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self {
            Self::Number(number) => Some(*number != 0),
            Self::Word(word) if matches!(word.as_str(), "true" | "TRUE") => Some(true),
            Self::Word(word) if matches!(word.as_str(), "false" | "FALSE") => Some(false),
            _ => None,
        }
    }

    pub(super) fn base(&self) -> Option<u32> {
        match self {
            Self::Number(number @ (2 | 8 | 10 | 16)) => u32::try_from(*number).ok(),
            Self::Word(word) => match word.as_str() {
                "decimal" | "dec" | "d" | "i" | "u" => Some(10),
                "hexadecimal" | "hex" | "x" | "X" | "p" => Some(16),
                "octal" | "oct" | "o" => Some(8),
                "binary" | "bin" | "b" => Some(2),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn encoding(&self) -> Option<Encoding> {
        match self {
            Self::Word(word) | Self::Text(word) => match word.as_str() {
                "none" => Some(Encoding::None),
                "UTF8" | "UTF_8" | "utf8" | "UTF-8" => Some(Encoding::Utf8),
                "ASCII" | "ascii" => Some(Encoding::Ascii),
                _ => None,
            },
            Self::Number(_) => None,
        }
    }

    /// A byte order, relative to that of the trace where it is known.
    pub(super) fn byte_order(&self, trace: Option<ByteOrder>) -> Option<FieldByteOrder> {
        if matches!(self, Self::Word(word) if word == "native") {
            return Some(FieldByteOrder::Native);
        }
        let order = self.absolute_byte_order()?;
        Some(if trace == Some(order.reversed()) {
            FieldByteOrder::Reversed
        } else {
            FieldByteOrder::Explicit(order)
        })
    }

    pub(super) fn absolute_byte_order(&self) -> Option<ByteOrder> {
        match self {
            Self::Word(word) => match word.as_str() {
                "le" => Some(ByteOrder::Little),
                "be" | "network" => Some(ByteOrder::Big),
                _ => None,
            },
            _ => None,
        }
    }
}
