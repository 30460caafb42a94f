//! Where a session's trace goes, and how that place is opened.

use std::path::PathBuf;
use std::sync::Arc;

use consumer_api::{OutputSetup, Request, SessionSetup};
use control::ErrorCode;
use relay::SessionKey;

use crate::app::SharedFd;
use crate::lock::lock;
use crate::session::Session;
use crate::session::collector::{self, Introduction, RelayAddress};
use crate::session::directory;
use crate::session::plan::Refusal;

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

impl Session {
    /// Makes sure that the relay daemon, if the session has one, is connected. Local outputs are opened
    /// when tracing starts.
    pub(crate) async fn ensure_connected(&self) -> Result<(), Refusal> {
        let OutputSetting::Relay { address, base_path } = &self.output else {
            return Ok(());
        };
        if lock(&self.runtime).collector.is_some() {
            return Ok(());
        }
        let introduction = Introduction {
            session_name: &self.name,
            name_has_creation_time: self.auto_named,
            hostname: &self.host.name,
            base_path,
            key: SessionKey {
                sessiond_uuid: self.host.daemon_uuid,
                sessiond_session_id: self.id.0,
            },
            created_unix_s: self.created_unix_s(),
        };
        let collector = collector::connect(address, &introduction).await?;
        lock(&self.runtime).collector = Some(collector);
        Ok(())
    }

    /// The first request to the consumer daemon, with the output's descriptors; `None` without output.
    pub(super) async fn open_output(&self) -> Result<Option<(Request, Vec<SharedFd>)>, Refusal> {
        self.ensure_connected().await?;
        let (output, fds) = match &self.output {
            OutputSetting::None => return Ok(None),
            OutputSetting::Local(path) => {
                let opened = directory::create_and_open(path, self.owner).await;
                let directory = opened.map_err(|error| {
                    let message =
                        format!("cannot create the directory {}: {error}", path.display());
                    Refusal::new(ErrorCode::CREATE_DIR_FAILED, message)
                })?;
                (OutputSetup::Directory, vec![Arc::new(directory)])
            }
            OutputSetting::Relay { .. } => {
                // The consumer daemon becomes the only owner of the sockets, so that their end is its end.
                match lock(&self.runtime).collector.as_mut() {
                    Some(collector) => {
                        let sockets = std::mem::take(&mut collector.sockets);
                        (OutputSetup::Relay(collector.setup.clone()), sockets)
                    }
                    None => return Ok(None),
                }
            }
        };
        let setup = SessionSetup {
            session_name: self.name.clone(),
            output,
            count_events: self.count_events,
        };
        Ok(Some((Request::Setup(setup), fds)))
    }
}
