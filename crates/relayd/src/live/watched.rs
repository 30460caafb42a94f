//! A stream that a viewer was told of, and what it was told of it.

use std::sync::Arc;

use relay::RelaySessionId;
use relay::live::{Beacon, Curb, Cursor, ViewerIndex};

use super::mailbox::Waker;
use super::session::View;
use super::stream::{Found, OpenFiles};

/// See the module.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) view: View,
    pub(super) session: RelaySessionId,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Data(Reading),
    Metadata {
        sent: u64,
        /// The viewer was told that there is no more.
        ended: bool,
    },
}

/// Where the viewer is in a data stream.
#[derive(Debug)]
pub(super) struct Reading {
    cursor: Cursor,
    /// Where the cursor was last.
    files: Option<Arc<OpenFiles>>,
    /// Of the packet whose index was told last.
    pub(super) packet: Option<Arc<OpenFiles>>,
    /// Told last, if no packet was told since.
    beacon: Option<Beacon>,
    /// Everything up to this time was told.
    up_to: u64,
}

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Packet(ViewerIndex),
    /// The same as the last time, unless it is news.
    Inactive {
        beacon: Beacon,
        is_news: bool,
    },
    Nothing,
    End,
}

impl Told {
    /// It is more than the viewer knew.
    pub(super) fn is_news(self) -> bool {
        match self {
            Self::Packet(_) => true,
            Self::Inactive { is_news, .. } => is_news,
            Self::Nothing | Self::End => false,
        }
    }

    /// The viewer loses nothing if it is told later.
    pub(super) fn may_wait(self) -> bool {
        !self.is_news() && self != Self::End
    }
}

impl Watched {
    /// Another packet can be told.
    pub(super) fn has_packet(&self) -> bool {
        match &self.kind {
            Kind::Data(reading) => self.view.stream.has_packet(reading.cursor),
            Kind::Metadata { .. } => false,
        }
    }

    /// What comes next; `waker` waits for news if there are none. `None`: not a data stream.
    pub(super) fn next(
        &mut self,
        curb: Option<Curb>,
        waker: Option<&Waker>,
    ) -> std::io::Result<Option<Told>> {
        let Kind::Data(reading) = &mut self.kind else {
            return Ok(None);
        };
        let (cursor, files, told) = (&mut reading.cursor, &mut reading.files, reading.beacon);
        let found = self.view.stream.next_packet(cursor, files, told, waker)?;
        Ok(Some(match found {
            Found::Packet(packet) => {
                reading.packet = reading.files.clone();
                reading.beacon = None;
                reading.up_to = packet.timestamp_end;
                Told::Packet(packet)
            }
            Found::Inactive(beacon) => reading.tell(beacon, curb),
            Found::Nothing => Told::Nothing,
            Found::End => Told::End,
        }))
    }
}

impl Reading {
    pub(super) fn new(begin: Cursor) -> Self {
        Self {
            cursor: begin,
            files: None,
            packet: None,
            beacon: None,
            up_to: 0,
        }
    }

    fn tell(&mut self, beacon: Beacon, curb: Option<Curb>) -> Told {
        let beacon = match curb {
            None => Some(beacon),
            Some(curb) => curb.apply(beacon, self.up_to).or(self.beacon),
        };
        let Some(beacon) = beacon else {
            return Told::Nothing;
        };
        let is_news = self.beacon.replace(beacon) != Some(beacon);
        self.up_to = self.up_to.max(beacon.timestamp_end);
        Told::Inactive { beacon, is_news }
    }
}
