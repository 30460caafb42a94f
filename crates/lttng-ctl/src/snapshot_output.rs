//! Snapshot outputs as objects: name, size and place, described step by step.

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;

use control::url::describe_pair;
use control::v1;
use control::v1::output::Kind;

use crate::abi::NAME_MAX;
use crate::boundary::{guard, negative, reference, reference_mut, text};
use crate::failure::Failure;
use crate::output::from_urls;

/// `PATH_MAX`: no URL is that long.
const URL_MAX: usize = 4096;

/// `struct lttng_snapshot_output`, opaque to C. Texts are empty as long as they are not set.
#[derive(Clone, Debug)]
pub struct SnapshotOutput {
    pub(crate) id: u32,
    /// Bytes; `u64::MAX`: not set, as 0 no limit.
    max_size: u64,
    pub(crate) name: CString,
    control_url: CString,
    data_url: CString,
}

impl SnapshotOutput {
    fn new() -> Self {
        Self {
            id: 0,
            max_size: u64::MAX,
            name: CString::default(),
            control_url: CString::default(),
            data_url: CString::default(),
        }
    }

    /// As the daemon tells it.
    pub(crate) fn of(output: &v1::SnapshotOutput) -> Self {
        let (control, data) = describe_pair(output.output.as_ref());
        let c = |text: &str| CString::new(text).unwrap_or_default();
        Self {
            id: output.id,
            max_size: output.max_size,
            name: c(&output.name),
            control_url: c(&control),
            data_url: c(&data),
        }
    }

    /// For a request; without place if none is set.
    pub(crate) fn message(&self) -> Result<v1::SnapshotOutput, Failure> {
        let string = |text: &CStr| -> Result<Option<String>, Failure> {
            let text = text.to_str().map_err(|_| Failure::INVALID)?;
            Ok((!text.is_empty()).then(|| text.to_owned()))
        };
        let control = string(&self.control_url)?;
        let data = string(&self.data_url)?;
        Ok(v1::SnapshotOutput {
            id: 0,
            name: string(&self.name)?.unwrap_or_default(),
            max_size: if self.max_size == u64::MAX {
                0
            } else {
                self.max_size
            },
            output: from_urls(control.as_deref(), data.as_deref())?,
        })
    }
}

/// An output without anything set.
#[unsafe(no_mangle)]
pub extern "C" fn lttng_snapshot_output_create() -> *mut SnapshotOutput {
    guard(ptr::null_mut(), || {
        Box::into_raw(Box::new(SnapshotOutput::new()))
    })
}

/// Frees an output that the caller created.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_snapshot_output_destroy(output: *mut SnapshotOutput) {
    guard((), || {
        if !output.is_null() {
            // SAFETY: made by `lttng_snapshot_output_create`, and given back once.
            drop(unsafe { Box::from_raw(output) });
        }
    });
}

/// The id that the daemon gave it, 0 before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_snapshot_output_get_id(output: *const SnapshotOutput) -> u32 {
    // SAFETY: the crate's rule; an output was made by this library.
    unsafe { reference(output) }.map_or(0, |output| output.id)
}

/// Most bytes of a snapshot; 0, and `u64::MAX` of an output that was not told, are no limit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_snapshot_output_get_maxsize(output: *const SnapshotOutput) -> u64 {
    // SAFETY: the crate's rule; an output was made by this library.
    unsafe { reference(output) }.map_or(0, |output| output.max_size)
}

unsafe fn get(
    output: *const SnapshotOutput,
    read: impl FnOnce(&SnapshotOutput) -> &CString,
) -> *const c_char {
    // SAFETY: the crate's rule; an output was made by this library.
    unsafe { reference(output) }.map_or(ptr::null(), |output| read(output).as_ptr())
}

/// The name; it belongs to the output, as all texts of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_snapshot_output_get_name(
    output: *const SnapshotOutput,
) -> *const c_char {
    // SAFETY: the crate's rule.
    unsafe { get(output, |output| &output.name) }
}

/// The path, or the URL of all or of control.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_snapshot_output_get_ctrl_url(
    output: *const SnapshotOutput,
) -> *const c_char {
    // SAFETY: the crate's rule.
    unsafe { get(output, |output| &output.control_url) }
}

/// The URL of data, empty where there is only one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_snapshot_output_get_data_url(
    output: *const SnapshotOutput,
) -> *const c_char {
    // SAFETY: the crate's rule.
    unsafe { get(output, |output| &output.data_url) }
}

unsafe fn set(
    output: *mut SnapshotOutput,
    change: impl FnOnce(&mut SnapshotOutput) -> Result<(), Failure>,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule; an output was made by this library.
        change(unsafe { reference_mut(output) }?)?;
        Ok(0)
    })
}

/// Names an output of a session by its id, not 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_snapshot_output_set_id(
    id: u32,
    output: *mut SnapshotOutput,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        set(output, |output| {
            if id == 0 {
                return Err(Failure::INVALID);
            }
            output.id = id;
            Ok(())
        })
    }
}

/// Sets the most bytes of a snapshot, 0 = no limit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_snapshot_output_set_size(
    size: u64,
    output: *mut SnapshotOutput,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        set(output, |output| {
            output.max_size = size;
            Ok(())
        })
    }
}

/// A copy of a text that is shorter than `limit` bytes.
unsafe fn copy(pointer: *const c_char, limit: usize) -> Result<CString, Failure> {
    // SAFETY: the crate's rule.
    let text = unsafe { text(pointer) }?;
    if text.len() >= limit {
        return Err(Failure::INVALID);
    }
    CString::new(text).map_err(|_| Failure::INVALID)
}

/// Sets the name; the empty one leaves it to the daemon.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_snapshot_output_set_name(
    name: *const c_char,
    output: *mut SnapshotOutput,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        set(output, |output| {
            output.name = copy(name, NAME_MAX)?;
            Ok(())
        })
    }
}

/// Whether two URLs, or one, are a relay daemon.
fn is_relay(control: &CStr, data: Option<&CStr>) -> Result<bool, Failure> {
    let string = |text: &CStr| {
        text.to_str()
            .map(str::to_owned)
            .map_err(|_| Failure::INVALID)
    };
    let data = data.map(string).transpose()?;
    let output = from_urls(Some(&string(control)?), data.as_deref())?.unwrap_or_default();
    Ok(matches!(output.kind, Some(Kind::Relay(_))))
}

/// Sets a directory: an absolute path or a file:// URL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_snapshot_output_set_local_path(
    path: *const c_char,
    output: *mut SnapshotOutput,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        set(output, |output| {
            let path = copy(path, URL_MAX)?;
            if is_relay(&path, None)? {
                return Err(Failure::INVALID);
            }
            output.control_url = path;
            output.data_url = CString::default();
            Ok(())
        })
    }
}

/// Sets a relay daemon by one net:// URL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_snapshot_output_set_network_url(
    url: *const c_char,
    output: *mut SnapshotOutput,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        set(output, |output| {
            let url = copy(url, URL_MAX)?;
            if !is_relay(&url, None)? {
                return Err(Failure::INVALID);
            }
            output.control_url = url;
            output.data_url = CString::default();
            Ok(())
        })
    }
}

/// Sets a relay daemon by two URLs with the same host.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_snapshot_output_set_network_urls(
    ctrl_url: *const c_char,
    data_url: *const c_char,
    output: *mut SnapshotOutput,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        set(output, |output| {
            let (control, data) = (copy(ctrl_url, URL_MAX)?, copy(data_url, URL_MAX)?);
            if !is_relay(&control, Some(&data))? {
                return Err(Failure::INVALID);
            }
            output.control_url = control;
            output.data_url = data;
            Ok(())
        })
    }
}

/// Sets the first URL alone; it is checked when the output is used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_snapshot_output_set_ctrl_url(
    url: *const c_char,
    output: *mut SnapshotOutput,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        set(output, |output| {
            output.control_url = copy(url, URL_MAX)?;
            Ok(())
        })
    }
}

/// Sets the URL of data alone; it is checked when the output is used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_snapshot_output_set_data_url(
    url: *const c_char,
    output: *mut SnapshotOutput,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        set(output, |output| {
            output.data_url = copy(url, URL_MAX)?;
            Ok(())
        })
    }
}
