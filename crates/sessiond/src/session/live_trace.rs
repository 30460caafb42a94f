//! What the delivery has to know of a trace, whatever domain it is of.

use std::collections::HashMap;
use std::fmt::Debug;

use consumer_api::{Predecessor, Request, StreamKey, TraceKey};

use crate::app::SharedFd;

/// Where a stream's reader before stopped, as far as it is known.
pub(super) type After<'a> = dyn Fn(StreamKey) -> Option<Predecessor> + 'a;

/// Buffers that somebody fills, and the text that describes what is in them.
pub(super) trait LiveTrace: Debug + Send + Sync {
    /// Its name between the daemons.
    fn key(&self) -> TraceKey;

    /// The requests that give the trace to a consumer daemon, in order. `after`: where the one before
    /// stopped, if there was one.
    fn handover(&self, after: &After<'_>) -> Vec<(Request, Vec<SharedFd>)>;

    /// Events that the writers of each stream have dropped so far, where the buffers can tell.
    fn discarded_events(&self) -> HashMap<StreamKey, u64> {
        HashMap::new()
    }

    /// The buffer of each stream.
    fn shapes(&self) -> Vec<BufferShape>;

    /// A chunk has begun, and has nothing of the trace yet.
    fn begin_chunk(&self) {}

    /// Nobody will read these buffers any more.
    fn give_up(&self);
}

/// The size of one buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct BufferShape {
    /// Bytes of one packet at most.
    pub subbuf_size: u64,
    /// Packets at most.
    pub subbuf_count: u64,
}
