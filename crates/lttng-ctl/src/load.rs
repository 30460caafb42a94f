//! Loading sessions from files.

use std::ffi::{CString, c_char, c_int};
use std::ptr;

use control::ErrorCode;
use control::url::describe_pair;
use control::v1::output::Kind;
use places::home_directory;
use session_file::SavedSession;
use session_file::client::{make, redirect};
use session_file::files::{self, FileError};

use crate::boundary::{guard, negative, reference, reference_mut, text};
use crate::daemon::connect;
use crate::failure::Failure;
use crate::output::from_urls;
use crate::save::{borrowed, c_string, given_name, given_path, name_of, path_of};

/// `struct lttng_load_session_attr`, opaque to C.
#[derive(Debug, Default)]
pub struct LoadAttributes {
    /// All sessions if there is none.
    name: Option<CString>,
    /// A file or a directory.
    path: Option<CString>,
    overwrite: bool,
    override_name: Option<CString>,
    /// One for all, or those for control and data.
    override_url: Option<CString>,
    override_control: Option<CString>,
    override_data: Option<CString>,
}

/// Attributes that load all sessions of the default places.
#[unsafe(no_mangle)]
pub extern "C" fn lttng_load_session_attr_create() -> *mut LoadAttributes {
    guard(ptr::null_mut(), || {
        Box::into_raw(Box::new(LoadAttributes::default()))
    })
}

/// Frees attributes that the caller created.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_load_session_attr_destroy(attributes: *mut LoadAttributes) {
    guard((), || {
        if !attributes.is_null() {
            // SAFETY: made by `lttng_load_session_attr_create`, and given back once.
            drop(unsafe { Box::from_raw(attributes) });
        }
    });
}

unsafe fn get(
    attributes: *const LoadAttributes,
    read: impl FnOnce(&LoadAttributes) -> Option<&CString>,
) -> *const c_char {
    // SAFETY: the crate's rule; attributes were made by this library.
    let attributes = unsafe { reference(attributes) };
    attributes.map_or(ptr::null(), |attributes| borrowed(read(attributes)))
}

unsafe fn set(
    attributes: *mut LoadAttributes,
    change: impl FnOnce(&mut LoadAttributes) -> Result<(), Failure>,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule; attributes were made by this library.
        change(unsafe { reference_mut(attributes) }?)?;
        Ok(0)
    })
}

/// The session; NULL means all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_load_session_attr_get_session_name(
    attributes: *const LoadAttributes,
) -> *const c_char {
    // SAFETY: the crate's rule.
    unsafe { get(attributes, |attributes| attributes.name.as_ref()) }
}

/// The path of the file or directory; NULL means the default places.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_load_session_attr_get_input_url(
    attributes: *const LoadAttributes,
) -> *const c_char {
    // SAFETY: the crate's rule.
    unsafe { get(attributes, |attributes| attributes.path.as_ref()) }
}

/// The name that the session gets instead of its own, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_load_session_attr_get_override_session_name(
    attributes: *const LoadAttributes,
) -> *const c_char {
    // SAFETY: the crate's rule.
    unsafe { get(attributes, |attributes| attributes.override_name.as_ref()) }
}

/// Where the trace goes instead, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_load_session_attr_get_override_url(
    attributes: *const LoadAttributes,
) -> *const c_char {
    // SAFETY: the crate's rule.
    unsafe { get(attributes, |attributes| attributes.override_url.as_ref()) }
}

/// The control URL of where the trace goes instead, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_load_session_attr_get_override_ctrl_url(
    attributes: *const LoadAttributes,
) -> *const c_char {
    // SAFETY: the crate's rule.
    unsafe {
        get(attributes, |attributes| {
            attributes.override_control.as_ref()
        })
    }
}

/// The data URL of where the trace goes instead, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_load_session_attr_get_override_data_url(
    attributes: *const LoadAttributes,
) -> *const c_char {
    // SAFETY: the crate's rule.
    unsafe { get(attributes, |attributes| attributes.override_data.as_ref()) }
}

/// 1 if a session of the same name is destroyed first, else 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_load_session_attr_get_overwrite(
    attributes: *const LoadAttributes,
) -> c_int {
    // SAFETY: the crate's rule; attributes were made by this library.
    negative(|| Ok(unsafe { reference(attributes) }?.overwrite.into()))
}

/// Sets the session to load; NULL means all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_load_session_attr_set_session_name(
    attributes: *mut LoadAttributes,
    name: *const c_char,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        set(attributes, |attributes| {
            attributes.name = given_name(name)?;
            Ok(())
        })
    }
}

/// Sets the file or directory: an absolute path or a `file://` URL; NULL means the default places.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_load_session_attr_set_input_url(
    attributes: *mut LoadAttributes,
    url: *const c_char,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        set(attributes, |attributes| {
            attributes.path = given_path(url)?;
            Ok(())
        })
    }
}

/// Sets whether a session of the same name is destroyed first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_load_session_attr_set_overwrite(
    attributes: *mut LoadAttributes,
    overwrite: c_int,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        set(attributes, |attributes| {
            attributes.overwrite = overwrite != 0;
            Ok(())
        })
    }
}

/// Gives the session another name; NULL takes it back. Not for all sessions at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_load_session_attr_set_override_session_name(
    attributes: *mut LoadAttributes,
    name: *const c_char,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        set(attributes, |attributes| {
            attributes.override_name = given_name(name)?;
            Ok(())
        })
    }
}

/// Sends the trace somewhere else than the file says: `net://HOST`, `file://DIR`, ….
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_load_session_attr_set_override_url(
    attributes: *mut LoadAttributes,
    url: *const c_char,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        set(attributes, |attributes| {
            let url = text(url)?;
            let output = from_urls(Some(&url), None)?;
            let relay = output.as_ref().and_then(|output| output.kind.as_ref());
            if matches!(relay, Some(Kind::Relay(_))) {
                let (control, data) = describe_pair(output.as_ref());
                attributes.override_control = Some(c_string(control)?);
                attributes.override_data = Some(c_string(data)?);
            }
            attributes.override_url = Some(c_string(url)?);
            Ok(())
        })
    }
}

/// Sends the trace to another relay daemon; goes with a data URL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_load_session_attr_set_override_ctrl_url(
    attributes: *mut LoadAttributes,
    url: *const c_char,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        set(attributes, |attributes| {
            attributes.override_control = Some(c_string(text(url)?)?);
            Ok(())
        })
    }
}

/// Sends the trace to another relay daemon; goes with a control URL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_load_session_attr_set_override_data_url(
    attributes: *mut LoadAttributes,
    url: *const c_char,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        set(attributes, |attributes| {
            attributes.override_data = Some(c_string(text(url)?)?);
            Ok(())
        })
    }
}

/// Makes the session, or all, again, and starts those that were started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_load_session(attributes: *const LoadAttributes) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule; attributes were made by this library.
        load(unsafe { reference(attributes) }?)?;
        Ok(0)
    })
}

fn load(attributes: &LoadAttributes) -> Result<(), Failure> {
    let sessions = sessions(attributes)?;
    let home = home_directory().unwrap_or_default();
    let home = home.to_string_lossy();
    let mut client = connect()?;
    for saved in &sessions {
        client.run(async |client| make(client, saved, &home, attributes.overwrite).await)?;
    }
    Ok(())
}

/// What is to be made, with what overrides the files. All files are read before anything is changed.
fn sessions(attributes: &LoadAttributes) -> Result<Vec<SavedSession>, Failure> {
    let name = name_of(attributes.name.as_ref())?;
    let override_name = name_of(attributes.override_name.as_ref())?;
    if name.is_none() && override_name.is_some() {
        return Err(Failure::INVALID);
    }
    let url = name_of(attributes.override_url.as_ref())?;
    let output = match url {
        Some(url) => from_urls(Some(&url), None)?,
        None => {
            let control = name_of(attributes.override_control.as_ref())?;
            let data = name_of(attributes.override_data.as_ref())?;
            from_urls(control.as_deref(), data.as_deref())?
        }
    };
    let path = attributes.path.as_deref().map(path_of).transpose()?;
    let found = files::find(path.as_deref(), home_directory().as_deref());
    let found = found.map_err(|error| Failure(code(&error)))?;
    let mut sessions = found.sessions;
    match &name {
        Some(name) => {
            sessions.retain(|saved| saved.name() == name);
            if sessions.is_empty() {
                return Err(Failure(ErrorCode::LOAD_SESSION_NOT_FOUND));
            }
            sessions.truncate(1);
        }
        None => {
            if let Some(error) = found.broken.first() {
                return Err(Failure(code(error)));
            }
        }
    }
    for saved in &mut sessions {
        if let (Some(name), Some(session)) = (&override_name, &mut saved.details.session) {
            session.name.clone_from(name);
        }
        if let Some(output) = &output {
            redirect(saved, output);
        }
    }
    Ok(sessions)
}

fn code(error: &FileError) -> ErrorCode {
    match error {
        FileError::Read { .. } => ErrorCode::LOAD_INVALID_CONFIG,
        // As upstream: the place itself is a wrong value.
        FileError::Io { error, .. } if error.kind() == std::io::ErrorKind::NotFound => {
            ErrorCode::INVALID
        }
        _ => ErrorCode::LOAD_FAILED,
    }
}
