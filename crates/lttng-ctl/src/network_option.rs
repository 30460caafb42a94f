//! The network session proposal, second form: one option at a time, in the manner of `setsockopt`.

use std::ffi::{c_char, c_int, c_void};
use std::slice;

use control::v1::SetNetworkRequest;

use crate::boundary::negative;
use crate::daemon::connect;
use crate::failure::Failure;
use crate::lifecycle::session_name;
use crate::network::{ADDRESS_LEN, is_host, port};

/// `LTTNG_OPT_NETADDR`: text.
pub const NETADDR: c_int = 1;
/// `LTTNG_OPT_NETDATAPORT`: `int` or `uint16_t`.
pub const NETDATAPORT: c_int = 2;
/// `LTTNG_OPT_NETCTRLPORT`: `int` or `uint16_t`.
pub const NETCTRLPORT: c_int = 3;

/// Sets one network attribute of a session; the others stay.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_session_setopt(
    session_name: *const c_char,
    optname: c_int,
    optval: *const c_void,
    optlen: usize,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let session = unsafe { self::session_name(session_name) }?;
        // Bound before looking: no option is longer.
        if optval.is_null() || !(1..=ADDRESS_LEN).contains(&optlen) {
            return Err(Failure::INVALID);
        }
        // SAFETY: not NULL, and `optlen` bytes long by the caller's promise.
        let value = unsafe { slice::from_raw_parts(optval.cast::<u8>(), optlen) };
        connect()?.set_network(request(session, optname, value)?)?;
        Ok(0)
    })
}

fn request(session: String, name: c_int, value: &[u8]) -> Result<SetNetworkRequest, Failure> {
    let unchanged = SetNetworkRequest {
        session,
        ..Default::default()
    };
    match name {
        NETADDR => {
            let address = address(value)?;
            Ok(SetNetworkRequest {
                // An address is set to stream to it; the empty one to stop that.
                enabled: Some(!address.is_empty()),
                address: Some(address),
                ..unchanged
            })
        }
        NETDATAPORT => Ok(SetNetworkRequest {
            data_port: Some(number(value)?),
            ..unchanged
        }),
        NETCTRLPORT => Ok(SetNetworkRequest {
            control_port: Some(number(value)?),
            ..unchanged
        }),
        _ => Err(Failure::INVALID),
    }
}

/// Text with or without one NUL at its end.
fn address(value: &[u8]) -> Result<String, Failure> {
    let text = value.strip_suffix(&[0]).unwrap_or(value);
    let text = str::from_utf8(text).map_err(|_| Failure::INVALID)?;
    if text.is_empty() || is_host(text) {
        return Ok(text.into());
    }
    Err(Failure::INVALID)
}

fn number(value: &[u8]) -> Result<u32, Failure> {
    let number = if let Ok(bytes) = value.try_into() {
        i64::from(c_int::from_ne_bytes(bytes))
    } else if let Ok(bytes) = value.try_into() {
        i64::from(u16::from_ne_bytes(bytes))
    } else {
        return Err(Failure::INVALID);
    };
    Ok(port(number)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_have_two_lengths() {
        assert_eq!(number(&70_i32.to_ne_bytes()), Ok(70));
        assert_eq!(number(&65_535_u16.to_ne_bytes()), Ok(65_535));
        for bad in [0, -1, 70_000] {
            assert_eq!(
                number(&i32::to_ne_bytes(bad)),
                Err(Failure::INVALID),
                "{bad}"
            );
        }
        for bad in [&[1][..], &[1, 0, 0], &[1, 0, 0, 0, 0, 0, 0, 0], &[0, 0]] {
            assert_eq!(number(bad), Err(Failure::INVALID), "{bad:?}");
        }
    }

    #[test]
    fn an_address_turns_streaming_on_and_none_turns_it_off() {
        let set = |value: &[u8]| request("s".into(), NETADDR, value);
        for value in [&b"::1"[..], b"::1\0"] {
            let request = set(value).unwrap();
            assert_eq!(
                (request.enabled, request.address.as_deref()),
                (Some(true), Some("::1"))
            );
            assert_eq!((request.control_port, request.data_port), (None, None));
        }
        let off = set(b"\0").unwrap();
        assert_eq!(
            (off.enabled, off.address.as_deref()),
            (Some(false), Some(""))
        );
        for bad in [&b"a b"[..], b"a\0\0", b"a\0b", b"\xff"] {
            assert_eq!(set(bad), Err(Failure::INVALID), "{bad:?}");
        }
    }

    #[test]
    fn unknown_options_are_refused() {
        for name in [-1, 0, 4, i32::MAX] {
            assert_eq!(request("s".into(), name, &[1, 0]), Err(Failure::INVALID));
        }
    }
}
