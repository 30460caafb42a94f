//! Places in the kernel, as objects.

use std::ffi::{c_char, c_int};
use std::ptr;

use crate::abi::SYMBOL_NAME_LEN;
use crate::boundary::{guard, optional_text, own_text, zeroed};

/// Values of `enum lttng_kernel_probe_location_type`.
const SYMBOL_OFFSET: c_int = 0;
const ADDRESS: c_int = 1;
const UNKNOWN: c_int = -1;
/// Values of `enum lttng_kernel_probe_location_status`.
const OK: c_int = 0;
const INVALID: c_int = -1;

/// `struct lttng_kernel_probe_location`.
#[derive(Debug)]
pub struct KernelLocation {
    kind: c_int,
    /// NULL for an address.
    symbol: *mut c_char,
    /// The address, or bytes after the symbol.
    number: u64,
}

/// So many bytes after a symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_kernel_probe_location_symbol_create(
    symbol_name: *const c_char,
    offset: u64,
) -> *mut KernelLocation {
    guard(ptr::null_mut(), || {
        // SAFETY: the crate's rule.
        match unsafe { optional_text(symbol_name) } {
            Ok(Some(name)) if name.len() < SYMBOL_NAME_LEN => {
                create(SYMBOL_OFFSET, Some(&name), offset)
            }
            _ => ptr::null_mut(),
        }
    })
}

/// There.
#[unsafe(no_mangle)]
pub extern "C" fn lttng_kernel_probe_location_address_create(address: u64) -> *mut KernelLocation {
    guard(ptr::null_mut(), || create(ADDRESS, None, address))
}

fn create(kind: c_int, symbol: Option<&str>, number: u64) -> *mut KernelLocation {
    let location = zeroed::<KernelLocation>();
    if location.is_null() {
        return location;
    }
    let symbol = match symbol {
        None => ptr::null_mut(),
        Some(name) => match own_text(name) {
            copy if copy.is_null() => {
                // SAFETY: made above, and nobody has it.
                unsafe { libc::free(location.cast()) };
                return ptr::null_mut();
            }
            copy => copy,
        },
    };
    // SAFETY: a new object that nobody else has.
    unsafe {
        location.write(KernelLocation {
            kind,
            symbol,
            number,
        });
    }
    location
}

/// Frees a place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_kernel_probe_location_destroy(location: *mut KernelLocation) {
    // SAFETY: NULL, or made here and given back once.
    unsafe {
        if let Some(inside) = location.as_ref() {
            libc::free(inside.symbol.cast());
            libc::free(location.cast());
        }
    }
}

/// Which of the two it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_kernel_probe_location_get_type(
    location: *const KernelLocation,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { location.as_ref() }.map_or(UNKNOWN, |inside| inside.kind)
}

/// The symbol, which belongs to the place; NULL if it is an address.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_kernel_probe_location_symbol_get_name(
    location: *const KernelLocation,
) -> *const c_char {
    // SAFETY: the crate's rule.
    unsafe { location.as_ref() }.map_or(ptr::null(), |inside| inside.symbol.cast_const())
}

/// Bytes after the symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_kernel_probe_location_symbol_get_offset(
    location: *const KernelLocation,
    offset: *mut u64,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { number(location, SYMBOL_OFFSET, offset) }
}

/// The address.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_kernel_probe_location_address_get_address(
    location: *const KernelLocation,
    address: *mut u64,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { number(location, ADDRESS, address) }
}

unsafe fn number(location: *const KernelLocation, kind: c_int, place: *mut u64) -> c_int {
    // SAFETY: the caller passes on what C gave it.
    match unsafe { (location.as_ref(), place.as_mut()) } {
        (Some(inside), Some(place)) if inside.kind == kind => {
            *place = inside.number;
            OK
        }
        _ => INVALID,
    }
}
