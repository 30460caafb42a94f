//! Where a session's trace goes: the settings, and opening the place they name.

use std::net::Ipv6Addr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use consumer_api::{OutputSetup, RelaySetup};
use control::ErrorCode;
use relay::{Minor, SessionKey};

use crate::app::SharedFd;
use crate::lock::lock;
use crate::session::collector::{self, Collector, Introduction, RelayAddress};
use crate::session::plan::Refusal;
use crate::session::{Session, directory, path_datetime, tcp_written};

/// Upstream's ports.
const CONTROL_PORT: u16 = 5342;
const DATA_PORT: u16 = 5343;

/// Where a session's trace goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OutputSetting {
    /// Nowhere: the buffers are written, and never read.
    None,
    /// A directory on this machine, absolute.
    Local(PathBuf),
    /// A relay daemon.
    Relay {
        /// Where it listens.
        address: RelayAddress,
        /// Directory below the host's, empty = the relay's default.
        base_path: String,
    },
}

/// What happens when the relay daemon goes away while the session is active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RelayLoss {
    /// Connect again, as often as it takes; the buffers follow their own mode meanwhile.
    #[default]
    Reconnect,
    /// Go on in a local directory.
    Local,
}

/// Network attributes of a session; they are kept while streaming is disabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NetworkAttributes {
    /// Stream to the relay daemon.
    pub enabled: bool,
    /// IPv4 or IPv6 literal or host name; empty: none, so collect locally.
    pub address: String,
    /// TCP port of control connections.
    pub control_port: u16,
    /// TCP port of data connections.
    pub data_port: u16,
}

impl Default for NetworkAttributes {
    fn default() -> Self {
        Self {
            enabled: false,
            address: String::new(),
            control_port: CONTROL_PORT,
            data_port: DATA_PORT,
        }
    }
}

impl NetworkAttributes {
    /// Those that an output implies; where it says nothing, `self` stays.
    pub(crate) fn implied_by(&self, setting: &OutputSetting) -> Self {
        match setting {
            OutputSetting::Relay { address, .. } => Self {
                enabled: true,
                address: address.host.clone(),
                control_port: address.control_port,
                data_port: address.data_port,
            },
            _ => Self {
                enabled: false,
                ..self.clone()
            },
        }
    }

    /// The relay daemon to stream to, if any.
    pub(crate) fn relay(&self) -> Option<RelayAddress> {
        (self.enabled && !self.address.is_empty()).then(|| RelayAddress {
            host: self.address.clone(),
            control_port: self.control_port,
            data_port: self.data_port,
            ipv6: self.address.parse::<Ipv6Addr>().is_ok(),
        })
    }
}

/// A place that is open: one stretch of the trace, complete in itself, goes there.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) kind: PlaceKind,
    /// Local directory, or the directory that the relay daemon reported.
    pub(super) path: String,
    /// When it was begun, seconds since the Unix epoch.
    pub(super) created_unix_s: u64,
}

/// What a consumer daemon needs to write there.
#[derive(Clone, Debug)]
pub(super) enum PlaceKind {
    /// The directory.
    Directory(SharedFd),
    /// A session on a relay daemon.
    Relay(RelayPlace),
}

/// A session on a relay daemon; only one consumer daemon can use it, since what it has sent is not known to
/// another one.
#[derive(Clone, Debug)]
pub(super) struct RelayPlace {
    setup: RelaySetup,
    /// Control and data socket. This daemon keeps them: when the consumer daemon is killed, what it has sent
    /// still arrives.
    pub(super) sockets: Vec<SharedFd>,
    /// Chunks may be deleted there.
    pub(super) clear_allowed: bool,
    used: bool,
    /// What had been written to the data socket before a consumer daemon had it; see [`tcp_written`].
    written_before: Option<u64>,
}

impl RelayPlace {
    /// Bytes that the consumer daemon has written to the data socket.
    pub(super) fn written(&self) -> std::io::Result<u64> {
        let before = self.written_before.ok_or(std::io::ErrorKind::NotFound)?;
        let now = tcp_written::written(self.data()?)?;
        Ok(now.wrapping_sub(before))
    }

    fn data(&self) -> std::io::Result<BorrowedFd<'_>> {
        let data = self.sockets.get(1).ok_or(std::io::ErrorKind::NotFound)?;
        Ok(data.as_fd())
    }

    /// The protocol's minor that was agreed upon.
    pub(super) fn minor(&self) -> Minor {
        Minor(self.setup.minor)
    }
}

impl PlaceKind {
    /// The set-up and descriptors for a consumer daemon; `None` if another one has had them and they
    /// cannot be used again.
    pub(super) fn hand_over(&mut self) -> Option<(OutputSetup, Vec<SharedFd>)> {
        match self {
            Self::Directory(directory) => Some((OutputSetup::Directory, vec![directory.clone()])),
            Self::Relay(RelayPlace { used: true, .. }) => None,
            Self::Relay(relay) => {
                relay.used = true;
                // Without it nobody could tell what a consumer daemon that was killed has sent.
                relay.written_before = relay.data().and_then(tcp_written::written).ok();
                Some((
                    OutputSetup::Relay(relay.setup.clone()),
                    relay.sockets.clone(),
                ))
            }
        }
    }
}

impl Session {
    /// Opens the place that a setting names. `created_unix_s` tells stretches of the session apart and
    /// must be new each time; `fresh`: a local directory holds nothing of the session yet.
    pub(super) async fn open_place(
        &self,
        setting: &OutputSetting,
        created_unix_s: u64,
        fresh: bool,
    ) -> Result<Option<Place>, Refusal> {
        match setting {
            OutputSetting::None => Ok(None),
            OutputSetting::Local(path) if fresh => {
                self.open_directory(path, created_unix_s).await.map(Some)
            }
            OutputSetting::Local(path) => {
                let path = later_directory(path, created_unix_s);
                self.open_directory(&path, created_unix_s).await.map(Some)
            }
            OutputSetting::Relay { address, base_path } => self
                .open_relay(address, base_path, created_unix_s, false)
                .await
                .map(Some),
        }
    }

    /// Opens the place of one snapshot.
    pub(super) async fn open_for_snapshot(
        &self,
        setting: &OutputSetting,
        created_unix_s: u64,
    ) -> Result<Option<Place>, Refusal> {
        match setting {
            OutputSetting::Relay { address, base_path } => self
                .open_relay(address, base_path, created_unix_s, true)
                .await
                .map(Some),
            other => self.open_place(other, created_unix_s, true).await,
        }
    }

    async fn open_directory(&self, path: &Path, created_unix_s: u64) -> Result<Place, Refusal> {
        let opened = directory::create_and_open(path, self.owner).await;
        let directory = opened.map_err(|error| {
            let message = format!("cannot create the directory {}: {error}", path.display());
            Refusal::new(ErrorCode::CREATE_DIR_FAILED, message)
        })?;
        Ok(Place {
            kind: PlaceKind::Directory(Arc::new(directory)),
            path: path.display().to_string(),
            created_unix_s,
        })
    }

    async fn open_relay(
        &self,
        address: &RelayAddress,
        base_path: &str,
        created_unix_s: u64,
        snapshot: bool,
    ) -> Result<Place, Refusal> {
        let introduction = Introduction {
            session_name: &self.name,
            name_has_creation_time: self.auto_named && created_unix_s == self.created_unix_s(),
            hostname: &self.host.name,
            base_path,
            live_timer_us: self.live_timer_us,
            snapshot,
            key: SessionKey {
                sessiond_uuid: self.host.daemon_uuid,
                sessiond_session_id: self.id.0,
            },
            created_unix_s,
        };
        let Collector {
            sockets,
            setup,
            path,
            clear_allowed,
        } = collector::connect(address, &introduction).await?;
        Ok(Place {
            kind: PlaceKind::Relay(RelayPlace {
                setup,
                sockets,
                clear_allowed,
                used: false,
                written_before: None,
            }),
            path,
            created_unix_s,
        })
    }

    /// What the attributes ask for; where they leave it open, the present setting stays.
    pub(crate) fn output_for(
        &self,
        network: &NetworkAttributes,
        now: &OutputSetting,
    ) -> OutputSetting {
        let base = |setting: &OutputSetting| match setting {
            OutputSetting::Relay { base_path, .. } => base_path.clone(),
            _ => String::new(),
        };
        match (network.relay(), now) {
            (Some(address), OutputSetting::Relay { address: known, .. }) => OutputSetting::Relay {
                address: RelayAddress {
                    // A choice for the host that was named, not for another one.
                    ipv6: address.ipv6 || (known.ipv6 && known.host == address.host),
                    ..address
                },
                base_path: base(now),
            },
            (Some(address), _) => OutputSetting::Relay {
                address,
                base_path: String::new(),
            },
            (None, OutputSetting::Relay { .. }) => self.default_output(),
            (None, now) => now.clone(),
        }
    }

    /// Collecting on this machine, in the directory that the user named last, or the default one.
    pub(crate) fn default_output(&self) -> OutputSetting {
        OutputSetting::Local(lock(&self.directory).clone())
    }
}

/// The first stretch in a directory has the name that the user knows; later ones have it with the time
/// of their beginning, so that each is a readable trace by itself.
fn later_directory(path: &Path, created_unix_s: u64) -> PathBuf {
    let time = jiff::Timestamp::from_second(i64::try_from(created_unix_s).unwrap_or(0));
    let time = time
        .unwrap_or_default()
        .to_zoned(jiff::tz::TimeZone::system());
    let mut later = path.as_os_str().to_owned();
    later.push(format!("-{}", path_datetime(&time)));
    later.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_survive_while_streaming_is_off() {
        let address = RelayAddress {
            host: "h".into(),
            control_port: 1,
            data_port: 2,
            ipv6: false,
        };
        let relay = OutputSetting::Relay {
            address: address.clone(),
            base_path: String::new(),
        };
        let on = NetworkAttributes::default().implied_by(&relay);
        assert_eq!(on.relay(), Some(address));
        let off = on.implied_by(&OutputSetting::Local("/x".into()));
        assert_eq!(
            (off.relay(), off.address.as_str(), off.control_port),
            (None, "h", 1)
        );
    }

    #[test]
    fn without_an_address_there_is_no_relay() {
        let attributes = NetworkAttributes {
            enabled: true,
            ..NetworkAttributes::default()
        };
        assert_eq!(attributes.relay(), None);
    }

    #[test]
    fn later_stretches_have_directories_of_their_own() {
        let later = later_directory(Path::new("/t/a"), 1_000_000_000);
        assert!(
            later.to_str().unwrap().starts_with("/t/a-2001090"),
            "{later:?}"
        );
    }
}
