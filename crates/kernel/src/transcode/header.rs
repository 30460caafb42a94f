//! The header of a packet: that of [`ctf::packet`], in the byte order of the traced machine.

use ctf::packet::{HEADER_LEN_64, MAGIC};
use ctf::types::ByteOrder;

use super::StreamIdentity;
use crate::machine::Number;

/// Bytes of the header.
pub(crate) const LEN: usize = HEADER_LEN_64;

/// What differs between the packets of a stream.
pub(crate) struct Numbers {
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) seq: u64,
    pub(crate) discarded: u64,
}

/// Writes the header of the packet that `packet` is all of.
pub(crate) fn write(
    packet: &mut [u8],
    identity: &StreamIdentity,
    numbers: &Numbers,
    order: ByteOrder,
) {
    let bits = packet.len() as u64 * 8;
    let parts: [&[u8]; 11] = [
        &MAGIC.bytes(order),
        &identity.uuid,
        &identity.stream_id.bytes(order),
        &u64::from(identity.cpu).bytes(order),
        &numbers.begin.bytes(order),
        &numbers.end.bytes(order),
        &bits.bytes(order),
        &bits.bytes(order),
        &numbers.seq.bytes(order),
        &numbers.discarded.bytes(order),
        &identity.cpu.bytes(order),
    ];
    let mut at = 0;
    for part in parts {
        packet[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
}
