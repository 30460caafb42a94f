//! The loop: waits, carries out requests, gives streams their turns.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use consumer_api::{Answer, Envelope, Notice, OutputFailure, Request, SessionSetup, TraceKey};

use crate::activity::Activity;
use crate::control::{Inbox, Incoming, Link};
use crate::output::{self, OutputError};
use crate::poller::{Poller, Ready, Source};
use crate::session::{Options, Session};

/// The data path and its life.
pub(crate) struct Engine {
    poller: Poller,
    inbox: Inbox,
    link: Link,
    activity: Arc<Activity>,
    state: State,
    closing: bool,
}

enum State {
    /// No set-up yet.
    Fresh,
    Running(Box<Session>),
    /// The output takes nothing any more, for this reason.
    Failed(String),
}

impl Engine {
    pub(crate) fn new(inbox: Inbox, link: Link, activity: Arc<Activity>) -> anyhow::Result<Self> {
        let mut poller = Poller::new().context("cannot create an epoll instance")?;
        poller
            .add(inbox.bell(), Source::Inbox)
            .context("cannot wait for requests")?;
        Ok(Self {
            poller,
            inbox,
            link,
            activity,
            state: State::Fresh,
            closing: false,
        })
    }

    /// Works until the session daemon closes the socket, and everything complete is delivered. `false`: the output
    /// failed, as the session daemon was told.
    pub(crate) fn run(mut self) -> anyhow::Result<bool> {
        while !self.closing {
            let busy = self.running().is_some_and(|session| session.has_work());
            let ready = self.poller.wait(busy).context("cannot wait for events")?;
            for ready in ready {
                self.on_ready(ready);
            }
            self.try_output(Session::take_turns);
            self.tell_size();
        }
        if matches!(self.state, State::Failed(_)) {
            return Ok(false);
        }
        self.try_output(|session| {
            session.deliver_complete()?;
            session.output().settle()
        });
        match self.state {
            State::Failed(reason) => Err(anyhow!(reason)),
            _ => Ok(true),
        }
    }

    fn running(&mut self) -> Option<&mut Session> {
        match &mut self.state {
            State::Running(session) => Some(session),
            State::Fresh | State::Failed(_) => None,
        }
    }

    fn tell_size(&mut self) {
        if let Some(chunk_id) = self.running().and_then(Session::size_reached) {
            self.link.say(&Notice::SizeReached { chunk_id });
        }
    }

    fn on_ready(&mut self, ready: Ready) {
        match ready.source {
            Source::Inbox => {
                for incoming in self.inbox.take() {
                    match incoming {
                        Incoming::Request(envelope, fds) => self.on_request(envelope, fds),
                        Incoming::Closed => self.closing = true,
                    }
                }
            }
            Source::Stream(key) => {
                let State::Running(session) = &mut self.state else {
                    return;
                };
                // Bytes may still be in a pipe that is hung up.
                if ready.readable {
                    session.woken(key);
                } else if ready.hung_up
                    && let Some(trace) = session.hung_up(&mut self.poller, key)
                {
                    self.end_trace(trace);
                }
            }
            Source::Tasks(trace) => {
                if let State::Running(session) = &mut self.state {
                    session.tasks_ready(trace);
                }
            }
            Source::Timer(key) => self.try_output(|session| session.timer(key)),
            Source::Output => self.try_output(|session| session.output().readable()),
        }
    }

    fn on_request(&mut self, envelope: Envelope, fds: Vec<OwnedFd>) {
        let Envelope { id, request } = envelope;
        let outcome = match request {
            Request::Setup(setup) => self.set_up(&setup, fds).map(|()| Answer::Nothing),
            request => self.carry_out(request, fds),
        };
        let outcome = outcome.map_err(|error| {
            let reason = error.to_string();
            if let OutputError::Broken(_) = error {
                self.fail(reason.clone());
            }
            reason
        });
        self.link.answer(id, outcome);
    }

    fn set_up(&mut self, setup: &SessionSetup, fds: Vec<OwnedFd>) -> Result<(), OutputError> {
        if !matches!(self.state, State::Fresh) {
            return Err(refused("the output is set up already"));
        }
        let activity = self.activity.clone();
        let output = output::open(setup, fds, &activity).map_err(OutputError::Refused)?;
        let options = Options {
            count_events: setup.count_events,
            snapshot: setup.snapshot,
        };
        let session = Session::new(output, options, activity, &mut self.poller)
            .context("cannot wait for the output")
            .map_err(OutputError::Refused)?;
        tracing::info!("consumer of session {}", setup.session_name);
        self.state = State::Running(Box::new(session));
        Ok(())
    }

    fn carry_out(
        &mut self,
        request: Request,
        mut fds: Vec<OwnedFd>,
    ) -> Result<Answer, OutputError> {
        let session = match &mut self.state {
            State::Running(session) => session,
            State::Fresh => return Err(refused("no output is set up")),
            State::Failed(reason) => return Err(refused(reason)),
        };
        let poller = &mut self.poller;
        match request {
            Request::OpenChunk(chunk) => {
                let rotated = session.open_chunk(&chunk)?;
                return Ok(Answer::Opened { rotated });
            }
            Request::Rotate(rotation) => {
                let path = session.rotate(&rotation)?;
                return Ok(Answer::Rotated { path });
            }
            Request::Snapshot {
                packets_per_stream,
                active,
            } => session.snapshot(packets_per_stream, active)?,
            Request::WatchSize { bytes } => session.watch_size(bytes),
            Request::AddTrace(setup) => match (fds.pop(), fds.pop(), fds.pop()) {
                (Some(tally), Some(text), None) => session.add_trace(setup, text, &tally)?,
                _ => return Err(refused("a trace comes with 2 descriptors")),
            },
            Request::AddTasks { trace, formats } => match (fds.pop(), fds.pop(), fds.pop()) {
                (Some(proc), Some(journal), None) => {
                    session.add_tasks(trace, &formats, journal, proc)?;
                }
                _ => return Err(refused("the history of tasks comes with 2 descriptors")),
            },
            Request::AddTaskBuffer {
                trace,
                cpu,
                page_size,
            } => match (fds.pop(), fds.pop()) {
                (Some(pipe), None) => {
                    session.add_task_buffer(poller, trace, cpu, page_size, pipe)?;
                }
                _ => return Err(refused("a buffer of tasks comes with 1 descriptor")),
            },
            Request::AddStream(setup) => {
                session.add_stream(poller, &setup, fds)?;
                let stream = setup.stream;
                if let Some(handle) = session.output().relay_stream(stream) {
                    self.link.say(&Notice::RelayStream { stream, handle });
                }
            }
            Request::PublishTrace { trace, unwritten } => {
                session.publish(trace, unwritten)?;
                if session.has_ended(trace) {
                    self.end_trace(trace);
                }
            }
            Request::ReplaceMetadata { trace, version } => match (fds.pop(), fds.pop()) {
                (Some(text), None) => session.replace_metadata(trace, version, text)?,
                _ => return Err(refused("metadata come with 1 descriptor")),
            },
            Request::Drain => session.drain()?,
            Request::EndTrace { trace } => {
                if session.end_trace(poller, trace)? {
                    self.link.say(&Notice::TraceEnded { trace });
                }
            }
            Request::CloseChunk {
                closed_unix_s,
                writers_alive,
                ending,
            } => {
                let path = session.close_chunk(poller, closed_unix_s, writers_alive, &ending)?;
                return Ok(Answer::Closed { path });
            }
            // The control thread answers it; and the set-up was taken before.
            Request::QueryProgress | Request::Setup(_) => return Err(refused("nothing to do")),
        }
        Ok(Answer::Nothing)
    }

    /// The last writer of a trace has gone.
    fn end_trace(&mut self, trace: TraceKey) {
        let State::Running(session) = &mut self.state else {
            return;
        };
        match session.end_trace(&mut self.poller, trace) {
            Ok(true) => self.link.say(&Notice::TraceEnded { trace }),
            Ok(false) => {}
            Err(error) => self.fail(error.to_string()),
        }
    }

    /// Does something with the session, if it runs, and notes the end of the output.
    fn try_output(&mut self, work: impl FnOnce(&mut Session) -> Result<(), OutputError>) {
        if let Some(session) = self.running()
            && let Err(error) = work(session)
        {
            self.fail(error.to_string());
        }
    }

    /// The output takes nothing any more: leaves the buffers alone, and tells why, once.
    fn fail(&mut self, reason: String) {
        tracing::info!("{reason}");
        let failed = State::Failed(reason.clone());
        if let State::Running(session) = std::mem::replace(&mut self.state, failed) {
            session.dismantle(&mut self.poller);
            self.link
                .say(&Notice::OutputFailed(OutputFailure { reason }));
        }
    }
}

fn refused(reason: &str) -> OutputError {
    OutputError::Refused(anyhow!(reason.to_owned()))
}
