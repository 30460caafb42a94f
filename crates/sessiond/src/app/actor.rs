//! The task that owns an application's connections.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::net::UnixStream;
use tracing::{debug, warn};
use ust::command::id;
use ust::{Batch, Handle};

use crate::app::channel::{ChannelError, CommandChannel};
use crate::app::objects::Objects;
use crate::app::reconcile::{self, ReconcileError, View};
use crate::app::{App, Apps, Mailbox, notify, tracepoints};
use crate::lock::lock;
use crate::session::{Session, SessionId, Sessions};

/// Serves one application until it is gone.
pub(super) async fn run(
    app: Arc<App>,
    command: UnixStream,
    notifications: UnixStream,
    apps: Arc<Apps>,
    sessions: Arc<Sessions>,
) {
    let objects = Objects::default();
    let mut actor = Actor {
        app: app.clone(),
        channel: CommandChannel::new(command),
        objects: &objects,
        views: BTreeMap::new(),
        refuses_buffers: false,
    };
    apps.insert(app.clone());
    // One task for both sides: when one ends, the other must.
    let name = &app.identity.registration.name;
    let pid = app.identity.pid;
    tokio::select! {
        end = actor.serve(&sessions) => match end {
            Ok(()) => debug!("application {name} (pid {pid}) is gone"),
            Err(error) => debug!("application {name} (pid {pid}): {error}"),
        },
        end = notify::serve(notifications, &objects) => match end {
            Ok(()) => debug!("application {name} (pid {pid}) closed its notify connection"),
            Err(error) => warn!("application {name} (pid {pid}): {error}"),
        },
    }
    let views = std::mem::take(&mut actor.views);
    drop(actor);
    apps.remove(app.identity.id);
    *lock(&app.mailbox) = Mailbox {
        closed: true,
        ..Mailbox::default()
    };
    for (_, (session, view)) in views {
        session.writer_gone(&view.trace).await;
    }
}

struct Actor<'a> {
    app: Arc<App>,
    channel: CommandChannel,
    objects: &'a Objects,
    views: BTreeMap<SessionId, (Arc<Session>, View)>,
    /// It rejected a buffer once. liblttng-ust 2.13 may abort the process when it is sent descriptors
    /// after that, so it gets none any more.
    refuses_buffers: bool,
}

impl Actor<'_> {
    async fn serve(&mut self, sessions: &Sessions) -> Result<(), ChannelError> {
        for session in sessions.active() {
            self.follow(&session).await?;
        }
        let mut batch = Batch::new();
        batch.plain(Handle::ROOT, id::REGISTER_DONE);
        self.channel.execute(&batch).await?;
        loop {
            let mail = std::mem::take(&mut *lock(&self.app.mailbox));
            for (_, (session, waiting)) in mail.sessions {
                self.follow(&session).await?;
                // It has answered.
                self.app.silent.store(false, Ordering::Relaxed);
                for waiter in waiting {
                    let _ = waiter.send(());
                }
            }
            for request in mail.lists {
                let events = tracepoints::list(&mut self.channel, request.with_fields).await?;
                let _ = request.answer.send(events);
            }
            // A permit is kept if mail came meanwhile.
            tokio::select! {
                () = self.app.wake.notified() => {}
                () = self.channel.closed() => return Ok(()),
            }
        }
    }

    /// Makes the application be as the session's newest plan wants it.
    async fn follow(&mut self, session: &Arc<Session>) -> Result<(), ChannelError> {
        let plan = session.plan();
        let result = match self.views.remove(&session.id) {
            Some((_, view)) if plan.destroyed => {
                reconcile::remove(&mut self.channel, view, self.objects).await?;
                return Ok(());
            }
            Some((_, mut view)) => {
                let wanted = plan.wants(&self.app.identity.registration);
                let result = reconcile::sync(&mut self.channel, &mut view, &plan, wanted).await;
                result.map(|()| view)
            }
            None if !plan.wants(&self.app.identity.registration) || self.refuses_buffers => {
                return Ok(());
            }
            None => {
                let app = &self.app.identity;
                reconcile::install(&mut self.channel, app, session, &plan, self.objects).await
            }
        };
        match result {
            Ok(view) => {
                self.views.insert(session.id, (session.clone(), view));
                Ok(())
            }
            Err(ReconcileError::Channel(error)) => Err(error),
            Err(error) => {
                self.refuses_buffers |= matches!(error, ReconcileError::Refused(_));
                warn!(
                    "application {} (pid {}) does not trace in session `{}`: {error}",
                    self.app.identity.registration.name, self.app.identity.pid, session.name
                );
                Ok(())
            }
        }
    }
}
