//! What the session daemon has set up: an output, traces, streams; and the moves of packets between.

mod chunk;
mod tasks;

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use consumer_api::{StreamKey, StreamSetup, TraceKey, TraceSetup, Wakeup};
use ring_buffer::{FlushMode, Tally};

use crate::activity::Activity;
use crate::metadata::MetadataSource;
use crate::output::{Output, OutputError};
use crate::poller::{Poller, Source, Token};
use crate::session::chunk::Chunk;
use crate::source::{self, Progress, Writers};
use crate::stream::Stream;
use crate::timers::{Task, TimerKey, Timers};
use crate::trace::Trace;

/// Packets of one stream before the next stream has its turn.
const PACKETS_PER_TURN: u32 = 4;

/// How long a drain waits for writers that are in the middle of an event.
const WRITER_PATIENCE: [Duration; 14] = {
    let ms = Duration::from_millis;
    [
        ms(0),
        ms(1),
        ms(1),
        ms(2),
        ms(2),
        ms(4),
        ms(5),
        ms(5),
        ms(10),
        ms(10),
        ms(10),
        ms(10),
        ms(20),
        ms(20),
    ]
};

/// Everything of one session.
pub(crate) struct Session {
    output: Box<dyn Output>,
    output_tokens: Vec<Token>,
    traces: HashMap<TraceKey, Trace>,
    streams: HashMap<StreamKey, Stream>,
    /// Streams that may have packets, in the order of their turns.
    ready: VecDeque<StreamKey>,
    timers: Timers,
    activity: Arc<Activity>,
    chunk: Chunk,
    options: Options,
}

/// What the session is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) count_events: bool,
    /// Nothing is drained.
    pub(crate) snapshot: bool,
}

/// A request that cannot be carried out, without harm to the rest.
fn refused(error: impl Into<anyhow::Error>) -> OutputError {
    OutputError::Refused(error.into())
}

impl Session {
    pub(crate) fn new(
        output: Box<dyn Output>,
        options: Options,
        activity: Arc<Activity>,
        poller: &mut Poller,
    ) -> std::io::Result<Self> {
        let output_tokens = output
            .connections()
            .into_iter()
            .map(|connection| poller.add(connection, Source::Output))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            output,
            output_tokens,
            traces: HashMap::new(),
            streams: HashMap::new(),
            ready: VecDeque::new(),
            timers: Timers::default(),
            activity,
            chunk: Chunk::default(),
            options,
        })
    }

    pub(crate) fn output(&mut self) -> &mut dyn Output {
        &mut *self.output
    }

    /// Begins a trace.
    pub(crate) fn add_trace(
        &mut self,
        setup: TraceSetup,
        text: OwnedFd,
        tally: &OwnedFd,
    ) -> Result<(), OutputError> {
        if self.traces.contains_key(&setup.trace) {
            return Err(refused(anyhow!("trace {} exists", setup.trace.0)));
        }
        let tally = Tally::map(tally).context("cannot map the tally");
        let tally = Arc::new(tally.map_err(refused)?);
        let mut stored = self.output.add_trace(&setup)?;
        let mut metadata = MetadataSource::new(text, setup.uuid, stored.len() as u64);
        let begin = metadata.earlier_text();
        if begin.context("cannot read the metadata").map_err(refused)? != stored {
            // The predecessor died before it knew that the text was written anew.
            self.output.reset_metadata(setup.trace, 0)?;
            metadata.rewind();
            stored.clear();
        }
        let mut trace = Trace::new(setup, metadata, tally, self.options.count_events);
        trace.count_stored(&stored);
        self.traces.insert(trace.setup.trace, trace);
        Ok(())
    }

    /// Begins a stream. Its packets wait until the trace is published.
    pub(crate) fn add_stream(
        &mut self,
        poller: &mut Poller,
        setup: &StreamSetup,
        fds: Vec<OwnedFd>,
    ) -> Result<(), OutputError> {
        source::check(setup, &fds).map_err(refused)?;
        if self.streams.contains_key(&setup.stream) {
            return Err(refused(anyhow!("stream {} exists", setup.stream.0)));
        }
        let trace = self
            .traces
            .get_mut(&setup.trace)
            .ok_or_else(|| refused(anyhow!("there is no trace {}", setup.trace.0)))?;
        let record = trace.next_record().map_err(refused)?;
        let source = source::open(
            setup,
            trace.setup.uuid,
            fds,
            &mut trace.formats,
            trace.tasks.as_ref(),
        );
        let mut stream = Stream::new(setup, source.map_err(refused)?, record);
        stream.go_on(self.output.add_stream(setup)?);
        if self.options.snapshot {
            trace.streams.push(setup.stream);
            self.streams.insert(setup.stream, stream);
            return Ok(());
        }
        let token = poller
            .add(stream.source.wakeup(), Source::Stream(setup.stream))
            .context("cannot wait for a wakeup pipe")
            .map_err(refused)?;
        stream.token = Some(token);
        trace.streams.push(setup.stream);
        self.streams.insert(setup.stream, stream);

        let read_us = match setup.wakeup {
            Wakeup::ByTimer => setup.read_timer_us,
            Wakeup::ByWriter => 0,
        };
        for (task, period_us) in [
            (Task::Switch, setup.switch_timer_us),
            (Task::Read, read_us),
            (Task::Live, setup.live_timer_us),
        ] {
            self.timers
                .add(poller, task, period_us, setup.stream)
                .context("cannot start a timer")
                .map_err(refused)?;
        }
        self.is_ready(setup.stream);
        Ok(())
    }

    /// Lets the packets of a trace go out.
    pub(crate) fn publish(&mut self, key: TraceKey, unwritten: bool) -> Result<(), OutputError> {
        let trace = self
            .traces
            .get_mut(&key)
            .ok_or_else(|| refused(anyhow!("there is no trace {}", key.0)))?;
        self.output.publish(key)?;
        trace.published = true;
        if unwritten {
            // A viewer may have seen everything up to a time after the creation of the buffers.
            for stream in &trace.streams {
                if let Some(stream) = self.streams.get_mut(stream) {
                    stream.source.begin_now();
                }
            }
        }
        // Not only with the first packet: whoever is killed before that leaves a trace that can be read.
        trace.deliver_metadata(&mut *self.output, &self.activity)?;
        for stream in trace.streams.clone() {
            self.is_ready(stream);
        }
        Ok(())
    }

    /// Delivers the metadata of a trace again, from its beginning.
    pub(crate) fn replace_metadata(
        &mut self,
        key: TraceKey,
        version: u64,
        text: OwnedFd,
    ) -> Result<(), OutputError> {
        let Some(trace) = self.traces.get_mut(&key) else {
            return Ok(());
        };
        self.output.reset_metadata(key, version)?;
        trace.replace_metadata(text);
        if trace.published {
            trace.deliver_metadata(&mut *self.output, &self.activity)?;
        }
        Ok(())
    }

    /// Gives the stream a turn.
    pub(crate) fn is_ready(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.get_mut(&key)
            && !stream.queued
        {
            stream.queued = true;
            self.ready.push_back(key);
        }
    }

    /// Some stream waits for its turn.
    pub(crate) fn has_work(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The wakeup pipe of a stream can be read: empties it, before anybody looks for packets.
    pub(crate) fn woken(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.get_mut(&key) {
            stream.source.woken();
        }
        self.is_ready(key);
    }

    /// Nobody can write to the wakeup pipe of a stream any more. Returns its trace, if that was the last
    /// stream of a trace that ends with its writers.
    pub(crate) fn hung_up(&mut self, poller: &mut Poller, key: StreamKey) -> Option<TraceKey> {
        let stream = self.streams.get_mut(&key)?;
        if let Some(token) = stream.token.take() {
            poller.remove(stream.source.wakeup(), token);
        }
        stream.ended = true;
        let trace = stream.trace;
        self.has_ended(trace).then_some(trace)
    }

    /// All writers of the trace are gone, and that is its end.
    pub(crate) fn has_ended(&self, key: TraceKey) -> bool {
        self.traces.get(&key).is_some_and(|trace| {
            let ended = |key| self.streams.get(key).is_none_or(|stream| stream.ended);
            trace.setup.ends_with_writers
                && trace.published
                && !trace.streams.is_empty()
                && trace.streams.iter().all(ended)
        })
    }

    /// A timer has expired.
    pub(crate) fn timer(&mut self, key: TimerKey) -> Result<(), OutputError> {
        for stream in self.timers.expired(key) {
            match key.task {
                Task::Switch => {
                    if let Some(stream) = self.streams.get_mut(&stream) {
                        stream.flush(FlushMode::Active);
                    }
                }
                Task::Read => {}
                Task::Live => self.live(stream)?,
            }
            self.is_ready(stream);
        }
        Ok(())
    }

    /// Viewers are to see what there is, or that there is nothing.
    fn live(&mut self, key: StreamKey) -> Result<(), OutputError> {
        let Some(stream) = self.streams.get_mut(&key) else {
            return Ok(());
        };
        if !self.traces.values().all(|trace| trace.published) {
            // Viewers do not know yet of streams that begin now, and cannot go back: with the next tick.
            return Ok(());
        }
        let shown = self.chunk.is_open();
        if !stream.has_begun() {
            // Relay daemons believe a stream only after its first packet that it is idle.
            self.deliver_metadata()?;
            self.close_packet(key, FlushMode::Full);
            return Ok(());
        }
        match stream.flush_or_idle() {
            Some(until_ns) if shown => self.output.beacon(key, until_ns),
            _ => Ok(()),
        }
    }

    /// Each stream that waits has its turn.
    pub(crate) fn take_turns(&mut self) -> Result<(), OutputError> {
        for _ in 0..self.ready.len() {
            let Some(key) = self.ready.pop_front() else {
                break;
            };
            if let Some(stream) = self.streams.get_mut(&key) {
                stream.queued = false;
            }
            let mut delivered = 0;
            while delivered < PACKETS_PER_TURN {
                // A writer that has to finish an event wakes us when it has.
                let Progress::Delivered = self.deliver(key, Writers::Alive)? else {
                    break;
                };
                delivered += 1;
            }
            if delivered == PACKETS_PER_TURN {
                self.is_ready(key);
            }
        }
        Ok(())
    }

    fn deliver(&mut self, key: StreamKey, writers: Writers) -> Result<Progress, OutputError> {
        if self.options.snapshot || !self.chunk.is_open() {
            return Ok(Progress::Nothing);
        }
        let Some(stream) = self.streams.get_mut(&key) else {
            return Ok(Progress::Nothing);
        };
        let trace = self.traces.get_mut(&stream.trace);
        let Some(trace) = trace.filter(|trace| trace.published) else {
            return Ok(Progress::Nothing);
        };
        stream.deliver(writers, trace, &mut *self.output, &self.activity)
    }

    /// Delivers what a stream has now, and not what writers add meanwhile.
    fn deliver_pending(
        &mut self,
        key: StreamKey,
        writers: Writers,
    ) -> Result<Progress, OutputError> {
        let pending = self.streams.get(&key).map_or(0, Stream::pending);
        let mut last = Progress::Nothing;
        for _ in 0..pending {
            last = self.deliver(key, writers)?;
            if !matches!(last, Progress::Delivered) {
                break;
            }
        }
        Ok(last)
    }

    /// Closes the current packet of a stream, if what was delivered of the metadata describes it: otherwise its
    /// application has not announced what it writes, the first packet is empty, and nobody could read it.
    fn close_packet(&mut self, key: StreamKey, mode: FlushMode) {
        let Some(stream) = self.streams.get_mut(&key) else {
            return;
        };
        let trace = self.traces.get(&stream.trace);
        if trace.is_some_and(|trace| trace.describes(stream.channel_id)) {
            stream.flush(match self.output.keeps_empty_packets() {
                true => mode,
                false => FlushMode::Active,
            });
        }
    }

    /// Delivers all packets that are complete, and all metadata.
    pub(crate) fn deliver_complete(&mut self) -> Result<(), OutputError> {
        for key in self.stream_keys() {
            self.deliver_pending(key, Writers::Alive)?;
        }
        self.deliver_metadata()
    }

    fn deliver_metadata(&mut self) -> Result<(), OutputError> {
        if !self.chunk.is_open() {
            return Ok(());
        }
        for trace in self.traces.values_mut().filter(|trace| trace.published) {
            trace.deliver_metadata(&mut *self.output, &self.activity)?;
        }
        Ok(())
    }

    /// Closes the current packet of every stream, and brings everything to its place.
    pub(crate) fn drain(&mut self) -> Result<(), OutputError> {
        let keys = self.stream_keys();
        // Makes space for the packets that the flush closes or makes.
        for &key in &keys {
            self.deliver_pending(key, Writers::Alive)?;
        }
        self.deliver_metadata()?;
        for &key in &keys {
            self.close_packet(key, FlushMode::Full);
        }
        let unfinished = self.deliver_patiently(keys)?;
        if !unfinished.is_empty() {
            let count = unfinished.len();
            tracing::warn!("{count} streams have a packet that its writer does not finish");
        }
        self.deliver_metadata()?;
        self.output.settle()
    }

    /// Delivers what the streams have, and waits a moment for writers in the middle of an event. Returns
    /// the streams with a packet that was not finished even then.
    fn deliver_patiently(
        &mut self,
        mut waiting: Vec<StreamKey>,
    ) -> Result<Vec<StreamKey>, OutputError> {
        for pause in WRITER_PATIENCE {
            if !pause.is_zero() {
                std::thread::sleep(pause);
            }
            let mut not_ready = Vec::new();
            for key in waiting {
                if self.deliver_pending(key, Writers::Alive)? == Progress::NotReady {
                    not_ready.push(key);
                }
            }
            waiting = not_ready;
            if waiting.is_empty() {
                break;
            }
        }
        Ok(waiting)
    }

    /// Delivers all that a trace without writers has, and closes it. `false` if there is no such trace.
    pub(crate) fn end_trace(
        &mut self,
        poller: &mut Poller,
        key: TraceKey,
    ) -> Result<bool, OutputError> {
        let Some(trace) = self.traces.get(&key) else {
            return Ok(false);
        };
        let streams = trace.streams.clone();
        for &stream in &streams {
            self.deliver_pending(stream, Writers::Alive)?;
        }
        if self.chunk.is_open() {
            self.deliver_metadata()?;
            for &key in &streams {
                self.close_packet(key, FlushMode::Full);
            }
        }
        for &stream in &streams {
            self.deliver_pending(stream, Writers::Gone)?;
        }
        self.deliver_metadata()?;
        self.output.end_trace(key)?;
        for key in streams {
            self.forget_stream(poller, key);
        }
        self.forget_tasks(poller, key);
        Ok(self.traces.remove(&key).is_some())
    }

    /// Lets go of everything; the buffers stay as they are.
    pub(crate) fn dismantle(mut self, poller: &mut Poller) {
        for key in self.stream_keys() {
            self.forget_stream(poller, key);
        }
        for key in self.traces.keys().copied().collect::<Vec<_>>() {
            self.forget_tasks(poller, key);
        }
        for (connection, &token) in self.output.connections().iter().zip(&self.output_tokens) {
            poller.remove(connection, token);
        }
    }

    fn forget_stream(&mut self, poller: &mut Poller, key: StreamKey) {
        self.timers.remove(poller, key);
        if let Some(mut stream) = self.streams.remove(&key)
            && let Some(token) = stream.token.take()
        {
            poller.remove(stream.source.wakeup(), token);
        }
    }

    fn stream_keys(&self) -> Vec<StreamKey> {
        let mut keys: Vec<_> = self.streams.keys().copied().collect();
        keys.sort_unstable();
        keys
    }
}
