//! How the traced machine lays out numbers.

use ctf::types::ByteOrder;

use crate::format::PageHeader;

/// Byte order, size of a `long`, and the header of ring-buffer pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Byte order of numbers in pages.
    pub byte_order: ByteOrder,
    /// Where a page has its time stamp, its commit word and its data.
    pub page: PageHeader,
}

impl Machine {
    /// The machine this code runs on, with what its `events/header_page` says.
    pub fn native(page: &PageHeader) -> Self {
        Self {
            byte_order: ByteOrder::NATIVE,
            page: *page,
        }
    }

    /// Bytes of the kernel's `long`, which is what the commit word of a page is.
    pub fn long_size(&self) -> u32 {
        self.page.commit_size
    }
}

/// A number as bytes in either order.
pub(crate) trait Number<const N: usize>: Sized {
    fn from_bytes(bytes: &[u8; N], order: ByteOrder) -> Self;
    fn bytes(self, order: ByteOrder) -> [u8; N];
}

macro_rules! number {
    ($($ty:ty),*) => {$(
        impl Number<{ size_of::<$ty>() }> for $ty {
            #[inline(always)]
            fn from_bytes(bytes: &[u8; size_of::<$ty>()], order: ByteOrder) -> Self {
                match order {
                    ByteOrder::Little => Self::from_le_bytes(*bytes),
                    ByteOrder::Big => Self::from_be_bytes(*bytes),
                }
            }

            #[inline(always)]
            fn bytes(self, order: ByteOrder) -> [u8; size_of::<$ty>()] {
                match order {
                    ByteOrder::Little => self.to_le_bytes(),
                    ByteOrder::Big => self.to_be_bytes(),
                }
            }
        }
    )*};
}
number!(u16, u32, u64);
