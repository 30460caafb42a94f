//! Results that the caller frees with `free()`: one block from `malloc`.
//!
//! ```text
//! element 0 | element 1 | … | what the elements point to: the tail
//! ```

use std::alloc::Layout;
use std::ffi::c_char;
use std::ptr;

use control::ErrorCode;

use crate::failure::Failure;

/// Alignment of all that is put into a block. `malloc` gives at least this.
const ALIGN: usize = 8;

/// Bytes behind the array for what elements point to.
#[derive(Debug)]
pub struct Tail {
    next: *mut u8,
    left: usize,
}

impl Tail {
    /// Room that a value of type `T` takes.
    pub const fn room<T>() -> usize {
        size_of::<T>().next_multiple_of(ALIGN)
    }

    /// Room that `length` bytes take.
    pub const fn room_for(length: usize) -> usize {
        length.next_multiple_of(ALIGN)
    }

    /// Puts a value and gives its place, NULL if there is no room (a bug in the size asked for).
    pub fn put<T: Copy>(&mut self, value: T) -> *mut T {
        const { assert!(align_of::<T>() <= ALIGN) };
        let place = self.take(size_of::<T>()).cast::<T>();
        if !place.is_null() {
            // SAFETY: `take` gave that many bytes of the block, aligned for `T`.
            unsafe { place.write(value) };
        }
        place
    }

    /// Puts bytes and gives their place, NULL if there is no room.
    pub fn put_bytes(&mut self, bytes: &[u8]) -> *mut c_char {
        let place = self.take(bytes.len());
        if !place.is_null() {
            // SAFETY: `take` gave that many bytes of the block; they are fresh, so they do not overlap.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len()) };
        }
        place.cast()
    }

    fn take(&mut self, length: usize) -> *mut u8 {
        let room = Self::room_for(length);
        if room > self.left {
            debug_assert!(false, "the tail is too small");
            return ptr::null_mut();
        }
        let place = self.next;
        self.left -= room;
        // SAFETY: `room <= left`, so this stays in the block or at its end.
        self.next = unsafe { place.add(room) };
        place
    }
}

/// An array with one element for each source, NULL for none. `room` says how many bytes of tail a source
/// needs, as the sum of [`Tail::room`] and [`Tail::room_for`].
pub fn array<S, T: Copy>(
    sources: &[S],
    room: impl Fn(&S) -> usize,
    make: impl Fn(&S, &mut Tail) -> T,
) -> Result<*mut T, Failure> {
    const { assert!(align_of::<T>() <= ALIGN) };
    if sources.is_empty() {
        return Ok(ptr::null_mut());
    }
    let no_memory = Failure(ErrorCode::NO_MEMORY);
    let head = Layout::array::<T>(sources.len()).map_err(|_| no_memory)?;
    let head = head.size().next_multiple_of(ALIGN);
    let left: usize = sources.iter().map(room).sum();
    // SAFETY: any size may be asked for.
    let block = unsafe { libc::calloc(1, head + left) }.cast::<u8>();
    if block.is_null() {
        return Err(no_memory);
    }
    let mut tail = Tail {
        // SAFETY: `head` bytes of the block are the array.
        next: unsafe { block.add(head) },
        left,
    };
    let first = block.cast::<T>();
    for (index, source) in sources.iter().enumerate() {
        // SAFETY: `head` has room for as many elements as there are sources; `malloc` aligns for all.
        unsafe { first.add(index).write(make(source, &mut tail)) };
    }
    Ok(first)
}

/// One zeroed object of its own that `free()` takes, NULL without memory. For plain C structs, for which
/// all zeros is a value.
pub fn zeroed<T>() -> *mut T {
    // SAFETY: any size may be asked for.
    unsafe { libc::calloc(1, size_of::<T>()) }.cast()
}

/// A copy of a text that `free()` takes, NULL without memory. Ends at a NUL in it.
pub fn own_text(text: &str) -> *mut c_char {
    let text = text.split('\0').next().unwrap_or_default();
    // SAFETY: any size may be asked for.
    let copy = unsafe { libc::calloc(1, text.len() + 1) }.cast::<u8>();
    if !copy.is_null() {
        // SAFETY: the new block has that many bytes, and one more that stays zero.
        unsafe { ptr::copy_nonoverlapping(text.as_ptr(), copy, text.len()) };
    }
    copy.cast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_block_has_the_array_and_what_it_points_to() {
        let sources = ["a", "bcdefghij"];
        let list = array(
            &sources,
            |text| Tail::room_for(text.len() + 1),
            |text, tail| tail.put_bytes(format!("{text}\0").as_bytes()),
        )
        .unwrap();
        // SAFETY: two elements that point to strings in the same block, freed once.
        unsafe {
            let texts: Vec<_> = (0..2)
                .map(|at| std::ffi::CStr::from_ptr(*list.add(at)).to_str().unwrap())
                .collect();
            assert_eq!(texts, sources);
            libc::free(list.cast());
        }
    }

    #[test]
    fn no_elements_are_no_array() {
        let list = array(&[] as &[u8], |_| 0, |&byte, _| byte);
        assert_eq!(list, Ok(ptr::null_mut()));
    }
}
