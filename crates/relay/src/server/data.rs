//! One data connection: headers and payload ranges. The payload itself stays with the driver.

use crate::{DATA_HEADER_LEN, DataPacket};

/// The relay's end of a data connection.
#[derive(Debug, Default)]
pub struct DataPeer {
    state: State,
}

#[derive(Debug)]
enum State {
    Header {
        bytes: [u8; DATA_HEADER_LEN],
        filled: usize,
    },
    Payload {
        left: u32,
    },
}

impl Default for State {
    fn default() -> Self {
        Self::Header {
            bytes: [0; DATA_HEADER_LEN],
            filled: 0,
        }
    }
}

/// What is at the front of the bytes given to [`DataPeer::next_piece`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataPiece {
    /// A packet begins. When its `data_size` is 0 it is complete.
    Header(DataPacket),
    /// So many bytes of the current packet's payload, at the front of the bytes given; `complete`
    /// when they are its last.
    Payload {
        /// Length.
        len: usize,
        /// The packet is complete.
        complete: bool,
    },
}

impl DataPeer {
    /// Looks at the front of `bytes`: how many of them are used up, and what they are. `None` piece:
    /// all used up, nothing to do.
    pub fn next_piece(&mut self, bytes: &[u8]) -> (usize, Option<DataPiece>) {
        if bytes.is_empty() {
            return (0, None);
        }
        match &mut self.state {
            State::Header {
                bytes: header,
                filled,
            } => {
                let used = bytes.len().min(DATA_HEADER_LEN - *filled);
                header[*filled..*filled + used].copy_from_slice(&bytes[..used]);
                *filled += used;
                if *filled < DATA_HEADER_LEN {
                    return (used, None);
                }
                let packet = DataPacket::decode(header);
                self.state = match packet.data_size {
                    0 => State::default(),
                    left => State::Payload { left },
                };
                (used, Some(DataPiece::Header(packet)))
            }
            State::Payload { left } => {
                let here = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(*left);
                *left -= here;
                let complete = *left == 0;
                if complete {
                    self.state = State::default();
                }
                // A u32 that is at most `bytes.len()`.
                let len = here as usize;
                (len, Some(DataPiece::Payload { len, complete }))
            }
        }
    }

    /// Payload bytes of the current packet that are still to come; 0 between packets.
    #[must_use]
    pub fn payload_left(&self) -> u32 {
        match self.state {
            State::Header { .. } => 0,
            State::Payload { left } => left,
        }
    }

    /// `len` payload bytes went another way (splice); the packet is complete when none are left.
    pub fn payload_moved(&mut self, len: u32) {
        if let State::Payload { left } = &mut self.state {
            *left = left.saturating_sub(len);
            if *left == 0 {
                self.state = State::default();
            }
        }
    }

    /// Nothing of a packet has arrived: the peer may close here.
    #[must_use]
    pub fn between_packets(&self) -> bool {
        matches!(self.state, State::Header { filled: 0, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StreamHandle;

    #[test]
    fn packets_are_found_however_tcp_cuts_them() {
        let packet = |size| DataPacket {
            stream: StreamHandle(7),
            net_seq_num: 1,
            data_size: size,
            padding_size: 3,
        };
        let mut input = Vec::new();
        input.extend_from_slice(&packet(5).encode());
        input.extend_from_slice(b"hello");
        input.extend_from_slice(&packet(0).encode());
        input.extend_from_slice(&packet(2).encode());
        input.extend_from_slice(b"ab");
        for step in 1..input.len() {
            let mut peer = DataPeer::default();
            let (mut headers, mut payload, mut complete) = (Vec::new(), Vec::new(), 0);
            for mut bytes in input.chunks(step) {
                while !bytes.is_empty() {
                    let (used, piece) = peer.next_piece(bytes);
                    match piece {
                        Some(DataPiece::Header(header)) => headers.push(header.data_size),
                        Some(DataPiece::Payload { len, complete: end }) => {
                            payload.extend_from_slice(&bytes[..len]);
                            complete += u32::from(end);
                        }
                        None => {}
                    }
                    bytes = &bytes[used..];
                }
            }
            assert_eq!(headers, [5, 0, 2], "step {step}");
            assert_eq!(payload, b"helloab");
            assert_eq!(complete, 2);
            assert!(peer.between_packets());
        }
    }
}
