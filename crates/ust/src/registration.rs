//! The message that an application sends first on each of its two connections.

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::text::until_nul;

/// Length of a registration message in bytes.
pub const REGISTRATION_BYTES: usize = 136;

const MAGIC: u32 = 0xC57C_57C5;

type U32 = zerocopy::U32<zerocopy::NativeEndian>;

/// `lttng_ust_ctl_reg_msg`: packed, host byte order.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Wire {
    magic: U32,
    major: U32,
    minor: U32,
    pid: U32,
    ppid: U32,
    uid: U32,
    gid: U32,
    bits_per_long: U32,
    uint8_t_alignment: U32,
    uint16_t_alignment: U32,
    uint32_t_alignment: U32,
    uint64_t_alignment: U32,
    long_alignment: U32,
    socket_type: U32,
    name: [u8; 16],
    padding: [u8; 64],
}

const _: () = assert!(size_of::<Wire>() == REGISTRATION_BYTES);

/// What the connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketType {
    /// The daemon commands, the application replies.
    Command,
    /// The application requests, the daemon answers.
    Notify,
}

/// Who registers. Ids are claims of the application; the socket's credentials are the truth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// What the connection is for.
    pub socket_type: SocketType,
    /// The application's ABI.
    pub major: u32,
    /// The application's ABI.
    pub minor: u32,
    /// As the application sees itself.
    pub claimed_pid: u32,
    /// Parent, as the application sees it.
    pub claimed_ppid: u32,
    /// Real user, as the application sees it.
    pub claimed_uid: u32,
    /// Real group, as the application sees it.
    pub claimed_gid: u32,
    /// 32 or 64.
    pub bits_per_long: u32,
    /// Alignments in bits of u8, u16, u32, u64 and long in the ring buffer.
    pub alignments: [u32; 5],
    /// Process name, at most 15 bytes; never empty, a name that is no UTF-8 is made readable.
    pub name: String,
}

/// Why a registration is refused. The connection is closed; the application gets no answer.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RegistrationError {
    /// The application has the other byte order.
    #[error("the application has the other byte order, which this daemon does not serve")]
    ByteOrder,
    /// Not a registration at all.
    #[error("no registration message: magic is {0:#010x}")]
    Magic(u32),
    /// Another generation of liblttng-ust.
    #[error("ABI {0} is not served, only 9 and 10 (liblttng-ust 2.13 and 2.14)")]
    Abi(u32),
    /// Neither command nor notify.
    #[error("socket type {0} is neither 0 (command) nor 1 (notify)")]
    SocketType(u32),
    /// 32 and 64 are the possible answers.
    #[error("a long of {0} bits")]
    BitsPerLong(u32),
    /// Bits, a power of two up to 64.
    #[error("an alignment of {0} bits")]
    Alignment(u32),
}

impl Registration {
    /// Decodes and checks one message.
    pub fn parse(bytes: &[u8; REGISTRATION_BYTES]) -> Result<Self, RegistrationError> {
        let wire: &Wire = zerocopy::transmute_ref!(bytes);
        match wire.magic.get() {
            MAGIC => {}
            magic if magic.swap_bytes() == MAGIC => return Err(RegistrationError::ByteOrder),
            magic => return Err(RegistrationError::Magic(magic)),
        }
        let major = wire.major.get();
        if !crate::ABI_MAJORS.contains(&major) {
            return Err(RegistrationError::Abi(major));
        }
        let socket_type = match wire.socket_type.get() {
            0 => SocketType::Command,
            1 => SocketType::Notify,
            other => return Err(RegistrationError::SocketType(other)),
        };
        let bits_per_long = wire.bits_per_long.get();
        if !matches!(bits_per_long, 32 | 64) {
            return Err(RegistrationError::BitsPerLong(bits_per_long));
        }
        Ok(Self {
            socket_type,
            major,
            minor: wire.minor.get(),
            claimed_pid: wire.pid.get(),
            claimed_ppid: wire.ppid.get(),
            claimed_uid: wire.uid.get(),
            claimed_gid: wire.gid.get(),
            bits_per_long,
            alignments: wire.alignments()?,
            name: wire.readable_name(),
        })
    }
}

impl Wire {
    fn alignments(&self) -> Result<[u32; 5], RegistrationError> {
        let all = [
            self.uint8_t_alignment.get(),
            self.uint16_t_alignment.get(),
            self.uint32_t_alignment.get(),
            self.uint64_t_alignment.get(),
            self.long_alignment.get(),
        ];
        match all
            .iter()
            .find(|bits| !bits.is_power_of_two() || !(8..=64).contains(*bits))
        {
            Some(&bad) => Err(RegistrationError::Alignment(bad)),
            None => Ok(all),
        }
    }

    fn readable_name(&self) -> String {
        let raw = match until_nul(&self.name) {
            Some(name) => name.to_owned(),
            None => {
                let end = self
                    .name
                    .iter()
                    .position(|&byte| byte == 0)
                    .unwrap_or(self.name.len());
                String::from_utf8_lossy(&self.name[..end]).into_owned()
            }
        };
        if raw.is_empty() { "?".into() } else { raw }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn message(socket_type: u32, major: u32) -> [u8; REGISTRATION_BYTES] {
        let words = [
            MAGIC,
            major,
            0,
            1234,
            1,
            1000,
            1000,
            64,
            8,
            8,
            8,
            8,
            8,
            socket_type,
        ];
        let mut bytes = [0; REGISTRATION_BYTES];
        for (i, word) in words.iter().enumerate() {
            bytes[i * 4..i * 4 + 4].copy_from_slice(&word.to_ne_bytes());
        }
        bytes[56..61].copy_from_slice(b"hello");
        bytes
    }

    #[test]
    fn a_registration_tells_who_comes() {
        let app = Registration::parse(&message(1, 9)).unwrap();
        assert_eq!(app.socket_type, SocketType::Notify);
        assert_eq!(
            (app.claimed_pid, app.name.as_str(), app.alignments),
            (1234, "hello", [8; 5])
        );
    }

    #[test]
    fn other_byte_order_and_other_generations_are_told_apart() {
        let mut swapped = message(0, 9);
        swapped[..4].reverse();
        assert_eq!(
            Registration::parse(&swapped),
            Err(RegistrationError::ByteOrder)
        );
        assert_eq!(
            Registration::parse(&message(0, 11)),
            Err(RegistrationError::Abi(11))
        );
        assert_eq!(
            Registration::parse(&message(2, 9)),
            Err(RegistrationError::SocketType(2))
        );
        assert_eq!(
            Registration::parse(&[0; 136]),
            Err(RegistrationError::Magic(0))
        );
    }

    #[test]
    fn a_name_without_end_is_no_panic() {
        let mut bytes = message(0, 9);
        bytes[56..72].fill(0xff);
        assert!(!Registration::parse(&bytes).unwrap().name.is_empty());
    }
}
