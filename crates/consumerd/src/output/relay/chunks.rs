//! Trace chunks on a relay daemon.

use std::time::{Duration, Instant};

use anyhow::bail;
use consumer_api::{ChunkEnding, ChunkSetup, RotationSetup};
use relay::{ChunkId, CloseCommand, Reply, Request, ReturnCode, StreamPosition};

use super::{RelayOutput, Stream};
use crate::output::relay_control::expect_ok;

/// A relay that still has the chunk after that long holds it for somebody else.
const CHUNK_PATIENCE: Duration = Duration::from_secs(2);

/// As above; nothing else is delivered meanwhile.
const ROTATION_PATIENCE: Duration = Duration::from_millis(50);

impl RelayOutput {
    /// What moves all streams to another chunk, or to none, behind what was sent of them.
    pub(super) fn moves(&self, to: Option<ChunkId>) -> Vec<Request<'static>> {
        let to_nothing = to.is_none();
        let position = |stream: &Stream| match stream.last_packet_seq_num {
            Some(last) => Some(last.wrapping_add(1)),
            // A stream without a packet never reaches a position in stock relays. At the end, closing it is
            // enough.
            None => (!to_nothing).then_some(0),
        };
        let data = self.streams.values().filter_map(|stream| {
            Some(StreamPosition {
                stream: stream.handle,
                rotate_at_seq_num: position(stream)?,
            })
        });
        let metadata = self.traces.values().filter_map(|trace| {
            Some(StreamPosition {
                stream: trace.metadata?,
                rotate_at_seq_num: 0,
            })
        });
        [data.collect::<Vec<_>>(), metadata.collect()]
            .into_iter()
            .filter(|positions| !positions.is_empty())
            .map(|positions| Request::RotateStreams {
                to,
                positions: positions.into(),
            })
            .collect()
    }

    pub(super) fn change_chunk(
        &mut self,
        rotation: &RotationSetup,
    ) -> anyhow::Result<Option<String>> {
        // With everything there, the relay changes the chunk at once, and no packet is behind its stream's
        // position when it learns it.
        self.wait_for_data()?;
        let Some(old) = self.chunk.take() else {
            bail!("no trace chunk is open");
        };
        let mut requests = Vec::new();
        if let Some(next) = &rotation.next {
            self.chunk = Some(ChunkId(next.chunk_id));
            requests.push(creation(next));
        }
        requests.extend(self.moves(self.chunk));
        requests.push(retirement(old, rotation.closed_unix_s, &rotation.ending));
        self.retire(old, requests, ROTATION_PATIENCE)
    }

    pub(super) fn end_chunk(
        &mut self,
        closed_unix_s: u64,
        ending: &ChunkEnding,
    ) -> anyhow::Result<Option<String>> {
        self.wait_for_data()?;
        let chunk = self
            .chunk
            .take()
            .filter(|_| self.minor().has_trace_chunks());
        let mut requests = Vec::new();
        if let Some(chunk) = chunk {
            if self.indexes {
                requests.extend(self.moves(None));
            }
            requests.push(retirement(chunk, closed_unix_s, ending));
        }
        for trace in std::mem::take(&mut self.traces).into_values() {
            requests.extend(self.closing(&trace));
        }
        match chunk {
            Some(chunk) => self.retire(chunk, requests, CHUNK_PATIENCE),
            None => self.expect_all_ok(&requests).map(|()| None),
        }
    }

    /// Sends requests in one go, one of which retires the chunk, and waits until the relay has let go of it.
    /// Returns where it is.
    ///
    /// Bounded: relay daemons up to 2.14 answer for the chunk of another session, which may stay for long.
    fn retire(
        &mut self,
        chunk: ChunkId,
        mut requests: Vec<Request<'_>>,
        patience: Duration,
    ) -> anyhow::Result<Option<String>> {
        let question = Request::TraceChunkExists { chunk };
        requests.push(question.clone());
        let mut path = None;
        let mut is_there = true;
        for (request, reply) in requests.iter().zip(self.control.ask_all(&requests)?) {
            match request {
                Request::CloseTraceChunk { .. } => path = Some(place(reply)?),
                Request::TraceChunkExists { .. } => is_there = exists(&reply)?,
                _ => expect_ok(request, &reply)?,
            }
        }
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        while is_there && start.elapsed() <= patience {
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
            is_there = exists(&self.control.ask(&question)?)?;
        }
        if is_there {
            tracing::info!("the relay daemon still has trace chunk {chunk} after {patience:?}");
        }
        Ok(path)
    }
}

pub(super) fn creation(setup: &ChunkSetup) -> Request<'_> {
    Request::CreateTraceChunk {
        chunk: ChunkId(setup.chunk_id),
        created_unix_s: setup.created_unix_s,
        override_name: setup.name.as_deref(),
    }
}

fn retirement(chunk: ChunkId, closed_unix_s: u64, ending: &ChunkEnding) -> Request<'static> {
    Request::CloseTraceChunk {
        chunk,
        closed_unix_s,
        command: match ending {
            ChunkEnding::Keep => None,
            ChunkEnding::Archive { .. } => Some(CloseCommand::MOVE_TO_COMPLETED),
            ChunkEnding::Delete => Some(CloseCommand::DELETE),
        },
    }
}

/// Where the relay puts the chunk.
fn place(reply: Reply) -> anyhow::Result<String> {
    match reply {
        Reply::ChunkClosed {
            code: ReturnCode::OK,
            path,
        } => Ok(path),
        other => bail!("the relay daemon does not close the trace chunk: {other:?}"),
    }
}

fn exists(reply: &Reply) -> anyhow::Result<bool> {
    match reply {
        Reply::ChunkExists {
            code: ReturnCode::OK,
            exists,
        } => Ok(*exists),
        other => bail!("the relay daemon does not tell about the trace chunk: {other:?}"),
    }
}
