//! Places in programs, as objects.

use std::ffi::{CStr, c_char, c_int};
use std::fs::File;
use std::os::fd::IntoRawFd;
use std::ptr;

use control::ProbeLocation;

use crate::abi::{PATH_MAX, SYMBOL_NAME_LEN};
use crate::boundary::{Tail, guard, optional_text, own_text, zeroed};

/// Values of `enum lttng_userspace_probe_location_lookup_method_type`.
mod method {
    use super::c_int;

    pub(super) const UNKNOWN: c_int = -1;
    pub(super) const DEFAULT: c_int = 0;
    pub(super) const ELF: c_int = 1;
    pub(super) const SDT: c_int = 2;
}

/// Values of `enum lttng_userspace_probe_location_type`.
const UNKNOWN: c_int = -1;
const FUNCTION: c_int = 0;
const TRACEPOINT: c_int = 1;
/// The one kind of instrumentation: where a function begins.
const ENTRY: c_int = 0;
/// Values of `enum lttng_userspace_probe_location_status`.
const OK: c_int = 0;
const INVALID: c_int = -1;

/// `struct lttng_userspace_probe_location_lookup_method`.
#[derive(Clone, Copy, Debug)]
pub struct LookupMethod {
    kind: c_int,
}

/// `struct lttng_userspace_probe_location`.
#[derive(Clone, Copy, Debug)]
pub struct UserspaceLocation {
    kind: c_int,
    /// -1 in a list.
    binary_fd: c_int,
    method: *mut LookupMethod,
    binary_path: *mut c_char,
    /// The function, or the name of the probe.
    name: *mut c_char,
    /// NULL of a function.
    provider: *mut c_char,
}

/// Functions are looked for in the symbol tables.
#[unsafe(no_mangle)]
pub extern "C" fn lttng_userspace_probe_location_lookup_method_function_elf_create()
-> *mut LookupMethod {
    guard(ptr::null_mut(), || create_method(method::ELF))
}

/// Probes are looked for in the notes.
#[unsafe(no_mangle)]
pub extern "C" fn lttng_userspace_probe_location_lookup_method_tracepoint_sdt_create()
-> *mut LookupMethod {
    guard(ptr::null_mut(), || create_method(method::SDT))
}

fn create_method(kind: c_int) -> *mut LookupMethod {
    let created = zeroed::<LookupMethod>();
    // SAFETY: NULL, or a new object that nobody else has.
    if let Some(inside) = unsafe { created.as_mut() } {
        inside.kind = kind;
    }
    created
}

/// Frees a method that no place has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_userspace_probe_location_lookup_method_destroy(
    lookup_method: *mut LookupMethod,
) {
    // SAFETY: NULL, or made here and given back once.
    unsafe { libc::free(lookup_method.cast()) };
}

/// Which one it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_userspace_probe_location_lookup_method_get_type(
    lookup_method: *const LookupMethod,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { lookup_method.as_ref() }.map_or(method::UNKNOWN, |inside| inside.kind)
}

/// The start of a function. The method belongs to the place from now on, unless this returns NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_userspace_probe_location_function_create(
    binary_path: *const c_char,
    function_name: *const c_char,
    lookup_method: *mut LookupMethod,
) -> *mut UserspaceLocation {
    guard(ptr::null_mut(), || {
        // SAFETY: the crate's rule.
        unsafe {
            let Some(method::DEFAULT | method::ELF) = lookup_method.as_ref().map(|m| m.kind) else {
                return ptr::null_mut();
            };
            match (optional_text(binary_path), optional_text(function_name)) {
                (Ok(Some(path)), Ok(Some(name))) => {
                    create(FUNCTION, &path, None, &name, lookup_method)
                }
                _ => ptr::null_mut(),
            }
        }
    })
}

/// A probe that the author put in. The method belongs to the place from now on, unless this returns NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_userspace_probe_location_tracepoint_create(
    binary_path: *const c_char,
    provider_name: *const c_char,
    probe_name: *const c_char,
    lookup_method: *mut LookupMethod,
) -> *mut UserspaceLocation {
    guard(ptr::null_mut(), || {
        // SAFETY: the crate's rule.
        unsafe {
            let Some(method::SDT) = lookup_method.as_ref().map(|m| m.kind) else {
                return ptr::null_mut();
            };
            let texts = [binary_path, provider_name, probe_name].map(|text| optional_text(text));
            match texts {
                [Ok(Some(path)), Ok(Some(provider)), Ok(Some(name))] => {
                    create(TRACEPOINT, &path, Some(&provider), &name, lookup_method)
                }
                _ => ptr::null_mut(),
            }
        }
    })
}

/// NULL if the file cannot be opened, or without memory.
fn create(
    kind: c_int,
    path: &str,
    provider: Option<&str>,
    name: &str,
    method: *mut LookupMethod,
) -> *mut UserspaceLocation {
    let Ok(binary) = File::open(path) else {
        return ptr::null_mut();
    };
    let location = zeroed::<UserspaceLocation>();
    if location.is_null() {
        return location;
    }
    let made = UserspaceLocation {
        kind,
        binary_fd: binary.into_raw_fd(),
        method,
        binary_path: own_text(cut(path, PATH_MAX)),
        name: own_text(cut(name, SYMBOL_NAME_LEN)),
        provider: provider.map_or(ptr::null_mut(), |text| own_text(cut(text, SYMBOL_NAME_LEN))),
    };
    let complete = !made.binary_path.is_null()
        && !made.name.is_null()
        && (provider.is_none() || !made.provider.is_null());
    // SAFETY: a new object that nobody else has; the method stays the caller's if it is not complete.
    unsafe {
        location.write(made);
        if !complete {
            (*location).method = ptr::null_mut();
            lttng_userspace_probe_location_destroy(location);
            return ptr::null_mut();
        }
    }
    location
}

/// Upstream cuts what is too long.
fn cut(text: &str, most: usize) -> &str {
    match text
        .char_indices()
        .map(|(at, _)| at)
        .take_while(|at| *at <= most)
        .last()
    {
        Some(end) if text.len() > most => &text[..end],
        _ => text,
    }
}

/// Frees a place, with its method.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_userspace_probe_location_destroy(location: *mut UserspaceLocation) {
    // SAFETY: NULL, or made by `create` and given back once: all it points to is its own.
    unsafe {
        let Some(inside) = location.as_ref() else {
            return;
        };
        if inside.binary_fd >= 0 {
            libc::close(inside.binary_fd);
        }
        libc::free(inside.method.cast());
        for text in [inside.binary_path, inside.name, inside.provider] {
            libc::free(text.cast());
        }
        libc::free(location.cast());
    }
}

/// What `get` finds in a place of this kind; `otherwise` in any other.
unsafe fn of<T>(
    location: *const UserspaceLocation,
    kind: c_int,
    otherwise: T,
    get: impl FnOnce(&UserspaceLocation) -> T,
) -> T {
    // SAFETY: the caller passes on what C gave it.
    match unsafe { location.as_ref() } {
        Some(inside) if inside.kind == kind => get(inside),
        _ => otherwise,
    }
}

/// Function or tracepoint.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_userspace_probe_location_get_type(
    location: *const UserspaceLocation,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { location.as_ref() }.map_or(UNKNOWN, |inside| inside.kind)
}

/// How it is looked for; belongs to the place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_userspace_probe_location_get_lookup_method(
    location: *const UserspaceLocation,
) -> *const LookupMethod {
    // SAFETY: the crate's rule.
    unsafe { location.as_ref() }.map_or(ptr::null(), |inside| inside.method.cast_const())
}

macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident: $kind:ident, $field:ident: $result:ty, $otherwise:expr;)*) => {
        $(
            $(#[$doc])*
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name(location: *const UserspaceLocation) -> $result {
                // SAFETY: the crate's rule.
                unsafe { of(location, $kind, $otherwise, |inside| inside.$field as $result) }
            }
        )*
    };
}

getters! {
    /// The program or library; belongs to the place. NULL if it is no function.
    lttng_userspace_probe_location_function_get_binary_path: FUNCTION, binary_path: *const c_char, ptr::null();
    /// The function; belongs to the place. NULL if it is none.
    lttng_userspace_probe_location_function_get_function_name: FUNCTION, name: *const c_char, ptr::null();
    /// The open file; belongs to the place. -1 if it is no function, or comes from a list.
    lttng_userspace_probe_location_function_get_binary_fd: FUNCTION, binary_fd: c_int, -1;
    /// The program or library; belongs to the place. NULL if it is no tracepoint.
    lttng_userspace_probe_location_tracepoint_get_binary_path: TRACEPOINT, binary_path: *const c_char, ptr::null();
    /// The probe; belongs to the place. NULL if it is none.
    lttng_userspace_probe_location_tracepoint_get_probe_name: TRACEPOINT, name: *const c_char, ptr::null();
    /// Its provider; belongs to the place. NULL if it is no tracepoint.
    lttng_userspace_probe_location_tracepoint_get_provider_name: TRACEPOINT, provider: *const c_char, ptr::null();
    /// The open file; belongs to the place. -1 if it is no tracepoint, or comes from a list.
    lttng_userspace_probe_location_tracepoint_get_binary_fd: TRACEPOINT, binary_fd: c_int, -1;
}

/// Always the start of the function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_userspace_probe_location_function_get_instrumentation_type(
    location: *const UserspaceLocation,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { of(location, FUNCTION, UNKNOWN, |_| ENTRY) }
}

/// Only the start of the function can be asked for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_userspace_probe_location_function_set_instrumentation_type(
    location: *const UserspaceLocation,
    instrumentation_type: c_int,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        of(location, FUNCTION, INVALID, |_| {
            if instrumentation_type == ENTRY {
                OK
            } else {
                INVALID
            }
        })
    }
}

impl UserspaceLocation {
    /// As the control API has it: where the file really is, for the daemon is in another directory.
    pub(crate) fn described(&self) -> Option<ProbeLocation> {
        let text = |pointer: *mut c_char| {
            // SAFETY: NULL, or a string that this object owns.
            let text = (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) })?;
            text.to_str().ok().map(str::to_owned)
        };
        let given = text(self.binary_path)?;
        let path = std::fs::canonicalize(&given)
            .ok()
            .and_then(|path| path.into_os_string().into_string().ok())
            .unwrap_or(given);
        let name = text(self.name)?;
        Some(match self.kind {
            FUNCTION => ProbeLocation::Symbol { path, symbol: name },
            _ => ProbeLocation::Sdt {
                path,
                provider: text(self.provider)?,
                name,
            },
        })
    }

    /// Room in a list.
    pub(crate) fn room(place: &ProbeLocation) -> usize {
        let texts = match place {
            ProbeLocation::Symbol { path, symbol } => [path.len(), symbol.len(), 0],
            ProbeLocation::Sdt {
                path,
                provider,
                name,
            } => [path.len(), name.len(), provider.len()],
        };
        let texts: usize = texts.iter().map(|len| Tail::room_for(len + 1)).sum();
        Tail::room::<Self>() + Tail::room::<LookupMethod>() + texts
    }

    /// In a list: freed with it.
    pub(crate) fn listed(place: &ProbeLocation, tail: &mut Tail) -> *mut Self {
        let (kind, method, name, provider) = match place {
            ProbeLocation::Symbol { symbol, .. } => (FUNCTION, method::ELF, symbol, None),
            ProbeLocation::Sdt { provider, name, .. } => {
                (TRACEPOINT, method::SDT, name, Some(provider))
            }
        };
        let mut text = |text: &str| tail.put_bytes(format!("{text}\0").as_bytes());
        let (binary_path, name) = (text(place.path()), text(name));
        let provider = provider.map_or(ptr::null_mut(), |provider| text(provider));
        let method = tail.put(LookupMethod { kind: method });
        tail.put(Self {
            kind,
            binary_fd: -1,
            method,
            binary_path,
            name,
            provider,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "abc");
        assert_eq!(cut("abä", 3), "ab");
        assert_eq!(cut("", 3), "");
    }
}
