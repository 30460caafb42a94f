//! Network interfaces and their addresses, as the kernel lists them on a netlink socket.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

use super::events::Kind;
use super::packets::Packets;

/// Numbers of `rtnetlink`.
const GET_LINKS: u16 = 18;
const GET_ADDRESSES: u16 = 22;
const LINK: u16 = 16;
const ADDRESS: u16 = 20;
const DONE: u16 = 3;
const ERROR: u16 = 2;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const LIST_ALL: u16 = 0x301;
/// Bytes of the header of a message, of a link and of an address.
const HEADER: usize = 16;
const LINK_HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;
/// Attributes: name of a link; address, and that of this side.
const IFLA_NAME: u16 = 3;
const IFA_ADDRESS: u16 = 1;
const IP_V4: u8 = 2;
/// In the flags of a link.
const IS_UP: u32 = 1;

#[derive(Debug, Default, PartialEq, Eq)]
struct Interface {
    name: String,
    up: bool,
    /// As in memory: the network's byte order.
    addresses: Vec<[u8; 4]>,
}

/// As LTTng does: each address of an interface that is up, and those that are down once.
pub(super) fn add(packets: &mut Packets<'_>) {
    let Ok(interfaces) = list() else { return };
    for interface in interfaces.values() {
        let none = [[0; 4]];
        let addresses = if interface.up {
            &interface.addresses[..]
        } else {
            &none
        };
        for address in addresses {
            packets.add(Kind::NetworkInterface, |payload| {
                payload.text(&interface.name);
                address.iter().for_each(|byte| payload.u8(*byte));
            });
        }
    }
}

fn list() -> io::Result<BTreeMap<u32, Interface>> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    let mut interfaces = BTreeMap::<u32, Interface>::new();
    ask(&socket, GET_LINKS, LINK_HEADER, &mut |kind, body| {
        if let (LINK, Some((index, interface))) = (kind, link(body)) {
            interfaces.insert(index, interface);
        }
    })?;
    ask(&socket, GET_ADDRESSES, ADDRESS_HEADER, &mut |kind, body| {
        if let (ADDRESS, Some((index, address))) = (kind, address(body))
            && let Some(interface) = interfaces.get_mut(&index)
        {
            interface.addresses.push(address);
        }
    })?;
    Ok(interfaces)
}

/// Sends a question of `body` zero bytes, and hands each answer to `take`.
fn ask(
    socket: &OwnedFd,
    kind: u16,
    body: usize,
    take: &mut dyn FnMut(u16, &[u8]),
) -> io::Result<()> {
    let mut question = vec![0; HEADER + body];
    let len = question.len() as u32;
    question[..4].copy_from_slice(&len.to_ne_bytes());
    question[4..6].copy_from_slice(&kind.to_ne_bytes());
    question[6..8].copy_from_slice(&LIST_ALL.to_ne_bytes());
    send(socket, &question, SendFlags::empty())?;
    let mut answer = vec![0; 64 << 10];
    loop {
        let (got, _) = recv(socket, &mut answer[..], RecvFlags::empty())?;
        if got == 0 || !messages(&answer[..got], take) {
            return Ok(());
        }
    }
}

/// Hands each message to `take`. `false`: that was the last one.
fn messages(mut bytes: &[u8], take: &mut dyn FnMut(u16, &[u8])) -> bool {
    while let (Some(len), Some(kind)) = (word(bytes, 0), half(bytes, 4)) {
        let len = len as usize;
        if kind == DONE || kind == ERROR || len < HEADER || len > bytes.len() {
            return false;
        }
        take(kind, &bytes[HEADER..len]);
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    true
}

/// `family, pad, type 16, index 32, flags 32, change 32 | attributes`
fn link(body: &[u8]) -> Option<(u32, Interface)> {
    let (index, flags) = (word(body, 4)?, word(body, 8)?);
    let name = attribute(body.get(LINK_HEADER..)?, IFLA_NAME)?;
    let name = name.split(|&byte| byte == 0).next()?;
    let interface = Interface {
        name: String::from_utf8_lossy(name).into_owned(),
        up: flags & IS_UP != 0,
        addresses: Vec::new(),
    };
    Some((index, interface))
}

/// `family, prefix length, flags, scope, index 32 | attributes`
fn address(body: &[u8]) -> Option<(u32, [u8; 4])> {
    let attributes = body.get(ADDRESS_HEADER..)?;
    if *body.first()? != IP_V4 {
        return None;
    }
    let address = attribute(attributes, IFA_ADDRESS)?;
    Some((word(body, 4)?, *address.first_chunk()?))
}

fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let (len, kind) = (usize::from(half(bytes, 0)?), half(bytes, 2)?);
        if kind == wanted {
            return bytes.get(4..len);
        }
        bytes = bytes.get(len.max(4).next_multiple_of(4)..)?;
    }
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_there() {
        let interfaces = list().unwrap();
        let lo = interfaces.values().find(|interface| interface.name == "lo");
        let lo = lo.expect("every network namespace has one");
        if lo.up {
            assert!(lo.addresses.contains(&[127, 0, 0, 1]), "{lo:?}");
        }
    }

    #[test]
    fn nonsense_is_no_interface() {
        for len in 0..64 {
            for byte in [0, 1, 4, 16, 0xff] {
                let bytes = vec![byte; len];
                messages(&bytes, &mut |_, body| {
                    let _ = (link(body), address(body));
                });
                let _ = (link(&bytes), address(&bytes));
            }
        }
    }
}
