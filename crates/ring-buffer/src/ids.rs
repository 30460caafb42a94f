//! The word that says which data buffer sits in a slot.

/// Sub-buffer id. With discarding writers the plain buffer index; with overwriting ones
/// `lap << 33 | noref << 32 | index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SubbufId(pub(crate) u64);

const NOREF: u64 = 1 << 32;
const LAP_SHIFT: u32 = 33;

impl SubbufId {
    pub(crate) fn plain(index: u64) -> Self {
        Self(index)
    }

    pub(crate) fn tagged(index: u64, lap: u64, noref: bool) -> Self {
        Self(lap << LAP_SHIFT | if noref { NOREF } else { 0 } | index & u64::from(u32::MAX))
    }

    /// Index of the data buffer: whatever a process wrote there, so check it before use.
    pub(crate) fn index_untrusted(self) -> u64 {
        self.0 & u64::from(u32::MAX)
    }

    /// No writer uses the buffer: the reader may take it.
    pub(crate) fn is_noref(self) -> bool {
        self.0 & NOREF != 0
    }

    pub(crate) fn with_noref(self, noref: bool) -> Self {
        Self(if noref {
            self.0 | NOREF
        } else {
            self.0 & !NOREF
        })
    }

    /// Whether the tag is that of `lap`, of which only 31 bits fit.
    pub(crate) fn has_lap(self, lap: u64) -> bool {
        self.0 >> LAP_SHIFT == lap << LAP_SHIFT >> LAP_SHIFT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_id_do_not_touch() {
        let id = SubbufId::tagged(5, 9, true);
        assert_eq!(id.index_untrusted(), 5);
        assert!(id.is_noref() && !id.with_noref(false).is_noref());
        assert!(id.has_lap(9) && !id.has_lap(8));
        assert!(id.has_lap(9 + (1 << 31)), "only 31 bits of the lap fit");
        assert_eq!(id.with_noref(false).with_noref(true), id);
    }
}
