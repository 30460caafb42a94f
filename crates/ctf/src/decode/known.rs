//! What compilation knows about the position of a value.

/// What is certain about a position: `at ≡ rest (mod modulus)`, in bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Known {
    pub(super) modulus: u64,
    pub(super) rest: u64,
}

impl Known {
    /// Any bit.
    pub(super) const NOTHING: Self = Self {
        modulus: 1,
        rest: 0,
    };
    /// A whole byte.
    pub(super) const BYTE: Self = Self {
        modulus: 8,
        rest: 0,
    };

    pub(super) fn skip(self, bits: u64) -> Self {
        Self {
            modulus: self.modulus,
            rest: self.rest.wrapping_add(bits) % self.modulus,
        }
    }

    /// What stays certain after any number of steps of `bits`.
    pub(super) fn repeat(self, bits: u64) -> Self {
        self.weakened(low_bit(bits))
    }

    pub(super) fn weakened(self, modulus: u64) -> Self {
        let modulus = self.modulus.min(modulus);
        Self {
            modulus,
            rest: self.rest % modulus,
        }
    }

    /// What is certain when either is.
    pub(super) fn either(self, other: Self) -> Self {
        let mut modulus = self.modulus.min(other.modulus);
        while self.rest % modulus != other.rest % modulus {
            modulus /= 2;
        }
        self.weakened(modulus)
    }
}

/// The largest power of two that divides `bits`, at most 2^16.
pub(super) fn low_bit(bits: u64) -> u64 {
    1 << bits.trailing_zeros().min(16)
}
