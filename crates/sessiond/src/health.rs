//! Health, as upstream's clients ask for it (`lttng_health_query`): a command of 32 bits in, the set of threads that
//! are ill out, in 64 bits, both in the machine's own byte order.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::lock::lock;
use crate::rundir::ConsumerDirectories;
use crate::session::{OutputStatus, Sessions};

/// The only command.
const CHECK: u32 = 0;
/// Upstream's number of the session daemon's thread with which applications register.
const REGISTRATION: u32 = 2;
/// Upstream's number of the consumer daemon's thread that delivers packets.
const DATA: u32 = 2;
/// Programs that are served at once; more wait.
const MAX_VISITORS: usize = 32;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long nobody is let in when there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the session daemon's health: applications can register as long as that task runs.
pub(crate) async fn serve_own(listener: UnixListener, registration: AbortHandle) {
    let ill = move || u64::from(registration.is_finished()) << REGISTRATION;
    serve(listener, ill).await;
}

/// Health of the consumer daemons. Upstream has one for each domain, which is there from the first start of a session
/// on; we have one for each session, and answer for them.
#[derive(Debug)]
pub(crate) struct ConsumerHealth {
    directories: ConsumerDirectories,
    sessions: Arc<Sessions>,
    served: Mutex<Vec<&'static str>>,
}

impl ConsumerHealth {
    /// Nobody is served yet.
    pub(crate) fn new(directories: ConsumerDirectories, sessions: Arc<Sessions>) -> Self {
        Self {
            directories,
            sessions,
            served: Mutex::default(),
        }
    }

    /// A session with these domains runs: from now on its consumer daemons have a health. That there is no place for
    /// the sockets is no reason not to trace.
    pub(crate) fn has_started(&self, applications: bool, kernel: bool) {
        let domains = [(applications, "ustconsumerd64"), (kernel, "kconsumerd")];
        for (_, name) in domains.into_iter().filter(|(has, _)| *has) {
            let mut served = lock(&self.served);
            if served.contains(&name) {
                continue;
            }
            served.push(name);
            match self.listen(name) {
                Ok(listener) => {
                    let sessions = self.sessions.clone();
                    tokio::spawn(serve(listener, move || ill(&sessions)));
                }
                Err(error) => warn!("cannot serve the health of {name}: {error:#}"),
            }
        }
    }

    fn listen(&self, name: &str) -> anyhow::Result<UnixListener> {
        Ok(UnixListener::from_std(self.directories.listen(name)?)?)
    }
}

/// Delivery is ill when the output of some session takes nothing.
fn ill(sessions: &Sessions) -> u64 {
    let all = sessions.all();
    let mut states = all.iter().map(|session| session.output_report().status);
    u64::from(states.any(|status| matches!(status, OutputStatus::Failed { .. }))) << DATA
}

async fn serve(listener: UnixListener, ill: impl Fn() -> u64 + Send + Sync + 'static) {
    let ill = Arc::new(ill);
    let places = Arc::new(Semaphore::new(MAX_VISITORS));
    while let Ok(place) = places.clone().acquire_owned().await {
        let visitor = match listener.accept().await {
            Ok((visitor, _)) => visitor,
            Err(_) => {
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let ill = ill.clone();
        tokio::spawn(async move {
            // Whoever goes away, or takes too long, has no answer.
            let _ = timeout(PATIENCE, answer(visitor, &*ill)).await;
            drop(place);
        });
    }
}

async fn answer(mut visitor: UnixStream, ill: &(impl Fn() -> u64 + Sync)) -> io::Result<()> {
    let mut command = [0; 4];
    visitor.read_exact(&mut command).await?;
    if u32::from_ne_bytes(command) == CHECK {
        visitor.write_all(&ill().to_ne_bytes()).await?;
    }
    Ok(())
}
