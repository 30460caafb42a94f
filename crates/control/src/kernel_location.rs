//! Places in the kernel, as users write them.

use std::fmt;

/// Where a probe in the kernel is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelLocation {
    /// `SYMBOL[+OFFSET]`.
    Symbol {
        /// As in `/proc/kallsyms`.
        name: String,
        /// Bytes after it.
        offset: u64,
    },
    /// `ADDRESS`.
    Address(u64),
}

/// A text is no place. The words are upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KernelLocationError {
    /// Neither a symbol nor an address.
    #[error("Invalid probe description {0}")]
    Description(String),
    /// What follows the `+` is no number.
    #[error("Invalid probe offset {0}")]
    Offset(String),
    /// Nothing.
    #[error("no place is given: write ADDRESS or SYMBOL[+OFFSET]")]
    Empty,
}

impl KernelLocation {
    /// Reads what a user wrote. Numbers are decimal, hexadecimal after `0x` and octal after `0`.
    pub fn parse(text: &str) -> Result<Self, KernelLocationError> {
        let text = text.trim();
        let description = || KernelLocationError::Description(text.to_owned());
        let first = text.chars().next().ok_or(KernelLocationError::Empty)?;
        if first.is_ascii_digit() {
            return match number(text) {
                // What the kernel is told to be at 0 is meant by name.
                Some(0) | None => Err(description()),
                Some(address) => Ok(Self::Address(address)),
            };
        }
        if !(first.is_ascii_alphabetic() || first == '_') {
            return Err(description());
        }
        let (name, offset) = match text.split_once('+') {
            None => (text, 0),
            Some((name, offset)) => {
                let number = number(offset);
                let bad = || KernelLocationError::Offset(offset.to_owned());
                (name, number.ok_or_else(bad)?)
            }
        };
        if name.contains(char::is_whitespace) {
            return Err(description());
        }
        Ok(Self::Symbol {
            name: name.to_owned(),
            offset,
        })
    }
}

impl fmt::Display for KernelLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address:#x}"),
            Self::Symbol { name, offset: 0 } => f.write_str(name),
            Self::Symbol { name, offset } => write!(f, "{name}+{offset:#x}"),
        }
    }
}

fn number(text: &str) -> Option<u64> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = match (hex, text) {
        (Some(digits), _) => (digits, 16),
        (None, "0") => (text, 10),
        (None, text) => text
            .strip_prefix('0')
            .map_or((text, 10), |digits| (digits, 8)),
    };
    // A sign is none of the digits.
    let plain = digits.chars().all(|c| c.is_digit(radix));
    plain
        .then(|| u64::from_str_radix(digits, radix).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_written() {
        for (text, written) in [
            ("schedule", "schedule"),
            ("schedule+0x10", "schedule+0x10"),
            ("_do+16", "_do+0x10"),
            ("f+020", "f+0x10"),
            ("f+0", "f"),
            ("0xffffffff81000000", "0xffffffff81000000"),
            ("16", "0x10"),
        ] {
            let place = KernelLocation::parse(text).unwrap();
            assert_eq!(place.to_string(), written);
            assert_eq!(KernelLocation::parse(written), Ok(place));
        }
    }

    #[test]
    fn mistakes_are_told_in_the_words_of_upstream() {
        for (text, error) in [
            ("+3", "Invalid probe description +3"),
            ("-1", "Invalid probe description -1"),
            ("0xzz", "Invalid probe description 0xzz"),
            ("0", "Invalid probe description 0"),
            ("a b", "Invalid probe description a b"),
            ("sched+", "Invalid probe offset "),
            ("sched+zz", "Invalid probe offset zz"),
            ("sched++1", "Invalid probe offset +1"),
        ] {
            let refused = KernelLocation::parse(text).unwrap_err();
            assert_eq!(refused.to_string(), error);
        }
        assert_eq!(KernelLocation::parse(" "), Err(KernelLocationError::Empty));
    }
}
