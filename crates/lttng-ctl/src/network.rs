//! The network session proposal, first form: a session's network attributes in a struct.
//!
//! `include/lttng/lttng-network.h` documents what the proposal left open.

use std::ffi::{c_char, c_int};
use std::net::{Ipv4Addr, Ipv6Addr};

use control::v1::SetNetworkRequest;
use control::{DEFAULT_CONTROL_PORT, DEFAULT_DATA_PORT};

use crate::abi::Handle;
use crate::boundary::{fixed, negative, reference, reference_mut, text, text_of};
use crate::daemon::connect;
use crate::failure::Failure;

/// `LTTNG_NETWORK_PADDING2_LEN`: bytes of the address, with its NUL.
pub const ADDRESS_LEN: usize = 128;
/// Longest part of a host name between two dots, bytes.
const MAX_LABEL: usize = 63;

/// `struct lttng_network`.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Network {
    /// 0 or 1.
    pub enable: c_int,
    /// Host byte order; 0: the default, 5342.
    pub control_port: u16,
    /// Host byte order; 0: the default, 5343.
    pub data_port: u16,
    pub padding: [c_char; 32],
    /// The union: all of its members are text that ends with NUL.
    pub address: [c_char; ADDRESS_LEN],
}

const _: () = assert!(size_of::<Network>() == 168);

/// Whether the text can be the remote address: a literal or a host name.
pub(crate) fn is_host(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok() || is_host_name(text)
}

/// Letters, digits, `-` and `_` between dots. What ends in a number must be an IPv4 address.
fn is_host_name(text: &str) -> bool {
    let plain = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = plain.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit());
    text.len() < ADDRESS_LEN
        && plain.split('.').all(is_label)
        && (!numeric || text.parse::<Ipv4Addr>().is_ok())
}

/// A TCP port that was asked for: 0 and what does not fit is refused.
pub(crate) fn port(number: i64) -> Result<u16, Failure> {
    match u16::try_from(number) {
        Ok(port) if port != 0 => Ok(port),
        _ => Err(Failure::INVALID),
    }
}

/// Turns streaming on (1) or off (0).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_attr_setnetwork(network: *mut Network, enable: c_int) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        change(network, |network| {
            if ![0, 1].contains(&enable) {
                return Err(Failure::INVALID);
            }
            network.enable = enable;
            Ok(())
        })
    }
}

/// Sets the data port, 1 to 65535.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_attr_setdataport(network: *mut Network, data_port: c_int) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        change(network, |network| {
            network.data_port = port(data_port.into())?;
            Ok(())
        })
    }
}

/// Sets the control port, 1 to 65535.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_attr_setctrlport(
    network: *mut Network,
    control_port: c_int,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        change(network, |network| {
            network.control_port = port(control_port.into())?;
            Ok(())
        })
    }
}

/// Sets an IPv4 address; the empty one is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_attr_setaddress(
    network: *mut Network,
    address: *const c_char,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { set_address(network, address, |text| text.parse::<Ipv4Addr>().is_ok()) }
}

/// Sets an IPv6 address; the empty one is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_attr_setaddress6(
    network: *mut Network,
    address: *const c_char,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { set_address(network, address, |text| text.parse::<Ipv6Addr>().is_ok()) }
}

/// Sets a host name; the empty one is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_attr_sethostname(
    network: *mut Network,
    hostname: *const c_char,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { set_address(network, hostname, is_host_name) }
}

unsafe fn set_address(
    network: *mut Network,
    address: *const c_char,
    fits: impl FnOnce(&str) -> bool,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        change(network, |network| {
            let address = text(address)?;
            if !address.is_empty() && !fits(&address) {
                return Err(Failure::INVALID);
            }
            network.address = fixed(&address);
            Ok(())
        })
    }
}

/// A setter: pure, no daemon is asked.
unsafe fn change(
    network: *mut Network,
    change: impl FnOnce(&mut Network) -> Result<(), Failure>,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        change(unsafe { reference_mut(network) }?)?;
        Ok(0)
    })
}

/// Gives the session of a handle these network attributes, all at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_streaming_session(
    handle: *const Handle,
    network: *const Network,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let (handle, network) = unsafe { (reference(handle)?, reference(network)?) };
        let session = text_of(&handle.session_name)?;
        connect()?.set_network(request(session, network)?)?;
        Ok(0)
    })
}

fn request(session: String, network: &Network) -> Result<SetNetworkRequest, Failure> {
    let enabled = match network.enable {
        0 => false,
        1 => true,
        _ => return Err(Failure::INVALID),
    };
    let address = text_of(&network.address)?;
    let or = |port: u16, default: u16| if port == 0 { default } else { port };
    let control_port = or(network.control_port, DEFAULT_CONTROL_PORT);
    let data_port = or(network.data_port, DEFAULT_DATA_PORT);
    let wrong = (enabled && address.is_empty())
        || (!address.is_empty() && !is_host(&address))
        || control_port == data_port
        || session.is_empty();
    if wrong {
        return Err(Failure::INVALID);
    }
    Ok(SetNetworkRequest {
        session,
        enabled: Some(enabled),
        address: Some(address),
        control_port: Some(control_port.into()),
        data_port: Some(data_port.into()),
        ..Default::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(enable: c_int, address: &str, control_port: u16, data_port: u16) -> Network {
        Network {
            enable,
            control_port,
            data_port,
            padding: [0; 32],
            address: fixed(address),
        }
    }

    #[test]
    fn a_filled_struct_sets_everything() {
        let request = request("s".into(), &network(1, "fd00::1", 0, 77)).unwrap();
        let expected = SetNetworkRequest {
            session: "s".into(),
            enabled: Some(true),
            address: Some("fd00::1".into()),
            control_port: Some(5342),
            data_port: Some(77),
            ..Default::default()
        };
        assert_eq!(request, expected);
    }

    #[test]
    fn zeros_turn_streaming_off() {
        let request = request("s".into(), &network(0, "", 0, 0)).unwrap();
        assert_eq!(
            (request.enabled, request.address),
            (Some(false), Some("".into()))
        );
    }

    #[test]
    fn contradictions_are_refused() {
        for bad in [
            network(1, "", 0, 0),
            network(2, "10.0.0.1", 0, 0),
            network(1, "no host", 0, 0),
            network(1, "10.0.0.1", 7, 7),
            network(1, "10.0.0.1", 5343, 0),
            Network {
                address: [b'a' as c_char; ADDRESS_LEN],
                ..network(1, "", 0, 0)
            },
        ] {
            assert_eq!(request("s".into(), &bad), Err(Failure::INVALID));
        }
        assert!(request(String::new(), &network(1, "10.0.0.1", 0, 0)).is_err());
    }

    #[test]
    fn hosts() {
        for text in [
            "10.0.0.1",
            "fd00::1",
            "::",
            "collector",
            "a.b-c.example.",
            "x_1.lan",
        ] {
            assert!(is_host(text), "{text}");
        }
        let long = format!("{}.{}", "a".repeat(63), "b".repeat(64));
        for text in [
            "",
            ".",
            "a..b",
            "-a",
            "a-",
            "a b",
            "999.1.1.1",
            "1.2.3",
            "[::1]",
            "a/b",
            &long,
        ] {
            assert!(!is_host(text), "{text}");
        }
    }
}
