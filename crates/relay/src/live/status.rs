//! The numbers of the live protocol.

use std::fmt;

use crate::code::open_number;

open_number! {
    /// The command of a request.
    ViewerCommand {
        /// Tells the version; the first one.
        CONNECT = 1,
        /// Which sessions are there?
        LIST_SESSIONS = 2,
        /// Shows the streams of a session, from now on the new ones too.
        ATTACH_SESSION = 3,
        /// Where is the next packet of a stream?
        GET_NEXT_INDEX = 4,
        /// Bytes of the packet whose index was told last.
        GET_PACKET = 5,
        /// Metadata that was not told yet.
        GET_METADATA = 6,
        /// Streams that were not told yet.
        GET_NEW_STREAMS = 7,
        /// Begins what the viewer does; needed before it can attach.
        CREATE_SESSION = 8,
        /// Ends an attachment.
        DETACH_SESSION = 9,
    }
}

open_number! {
    /// Answer to `ATTACH_SESSION`.
    AttachStatus {
        /// Attached.
        OK = 1,
        /// This viewer is attached to it already.
        ALREADY = 2,
        /// No such session, or not for this viewer.
        UNKNOWN = 3,
        /// Not a live session.
        NOT_LIVE = 4,
        /// Neither the beginning nor the end.
        BAD_SEEK = 5,
        /// `CREATE_SESSION` first.
        NO_VIEWER_SESSION = 6,
    }
}

open_number! {
    /// Answer to `GET_NEXT_INDEX`.
    IndexStatus {
        /// Here it is.
        OK = 1,
        /// Nothing known: ask again.
        RETRY = 2,
        /// There will be no more.
        HUP = 3,
        /// No such stream.
        ERROR = 4,
        /// No packet, and none will begin before the time told.
        INACTIVE = 5,
    }
}

open_number! {
    /// Answer to `GET_PACKET`.
    PacketStatus {
        /// Here it is.
        OK = 1,
        /// Not there.
        ERROR = 3,
    }
}

open_number! {
    /// Answer to `GET_METADATA`.
    MetadataStatus {
        /// Here it is.
        OK = 1,
        /// Nothing new.
        NO_NEW = 2,
        /// No such stream, or there will be no more.
        ERROR = 3,
    }
}

open_number! {
    /// Answer to `GET_NEW_STREAMS`.
    NewStreamsStatus {
        /// Here they are: none is possible.
        OK = 1,
        /// None now.
        NO_NEW = 2,
        /// Not attached to that session.
        ERROR = 3,
        /// The session is over and everything of it was told.
        HUP = 4,
    }
}

open_number! {
    /// Answer to `CREATE_SESSION`.
    CreateStatus {
        /// Created.
        OK = 1,
        /// Not created.
        ERROR = 2,
    }
}

open_number! {
    /// Answer to `DETACH_SESSION`.
    DetachStatus {
        /// Detached.
        OK = 1,
        /// No such session.
        UNKNOWN = 2,
        /// Not attached to it.
        ERROR = 3,
    }
}

open_number! {
    /// Where a viewer wants to begin.
    Seek {
        /// With the oldest packet that is still there.
        BEGINNING = 1,
        /// With the first packet to come.
        LAST = 2,
    }
}

open_number! {
    /// What a connection is for.
    ConnectionKind {
        /// Requests and replies.
        COMMAND = 1,
        /// Notifications; none were ever defined.
        NOTIFICATION = 2,
    }
}

/// Bit of the flags of an index: metadata that the viewer does not have.
pub const FLAG_NEW_METADATA: u32 = 1;
/// Bit of the flags of an index: streams that the viewer does not know.
pub const FLAG_NEW_STREAM: u32 = 2;
