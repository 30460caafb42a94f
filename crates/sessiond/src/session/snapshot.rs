//! Snapshots: copies of what the buffers of a session hold, which tracing does not notice.
//!
//! A snapshot session has no consumer daemon of its own. For each snapshot there is one, which looks at all
//! packets, writes them to the place of that snapshot, and ends.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use consumer_api::{Answer, ChunkEnding, ChunkSetup, OutputSetup, Request, SessionSetup};
use control::ErrorCode;

use crate::app::SharedFd;
use crate::lock::lock;
use crate::session::channels::MAX_NAME;
use crate::session::consumer::{Consumer, ConsumerError};
use crate::session::delivery::{Patience, now_unix_s, while_it_moves};
use crate::session::ledger::Tallied;
use crate::session::live_trace::{BufferShape, LiveTrace};
use crate::session::output::{OutputSetting, Place};
use crate::session::plan::Refusal;
use crate::session::rotation::ArchiveLocation;
use crate::session::{Session, path_datetime};

/// Name of a snapshot whose output was named only for it.
const UNNAMED: &str = "snapshot-0";

/// Where the snapshots of a session go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotOutput {
    /// From 1.
    pub id: u32,
    /// Begins the name of each snapshot.
    pub name: String,
    /// Bytes of one snapshot, 0 = unlimited.
    pub max_size: u64,
    /// A directory or a relay daemon.
    pub setting: OutputSetting,
}

/// What one command says of an output; what it leaves open is decided elsewhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct SnapshotRequest {
    /// Empty: open.
    pub name: String,
    /// 0: open.
    pub max_size: u64,
    /// A directory or a relay daemon.
    pub setting: Option<OutputSetting>,
}

/// Which output a command means.
#[derive(Clone, Debug)]
pub(crate) enum WhichOutput {
    /// By its number.
    Id(u32),
    /// By its name.
    Name(String),
}

/// The snapshot outputs of a session; as with upstream, one at most.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    output: Option<SnapshotOutput>,
    last_id: u32,
    /// Snapshots that were taken.
    taken: u64,
}

impl Snapshots {
    /// With this output.
    pub(super) fn new(setting: Option<OutputSetting>) -> Self {
        let mut snapshots = Self::default();
        if let Some(setting) = setting {
            snapshots.last_id = 1;
            snapshots.output = Some(SnapshotOutput {
                id: 1,
                name: "snapshot-1".into(),
                max_size: 0,
                setting,
            });
        }
        snapshots
    }

    fn add(&mut self, request: SnapshotRequest) -> Result<SnapshotOutput, Refusal> {
        if self.output.is_some() {
            let message = "the session has a snapshot output already; delete it first";
            return Err(Refusal::new(ErrorCode::SNAPSHOT_OUTPUT_EXISTS, message));
        }
        let Some(setting) = request.setting else {
            let message = "a snapshot output is a directory or a relay daemon";
            return Err(Refusal::new(ErrorCode::INVALID, message));
        };
        check_name(&request.name)?;
        self.last_id += 1;
        let id = self.last_id;
        let name = match request.name.is_empty() {
            true => format!("snapshot-{id}"),
            false => request.name,
        };
        let output = SnapshotOutput {
            id,
            name,
            max_size: request.max_size,
            setting,
        };
        self.output = Some(output.clone());
        Ok(output)
    }

    fn remove(&mut self, which: &WhichOutput) -> Result<(), Refusal> {
        let matches = |output: &SnapshotOutput| match which {
            WhichOutput::Id(id) => output.id == *id,
            WhichOutput::Name(name) => output.name == *name,
        };
        if !self.output.as_ref().is_some_and(matches) {
            let message = match which {
                WhichOutput::Id(id) => format!("the session has no snapshot output {id}"),
                WhichOutput::Name(name) => format!("the session has no snapshot output `{name}`"),
            };
            return Err(Refusal::new(ErrorCode::INVALID, message));
        }
        self.output = None;
        Ok(())
    }

    /// The output for one snapshot.
    fn resolve(&self, request: SnapshotRequest) -> Result<SnapshotOutput, Refusal> {
        check_name(&request.name)?;
        let known = self.output.clone();
        let named = |default: String| match request.name.is_empty() {
            true => default,
            false => request.name.clone(),
        };
        match (request.setting, known) {
            (Some(setting), _) => Ok(SnapshotOutput {
                id: 0,
                name: named(UNNAMED.to_owned()),
                max_size: request.max_size,
                setting,
            }),
            (None, Some(known)) => Ok(SnapshotOutput {
                name: named(known.name),
                max_size: match request.max_size {
                    0 => known.max_size,
                    size => size,
                },
                ..known
            }),
            (None, None) => Err(Refusal::new(
                ErrorCode::SNAPSHOT_FAILED,
                "the session has no snapshot output; add one, or say where the snapshot is to go",
            )),
        }
    }
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let bad = name.len() > MAX_NAME
        || name.starts_with('.')
        || name.contains(['/', '.'])
        || name.chars().any(char::is_control);
    if bad {
        let message = format!(
            "`{}` is no name for a snapshot: it becomes a directory, without `/` and `.`",
            name.escape_debug()
        );
        return Err(Refusal::new(ErrorCode::INVALID, message));
    }
    Ok(())
}

impl Session {
    fn snapshots(&self) -> Result<std::sync::MutexGuard<'_, Snapshots>, Refusal> {
        if self.has_no_output() {
            return Ok(lock(&self.snapshots));
        }
        let message = format!(
            "the session `{}` has an output: it is no snapshot session",
            self.name
        );
        Err(Refusal::new(ErrorCode::NOT_SNAPSHOT_SESSION, message))
    }

    /// What is in its buffers leaves them in snapshots only.
    pub(super) fn has_no_output(&self) -> bool {
        self.output_report().setting == OutputSetting::None
    }

    /// The snapshot output, if there is one.
    pub(crate) fn snapshot_output(&self) -> Result<Option<SnapshotOutput>, Refusal> {
        Ok(self.snapshots()?.output.clone())
    }

    /// Sets it.
    pub(crate) fn add_snapshot_output(
        &self,
        request: SnapshotRequest,
    ) -> Result<SnapshotOutput, Refusal> {
        self.snapshots()?.add(request)
    }

    /// Forgets it.
    pub(crate) fn remove_snapshot_output(&self, which: &WhichOutput) -> Result<(), Refusal> {
        self.snapshots()?.remove(which)
    }

    /// Takes a snapshot; returns where it is.
    pub(crate) async fn record_snapshot(
        self: &Arc<Self>,
        request: SnapshotRequest,
    ) -> Result<ArchiveLocation, Refusal> {
        let plan = self.plan();
        let (output, number) = {
            let snapshots = self.snapshots()?;
            if !plan.started_once {
                let message = "the session was not started yet: its buffers hold nothing";
                return Err(Refusal::new(ErrorCode::START_SESSION_ONCE, message));
            }
            (snapshots.resolve(request)?, snapshots.taken)
        };
        let traces = self.delivery.lock().await.live_traces();
        let shapes: Vec<_> = traces.iter().flat_map(|trace| trace.shapes()).collect();
        let packets_per_stream = packets_per_stream(&shapes, output.max_size)?;
        let name = format!(
            "{}-{}-{number}",
            output.name,
            path_datetime(&jiff::Zoned::now())
        );
        let (mut place, location) = self.open_snapshot(&output.setting, &name).await?;
        let chunk = ChunkSetup {
            chunk_id: number,
            created_unix_s: now_unix_s(),
            name: Some(name),
            ..ChunkSetup::default()
        };
        let Some((output, fds)) = place.kind.hand_over() else {
            return Err(failed("its place is used up"));
        };
        let snapshot = Request::Snapshot {
            packets_per_stream,
            active: plan.active,
        };
        let done = self.with_buffers((output, fds), true, chunk, &traces, Some(snapshot));
        done.await.map_err(|error| failed(error.to_string()))?;
        self.snapshots()?.taken += 1;
        Ok(location)
    }

    /// Empties the buffers of a session without output.
    pub(super) async fn clear_buffers(self: &Arc<Self>) -> Result<(), Refusal> {
        let traces = self.delivery.lock().await.live_traces();
        if traces.is_empty() {
            return Ok(());
        }
        let nowhere = (OutputSetup::Nowhere, Vec::new());
        let done = self.with_buffers(nowhere, false, ChunkSetup::default(), &traces, None);
        done.await.map_err(|error| {
            let message = format!("the buffers could not be cleared: {error}");
            Refusal::new(ErrorCode::CLEAR_FAILED, message)
        })
    }

    async fn open_snapshot(
        &self,
        setting: &OutputSetting,
        name: &str,
    ) -> Result<(Place, ArchiveLocation), Refusal> {
        let created = self.created_unix_s();
        let below = match setting {
            OutputSetting::Local(path) => OutputSetting::Local(path.join(name)),
            other => other.clone(),
        };
        let Some(place) = self.open_for_snapshot(&below, created).await? else {
            return Err(failed("its output is none"));
        };
        let location = match setting {
            OutputSetting::Relay { address, .. } => ArchiveLocation::Relay {
                address: address.clone(),
                path: in_directory(&place.path, name).display().to_string(),
            },
            _ => ArchiveLocation::Local(place.path.clone()),
        };
        Ok((place, location))
    }

    /// Lets a consumer daemon have all buffers for one request, and then let go of them.
    async fn with_buffers(
        self: &Arc<Self>,
        (output, fds): (OutputSetup, Vec<SharedFd>),
        snapshot: bool,
        chunk: ChunkSetup,
        traces: &[Arc<dyn LiveTrace>],
        request: Option<Request>,
    ) -> Result<(), ConsumerError> {
        let consumer = self
            .spawn_consumer()
            .map_err(|refusal| ConsumerError::Refused(refusal.message))?;
        let remote = matches!(output, OutputSetup::Relay(_));
        let setup = SessionSetup {
            session_name: self.name.clone(),
            output,
            count_events: false,
            snapshot,
        };
        let mut requests = vec![
            (Request::Setup(setup), fds),
            (Request::OpenChunk(chunk), Vec::new()),
        ];
        for trace in traces {
            // Counted apart: the session goes on as if nothing was read.
            let apart = Tallied::new(trace.clone());
            let apart = apart.map_err(|error| ConsumerError::Refused(error.to_string()))?;
            requests.extend(apart.next_handover());
        }
        requests.extend(request.map(|request| (request, Vec::new())));
        let close = Request::CloseChunk {
            closed_unix_s: now_unix_s(),
            writers_alive: true,
            ending: ChunkEnding::Keep,
        };
        requests.push((close, Vec::new()));
        let patience = match remote {
            true => Patience::RELAY,
            false => Patience::DIRECTORY,
        };
        let done = while_it_moves(&consumer, patience, all_done(&consumer, requests)).await;
        done.unwrap_or_else(|stuck| Err(ConsumerError::Refused(stuck.to_string())))
    }
}

/// Makes requests and waits for all answers.
pub(super) async fn all_done(
    consumer: &Consumer,
    requests: Vec<(Request, Vec<SharedFd>)>,
) -> Result<(), ConsumerError> {
    let mut answers = Vec::with_capacity(requests.len());
    for (request, fds) in requests {
        answers.push(consumer.post(request, fds).await?);
    }
    for answer in answers {
        let gone = |_| Err(ConsumerError::Gone("its socket is closed".into()));
        answer.await.unwrap_or_else(gone).map(|_: Answer| ())?;
    }
    Ok(())
}

fn failed(reason: impl std::fmt::Display) -> Refusal {
    let message = format!("the snapshot could not be recorded: {reason}");
    Refusal::new(ErrorCode::SNAPSHOT_FAILED, message)
}

fn in_directory(directory: &str, name: &str) -> PathBuf {
    Path::new(directory).join(name)
}

/// How many packets of each stream fit into so many bytes; 0 = all of them.
fn packets_per_stream(shapes: &[BufferShape], max_size: u64) -> Result<u64, Refusal> {
    if max_size == 0 {
        return Ok(0);
    }
    let mut left = max_size;
    let mut packets = 0;
    loop {
        // A stream has no more packets than its buffer.
        let more = shapes.iter().filter(|shape| shape.subbuf_count > packets);
        let bytes = more.map(|shape| shape.subbuf_size).sum::<u64>();
        if bytes == 0 {
            return Ok(packets);
        }
        match left.checked_sub(bytes) {
            Some(rest) => left = rest,
            None if packets == 0 => {
                return Err(Refusal::new(
                    ErrorCode::MAX_SIZE_INVALID,
                    format!(
                        "a snapshot of {max_size} bytes cannot hold one packet of each stream: \
                         {bytes} bytes"
                    ),
                ));
            }
            None => return Ok(packets),
        }
        packets += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limited_snapshot_has_the_same_number_of_packets_of_each_stream() {
        let shape = |subbuf_size, subbuf_count| BufferShape {
            subbuf_size,
            subbuf_count,
        };
        let two = [shape(4096, 4), shape(4096, 4)];
        for (size, packets) in [(0, 0), (8192, 1), (20_000, 2), (1 << 20, 4)] {
            assert_eq!(packets_per_stream(&two, size), Ok(packets), "{size}");
        }
        let refused = packets_per_stream(&two, 8191).unwrap_err();
        assert_eq!(refused.code, ErrorCode::MAX_SIZE_INVALID);
        // The small buffer is exhausted: the rest is for the large one.
        let uneven = [shape(4096, 2), shape(8192, 8)];
        assert_eq!(packets_per_stream(&uneven, 2 * 12288 + 8192), Ok(3));
        assert_eq!(packets_per_stream(&[], 1), Ok(0));
    }

    #[test]
    fn one_output_at_a_time_and_numbers_go_on() {
        let mut snapshots = Snapshots::new(Some(OutputSetting::Local("/a".into())));
        let request = |name: &str| SnapshotRequest {
            name: name.into(),
            setting: Some(OutputSetting::Local("/b".into())),
            ..SnapshotRequest::default()
        };
        let refused = snapshots.add(request("x")).unwrap_err();
        assert_eq!(refused.code, ErrorCode::SNAPSHOT_OUTPUT_EXISTS);
        assert!(snapshots.remove(&WhichOutput::Id(2)).is_err());
        snapshots
            .remove(&WhichOutput::Name("snapshot-1".into()))
            .unwrap();
        assert!(snapshots.resolve(SnapshotRequest::default()).is_err());
        let added = snapshots.add(request("")).unwrap();
        assert_eq!((added.id, added.name.as_str()), (2, "snapshot-2"));
        assert_eq!(snapshots.resolve(request("")).unwrap().name, UNNAMED);
        assert_eq!(snapshots.resolve(request("n")).unwrap().name, "n");
        let plain = snapshots.resolve(SnapshotRequest::default()).unwrap();
        assert_eq!(plain.name, "snapshot-2");
        assert!(snapshots.resolve(request("a/b")).is_err());
    }
}
