//! The socket to the session daemon.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use consumer_api::{Answer, Envelope, Notice, Received, Request, RequestId};
use rustix::event::{EventfdFlags, eventfd};

use crate::activity::Activity;

/// How long the output may take nothing at all after the session daemon has gone, before we give up.
const PATIENCE_WITHOUT_SESSIOND: Duration = Duration::from_secs(30);

/// Sends notices; one packet each, so both threads may.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    socket: Arc<OwnedFd>,
}

impl Link {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self {
            socket: Arc::new(socket),
        }
    }

    /// Tells the session daemon. If it has gone, the control thread will notice.
    pub(crate) fn say(&self, notice: &Notice) {
        if let Err(error) = consumer_api::send(&self.socket, notice, &[]) {
            tracing::debug!("cannot tell the session daemon: {error}");
        }
    }

    /// Answers a request.
    pub(crate) fn answer(&self, id: RequestId, outcome: Result<Answer, String>) {
        self.say(&match outcome {
            Ok(answer) => Notice::Done { id, answer },
            Err(reason) => Notice::Failed { id, reason },
        });
    }
}

/// What the control thread hands to the engine.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A request, with its descriptors.
    Request(Envelope, Vec<OwnedFd>),
    /// The session daemon closed the socket, or said something incomprehensible.
    Closed,
}

/// Requests for the engine, and the descriptor that becomes readable when there are any.
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: Receiver<Incoming>,
    bell: Arc<OwnedFd>,
}

impl Inbox {
    /// Becomes readable when something has arrived.
    pub(crate) fn bell(&self) -> &OwnedFd {
        &self.bell
    }

    /// All that has arrived. Silences the bell first, so that nothing is missed.
    pub(crate) fn take(&self) -> Vec<Incoming> {
        let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        self.queue.try_iter().collect()
    }
}

/// Starts the control thread.
pub(crate) fn start(link: Link, activity: Arc<Activity>) -> anyhow::Result<Inbox> {
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    let bell = Arc::new(eventfd(0, flags).context("cannot create an eventfd")?);
    // Not bounded: the session daemon waits for answers before it sends more.
    let (sender, queue) = mpsc::channel();
    let thread = ControlThread {
        link,
        activity,
        queue: sender,
        bell: bell.clone(),
    };
    thread::Builder::new()
        .name("control".into())
        .spawn(move || thread.run())
        .context("cannot start the control thread")?;
    Ok(Inbox { queue, bell })
}

struct ControlThread {
    link: Link,
    activity: Arc<Activity>,
    queue: Sender<Incoming>,
    bell: Arc<OwnedFd>,
}

impl ControlThread {
    fn run(self) {
        while let Some(Received { message, fds }) = self.receive() {
            match message {
                // Answered here, so that it works while the engine waits for a slow output.
                Envelope {
                    id,
                    request: Request::QueryProgress,
                } => self.link.answer(id, Ok(self.activity.answer())),
                request => self.pass(Incoming::Request(request, fds)),
            }
        }
        self.pass(Incoming::Closed);
        self.watch_the_end();
    }

    fn receive(&self) -> Option<Received<Envelope>> {
        match consumer_api::receive(self.link.socket.as_fd()) {
            Ok(received) => received,
            Err(error) => {
                tracing::error!("the session daemon cannot be understood: {error}");
                None
            }
        }
    }

    fn pass(&self, incoming: Incoming) {
        // The engine is gone only when the process ends.
        let _ = self.queue.send(incoming);
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
    }

    /// The engine delivers what there is and ends the process. With an output that hangs nobody is left
    /// who could decide: give up then.
    fn watch_the_end(&self) {
        loop {
            let before = self.activity.taken();
            thread::sleep(PATIENCE_WITHOUT_SESSIOND);
            if self.activity.taken() == before {
                tracing::error!("the session daemon has gone, and the output takes nothing");
                std::process::exit(1);
            }
        }
    }
}
