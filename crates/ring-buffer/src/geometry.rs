//! Sizes of a ring buffer and where its parts lie in the shared memory.
//!
//! ```text
//! 0        640                                          page boundary
//! | head | commit_hot[n] | commit_cold[n] | ts_end[n] | array[m] |..| m data buffers of S bytes |
//! | backend_pages[m] | buf_wsb[n] | buf_cnt[n] |
//! n sub-buffers; m = n when writers discard, n + 1 when they overwrite (one belongs to the reader)
//! ```

use crate::layout::{BackendPages, CommitCold, CommitHot, ShmRef, StreamHead};

/// What the writers do when the buffer is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BufferMode {
    /// They drop the newest events and count them.
    Discard,
    /// They overwrite the oldest packets.
    Overwrite,
}

/// Who wakes the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wakeup {
    /// The writers, through the wakeup pipe (clients `relay-discard-mmap`, `relay-overwrite-mmap`).
    ByWriter,
    /// Nobody: the reader polls (clients `relay-discard-rt-mmap`, `relay-overwrite-rt-mmap`).
    ByTimer,
}

/// Largest mapping of one stream that the applications accept, in bytes.
pub const MAX_STREAM_BYTES: u64 = i32::MAX as u64;

/// Alignment of the parts that different CPUs write: the cache line size liburcu assumes on x86.
const CACHE_LINE: u64 = 128;

/// Why sizes cannot make a ring buffer. All can be put right by the user of the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    /// Not a power of two, or less than a page.
    #[error(
        "sub-buffer size {size} is not usable; it must be a power of two of at least {page} bytes"
    )]
    SubbufSize {
        /// As given, in bytes.
        size: u64,
        /// The system's page size in bytes.
        page: u64,
    },
    /// Not a power of two.
    #[error("sub-buffer count {count} is not usable; it must be a power of two")]
    SubbufCount {
        /// As given.
        count: u64,
    },
    /// Overwriting needs a sub-buffer to write and one to read.
    #[error("overwrite mode needs at least 2 sub-buffers")]
    TooFewForOverwrite,
    /// More than [`MAX_STREAM_BYTES`].
    #[error(
        "{count} sub-buffers of {size} bytes are too large: \
         one stream may take {MAX_STREAM_BYTES} bytes of memory"
    )]
    TooLarge {
        /// Sub-buffer size in bytes.
        size: u64,
        /// Number of sub-buffers.
        count: u64,
    },
}

/// Checked sizes of one ring buffer, and all that follows from them.
///
/// The offsets are those of a stock consumer daemon (UST ABI 9, 64-bit), so that its tools can read
/// our shared memory; held by the tests of this module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    subbuf_order: u32,
    count_order: u32,
    mode: BufferMode,
    page_size: u64,
    pub(crate) at: Offsets,
}

/// Byte offsets in the shared memory; every value is below [`MAX_STREAM_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offsets {
    pub(crate) commit_hot: u64,
    pub(crate) commit_cold: u64,
    pub(crate) ts_end: u64,
    pub(crate) array: u64,
    pub(crate) memory_map: u64,
    pub(crate) pages: u64,
    pub(crate) buf_wsb: u64,
    pub(crate) buf_cnt: u64,
    /// Not the end of the last part: stock computes it with n + 1 buffers in both modes.
    pub(crate) file_size: u64,
}

impl Geometry {
    /// Checks the sizes (bytes, number) against what the writers and the system can do.
    pub fn new(
        subbuf_size: u64,
        subbuf_count: u64,
        mode: BufferMode,
    ) -> Result<Self, GeometryError> {
        let page_size = rustix::param::page_size() as u64;
        Self::with_page_size(subbuf_size, subbuf_count, mode, page_size)
    }

    fn with_page_size(
        size: u64,
        count: u64,
        mode: BufferMode,
        page: u64,
    ) -> Result<Self, GeometryError> {
        if !size.is_power_of_two() || size < page {
            return Err(GeometryError::SubbufSize { size, page });
        }
        if !count.is_power_of_two() {
            return Err(GeometryError::SubbufCount { count });
        }
        if mode == BufferMode::Overwrite && count < 2 {
            return Err(GeometryError::TooFewForOverwrite);
        }
        let too_large = GeometryError::TooLarge { size, count };
        // Bounding the data first keeps the sums below far from overflow.
        let data = size.checked_mul(count + 1).ok_or(too_large)?;
        if data > MAX_STREAM_BYTES {
            return Err(too_large);
        }
        let buffers = match mode {
            BufferMode::Discard => count,
            BufferMode::Overwrite => count + 1,
        };
        let at = Offsets {
            file_size: Offsets::of(size, count, count + 1, page).file_size,
            ..Offsets::of(size, count, buffers, page)
        };
        if at.file_size > MAX_STREAM_BYTES {
            return Err(too_large);
        }
        Ok(Self {
            subbuf_order: size.trailing_zeros(),
            count_order: count.trailing_zeros(),
            mode,
            page_size: page,
            at,
        })
    }

    /// Bytes of one sub-buffer, S in the layout descriptions.
    pub fn subbuf_size(&self) -> u64 {
        1 << self.subbuf_order
    }

    /// Number of sub-buffers between writer and reader, n.
    pub fn subbuf_count(&self) -> u64 {
        1 << self.count_order
    }

    /// What the writers do when the buffer is full.
    pub fn mode(&self) -> BufferMode {
        self.mode
    }

    /// Bytes of all sub-buffers, without the reader's spare one.
    pub fn buffer_size(&self) -> u64 {
        1 << self.buffer_order()
    }

    /// Bytes of the shared memory of one stream; the applications are told this size.
    pub fn file_size(&self) -> u64 {
        self.at.file_size
    }

    /// Bytes to which the packets are padded.
    pub fn page_size(&self) -> u64 {
        self.page_size
    }

    pub(crate) fn subbuf_order(&self) -> u32 {
        self.subbuf_order
    }

    pub(crate) fn count_order(&self) -> u32 {
        self.count_order
    }

    pub(crate) fn buffer_order(&self) -> u32 {
        self.subbuf_order + self.count_order
    }

    /// Number of data buffers in the memory: the reader owns one more when writers overwrite.
    pub(crate) fn data_buffers(&self) -> u64 {
        match self.mode {
            BufferMode::Discard => self.subbuf_count(),
            BufferMode::Overwrite => self.subbuf_count() + 1,
        }
    }

    /// The bits of a commit counter that can be compared: the multiplication of a lap by the
    /// sub-buffer size shifts the others out.
    pub(crate) fn commit_mask(&self) -> u64 {
        u64::MAX >> self.count_order
    }

    /// Start of the sub-buffer that contains `position`.
    pub(crate) fn trunc(&self, position: u64) -> u64 {
        position & !(self.subbuf_size() - 1)
    }

    /// Start of the sub-buffer after the one that contains `position`.
    pub(crate) fn next(&self, position: u64) -> u64 {
        self.trunc(position).wrapping_add(self.subbuf_size())
    }

    /// Bytes of `position` into its sub-buffer.
    pub(crate) fn within(&self, position: u64) -> u64 {
        position & (self.subbuf_size() - 1)
    }

    /// Which of the n slots `position` falls into.
    pub(crate) fn slot(&self, position: u64) -> u64 {
        (position & (self.buffer_size() - 1)) >> self.subbuf_order
    }

    /// How often the writers had gone round before `position`.
    pub(crate) fn lap(&self, position: u64) -> u64 {
        position >> self.buffer_order()
    }

    /// Commit counter of a slot when the lap of `position` begins there, comparable under
    /// [`Self::commit_mask`].
    pub(crate) fn commits_at_begin(&self, position: u64) -> u64 {
        (self.lap(position) << self.subbuf_order) & self.commit_mask()
    }

    /// `len` rounded up to what a packet occupies in a trace file.
    pub(crate) fn padded(&self, len: u64) -> u64 {
        align(len, self.page_size)
    }
}

impl Offsets {
    fn of(size: u64, count: u64, buffers: u64, page: u64) -> Self {
        let commit_hot = align(size_of::<StreamHead>() as u64, CACHE_LINE);
        let commit_cold = align(
            commit_hot + size_of::<CommitHot>() as u64 * count,
            CACHE_LINE,
        );
        let ts_end = commit_cold + size_of::<CommitCold>() as u64 * count;
        let array = ts_end + 8 * count;
        let memory_map = align(array + size_of::<ShmRef>() as u64 * buffers, page);
        let pages = memory_map + size * buffers;
        let buf_wsb = pages + size_of::<BackendPages>() as u64 * buffers;
        let buf_cnt = buf_wsb + 8 * count;
        let file_size = buf_cnt + 8 * count;
        Self {
            commit_hot,
            commit_cold,
            ts_end,
            array,
            memory_map,
            pages,
            buf_wsb,
            buf_cnt,
            file_size,
        }
    }
}

fn align(value: u64, to: u64) -> u64 {
    value.next_multiple_of(to)
}

#[cfg(test)]
mod tests {
    use super::BufferMode::{Discard, Overwrite};
    use super::*;

    fn geometry(size: u64, count: u64, mode: BufferMode) -> Geometry {
        Geometry::with_page_size(size, count, mode, 4096).unwrap()
    }

    /// Rows compared with the shared memory of a stock 2.13 consumer daemon.
    #[test]
    fn the_parts_lie_where_stock_puts_them() {
        let rows = [
            (
                4,
                16384,
                Overwrite,
                [1152, 1664, 1696, 4096, 86016, 86336, 86368, 86400],
            ),
            (
                4,
                16384,
                Discard,
                [1152, 1664, 1696, 4096, 69632, 69888, 69920, 86400],
            ),
            (
                2,
                8192,
                Discard,
                [896, 1152, 1168, 4096, 20480, 20608, 20624, 28896],
            ),
            (
                8,
                4096,
                Overwrite,
                [1664, 2688, 2752, 4096, 40960, 41536, 41600, 41664],
            ),
            (
                4,
                131072,
                Discard,
                [1152, 1664, 1696, 4096, 528384, 528640, 528672, 659840],
            ),
        ];
        for (count, size, mode, expected) in rows {
            let at = geometry(size, count, mode).at;
            assert_eq!(at.commit_hot, 640);
            assert_eq!(
                [
                    at.commit_cold,
                    at.ts_end,
                    at.array,
                    at.memory_map,
                    at.pages,
                    at.buf_wsb,
                    at.buf_cnt,
                    at.file_size
                ],
                expected,
                "{count} x {size} {mode:?}"
            );
        }
    }

    #[test]
    fn sizes_that_cannot_work_are_refused_by_name() {
        let new = |size, count, mode| Geometry::with_page_size(size, count, mode, 4096);
        assert_eq!(
            new(2048, 4, Discard),
            Err(GeometryError::SubbufSize {
                size: 2048,
                page: 4096
            })
        );
        assert_eq!(
            new(12288, 4, Discard),
            Err(GeometryError::SubbufSize {
                size: 12288,
                page: 4096
            })
        );
        assert_eq!(
            new(4096, 0, Discard),
            Err(GeometryError::SubbufCount { count: 0 })
        );
        assert_eq!(
            new(4096, 3, Discard),
            Err(GeometryError::SubbufCount { count: 3 })
        );
        assert_eq!(
            new(4096, 1, Overwrite),
            Err(GeometryError::TooFewForOverwrite)
        );
        assert!(new(4096, 1, Discard).is_ok());
        for (size, count) in [(1 << 30, 2), (1 << 63, 1 << 63), (4096, 1 << 63)] {
            assert_eq!(
                new(size, count, Discard),
                Err(GeometryError::TooLarge { size, count })
            );
        }
    }

    #[test]
    fn a_position_is_lap_slot_and_offset() {
        let g = geometry(4096, 4, Discard);
        let position = 5 * 16384 + 2 * 4096 + 84;
        assert_eq!(
            (g.lap(position), g.slot(position), g.within(position)),
            (5, 2, 84)
        );
        assert_eq!(g.trunc(position), 5 * 16384 + 2 * 4096);
        assert_eq!(g.next(position), 5 * 16384 + 3 * 4096);
        assert_eq!(g.commits_at_begin(position), 5 * 4096);
        assert_eq!(g.next(u64::MAX), 0);
    }
}
