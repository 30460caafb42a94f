//! Synthetic targets for a relay daemon: plain peers of the relay protocol, in one thread, that cost as little
//! as they can. Each does what a stock consumer daemon does: a packet on the data connection, its index on
//! the control connection, and the next packet when the index is acknowledged.

mod files;
mod payload;
mod target;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{Timespec, epoll::CreateFlags};
use rustix::fd::OwnedFd;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub(crate) use files::{Sizes, sizes_below};
use payload::Payload;
pub(crate) use target::STREAMS;
use target::Target;

/// Events taken from the kernel at once.
const EVENTS: usize = 1024;
/// Between two looks at whether data that were acknowledged are written.
const PENDING_PAUSE: Duration = Duration::from_millis(1);

/// Where the relay daemon listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) control: u16,
    pub(crate) data: u16,
}

/// What to send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) packet_size: u32,
    pub(crate) packets_per_target: u64,
    /// Packets of one target that are not acknowledged yet; stock consumers: 1.
    pub(crate) window: u64,
    /// Then it is over, done or not.
    pub(crate) limit: Duration,
}

/// What was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
    /// Everything that was planned, and the relay daemon says that it has it.
    pub(crate) complete: bool,
}

/// Connected targets, each with a session and its streams.
#[derive(Debug)]
pub(crate) struct Load {
    targets: Vec<Target>,
    epoll: OwnedFd,
}

impl Load {
    /// Connects `count` targets, one after the other.
    pub(crate) fn connect(ports: Ports, count: usize) -> Result<Self> {
        allow_descriptors(2 * count as u64 + 64)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut targets = Vec::with_capacity(count);
        for number in 0..count {
            let target = Target::connect(Ipv4Addr::LOCALHOST, ports, number)
                .with_context(|| format!("target {number} of {count}"))?;
            let token = 2 * number as u64;
            // Told once per change: what is not written in full is gone on with at the next one.
            let both = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
            epoll::add(&epoll, target.control(), EventData::new_u64(token), both)?;
            let out = EventFlags::OUT | EventFlags::ET;
            epoll::add(&epoll, target.data(), EventData::new_u64(token + 1), out)?;
            targets.push(target);
        }
        Ok(Self { targets, epoll })
    }

    /// Sends everything from all targets at full speed, until the relay daemon has it.
    pub(crate) fn send(&mut self, plan: Plan) -> Result<Sent> {
        let payload = Payload::new(plan.packet_size)?;
        let begin = Instant::now();
        let end = begin + plan.limit;
        let mut unfinished = 0;
        for target in &mut self.targets {
            target.begin(&plan);
            target.send(&payload)?;
            unfinished += usize::from(!target.is_done());
        }
        let mut events = Vec::with_capacity(EVENTS);
        while unfinished > 0 && Instant::now() < end {
            events.clear();
            let left = end.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left)?;
            epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout))?;
            for event in &events {
                let token = event.data.u64();
                let target = &mut self.targets[(token / 2) as usize];
                let was_done = target.is_done();
                if token.is_multiple_of(2) {
                    target.receive()?;
                }
                target.send(&payload)?;
                unfinished -= usize::from(!was_done && target.is_done());
            }
        }
        let complete = unfinished == 0 && self.all_received(end)?;
        let packets = self.targets.iter().map(Target::acknowledged).sum();
        Ok(Sent {
            packets,
            bytes: packets * u64::from(plan.packet_size),
            took: begin.elapsed(),
            complete,
        })
    }

    /// Asks for pending data until there are none; `false` when `end` comes first.
    fn all_received(&mut self, end: Instant) -> Result<bool> {
        let mut asked: Vec<&mut Target> = self.targets.iter_mut().collect();
        loop {
            for target in &mut asked {
                target.ask_pending()?;
            }
            let mut still = Vec::new();
            for target in asked {
                if target.is_pending()? {
                    still.push(target);
                }
            }
            asked = still;
            if asked.is_empty() || Instant::now() >= end {
                return Ok(asked.is_empty());
            }
            std::thread::sleep(PENDING_PAUSE);
        }
    }

    /// One target moves to its next trace chunk, until the old one is where it belongs.
    pub(crate) fn rotate(&mut self, number: usize) -> Result<Duration> {
        let target = self.targets.get_mut(number).context("no such target")?;
        let begin = Instant::now();
        target.rotate()?;
        Ok(begin.elapsed())
    }

    /// One target ends, until its last trace chunk is where it belongs.
    pub(crate) fn destroy(&mut self, number: usize) -> Result<Duration> {
        let target = self.targets.get_mut(number).context("no such target")?;
        let begin = Instant::now();
        target.destroy()?;
        Ok(begin.elapsed())
    }
}

/// Raises the limit of this process to `count`, if it is less.
fn allow_descriptors(count: u64) -> Result<()> {
    let now = getrlimit(Resource::Nofile);
    if now.current.is_some_and(|current| current < count) {
        let maximum = now.maximum.map(|maximum| maximum.max(count));
        let raised = Rlimit {
            current: Some(count),
            maximum,
        };
        setrlimit(Resource::Nofile, raised)
            .with_context(|| format!("{count} descriptors are needed"))?;
    }
    ensure!(
        getrlimit(Resource::Nofile)
            .current
            .is_none_or(|current| current >= count)
    );
    Ok(())
}
