//! Saving sessions to files.

use std::ffi::{CStr, CString, c_char, c_int};
use std::path::{Path, PathBuf};
use std::ptr;

use control::v1::ListSessionsRequest;
use control::v1::output::Kind;
use control::{CallError, Client, ErrorCode};
use places::home_directory;
use session_file::client::gather;
use session_file::files::{self, FileError};

use crate::abi::NAME_MAX;
use crate::boundary::{guard, negative, optional_text, reference, reference_mut};
use crate::daemon::connect;
use crate::failure::Failure;
use crate::output::from_urls;

/// `struct lttng_save_session_attr`, opaque to C.
#[derive(Debug, Default)]
pub struct SaveAttributes {
    /// All sessions if there is none.
    name: Option<CString>,
    directory: Option<CString>,
    overwrite: bool,
}

/// The name of a session that a caller gives; NULL takes it back.
///
/// # Safety
/// The crate's rule.
pub(crate) unsafe fn given_name(name: *const c_char) -> Result<Option<CString>, Failure> {
    // SAFETY: the crate's rule.
    let name = unsafe { optional_text(name) }?;
    if name.as_ref().is_some_and(|name| name.len() >= NAME_MAX) {
        return Err(Failure::INVALID);
    }
    name.map(c_string).transpose()
}

/// The local place that a URL or an absolute path names; NULL takes it back.
///
/// # Safety
/// The crate's rule.
pub(crate) unsafe fn given_path(url: *const c_char) -> Result<Option<CString>, Failure> {
    // SAFETY: the crate's rule.
    let Some(url) = (unsafe { optional_text(url) })? else {
        return Ok(None);
    };
    match from_urls(Some(&url), None)?.and_then(|output| output.kind) {
        Some(Kind::LocalPath(path)) => c_string(path).map(Some),
        _ => Err(Failure::INVALID),
    }
}

pub(crate) fn c_string(text: String) -> Result<CString, Failure> {
    CString::new(text).map_err(|_| Failure::INVALID)
}

/// For C: a text that belongs to its object, or NULL.
pub(crate) fn borrowed(text: Option<&CString>) -> *const c_char {
    text.map_or(ptr::null(), |text| text.as_ptr())
}

pub(crate) fn path_of(text: &CStr) -> Result<PathBuf, Failure> {
    let text = text.to_str().map_err(|_| Failure::INVALID)?;
    Ok(PathBuf::from(text))
}

pub(crate) fn name_of(text: Option<&CString>) -> Result<Option<String>, Failure> {
    let text = text.map(|text| text.to_str().map(str::to_owned));
    text.transpose().map_err(|_| Failure::INVALID)
}

/// Attributes that save all sessions, in the directory of this user, over nothing that is there.
#[unsafe(no_mangle)]
pub extern "C" fn lttng_save_session_attr_create() -> *mut SaveAttributes {
    guard(ptr::null_mut(), || {
        Box::into_raw(Box::new(SaveAttributes::default()))
    })
}

/// Frees attributes that the caller created.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_save_session_attr_destroy(attributes: *mut SaveAttributes) {
    guard((), || {
        if !attributes.is_null() {
            // SAFETY: made by `lttng_save_session_attr_create`, and given back once.
            drop(unsafe { Box::from_raw(attributes) });
        }
    });
}

/// The session; NULL means all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_save_session_attr_get_session_name(
    attributes: *const SaveAttributes,
) -> *const c_char {
    // SAFETY: the crate's rule; attributes were made by this library.
    let attributes = unsafe { reference(attributes) };
    attributes.map_or(ptr::null(), |attributes| borrowed(attributes.name.as_ref()))
}

/// The path of the directory; NULL means the user's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_save_session_attr_get_output_url(
    attributes: *const SaveAttributes,
) -> *const c_char {
    // SAFETY: the crate's rule; attributes were made by this library.
    let attributes = unsafe { reference(attributes) };
    attributes.map_or(ptr::null(), |attributes| {
        borrowed(attributes.directory.as_ref())
    })
}

/// 1 if files that are there are overwritten, else 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_save_session_attr_get_overwrite(
    attributes: *const SaveAttributes,
) -> c_int {
    // SAFETY: the crate's rule; attributes were made by this library.
    negative(|| Ok(unsafe { reference(attributes) }?.overwrite.into()))
}

/// 0: the name is always in the file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_save_session_attr_get_omit_name(
    attributes: *const SaveAttributes,
) -> c_int {
    // SAFETY: the crate's rule; attributes were made by this library.
    negative(|| unsafe { reference(attributes) }.map(|_| 0))
}

/// 0: the output is always in the file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_save_session_attr_get_omit_output(
    attributes: *const SaveAttributes,
) -> c_int {
    // SAFETY: the crate's rule; attributes were made by this library.
    negative(|| unsafe { reference(attributes) }.map(|_| 0))
}

/// Sets the session to save; NULL means all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_save_session_attr_set_session_name(
    attributes: *mut SaveAttributes,
    name: *const c_char,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule; attributes were made by this library.
        let (attributes, name) = unsafe { (reference_mut(attributes)?, given_name(name)?) };
        attributes.name = name;
        Ok(0)
    })
}

/// Sets the directory: an absolute path or a `file://` URL; NULL means the user's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_save_session_attr_set_output_url(
    attributes: *mut SaveAttributes,
    url: *const c_char,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule; attributes were made by this library.
        let (attributes, path) = unsafe { (reference_mut(attributes)?, given_path(url)?) };
        attributes.directory = path;
        Ok(0)
    })
}

/// Sets whether files that are there are overwritten.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_save_session_attr_set_overwrite(
    attributes: *mut SaveAttributes,
    overwrite: c_int,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule; attributes were made by this library.
        unsafe { reference_mut(attributes) }?.overwrite = overwrite != 0;
        Ok(0)
    })
}

/// Upstream cannot load a file without name: only 0 is supported.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_save_session_attr_set_omit_name(
    attributes: *mut SaveAttributes,
    omit: c_int,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { only_zero(attributes, omit) }
}

/// Only 0 is supported: a loaded session goes where it went, or where the loader says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_save_session_attr_set_omit_output(
    attributes: *mut SaveAttributes,
    omit: c_int,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { only_zero(attributes, omit) }
}

unsafe fn only_zero(attributes: *mut SaveAttributes, omit: c_int) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule; attributes were made by this library.
        unsafe { reference(attributes) }?;
        match omit {
            0 => Ok(0),
            _ => Err(Failure::NOT_SUPPORTED),
        }
    })
}

/// Writes a file for the session, or one for each.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_save_session(attributes: *const SaveAttributes) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule; attributes were made by this library.
        let attributes = unsafe { reference(attributes) }?;
        let directory = match &attributes.directory {
            Some(path) => path_of(path)?,
            None => files::user_directory(&home_directory().ok_or(Failure::INVALID)?),
        };
        let name = name_of(attributes.name.as_ref())?;
        let mut client = connect()?;
        client.run(async |client| save(client, name, &directory, attributes.overwrite).await)?;
        Ok(0)
    })
}

async fn save(
    client: &mut Client,
    name: Option<String>,
    directory: &Path,
    overwrite: bool,
) -> Result<(), Failure> {
    let names = match name {
        Some(name) => vec![name],
        None => {
            let answer = client.list_sessions(ListSessionsRequest {}).await;
            let sessions = answer.map_err(CallError::from)?.into_inner().sessions;
            sessions.into_iter().map(|session| session.name).collect()
        }
    };
    for name in names {
        let saved = gather(client, &name).await?;
        files::save(directory, &saved, overwrite).map_err(|error| {
            Failure(match error {
                FileError::Exists(_) => ErrorCode::SAVE_FILE_EXISTS,
                _ => ErrorCode::SAVE_FAILED,
            })
        })?;
    }
    Ok(())
}
