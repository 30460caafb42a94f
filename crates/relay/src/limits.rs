//! How long names and messages may be. Lengths of names count their NUL.

/// Session name, as stock peers and relays limit it.
pub const MAX_SESSION_NAME_LEN: usize = 255;
/// Host name since minor 11.
pub const MAX_HOSTNAME_LEN: usize = 256;
/// Host name in minors 4 to 10.
pub const MAX_OLD_HOSTNAME_LEN: usize = 64;
/// Base path of a session.
pub const MAX_BASE_PATH_LEN: usize = 4096;
/// Channel name of a stream.
pub const MAX_CHANNEL_NAME_LEN: usize = 264;
/// Path of a stream since minor 11.
pub const MAX_STREAM_PATH_LEN: usize = 255;
/// Path of a stream before minor 11.
pub const MAX_OLD_STREAM_PATH_LEN: usize = 4096;
/// Name of a trace chunk (snapshots).
pub const MAX_CHUNK_NAME_LEN: usize = 255;
/// Path in a reply; stock peers refuse longer ones.
pub const MAX_REPLY_PATH_LEN: usize = 4095;

/// Payload of a message that carries names or fixed fields only.
pub const MAX_SMALL_PAYLOAD: u64 = 16 * 1024;
/// Payload of `ROTATE_STREAMS`: 262144 streams in one message.
pub const MAX_ROTATE_PAYLOAD: u64 = 4 * 1024 * 1024;
/// Payload of `SEND_METADATA`, that is, one metadata packet.
pub const MAX_METADATA_PAYLOAD: u64 = 16 * 1024 * 1024;
