//! Trace chunks on a relay daemon.

use std::time::{Duration, Instant};

use anyhow::bail;
use consumer_api::{ChunkEnding, ChunkSetup, RotationSetup};
use relay::{ChunkId, CloseCommand, Reply, Request, ReturnCode, StreamPosition};

use super::{RelayOutput, Stream};

/// A relay that still has the chunk after that long holds it for somebody else.
const CHUNK_PATIENCE: Duration = Duration::from_secs(2);

/// As above; nothing else is delivered meanwhile.
const ROTATION_PATIENCE: Duration = Duration::from_millis(50);

impl RelayOutput {
    /// Moves all streams to another chunk, or to none, behind what was sent of them.
    pub(super) fn rotate_streams(&mut self, to: Option<ChunkId>) -> anyhow::Result<()> {
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
        for positions in [data.collect::<Vec<_>>(), metadata.collect()] {
            if !positions.is_empty() {
                self.control.expect_ok(&Request::RotateStreams {
                    to,
                    positions: positions.into(),
                })?;
            }
        }
        Ok(())
    }

    pub(super) fn create_chunk(&mut self, setup: &ChunkSetup) -> anyhow::Result<ChunkId> {
        let chunk = ChunkId(setup.chunk_id);
        self.control.expect_ok(&Request::CreateTraceChunk {
            chunk,
            created_unix_s: setup.created_unix_s,
            override_name: setup.name.as_deref(),
        })?;
        Ok(chunk)
    }

    /// Returns where the relay puts it.
    fn retire_chunk(
        &mut self,
        chunk: ChunkId,
        closed_unix_s: u64,
        ending: &ChunkEnding,
    ) -> anyhow::Result<Option<String>> {
        let request = Request::CloseTraceChunk {
            chunk,
            closed_unix_s,
            command: match ending {
                ChunkEnding::Keep => None,
                ChunkEnding::Archive { .. } => Some(CloseCommand::MOVE_TO_COMPLETED),
                ChunkEnding::Delete => Some(CloseCommand::DELETE),
            },
        };
        match self.control.ask(&request)? {
            Reply::ChunkClosed {
                code: ReturnCode::OK,
                path,
            } => Ok(Some(path)),
            other => bail!("the relay daemon does not close the trace chunk: {other:?}"),
        }
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
        if let Some(next) = &rotation.next {
            self.chunk = Some(self.create_chunk(next)?);
        }
        self.rotate_streams(self.chunk)?;
        let path = self.retire_chunk(old, rotation.closed_unix_s, &rotation.ending)?;
        self.wait_for_chunk(old, ROTATION_PATIENCE)?;
        Ok(path)
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
        let mut path = None;
        if let Some(chunk) = chunk {
            if self.indexes {
                self.rotate_streams(None)?;
            }
            path = self.retire_chunk(chunk, closed_unix_s, ending)?;
        }
        for trace in std::mem::take(&mut self.traces).into_values() {
            self.close_streams(&trace)?;
        }
        if let Some(chunk) = chunk {
            self.wait_for_chunk(chunk, CHUNK_PATIENCE)?;
        }
        Ok(path)
    }

    /// Waits until the relay has let go of the chunk. Bounded: relay daemons up to 2.14 answer for the
    /// chunk of another session, which may stay for long.
    fn wait_for_chunk(&mut self, chunk: ChunkId, patience: Duration) -> anyhow::Result<()> {
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            match self.control.ask(&Request::TraceChunkExists { chunk })? {
                Reply::ChunkExists {
                    code: ReturnCode::OK,
                    exists,
                } => {
                    if !exists || start.elapsed() > patience {
                        return Ok(());
                    }
                }
                other => bail!("the relay daemon does not tell about the trace chunk: {other:?}"),
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}
