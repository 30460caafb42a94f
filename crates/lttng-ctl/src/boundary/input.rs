//! What C callers hand in, checked.

use std::ffi::{CStr, c_char};

use crate::failure::Failure;

/// The object behind a pointer; refuses NULL.
///
/// # Safety
/// The crate's rule for pointers; the object lives at least as long as `'a`.
pub unsafe fn reference<'a, T>(pointer: *const T) -> Result<&'a T, Failure> {
    // SAFETY: NULL or valid by the crate's rule.
    unsafe { pointer.as_ref() }.ok_or(Failure::INVALID)
}

/// The object behind a pointer, to change it; refuses NULL.
///
/// # Safety
/// The crate's rule for pointers; the object lives at least as long as `'a`, and nothing else uses it.
pub unsafe fn reference_mut<'a, T>(pointer: *mut T) -> Result<&'a mut T, Failure> {
    // SAFETY: NULL or valid, and not shared, by the crate's rule.
    unsafe { pointer.as_mut() }.ok_or(Failure::INVALID)
}

/// A copy of a string, `None` for NULL; refuses what is not UTF-8.
///
/// # Safety
/// The crate's rule for pointers.
pub unsafe fn optional_text(pointer: *const c_char) -> Result<Option<String>, Failure> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, so a string that ends with NUL by the crate's rule.
    let text = unsafe { CStr::from_ptr(pointer) };
    let text = text.to_str().map_err(|_| Failure::INVALID)?;
    Ok(Some(text.to_owned()))
}

/// A copy of a string; refuses NULL and what is not UTF-8.
///
/// # Safety
/// The crate's rule for pointers.
pub unsafe fn text(pointer: *const c_char) -> Result<String, Failure> {
    // SAFETY: the caller keeps the same rule.
    unsafe { optional_text(pointer) }?.ok_or(Failure::INVALID)
}

/// The string in an array of a C struct; refuses one that does not end.
pub fn text_of(array: &[c_char]) -> Result<String, Failure> {
    let bytes: Vec<u8> = array.iter().map(|&byte| byte as u8).collect();
    let text = CStr::from_bytes_until_nul(&bytes).map_err(|_| Failure::INVALID)?;
    let text = text.to_str().map_err(|_| Failure::INVALID)?;
    Ok(text.to_owned())
}

/// The array of a C struct with a string in it, cut to fit.
pub fn fixed<const N: usize>(text: &str) -> [c_char; N] {
    let mut array = [0; N];
    let room = N.saturating_sub(1);
    for (to, &from) in array[..room].iter_mut().zip(text.as_bytes()) {
        *to = from as c_char;
    }
    array
}

/// A place for one result.
#[derive(Debug)]
pub struct Out<T>(*mut T);

/// The place where a caller wants a result; refuses NULL.
///
/// # Safety
/// The crate's rule for pointers, but the object need not be initialised; it lives as long as the result.
pub unsafe fn out<T>(pointer: *mut T) -> Result<Out<T>, Failure> {
    if pointer.is_null() {
        return Err(Failure::INVALID);
    }
    Ok(Out(pointer))
}

impl<T> Out<T> {
    /// Puts the result there.
    pub fn set(&self, value: T) {
        // SAFETY: `out` was promised a valid place and refused NULL.
        unsafe { self.0.write(value) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_in_arrays_end_inside() {
        let array: [c_char; 4] = fixed("abcdef");
        assert_eq!(text_of(&array).as_deref(), Ok("abc"));
        assert_eq!(text_of(&[b'a' as c_char; 4]), Err(Failure::INVALID));
        assert_eq!(text_of(&fixed::<8>("")).as_deref(), Ok(""));
    }

    #[test]
    fn null_and_foreign_encodings_are_refused() {
        // SAFETY: NULL, and a string that ends.
        unsafe {
            assert_eq!(text(std::ptr::null()), Err(Failure::INVALID));
            assert_eq!(optional_text(std::ptr::null()), Ok(None));
            assert_eq!(text(c"\xff".as_ptr()), Err(Failure::INVALID));
            assert!(reference::<u32>(std::ptr::null()).is_err());
            assert!(out::<u32>(std::ptr::null_mut()).is_err());
        }
    }
}
