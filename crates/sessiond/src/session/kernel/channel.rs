//! One channel of the kernel domain: an instance of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use consumer_api::{
    BufferMode, KernelStream, Predecessor, StreamKey, StreamSetup, TraceKey, Wakeup,
};
use ctf::tsdl;
use ctf::types::ByteOrder;
use kernel::context::Contexts;
use kernel::format::{EventFormat, PageHeader};
use kernel::machine::Machine;
use kernel::schema::{self, EventSchema};
use kernel::selection;
use kernel::tracefs::{EventName, Instance, Tracefs, TracefsError};
use ring_buffer::PageStore;
use rustix::fs::{MemfdFlags, memfd_create};
use tracing::warn;

use crate::app::SharedFd;
use crate::lock::lock;
use crate::session::kernel::filters;
use crate::session::kernel::plan::PlannedKernelChannel;
use crate::session::kernel::text_probes::TextProbes;
use crate::session::kernel::wanted::Wanted;
use crate::session::live_trace::BufferShape;
use crate::session::plan::Attributes;

/// The clock of user space traces.
pub(super) const CLOCK: &str = "mono";

/// Why a channel could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KernelError {
    /// tracefs refused something.
    #[error(transparent)]
    Tracefs(#[from] TracefsError),
    /// Memory or descriptors are short.
    #[error("cannot make a kernel channel: {0}")]
    System(#[from] io::Error),
    /// The kernel says something that is not understood.
    #[error("the kernel's page header is not understood: {0}")]
    PageHeader(#[from] kernel::format::FormatError),
}

/// See the module.
#[derive(Debug)]
pub(super) struct KernelChannel {
    id: u32,
    name: String,
    attributes: Attributes,
    kernel: KernelStream,
    machine: Machine,
    instance: Mutex<Option<Instance>>,
    streams: Mutex<Vec<CpuStream>>,
    formats_file: SharedFd,
    state: Mutex<State>,
    text_probes: Mutex<TextProbes>,
}

#[derive(Debug)]
struct CpuStream {
    key: StreamKey,
    cpu: u32,
    pipe: SharedFd,
    stats: SharedFd,
    /// What was read and is not delivered yet; see [`PageStore`].
    pages: SharedFd,
}

#[derive(Debug)]
struct State {
    formats: File,
    /// Events whose class is in the metadata and whose format the consumer daemon has.
    announced: BTreeMap<EventName, Announced>,
    /// Events that record now, with their filters.
    enabled: BTreeMap<EventName, Option<String>>,
    /// Threads that are recorded; `None`: all.
    threads: Option<Vec<u32>>,
}

#[derive(Debug)]
struct Announced {
    /// What is enabled in the kernel: the event, or a probe that stands in for it.
    recorded: EventName,
    format: EventFormat,
}

impl KernelChannel {
    /// Makes the instance, which records nothing yet. Streams are numbered from `first_stream`.
    pub(super) fn create(
        planned: &PlannedKernelChannel,
        instance: Instance,
        text_probes: TextProbes,
        first_stream: u64,
    ) -> Result<Self, KernelError> {
        match Self::set_up(planned, &instance, text_probes, first_stream) {
            Ok(channel) => {
                *lock(&channel.instance) = Some(instance);
                Ok(channel)
            }
            Err(error) => {
                if let Err(error) = instance.remove() {
                    warn!("{error}");
                }
                Err(error)
            }
        }
    }

    fn set_up(
        planned: &PlannedKernelChannel,
        instance: &Instance,
        text_probes: TextProbes,
        first_stream: u64,
    ) -> Result<Self, KernelError> {
        let attributes = planned.attributes;
        instance.set_clock(CLOCK)?;
        instance.set_overwrite(attributes.overwrite)?;
        instance.set_buffer_size(attributes.subbuf_size * attributes.subbuf_count)?;
        // As a user-space channel: the reader is woken for each sub-buffer.
        instance.set_wakeup_level((100 / attributes.subbuf_count).clamp(1, 100) as u32)?;
        let header = instance.page_header()?;
        let machine = Machine::native(&PageHeader::parse(&header)?);
        let memfd = memfd_create("lttng-formats", MemfdFlags::CLOEXEC).map_err(io::Error::from)?;
        let formats_file = Arc::new(memfd.try_clone()?);
        let mut formats = File::from(memfd);
        formats.write_all(selection::page_entry(&header).as_bytes())?;
        let kernel = KernelStream {
            page_size: instance.subbuf_size(),
            contexts: planned.contexts.clone(),
        };
        // A snapshot keeps as much as the buffer holds; otherwise no more than a packet is kept.
        let buffer = attributes.subbuf_size * attributes.subbuf_count;
        let packet = kernel.packet_pages(attributes.subbuf_size) * kernel.page_size;
        let mut streams = Vec::new();
        for (key, cpu) in (first_stream..).zip(instance.cpus()?) {
            let raw = instance.open_raw(cpu)?;
            streams.push(CpuStream {
                key: StreamKey(key),
                cpu,
                pipe: Arc::new(raw.pipe),
                stats: Arc::new(raw.stats),
                pages: Arc::new(PageStore::create(kernel.page_size, buffer, packet)?),
            });
        }
        Ok(Self {
            id: planned.id,
            name: planned.name.clone(),
            attributes,
            kernel,
            machine,
            instance: Mutex::new(None),
            streams: Mutex::new(streams),
            formats_file,
            state: Mutex::new(State {
                formats,
                announced: BTreeMap::new(),
                enabled: BTreeMap::new(),
                threads: None,
            }),
            text_probes: Mutex::new(text_probes),
        })
    }

    /// The buffer of each stream.
    pub(super) fn shapes(&self) -> Vec<BufferShape> {
        let shape = BufferShape {
            subbuf_size: self.attributes.subbuf_size,
            subbuf_count: self.attributes.subbuf_count,
        };
        vec![shape; lock(&self.streams).len()]
    }

    /// Number of the channel.
    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// What hands its streams to a consumer daemon.
    pub(super) fn setups(
        &self,
        trace: TraceKey,
        after: &dyn Fn(StreamKey) -> Option<Predecessor>,
    ) -> Vec<(StreamSetup, Vec<SharedFd>)> {
        let attributes = &self.attributes;
        let streams = lock(&self.streams);
        let setups = streams.iter().map(|stream| {
            let setup = StreamSetup {
                stream: stream.key,
                trace,
                channel_name: self.name.clone(),
                cpu: stream.cpu,
                channel_id: self.id,
                subbuf_size: attributes.subbuf_size,
                subbuf_count: attributes.subbuf_count,
                mode: if attributes.overwrite {
                    BufferMode::Overwrite
                } else {
                    BufferMode::Discard
                },
                wakeup: Wakeup::ByWriter,
                switch_timer_us: attributes.switch_timer_us,
                read_timer_us: 0,
                live_timer_us: attributes.live_timer_us,
                tracefile_size: attributes.tracefile_size,
                tracefile_count: attributes.tracefile_count,
                resume: after(stream.key),
                kernel: Some(self.kernel.clone()),
                written: false,
            };
            let fds = vec![
                stream.pipe.clone(),
                stream.stats.clone(),
                self.formats_file.clone(),
                stream.pages.clone(),
            ];
            (setup, fds)
        });
        setups.collect()
    }

    /// Lets the instance record what is wanted and nothing else. `announce` stores metadata text.
    pub(super) fn apply(
        &self,
        tracefs: &Tracefs,
        wanted: &Wanted,
        announce: &mut dyn FnMut(&str) -> io::Result<()>,
    ) -> Result<(), KernelError> {
        let instance = lock(&self.instance);
        let Some(instance) = &*instance else {
            return Ok(());
        };
        let mut state = lock(&self.state);
        self.announce(tracefs, wanted, &mut state, announce)?;
        let mut filters = BTreeMap::new();
        for (event, expressions) in &wanted.events {
            let Some(known) = state.announced.get(event) else {
                continue;
            };
            // An event that has not all fields of a filter is not meant by its rule.
            if let Some(filter) = filters::combine(&event.subsystem, &known.format, expressions) {
                filters.insert(event.clone(), filter);
            }
        }
        let gone: Vec<_> = state
            .enabled
            .keys()
            .filter(|event| !filters.contains_key(event))
            .cloned()
            .collect();
        for event in gone {
            if let Some(known) = state.announced.get(&event) {
                instance.set_event(&known.recorded, false)?;
            }
            state.enabled.remove(&event);
        }
        let (mut done, mut failures) = (0, Vec::new());
        for (event, filter) in filters {
            let Some(known) = state.announced.get(&event) else {
                continue;
            };
            if state.enabled.get(&event) == Some(&filter) {
                continue;
            }
            match enable(instance, &known.recorded, filter.as_deref()) {
                Ok(()) => {
                    state.enabled.insert(event, filter);
                    done += 1;
                }
                // One event that cannot be had must not keep the others away.
                Err(error) => failures.push(error),
            }
        }
        for failure in &failures {
            warn!("{failure}");
        }
        match failures.pop() {
            Some(failure) if done == 0 => Err(failure.into()),
            _ => Ok(()),
        }
    }

    /// Tells readers and the consumer daemon of events before they happen.
    fn announce(
        &self,
        tracefs: &Tracefs,
        wanted: &Wanted,
        state: &mut State,
        announce: &mut dyn FnMut(&str) -> io::Result<()>,
    ) -> Result<(), KernelError> {
        let mut metadata = String::new();
        let mut formats = String::new();
        for event in wanted.events.keys() {
            if state.announced.contains_key(event) {
                continue;
            }
            let text = wanted.format_text(tracefs, event)?;
            let stand_in = lock(&self.text_probes).stand_in(tracefs, event, &text, &self.machine);
            let (recorded, text) = stand_in.unwrap_or_else(|| (event.clone(), text));
            let parsed = EventFormat::parse(&text).map_err(|error| error.to_string());
            let schema = parsed.and_then(|format| {
                let schema = EventSchema::new(&format, &event.subsystem, &self.machine);
                Ok((schema.map_err(|error| error.to_string())?, format))
            });
            let (schema, format) = match schema {
                Ok(known) => known,
                Err(error) => {
                    warn!(
                        "the event {}:{} is not recorded: {error}",
                        event.subsystem, event.name
                    );
                    continue;
                }
            };
            let class = schema.class(self.id.into());
            let _ = write!(metadata, "{}", tsdl::event(&class, ByteOrder::NATIVE));
            formats += &selection::event_entry(&event.subsystem, &text);
            let known = Announced { recorded, format };
            state.announced.insert(event.clone(), known);
        }
        announce(&metadata)?;
        state.formats.write_all(formats.as_bytes())?;
        Ok(())
    }

    /// Records only these threads; `None`: all.
    pub(super) fn set_threads(&self, tids: Option<&[u32]>) -> Result<(), KernelError> {
        let mut state = lock(&self.state);
        if let Some(instance) = &*lock(&self.instance)
            && state.threads.as_deref() != tids
        {
            instance.set_threads(tids)?;
            state.threads = tids.map(<[u32]>::to_vec);
        }
        Ok(())
    }

    /// Starts or stops.
    pub(super) fn set_tracing(&self, on: bool) -> Result<(), KernelError> {
        match &*lock(&self.instance) {
            Some(instance) => Ok(instance.set_tracing(on)?),
            None => Ok(()),
        }
    }

    /// Removes the instance and the probes. The consumer daemon must have let go of it.
    pub(super) fn remove(&self, tracefs: &Tracefs, pause: &dyn Fn()) {
        lock(&self.streams).clear();
        if let Some(instance) = lock(&self.instance).take()
            && let Err(error) = instance.remove_in_steps(pause)
        {
            warn!("{error}; it is removed when the daemon starts again");
        }
        lock(&self.text_probes).remove(tracefs, pause);
    }

    /// The stream class of the channel as metadata text.
    pub(super) fn stream_text(&self) -> String {
        let contexts = contexts_of(&self.kernel.contexts);
        let class = schema::stream_class_with(self.id.into(), &contexts);
        tsdl::stream(&class, ByteOrder::NATIVE)
    }
}

/// The context fields of these names.
pub(super) fn contexts_of(names: &[String]) -> Contexts {
    Contexts::of(names.iter().map(String::as_str))
}

fn enable(
    instance: &Instance,
    event: &EventName,
    filter: Option<&str>,
) -> Result<(), TracefsError> {
    instance.set_filter(event, filter)?;
    instance.set_event(event, true)
}
