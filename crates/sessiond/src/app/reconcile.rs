//! Makes one application be as a session's plan wants it.
//!
//! The commands of a session's start go out in four batches, each needing handles that the one before brought:
//! the session; its channels; their buffers, contexts and enablers; filters and enabling.

use std::collections::HashMap;
use std::sync::Arc;

use tracing::warn;
use ust::command::{NameError, id};
use ust::{Batch, Handle, TracerVersion};

use crate::app::AppIdentity;
use crate::app::channel::{Answer, ChannelError, CommandChannel, SharedFd};
use crate::app::objects::Objects;
use crate::session::plan::{Plan, PlannedChannel, PlannedContext, Rule};
use crate::session::{Session, TraceBuffers};

/// What the application has of one session.
#[derive(Debug)]
pub(super) struct View {
    handle: Handle,
    active: bool,
    channels: Vec<ChannelView>,
    /// Requests to record its state that it has carried out.
    statedumps: u64,
    /// Keeps the buffers as long as the application may write into them.
    pub(super) trace: Arc<TraceBuffers>,
}

#[derive(Debug)]
struct ChannelView {
    handle: Handle,
    enabled: bool,
    /// By the rule's id in the plan. `None`: the application refused it.
    enablers: HashMap<u64, Option<Enabler>>,
}

#[derive(Debug)]
struct Enabler {
    handle: Handle,
    enabled: bool,
}

/// Why the application cannot be made so.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReconcileError {
    /// Its connections must be closed.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// It refused a command that it has to carry out; it does not trace in this session.
    #[error("the application refused {0}")]
    Refused(&'static str),
    /// The session has no buffers for it.
    #[error("{0}")]
    Buffers(String),
    /// A name of the plan does not fit a command. Names are checked when they come in, so this is a bug.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// Creates the session in the application and enables it. `last` follows in the last batch.
pub(super) async fn install(
    channel: &mut CommandChannel,
    app: &AppIdentity,
    session: &Arc<Session>,
    plan: &Plan,
    objects: &Objects,
) -> Result<View, ReconcileError> {
    let (handle, version) = create_session(channel).await?;
    let trace = session.buffers_for(app, version, plan).await;
    let trace = trace.map_err(|error| ReconcileError::Buffers(error.to_string()))?;
    let channels = create_channels(channel, handle, &trace).await?;
    objects.add_session(handle, trace.clone());
    for (view, buffers) in channels.iter().zip(&trace.channels) {
        objects.add_channel(view.handle, trace.clone(), buffers.id);
    }
    let mut view = View {
        handle,
        active: false,
        channels,
        // It records its state when the session begins.
        statedumps: plan.statedumps,
        trace,
    };
    fill_channels(channel, &view, plan).await?;
    view.trace.handed_to_writer();
    sync(channel, &mut view, plan, true).await?;
    Ok(view)
}

/// Makes enablers, channels and activity be as the plan wants them; `wanted`: this application traces.
pub(super) async fn sync(
    channel: &mut CommandChannel,
    view: &mut View,
    plan: &Plan,
    wanted: bool,
) -> Result<(), ReconcileError> {
    if !wanted {
        return stop(channel, view).await;
    }
    create_enablers(channel, view, plan).await?;
    let mut batch = Batch::new();
    for (at, planned) in plan.channels.iter().enumerate() {
        let Some(have) = view.channels.get_mut(at) else {
            continue;
        };
        toggle(&mut batch, have.handle, &mut have.enabled, planned.enabled);
        for rule in &planned.rules {
            let Some(Some(enabler)) = have.enablers.get_mut(&rule.id) else {
                continue;
            };
            toggle(
                &mut batch,
                enabler.handle,
                &mut enabler.enabled,
                rule.enabled,
            );
        }
    }
    toggle(&mut batch, view.handle, &mut view.active, true);
    if view.statedumps != plan.statedumps {
        batch.plain(view.handle, id::SESSION_STATEDUMP);
        view.statedumps = plan.statedumps;
    }
    if batch.expected().is_empty() {
        return Ok(());
    }
    batch.plain(Handle::ROOT, id::WAIT_QUIESCENT);
    let answers = channel.execute(&batch).await?;
    log_refusals(&batch, &answers);
    Ok(())
}

/// Removes the session from the application.
pub(super) async fn remove(
    channel: &mut CommandChannel,
    view: View,
    objects: &Objects,
) -> Result<(), ChannelError> {
    let mut batch = Batch::new();
    if view.active {
        batch.plain(view.handle, id::DISABLE);
    }
    for channel in &view.channels {
        for enabler in channel.enablers.values().flatten() {
            batch.plain(enabler.handle, id::RELEASE);
        }
        batch.plain(channel.handle, id::RELEASE);
    }
    batch
        .plain(view.handle, id::RELEASE)
        .plain(Handle::ROOT, id::WAIT_QUIESCENT);
    channel.execute(&batch).await?;
    let channels: Vec<_> = view.channels.iter().map(|channel| channel.handle).collect();
    objects.forget(view.handle, &channels);
    Ok(())
}

async fn stop(channel: &mut CommandChannel, view: &mut View) -> Result<(), ReconcileError> {
    if view.active {
        let mut batch = Batch::new();
        batch
            .plain(view.handle, id::DISABLE)
            .plain(Handle::ROOT, id::WAIT_QUIESCENT);
        channel.execute(&batch).await?;
        view.active = false;
    }
    Ok(())
}

async fn create_session(
    channel: &mut CommandChannel,
) -> Result<(Handle, TracerVersion), ReconcileError> {
    let mut batch = Batch::new();
    batch
        .plain(Handle::ROOT, id::TRACER_VERSION)
        .plain(Handle::ROOT, id::SESSION);
    let answers = channel.execute(&batch).await?;
    let handle = answers[1]
        .reply
        .handle()
        .map_err(|_| ReconcileError::Refused("a session"))?;
    Ok((handle, answers[0].reply.version()))
}

async fn create_channels(
    channel: &mut CommandChannel,
    session: Handle,
    trace: &TraceBuffers,
) -> Result<Vec<ChannelView>, ReconcileError> {
    let mut batch = Batch::new();
    for buffers in &trace.channels {
        batch.channel(session, &buffers.blob, trace.channel_wakeup());
    }
    let view = |answer: Answer| {
        let handle = answer
            .reply
            .handle()
            .map_err(|_| ReconcileError::Refused("a channel"))?;
        Ok(ChannelView {
            handle,
            enabled: true,
            enablers: HashMap::new(),
        })
    };
    channel
        .execute(&batch)
        .await?
        .into_iter()
        .map(view)
        .collect()
}

/// Gives the channels their buffers and contexts.
async fn fill_channels(
    channel: &mut CommandChannel,
    view: &View,
    plan: &Plan,
) -> Result<(), ReconcileError> {
    let mut batch = Batch::new();
    let mut streams = Vec::new();
    for ((have, planned), buffers) in view
        .channels
        .iter()
        .zip(plan.channels.iter())
        .zip(&view.trace.channels)
    {
        for (cpu, stream) in buffers.streams.iter().enumerate() {
            let Some(wakeup) = stream.wakeup_writer() else {
                return Err(ReconcileError::Buffers(
                    "the buffers have had their writer".into(),
                ));
            };
            streams.push(batch.expected().len());
            batch.stream(
                have.handle,
                cpu as u32,
                stream.memory_bytes,
                stream.memory.clone(),
                wakeup,
            );
        }
        for PlannedContext { context, .. } in &planned.contexts {
            batch.context(have.handle, context)?;
        }
    }
    let answers = channel.execute(&batch).await?;
    if streams
        .iter()
        .any(|&at| answers[at].reply.handle().is_err())
    {
        return Err(ReconcileError::Refused("a stream"));
    }
    log_refusals(&batch, &answers);
    Ok(())
}

/// Creates the enablers that the plan has and the application has not, with filters and exclusions.
async fn create_enablers(
    channel: &mut CommandChannel,
    view: &mut View,
    plan: &Plan,
) -> Result<(), ReconcileError> {
    let missing = missing_rules(view, plan);
    if missing.is_empty() {
        return Ok(());
    }
    let mut batch = Batch::new();
    for (at, _, rule) in &missing {
        batch.event(view.channels[*at].handle, &rule.name, rule.levels)?;
    }
    let answers = channel.execute(&batch).await?;
    log_refusals(&batch, &answers);
    let mut details = Batch::new();
    for ((at, id, rule), answer) in missing.into_iter().zip(&answers) {
        let enabler = answer.reply.handle().ok().map(|handle| Enabler {
            handle,
            enabled: false,
        });
        if let Some(Enabler { handle, .. }) = enabler {
            if let Some(filter) = &rule.filter {
                details.filter(handle, &filter.bytecode, filter.reloc_offset);
            }
            details.exclusions(handle, &rule.exclusions)?;
        }
        view.channels[at].enablers.insert(id, enabler);
    }
    if !details.expected().is_empty() {
        let answers = channel.execute(&details).await?;
        log_refusals(&details, &answers);
    }
    Ok(())
}

/// Rules to create: index of the channel, id and rule.
fn missing_rules(view: &View, plan: &Plan) -> Vec<(usize, u64, Arc<Rule>)> {
    let mut missing = Vec::new();
    for (at, (have, planned)) in view.channels.iter().zip(plan.channels.iter()).enumerate() {
        let planned: &PlannedChannel = planned;
        for rule in planned.rules.iter().filter(|rule| rule.enabled) {
            if !have.enablers.contains_key(&rule.id) {
                missing.push((at, rule.id, rule.rule.clone()));
            }
        }
    }
    missing
}

fn toggle(batch: &mut Batch<SharedFd>, handle: Handle, have: &mut bool, want: bool) {
    if *have != want {
        batch.plain(handle, if want { id::ENABLE } else { id::DISABLE });
        *have = want;
    }
}

fn log_refusals(batch: &Batch<SharedFd>, answers: &[Answer]) {
    for (sent, answer) in batch.expected().iter().zip(answers) {
        if let Err(code) = answer.reply.handle() {
            warn!(
                "an application refuses command {:#x} with {}",
                sent.command, code.0
            );
        }
    }
}
