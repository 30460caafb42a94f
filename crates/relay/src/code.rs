//! Numbers that stay open: command ids, return codes, chunk close commands, trace formats.

use std::fmt;

/// Declares a number whose known values have names and whose unknown values are kept.
macro_rules! open_number {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $konst:ident = $value:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);

        impl $name {
            $($(#[$vdoc])* pub const $konst: Self = Self($value);)*

            /// The name of a known value.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($konst)),)*
                    _ => None,
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{}({:#x})", stringify!($name), self.0),
                }
            }
        }
    };
}
pub(crate) use open_number;

open_number! {
    /// The command of a control message.
    Command {
        /// Adds a stream to the session.
        ADD_STREAM = 1,
        /// Creates the session of this connection.
        CREATE_SESSION = 2,
        /// Historic; nobody sends it, relays answer "ok".
        START_DATA = 3,
        /// Tells the protocol version.
        VERSION = 5,
        /// Metadata bytes; the only command without a reply.
        SEND_METADATA = 6,
        /// No more packets for a stream.
        CLOSE_STREAM = 7,
        /// Is a packet of a stream still missing?
        DATA_PENDING = 8,
        /// Marks a stream as needing no data pending check.
        QUIESCENT_CONTROL = 9,
        /// Begins a data pending check of the session.
        BEGIN_DATA_PENDING = 10,
        /// Ends a data pending check of the session.
        END_DATA_PENDING = 11,
        /// The index of one packet, or a beacon.
        SEND_INDEX = 13,
        /// All streams added so far may be shown to viewers.
        STREAMS_SENT = 16,
        /// Starts the metadata of a stream again.
        RESET_METADATA = 17,
        /// Moves streams to another trace chunk.
        ROTATE_STREAMS = 18,
        /// Creates a trace chunk.
        CREATE_TRACE_CHUNK = 19,
        /// Closes a trace chunk.
        CLOSE_TRACE_CHUNK = 20,
        /// Is a trace chunk still in use?
        TRACE_CHUNK_EXISTS = 21,
        /// Asks what the relay daemon allows.
        GET_CONFIGURATION = 22,
    }
}

open_number! {
    /// The `ret_code` of a reply.
    ReturnCode {
        /// Done.
        OK = 10,
        /// Refused, for whatever reason; also the answer to an unknown command.
        UNKNOWN = 11,
        /// The session could not be created.
        FATAL = 25,
        /// Out of memory, or an unknown trace chunk.
        NO_MEMORY = 26,
        /// A bad value.
        INVALID = 97,
        /// Not at this point of the conversation, or not allowed here.
        INVALID_PROTOCOL = 152,
        /// A file could not be created.
        FILE_CREATION_ERROR = 153,
        /// What stock relays answer to `DATA_PENDING` of an unknown stream.
        MINUS_ONE = 0xffff_ffff,
    }
}

open_number! {
    /// What to do with a trace chunk when the last stream has left it.
    CloseCommand {
        /// Move it to the archives.
        MOVE_TO_COMPLETED = 0,
        /// Leave it where it is.
        NO_OPERATION = 1,
        /// Delete it.
        DELETE = 2,
    }
}

open_number! {
    /// The trace format of a session, told since minor 15.
    TraceFormat {
        /// CTF 1.8, metadata in TSDL.
        CTF_1_8 = 1,
        /// CTF 2, metadata in JSON.
        CTF_2 = 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_numbers_are_kept_and_shown_in_hex() {
        assert_eq!(ReturnCode(10), ReturnCode::OK);
        assert_eq!(ReturnCode::OK.to_string(), "OK");
        assert_eq!(ReturnCode(0x4711).to_string(), "ReturnCode(0x4711)");
        assert_eq!(Command(14).name(), None);
    }
}
