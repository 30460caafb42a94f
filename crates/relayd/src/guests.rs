//! Connections that nothing has come of. When there is no room for another one, those go that have been here
//! longest without a session: who only holds connections open cannot keep the targets out.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::counters::count;
use crate::register::Register;
use crate::worker::Kind;

/// Which share of them goes at once.
const SHARE: usize = 8;
/// Time to say what one wants.
const GRACE: Duration = Duration::from_secs(1);

/// All connections of targets, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Guests {
    list: Vec<Guest>,
    purge_at: usize,
}

#[derive(Debug)]
struct Guest {
    socket: Weak<TcpStream>,
    kind: Kind,
    host: IpAddr,
    since: Instant,
}

/// Whether there will be room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Some connections were ended, or will be if nothing comes of them.
    Soon,
    /// All connections are used.
    None,
}

/// When those that are gone are looked for.
const FIRST_PURGE: usize = 256;

impl Guests {
    pub(crate) fn add(&mut self, socket: &Arc<TcpStream>, kind: Kind, address: SocketAddr) {
        self.list.push(Guest {
            socket: Arc::downgrade(socket),
            kind,
            host: address.ip(),
            since: Instant::now(),
        });
        if self.list.len() >= self.purge_at.max(FIRST_PURGE) {
            self.purge();
            self.purge_at = self.list.len() * 2;
        }
    }

    /// Ends some connections that nothing has come of.
    pub(crate) fn make_room(&mut self, register: &Register) -> Room {
        self.purge();
        let sessions = register.summary().sessions;
        let used: HashSet<*const TcpStream> = sessions
            .iter()
            .flat_map(|session| session.sockets())
            .collect();
        // Data connections may wait for their first packet for long: as many of a host as it has sessions
        // that lack one, for nothing tells which they are.
        let mut wanted: HashMap<IpAddr, usize> = HashMap::new();
        for session in sessions
            .iter()
            .filter(|session| !session.has_data_connection())
        {
            *wanted.entry(session.address.ip()).or_default() += 1;
        }
        let mut is_wanted = |guest: &Guest| match wanted.get_mut(&guest.host) {
            Some(count) if *count > 0 && guest.kind == Kind::Data => {
                *count -= 1;
                true
            }
            _ => false,
        };
        let idle: Vec<_> = self
            .list
            .iter()
            .filter(|guest| !used.contains(&guest.socket.as_ptr()) && !is_wanted(guest))
            .collect();
        for guest in idle.iter().take(idle.len().div_ceil(SHARE)) {
            let Some(socket) = guest
                .socket
                .upgrade()
                .filter(|_| guest.since.elapsed() > GRACE)
            else {
                continue;
            };
            count(&register.errors.turned_away);
            tracing::error!(
                host = %guest.host,
                "{:?} connection ended: nothing has come of it, and others need the room",
                guest.kind
            );
            // Its worker sees the end, and closes it. Fails when the peer was faster.
            let _ = socket.shutdown(Shutdown::Both);
        }
        if idle.is_empty() {
            Room::None
        } else {
            Room::Soon
        }
    }

    fn purge(&mut self) {
        self.list.retain(|guest| guest.socket.strong_count() > 0);
    }
}
