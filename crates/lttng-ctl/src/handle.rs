//! Handles: a session's name and a domain.

use std::ffi::{c_char, c_int};
use std::ptr;

use control::ErrorCode;
use control::v1::{BufferType, SetOutputRequest};

use crate::abi::{Domain, Handle, buffer_type, domain_type};
use crate::boundary::{fixed, guard, negative, optional_text, reference, text_of, zeroed};
use crate::daemon::connect;
use crate::failure::Failure;
use crate::output::from_urls;

/// What a handle says, checked.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub session: String,
    pub domain: control::v1::Domain,
    /// Only for user space.
    pub buffers: BufferType,
}

impl Target {
    /// Reads a handle.
    ///
    /// # Safety
    /// The crate's rule.
    pub(crate) unsafe fn read(handle: *const Handle) -> Result<Self, Failure> {
        // SAFETY: the crate's rule.
        let handle = unsafe { reference(handle) }?;
        let (domain, buffers) = domain(&handle.domain)?;
        Ok(Self {
            session: text_of(&handle.session_name)?,
            domain,
            buffers,
        })
    }
}

/// The domain in the control API. "No domain" passes: the daemon refuses it where it needs one.
pub(crate) fn domain(domain: &Domain) -> Result<(control::v1::Domain, BufferType), Failure> {
    use control::v1::Domain as D;

    match (domain.kind, domain.buf_type) {
        (domain_type::NONE, _) => Ok((D::Unspecified, BufferType::Unspecified)),
        (domain_type::KERNEL, _) => Ok((D::Kernel, BufferType::Unspecified)),
        (domain_type::UST, buffer_type::PER_PID) => Ok((D::Ust, BufferType::PerPid)),
        (domain_type::UST, buffer_type::PER_UID) => Ok((D::Ust, BufferType::PerUid)),
        // `LTTNG_ERR_BUFFER_NOT_SUPPORTED`.
        (domain_type::UST, _) => Err(Failure(ErrorCode(22))),
        _ => Err(Failure(ErrorCode::UNSUPPORTED_DOMAIN)),
    }
}

/// A handle; NULL as the name is the empty one, NULL as the domain is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_create_handle(
    session_name: *const c_char,
    domain: *const Domain,
) -> *mut Handle {
    guard(ptr::null_mut(), || {
        // SAFETY: the crate's rule.
        let (name, domain) = unsafe { (optional_text(session_name), domain.as_ref()) };
        let Ok(name) = name else {
            return ptr::null_mut();
        };
        let handle = zeroed::<Handle>();
        // SAFETY: NULL or a new object; zeros are a value of it.
        if let Some(handle) = unsafe { handle.as_mut() } {
            handle.session_name = fixed(&name.unwrap_or_default());
            if let Some(domain) = domain {
                handle.domain = *domain;
            }
        }
        handle
    })
}

/// Frees a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_destroy_handle(handle: *mut Handle) {
    // SAFETY: NULL, or made by `lttng_create_handle` and given back once.
    unsafe { libc::free(handle.cast()) };
}

/// Sets where the trace of the handle's session goes, as a whole.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_set_consumer_url(
    handle: *const Handle,
    control_url: *const c_char,
    data_url: *const c_char,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let (handle, control, data) = unsafe {
            (
                reference(handle)?,
                optional_text(control_url)?,
                optional_text(data_url)?,
            )
        };
        let output = from_urls(control.as_deref(), data.as_deref())?.ok_or(Failure::INVALID)?;
        connect()?.set_output(SetOutputRequest {
            session: text_of(&handle.session_name)?,
            output: Some(output),
        })?;
        Ok(0)
    })
}
