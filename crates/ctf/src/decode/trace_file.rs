//! Stream files: one packet after the other.

use super::Decoder;
use super::error::DecodeError;

/// What a stream file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceFileSummary {
    /// Number of packets.
    pub packets: u64,
    /// Number of events.
    pub events: u64,
    /// Clock at the begin of the first packet.
    pub begin: Option<u64>,
    /// Clock at the end of the last packet.
    pub end: Option<u64>,
    /// Events discarded in this stream until the end of the last packet, since the stream exists:
    /// also those before the first packet of this file.
    pub discarded: u64,
    /// Packets missing between those of the file, by their numbers.
    pub lost_packets: u64,
}

/// A stream file that cannot be decoded to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("packet {packet} at byte {offset}: {error}")]
pub struct TraceFileError {
    /// Which packet of the file, from 0.
    pub packet: u64,
    /// Where it starts.
    pub offset: u64,
    /// What the packets before it hold.
    pub before: Box<TraceFileSummary>,
    /// What is wrong with it.
    #[source]
    pub error: DecodeError,
}

impl Decoder {
    /// Counts the events of all packets of a stream file.
    pub fn count_trace_file(&self, file: &[u8]) -> Result<TraceFileSummary, TraceFileError> {
        let mut summary = TraceFileSummary::default();
        let mut next_seq = None;
        let mut rest = file;
        while !rest.is_empty() {
            let packet = self.count_events(rest).map_err(|error| TraceFileError {
                packet: summary.packets,
                offset: (file.len() - rest.len()) as u64,
                before: Box::new(summary),
                error,
            })?;
            let info = packet.info;
            summary.packets += 1;
            summary.events += packet.events;
            summary.begin = summary.begin.or(info.begin);
            summary.end = info.end.or(summary.end);
            summary.discarded = info.discarded.unwrap_or(summary.discarded);
            if let (Some(expected), Some(seq)) = (next_seq, info.seq) {
                summary.lost_packets = summary
                    .lost_packets
                    .saturating_add(seq.saturating_sub(expected));
            }
            next_seq = info.seq.map(|seq| seq.saturating_add(1));
            // Whole bytes, and no more than are there. A packet of no bytes ends the walk.
            let len = info
                .packet_size
                .to_bytes()
                .and_then(|len| usize::try_from(len).ok());
            rest = match len {
                Some(len) if len > 0 => rest.get(len..).unwrap_or_default(),
                _ => &[],
            };
        }
        Ok(summary)
    }
}
