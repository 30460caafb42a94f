//! What each minor version of the protocol brought. The only table of its kind: nobody else compares
//! minors.

use std::fmt;

/// The major version every known peer speaks; any other is refused.
pub const MAJOR: u32 = 2;

/// A minor version of the relay protocol, major 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minor(pub u32);

impl Minor {
    /// The newest minor this crate speaks, in both directions.
    pub const NEWEST: Self = Self(15);

    /// The version two ends use after they told each other theirs: the smaller one.
    #[must_use]
    pub fn negotiate(self, other: Self) -> Self {
        self.min(other)
    }

    /// `ADD_STREAM` carries the tracefile size and count.
    #[must_use]
    pub fn has_tracefile_limits(self) -> bool {
        self.0 >= 2
    }

    /// `CREATE_SESSION` carries names; packets have indexes; `STREAMS_SENT` exists.
    #[must_use]
    pub fn has_indexes(self) -> bool {
        self.0 >= 4
    }

    /// Indexes carry the stream instance and the packet sequence number; `RESET_METADATA` exists.
    #[must_use]
    pub fn has_packet_seq_num(self) -> bool {
        self.0 >= 8
    }

    /// Names have a length before them; trace chunks and rotation exist.
    #[must_use]
    pub fn has_trace_chunks(self) -> bool {
        self.0 >= 11
    }

    /// `GET_CONFIGURATION` exists; a trace chunk can be deleted (clear).
    #[must_use]
    pub fn has_configuration(self) -> bool {
        self.0 >= 12
    }

    /// `CREATE_SESSION` tells the trace format.
    #[must_use]
    pub fn has_trace_format(self) -> bool {
        self.0 >= 15
    }
}

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MAJOR}.{}", self.0)
    }
}
