//! The sending end: requests are encoded into a buffer, replies are parsed in the order of the
//! requests, any number of which may be under way.
//!
//! ```
//! use relay::client::Client;
//! use relay::{AddStream, ChunkId, DataPacket, MAJOR, Minor, PacketIndex, Reply, Request};
//! use relay::{ReturnCode, StreamHandle};
//!
//! // What the socket would carry; here the relay daemon's side is written by hand.
//! let mut client = Client::new();
//! client.request(&Request::Version { major: MAJOR, minor: Minor::NEWEST })?;
//! let to_send: Vec<u8> = client.take_output(); // one write
//! assert_eq!(to_send.len(), 24 + 8);
//!
//! client.on_bytes(&[0, 0, 0, 2, 0, 0]); // replies arrive cut anywhere
//! assert_eq!(client.next_reply()?, None);
//! client.on_bytes(&[0, 13]);
//! let Some(Reply::Version { major: MAJOR, minor }) = client.next_reply()? else { panic!() };
//! client.set_minor(minor.negotiate(Minor::NEWEST));
//!
//! // Several requests in one write …
//! let names = ["ch0_0", "metadata"];
//! for channel_name in names {
//!     client.request(&Request::AddStream(AddStream {
//!         channel_name,
//!         pathname: "ust/uid/0/64-bit",
//!         tracefile_size: 0,
//!         tracefile_count: 0,
//!         chunk: ChunkId(0),
//!     }))?;
//! }
//! client.request(&Request::StreamsSent)?;
//! let _one_write = client.take_output();
//! assert_eq!(client.outstanding(), 3);
//!
//! // … and their replies, in the same order.
//! client.on_bytes(&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 10]);
//! let first = Reply::Stream { stream: StreamHandle(1), code: ReturnCode::OK };
//! assert_eq!(client.next_reply()?, Some(first));
//!
//! // A packet: its header, its bytes, and no padding on the data connection; then its index on
//! // the control connection.
//! let packet = DataPacket {
//!     stream: StreamHandle(1),
//!     net_seq_num: 0,
//!     data_size: 4092,
//!     padding_size: 4,
//! };
//! assert_eq!(packet.encode().len(), 32);
//! client.request(&Request::SendIndex(PacketIndex {
//!     stream: 1,
//!     net_seq_num: 0,
//!     packet_size_bits: 4096 * 8,
//!     content_size_bits: 4092 * 8,
//!     ..PacketIndex::default()
//! }))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::{EncodeError, Minor, Reply, ReplyError, ReplyQueue, Request};

/// One control connection, seen from the sending end: what to write, and what to expect.
///
/// Only pairs requests with replies; what a code means and what follows is the caller's business.
#[derive(Debug)]
pub struct Client {
    minor: Minor,
    output: Vec<u8>,
    replies: ReplyQueue,
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// A fresh connection. Only `VERSION` makes sense until [`Client::set_minor`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_minor(Minor::NEWEST)
    }

    /// A connection on which somebody else has already agreed on a version.
    #[must_use]
    pub fn with_minor(minor: Minor) -> Self {
        Self {
            minor,
            output: Vec::new(),
            replies: ReplyQueue::default(),
        }
    }

    /// The negotiated minor.
    #[must_use]
    pub fn minor(&self) -> Minor {
        self.minor
    }

    /// The version both ends speak, from the reply to `VERSION`.
    pub fn set_minor(&mut self, minor: Minor) {
        self.minor = minor;
    }

    /// Adds a request to the output.
    ///
    /// # Errors
    /// When the negotiated version cannot carry it; nothing was added then.
    pub fn request(&mut self, request: &Request<'_>) -> Result<(), EncodeError> {
        request.encode_into(self.minor, &mut self.output)?;
        self.replies.expect(request.reply_kind(self.minor));
        Ok(())
    }

    /// What has to be written, in full.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// `len` bytes of the output have been written.
    ///
    /// # Panics
    /// When that is more than there are.
    pub fn written(&mut self, len: usize) {
        self.output.drain(..len);
    }

    /// What has to be written, in full, for callers who write it at once.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Bytes arrived, cut anywhere.
    pub fn on_bytes(&mut self, bytes: &[u8]) {
        self.replies.on_bytes(bytes);
    }

    /// The reply to the oldest request that has none yet; `None`: not here yet, or nothing asked.
    ///
    /// # Errors
    /// When the relay breaks the protocol; the connection is of no more use then.
    pub fn next_reply(&mut self) -> Result<Option<Reply>, ReplyError> {
        self.replies.next_reply()
    }

    /// How many replies are still to come.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.replies.outstanding()
    }
}
