//! A relay daemon, stock or ours, through two connections that somebody else has opened.
//!
//! Packets go out on the data connection, straight from shared memory; their indexes follow on the
//! control connection, and nobody waits for the replies: their number under way is bounded.

mod chunks;

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use consumer_api::{
    ChunkEnding, ChunkSetup, RelaySetup, RotationSetup, StreamKey, StreamSetup, TraceKey,
    TraceSetup,
};
use ctf::metadata_packet::MetadataPacket;
use relay::{
    AddStream, ChunkId, DATA_HEADER_LEN, DataPacket, METADATA_NAME, Minor, NO_PACKET, PacketIndex,
    RelaySessionId, Reply, Request, ReturnCode, StreamHandle,
};
use ring_buffer::{PacketHeader, Padding};
use rustix::net::{RecvFlags, recv, sockopt};

use self::chunks::creation;
use crate::activity::Activity;
use crate::output::relay_control::{Control, expect_ok, is_pending};
use crate::output::{Output, OutputError, Result, Stored, names};
use crate::packet::Packet;

/// Stands for "no limit" on the number of files: with 0 stock relay daemons divide by it, and for each
/// they set some bytes aside.
const NO_FILE_LIMIT: u64 = 1 << 20;

/// How often a connection that takes little tells what it took. The sockets are shared with the session daemon,
/// which lays no store by this.
const SEND_PAUSE: Duration = Duration::from_secs(1);

/// Sends to a relay daemon.
#[derive(Debug)]
pub(crate) struct RelayOutput {
    control: Control,
    data: OwnedFd,
    /// Bytes, over all streams.
    data_written: u64,
    session: RelaySessionId,
    /// None between a rotation after a stop and the next start.
    chunk: Option<ChunkId>,
    indexes: bool,
    traces: HashMap<TraceKey, Trace>,
    streams: HashMap<StreamKey, Stream>,
    activity: Arc<Activity>,
}

#[derive(Debug)]
struct Trace {
    path: String,
    /// Added when the trace is published.
    metadata: Option<StreamHandle>,
    streams: Vec<StreamKey>,
}

#[derive(Debug)]
struct Stream {
    name: String,
    handle: StreamHandle,
    /// CTF stream class.
    channel_id: u32,
    next_net_seq_num: u64,
    /// Of the last packet sent.
    last_packet_seq_num: Option<u64>,
}

impl Stream {
    fn last_net_seq_num(&self) -> u64 {
        // One less than 0 is `NO_PACKET`.
        self.next_net_seq_num.wrapping_sub(1)
    }
}

impl RelayOutput {
    pub(crate) fn new(
        setup: &RelaySetup,
        [control, data]: [OwnedFd; 2],
        indexes: bool,
        activity: &Arc<Activity>,
    ) -> Self {
        for connection in [&control, &data] {
            // An index must not wait for more to come. Not possible on a Unix socket.
            let _ = sockopt::set_tcp_nodelay(connection, true);
            // Without it one write may take as long as the relay daemon likes, and nobody sees whether it moves.
            let _ =
                sockopt::set_socket_timeout(connection, sockopt::Timeout::Send, Some(SEND_PAUSE));
        }
        Self {
            control: Control::new(control, Minor(setup.minor), activity.clone()),
            data,
            data_written: 0,
            session: RelaySessionId(setup.relay_session_id),
            chunk: None,
            indexes: indexes && Minor(setup.minor).has_indexes(),
            traces: HashMap::new(),
            streams: HashMap::new(),
            activity: activity.clone(),
        }
    }

    fn minor(&self) -> Minor {
        self.control.minor()
    }

    fn add(
        &mut self,
        name: &str,
        path: &str,
        size: u64,
        count: u64,
    ) -> anyhow::Result<StreamHandle> {
        let request = Request::AddStream(AddStream {
            channel_name: name,
            pathname: path,
            tracefile_size: size,
            tracefile_count: if size == 0 || count != 0 {
                count
            } else {
                NO_FILE_LIMIT
            },
            chunk: self.chunk.unwrap_or(ChunkId(0)),
        });
        match self.control.ask(&request)? {
            Reply::Stream {
                stream,
                code: ReturnCode::OK,
            } => Ok(stream),
            other => bail!("the relay daemon does not take stream {path}/{name}: {other:?}"),
        }
    }

    fn pending(&mut self) -> anyhow::Result<bool> {
        let session = self.session;
        let data = self.streams.values().map(|stream| Request::DataPending {
            stream: stream.handle,
            last_net_seq_num: stream.last_net_seq_num(),
        });
        let metadata = self.traces.values().filter_map(|trace| {
            let stream = trace.metadata?;
            Some(Request::Quiescent { stream })
        });
        let mut requests = vec![Request::BeginDataPending { session }];
        requests.extend(data.chain(metadata));
        requests.push(Request::EndDataPending { session });
        let mut pending = false;
        for (request, reply) in requests.iter().zip(self.control.ask_all(&requests)?) {
            match request {
                Request::DataPending { .. } | Request::EndDataPending { .. } => {
                    pending |= is_pending(request, &reply)?;
                }
                _ => expect_ok(request, &reply)?,
            }
        }
        Ok(pending)
    }

    /// Waits until the relay has all packets and indexes. The protocol has no message for "now", so this
    /// asks again and again, less and less often.
    fn wait_for_data(&mut self) -> anyhow::Result<()> {
        let mut pause = Duration::from_micros(200);
        while self.pending()? {
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
        Ok(())
    }

    /// What closes the streams of a trace, which are forgotten.
    fn closing(&mut self, trace: &Trace) -> Vec<Request<'static>> {
        let data = trace.streams.iter().filter_map(|key| {
            let stream = self.streams.remove(key)?;
            Some((stream.handle, stream.last_net_seq_num()))
        });
        let metadata = trace.metadata.map(|stream| (stream, NO_PACKET));
        let streams = metadata.into_iter().chain(data);
        streams
            .map(|(stream, last_net_seq_num)| Request::CloseStream {
                stream,
                last_net_seq_num,
            })
            .collect()
    }

    /// Sends requests that are answered with "done", in one go.
    fn expect_all_ok(&mut self, requests: &[Request<'_>]) -> anyhow::Result<()> {
        let replies = self.control.ask_all(requests)?;
        let mut both = requests.iter().zip(&replies);
        both.try_for_each(|(request, reply)| expect_ok(request, reply))
    }

    fn send_packet(&mut self, key: StreamKey, packet: &dyn Packet) -> anyhow::Result<()> {
        self.control.wait_for_room()?;
        let stream = self
            .streams
            .get_mut(&key)
            .ok_or_else(|| anyhow!("there is no stream {}", key.0))?;
        let net_seq_num = stream.next_net_seq_num;
        let header = DataPacket {
            stream: stream.handle,
            net_seq_num,
            data_size: packet.content_len().try_into()?,
            padding_size: packet.padding().try_into()?,
        };
        packet
            .write_all(
                self.data.as_fd(),
                &header.encode(),
                Padding::Omit,
                &|bytes| {
                    self.activity.moved(bytes);
                },
            )
            .with_context(|| {
                format!(
                    "cannot send a packet of {} to the relay daemon",
                    stream.name
                )
            })?;
        self.data_written += (DATA_HEADER_LEN as u64) + packet.content_len();
        stream.next_net_seq_num += 1;
        stream.last_packet_seq_num = Some(packet.header().packet_seq_num.get());
        let index = index(stream.handle, net_seq_num, packet.header());
        if self.indexes {
            self.control.send_index(index)?;
        }
        Ok(())
    }
}

fn index(stream: StreamHandle, net_seq_num: u64, header: &PacketHeader) -> PacketIndex {
    PacketIndex {
        stream: stream.0,
        net_seq_num,
        packet_size_bits: header.packet_size.get(),
        content_size_bits: header.content_size.get(),
        timestamp_begin: header.timestamp_begin.get(),
        timestamp_end: header.timestamp_end.get(),
        events_discarded: header.events_discarded.get(),
        stream_class_id: header.stream_id.get().into(),
        stream_instance_id: header.stream_instance_id.get(),
        packet_seq_num: header.packet_seq_num.get(),
    }
}

/// Any trouble with a relay is the end of it: the protocol cannot resume.
fn broken<T>(result: anyhow::Result<T>) -> Result<T> {
    result.map_err(OutputError::Broken)
}

impl Output for RelayOutput {
    fn open_chunk(&mut self, setup: &ChunkSetup) -> Result<bool> {
        if !self.minor().has_trace_chunks() {
            self.chunk = Some(ChunkId(setup.chunk_id));
            return Ok(false);
        }
        let chunk = ChunkId(setup.chunk_id);
        self.chunk = Some(chunk);
        let mut requests = vec![creation(setup)];
        if !self.streams.is_empty() {
            requests.extend(self.moves(Some(chunk)));
        }
        broken(self.expect_all_ok(&requests))?;
        Ok(false)
    }

    fn rotate(&mut self, rotation: &RotationSetup) -> Result<Option<String>> {
        broken(self.change_chunk(rotation))
    }

    fn add_trace(&mut self, setup: &TraceSetup) -> Result<Vec<u8>> {
        names::components(&setup.path).map_err(OutputError::Refused)?;
        let trace = Trace {
            path: setup.path.clone(),
            metadata: None,
            streams: Vec::new(),
        };
        self.traces.insert(setup.trace, trace);
        Ok(Vec::new())
    }

    fn add_stream(&mut self, setup: &StreamSetup) -> Result<Option<Stored>> {
        let channel = names::channel(&setup.channel_name).map_err(OutputError::Refused)?;
        let Some(trace) = self.traces.get(&setup.trace) else {
            let error = anyhow!("there is no trace {}", setup.trace.0);
            return Err(OutputError::Refused(error));
        };
        let path = trace.path.clone();
        let name = format!("{channel}_{}", setup.cpu);
        let added = self.add(&name, &path, setup.tracefile_size, setup.tracefile_count);
        let stream = Stream {
            name,
            handle: broken(added)?,
            channel_id: setup.channel_id,
            next_net_seq_num: 0,
            last_packet_seq_num: None,
        };
        self.streams.insert(setup.stream, stream);
        if let Some(trace) = self.traces.get_mut(&setup.trace) {
            trace.streams.push(setup.stream);
        }
        Ok(None)
    }

    fn relay_stream(&self, stream: StreamKey) -> Option<u64> {
        self.streams.get(&stream).map(|stream| stream.handle.0)
    }

    fn publish(&mut self, key: TraceKey) -> Result<()> {
        let Some(trace) = self.traces.get(&key) else {
            let error = anyhow!("there is no trace {}", key.0);
            return Err(OutputError::Refused(error));
        };
        if trace.metadata.is_none() {
            let path = trace.path.clone();
            let handle = broken(self.add(METADATA_NAME, &path, 0, 0))?;
            if let Some(trace) = self.traces.get_mut(&key) {
                trace.metadata = Some(handle);
            }
        }
        if !self.minor().has_indexes() {
            return Ok(());
        }
        broken(self.control.expect_ok(&Request::StreamsSent))
    }

    fn metadata(&mut self, trace: TraceKey, packets: &[MetadataPacket]) -> Result<()> {
        let Some(stream) = self.traces.get(&trace).and_then(|trace| trace.metadata) else {
            return Ok(());
        };
        let requests = packets.iter().map(|packet| Request::SendMetadata {
            stream,
            padding_size: packet.padding as u32,
            bytes: &packet.bytes,
        });
        broken(self.control.tell_all(requests))
    }

    fn reset_metadata(&mut self, trace: TraceKey, version: u64) -> Result<()> {
        let Some(stream) = self.traces.get(&trace).and_then(|trace| trace.metadata) else {
            return Ok(());
        };
        let request = Request::ResetMetadata { stream, version };
        broken(self.control.expect_ok(&request))
    }

    fn bytes_written(&self) -> u64 {
        self.data_written
    }

    fn packet(&mut self, stream: StreamKey, packet: &dyn Packet) -> Result<()> {
        broken(self.send_packet(stream, packet))
    }

    fn beacon(&mut self, key: StreamKey, until_ns: u64) -> Result<()> {
        let Some(stream) = self.streams.get(&key).filter(|_| self.indexes) else {
            return Ok(());
        };
        let beacon = PacketIndex {
            stream: stream.handle.0,
            net_seq_num: stream.last_net_seq_num(),
            timestamp_end: until_ns,
            stream_class_id: stream.channel_id.into(),
            ..PacketIndex::default()
        };
        let room = self.control.wait_for_room();
        broken(room.and_then(|()| self.control.send_index(beacon)))
    }

    fn settle(&mut self) -> Result<()> {
        broken(self.wait_for_data())
    }

    fn end_trace(&mut self, key: TraceKey) -> Result<()> {
        let Some(trace) = self.traces.remove(&key) else {
            return Ok(());
        };
        let closing = self.closing(&trace);
        broken(self.expect_all_ok(&closing))
    }

    fn close_chunk(&mut self, closed_unix_s: u64, ending: &ChunkEnding) -> Result<Option<String>> {
        broken(self.end_chunk(closed_unix_s, ending))
    }

    fn connections(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.control.socket(), self.data.as_fd()]
    }

    fn readable(&mut self) -> Result<()> {
        let mut byte = [0; 1];
        let peek = RecvFlags::DONTWAIT | RecvFlags::PEEK;
        broken(match recv(&self.data, &mut byte, peek) {
            Ok((0, _)) => Err(anyhow!("the relay daemon closed the data connection")),
            Ok(_) => Err(anyhow!(
                "the relay daemon sent something on the data connection"
            )),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => self.control.readable(),
            Err(errno) => Err(io::Error::from(errno)).context("the relay daemon is out of reach"),
        })
    }
}
