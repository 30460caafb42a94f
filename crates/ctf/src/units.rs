//! Small value types that more than one layout uses.

use std::fmt;

/// A length in bits, as CTF packet contexts and index records store it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bits(pub u64);

impl Bits {
    /// The length of `bytes` bytes, or `None` when it does not fit 64 bits.
    pub fn from_bytes(bytes: u64) -> Option<Self> {
        bytes.checked_mul(8).map(Bits)
    }

    /// Whole bytes, or `None` when the length ends inside a byte.
    pub fn to_bytes(self) -> Option<u64> {
        self.0.is_multiple_of(8).then_some(self.0 / 8)
    }
}

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bits", self.0)
    }
}

/// A universally unique identifier, in the byte order in which it is printed and stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// Reads the usual text form, `8-4-4-4-12` hexadecimal digits in either case; `None` for
    /// anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 36 {
            return None;
        }
        let mut digits = Vec::with_capacity(32);
        for (at, &c) in text.iter().enumerate() {
            match at {
                8 | 13 | 18 | 23 if c == b'-' => {}
                8 | 13 | 18 | 23 => return None,
                _ => digits.push(char::from(c).to_digit(16)? as u8),
            }
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Some(Uuid(bytes))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuid_text_round_trips_and_bad_text_is_refused() {
        let text = "adc6a366-07f4-488b-ad2d-fdce36db82f6";
        assert_eq!(Uuid::parse(text).unwrap().to_string(), text);
        for bad in [
            "",
            "adc6a366",
            "adc6a36607f4-488b-ad2d-fdce36db82f6-",
            "gdc6a366-07f4-488b-ad2d-fdce36db82f6",
        ] {
            assert_eq!(Uuid::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn bits_that_end_inside_a_byte_are_no_bytes() {
        assert_eq!(Bits(16).to_bytes(), Some(2));
        assert_eq!(Bits(17).to_bytes(), None);
        assert_eq!(Bits::from_bytes(u64::MAX), None);
    }
}
