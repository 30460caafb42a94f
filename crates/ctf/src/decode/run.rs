//! Walks over values, step by step.

use super::bits::Int;
use super::error::{DecodeError, DecodeErrorKind};
use super::plan::{Count, Op};

/// The value of a slot to which nothing has been read.
pub(super) const UNSET: i128 = i128::MIN;

/// A position in a packet and what has been read on the way.
#[derive(Debug)]
pub(super) struct Machine<'p> {
    pub(super) bytes: &'p [u8],
    /// Next bit.
    pub(super) at: u64,
    /// Bit behind the last one; inside `bytes`.
    pub(super) limit: u64,
    pub(super) slots: Vec<i128>,
    /// Raw time stamp of the event and its size in bits.
    pub(super) stamp: Option<(u64, u32)>,
    /// First byte of the trace's uuid.
    pub(super) uuid_at: Option<usize>,
    /// How many elements may still be walked over one by one. Each has at least one bit in sane
    /// packets, so the number of bits is enough; it keeps elements without bits from running on.
    elements_left: u64,
}

impl<'p> Machine<'p> {
    /// At the start of `bytes`.
    pub(super) fn new(bytes: &'p [u8]) -> Self {
        let limit = bytes.len() as u64 * 8;
        Self {
            bytes,
            at: 0,
            limit,
            slots: Vec::new(),
            stamp: None,
            uuid_at: None,
            elements_left: limit,
        }
    }

    pub(super) fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError {
            at_bits: self.at,
            kind,
        }
    }

    fn overrun(&self) -> DecodeError {
        self.error(DecodeErrorKind::Overrun)
    }

    /// Makes room for the slots of a plan; those of a header are unset.
    pub(super) fn reserve(&mut self, slots: usize) {
        if self.slots.len() < slots {
            self.slots.resize(slots, UNSET);
        }
    }

    /// The value of a header field, if it was there.
    pub(super) fn captured(&self, slot: usize) -> Option<i128> {
        self.slots
            .get(slot)
            .copied()
            .filter(|value| *value != UNSET)
    }

    #[inline]
    pub(super) fn skip(&mut self, bits: u64) -> Result<(), DecodeError> {
        match self.at.checked_add(bits) {
            Some(at) if at <= self.limit => {
                self.at = at;
                Ok(())
            }
            _ => Err(self.overrun()),
        }
    }

    pub(super) fn align(&mut self, bits: u64) -> Result<(), DecodeError> {
        // A power of two of at most 2^16, so the sum fits.
        self.skip(self.at.wrapping_neg() & (bits - 1))
    }

    pub(super) fn read(&mut self, int: Int) -> Result<i128, DecodeError> {
        let value = int
            .read(self.bytes, self.at, self.limit)
            .ok_or_else(|| self.overrun())?;
        self.at += u64::from(int.size_bits);
        Ok(value)
    }

    /// Goes behind the next zero byte; returns the bytes before it.
    pub(super) fn text(&mut self) -> Result<&'p [u8], DecodeError> {
        let (start, end) = ((self.at / 8) as usize, (self.limit / 8) as usize);
        let rest = self.bytes.get(start..end).unwrap_or_default();
        let len = zero_at(rest).ok_or_else(|| self.overrun())?;
        self.at += (len as u64 + 1) * 8;
        Ok(&rest[..len])
    }

    /// Takes one of the elements that may be walked over one by one.
    pub(super) fn take_element(&mut self) -> Result<(), DecodeError> {
        match self.elements_left.checked_sub(1) {
            Some(left) => {
                self.elements_left = left;
                Ok(())
            }
            None => Err(self.error(DecodeErrorKind::Endless)),
        }
    }

    /// A number of elements, from the integer that holds it.
    pub(super) fn length(&self, value: i128) -> Result<u64, DecodeError> {
        u64::try_from(value).map_err(|_| self.error(DecodeErrorKind::BadLength(value)))
    }

    /// Walks over the values of a plan.
    #[inline]
    pub(super) fn run(&mut self, ops: &[Op]) -> Result<(), DecodeError> {
        match ops {
            [] => Ok(()),
            // Most events are of fixed size.
            [Op::Skip(bits)] => self.skip(*bits),
            ops => ops.iter().try_for_each(|op| self.step(op)),
        }
    }

    fn step(&mut self, op: &Op) -> Result<(), DecodeError> {
        match op {
            Op::Skip(bits) => self.skip(*bits)?,
            Op::Align(bits) => self.align(*bits)?,
            Op::Text => {
                self.text()?;
            }
            Op::Read { int, slot } => self.slots[*slot] = self.read(*int)?,
            Op::Stamp(int) => {
                // Time stamps are unsigned; of a signed one take the bits.
                self.stamp = Some((
                    self.read(Int {
                        signed: false,
                        ..*int
                    })? as u64,
                    int.size_bits,
                ));
            }
            Op::Uuid => {
                self.uuid_at = self.at.is_multiple_of(8).then_some((self.at / 8) as usize);
                self.skip(128)?;
            }
            Op::Run { slot, bits } => {
                let count = self.length(self.slots[*slot])?;
                let bits = count.checked_mul(*bits).ok_or_else(|| self.overrun())?;
                self.skip(bits)?;
            }
            Op::Repeat { count, body } => self.repeat(count, body)?,
            Op::Choose {
                slot,
                ranges,
                bodies,
            } => {
                let tag = self.slots[*slot];
                let range = ranges
                    .iter()
                    .find(|range| (range.first..=range.last).contains(&tag));
                let range = range.ok_or_else(|| self.error(DecodeErrorKind::NoChoice(tag)))?;
                self.run(&bodies[range.body])?;
            }
        }
        Ok(())
    }

    fn repeat(&mut self, count: &Count, body: &[Op]) -> Result<(), DecodeError> {
        let count = match count {
            Count::Fixed(count) => u64::from(*count),
            Count::Slot(slot) => self.length(self.slots[*slot])?,
        };
        for _ in 0..count {
            self.take_element()?;
            self.run(body)?;
        }
        Ok(())
    }
}

/// Index of the first zero byte, found eight bytes at a time.
fn zero_at(bytes: &[u8]) -> Option<usize> {
    const LOW: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let (words, tail) = bytes.as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The lowest marked byte is the first zero; bytes above it may be marked wrongly.
        let zeros = word.wrapping_sub(LOW) & !word & HIGH;
        if zeros != 0 {
            return Some(n * 8 + zeros.trailing_zeros() as usize / 8);
        }
    }
    tail.iter()
        .position(|byte| *byte == 0)
        .map(|at| words.len() * 8 + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_zero_byte_wherever_it_is() {
        for len in 0..40 {
            assert_eq!(zero_at(&vec![0x80; len]), None);
            for zero in 0..len {
                let mut bytes = vec![1; len];
                bytes[zero] = 0;
                bytes[len - 1] &= 0xFE;
                assert_eq!(zero_at(&bytes), Some(zero), "{len} {zero}");
            }
        }
    }

    #[test]
    fn elements_without_bits_come_to_an_end() {
        let mut machine = Machine::new(&[0; 2]);
        machine.slots = vec![i128::from(u64::MAX)];
        let body = vec![Op::Repeat {
            count: Count::Slot(0),
            body: Vec::new(),
        }];
        let error = machine
            .run(&[Op::Repeat {
                count: Count::Slot(0),
                body,
            }])
            .unwrap_err();
        assert_eq!(
            error,
            DecodeError {
                at_bits: 0,
                kind: DecodeErrorKind::Endless
            }
        );
    }
}
