//! Integers at any bit of a packet.

use crate::types::{ByteOrder, IntegerType};

/// How an integer is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Int {
    pub(super) size_bits: u32,
    pub(super) signed: bool,
    pub(super) order: ByteOrder,
}

impl Int {
    pub(super) fn new(ty: &IntegerType, trace: ByteOrder) -> Self {
        Self {
            size_bits: ty.size_bits,
            signed: ty.signed,
            order: ty.byte_order.resolve(trace),
        }
    }

    /// The value at bit `at`; `None` if it does not end before bit `limit`, which must be inside
    /// `bytes`.
    #[inline]
    pub(super) fn read(self, bytes: &[u8], at: u64, limit: u64) -> Option<i128> {
        let raw = read_bits(bytes, at, self.size_bits, self.order, limit)?;
        Some(if self.signed {
            sign_extended(raw, self.size_bits).into()
        } else {
            raw.into()
        })
    }
}

/// `size_bits` (1 to 64) bits at bit `at`. In little endian the first bit of a byte is its least
/// significant one, in big endian its most significant one.
#[inline]
pub(super) fn read_bits(
    bytes: &[u8],
    at: u64,
    size_bits: u32,
    order: ByteOrder,
    limit: u64,
) -> Option<u64> {
    let end = at.checked_add(size_bits.into())?;
    if end > limit {
        return None;
    }
    let first = usize::try_from(at / 8).ok()?;
    let last = usize::try_from(end.div_ceil(8)).ok()?;
    let bytes = bytes.get(first..last)?;
    let offset = (at % 8) as u32;
    if offset == 0
        && let Some(value) = whole(bytes, size_bits, order)
    {
        return Some(value);
    }
    // At most 9 bytes: 64 bits and 7 before them.
    let raw = match order {
        ByteOrder::Little => {
            let all = bytes
                .iter()
                .rev()
                .fold(0u128, |all, byte| all << 8 | u128::from(*byte));
            all >> offset
        }
        ByteOrder::Big => {
            let all = bytes
                .iter()
                .fold(0u128, |all, byte| all << 8 | u128::from(*byte));
            all >> (bytes.len() as u32 * 8 - offset - size_bits)
        }
    };
    // The mask leaves 64 bits.
    Some((raw & ((1u128 << size_bits) - 1)) as u64)
}

/// The value of an integer of 8, 16, 32 or 64 bits that is all of `bytes`; nearly all of them are.
#[inline]
fn whole(bytes: &[u8], size_bits: u32, order: ByteOrder) -> Option<u64> {
    let little = match size_bits {
        8 => return bytes.first().map(|byte| u64::from(*byte)),
        16 => u64::from(u16::from_le_bytes(bytes.try_into().ok()?)),
        32 => u64::from(u32::from_le_bytes(bytes.try_into().ok()?)),
        64 => u64::from_le_bytes(bytes.try_into().ok()?),
        _ => return None,
    };
    Some(match order {
        ByteOrder::Little => little,
        ByteOrder::Big => little.swap_bytes() >> (64 - size_bits),
    })
}

/// The lowest `size_bits` bits of `raw` as a two's complement number.
#[inline]
pub(super) fn sign_extended(raw: u64, size_bits: u32) -> i64 {
    let unused = 64 - size_bits;
    ((raw << unused) as i64) >> unused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_bytes_in_both_orders() {
        let bytes = [0x01, 0x02, 0x03, 0x84];
        assert_eq!(
            read_bits(&bytes, 0, 32, ByteOrder::Little, 32),
            Some(0x8403_0201)
        );
        assert_eq!(
            read_bits(&bytes, 0, 32, ByteOrder::Big, 32),
            Some(0x0102_0384)
        );
        assert_eq!(read_bits(&bytes, 8, 16, ByteOrder::Big, 32), Some(0x0203));
        assert_eq!(read_bits(&bytes, 8, 32, ByteOrder::Big, 32), None);
        assert_eq!(read_bits(&bytes, 0, 32, ByteOrder::Big, 31), None);
    }

    #[test]
    fn the_fields_of_a_compact_event_header() {
        // id 3 in 5 bits and time stamp 0x123_4567 in 27 bits.
        let little = (0x0123_4567u32 << 5 | 3).to_le_bytes();
        assert_eq!(read_bits(&little, 0, 5, ByteOrder::Little, 32), Some(3));
        assert_eq!(
            read_bits(&little, 5, 27, ByteOrder::Little, 32),
            Some(0x0123_4567)
        );
        let big = (3u32 << 27 | 0x0123_4567).to_be_bytes();
        assert_eq!(read_bits(&big, 0, 5, ByteOrder::Big, 32), Some(3));
        assert_eq!(
            read_bits(&big, 5, 27, ByteOrder::Big, 32),
            Some(0x0123_4567)
        );
    }

    #[test]
    fn nine_bytes_for_64_unaligned_bits() {
        let bytes = [0xFF; 9];
        assert_eq!(
            read_bits(&bytes, 7, 64, ByteOrder::Little, 72),
            Some(u64::MAX)
        );
        assert_eq!(read_bits(&bytes, 7, 64, ByteOrder::Big, 72), Some(u64::MAX));
    }

    #[test]
    fn negative_numbers() {
        assert_eq!(sign_extended(0x7F, 7), -1);
        assert_eq!(sign_extended(0x3F, 7), 63);
        assert_eq!(sign_extended(u64::MAX, 64), -1);
    }
}
