//! Periodic work on streams: one kernel timer for all streams with the same period, none for none.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

use consumer_api::StreamKey;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::poller::{Poller, Source, Token};

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Task {
    /// Close the current packet.
    Switch,
    /// Look for packets.
    Read,
    /// Close the current packet, or tell that there is none.
    Live,
}

/// Names a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey {
    pub(crate) task: Task,
    pub(crate) period_us: u64,
}

#[derive(Debug)]
struct Timer {
    fd: OwnedFd,
    token: Token,
    streams: Vec<StreamKey>,
}

/// The running timers.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    timers: BTreeMap<TimerKey, Timer>,
}

impl Timers {
    /// Does `task` for the stream every `period_us` microseconds; never if that is 0.
    pub(crate) fn add(
        &mut self,
        poller: &mut Poller,
        task: Task,
        period_us: u64,
        stream: StreamKey,
    ) -> io::Result<()> {
        if period_us == 0 {
            return Ok(());
        }
        let key = TimerKey { task, period_us };
        if let Some(timer) = self.timers.get_mut(&key) {
            timer.streams.push(stream);
            return Ok(());
        }
        let fd = start(period_us)?;
        let token = poller.add(&fd, Source::Timer(key))?;
        let streams = vec![stream];
        self.timers.insert(key, Timer { fd, token, streams });
        Ok(())
    }

    /// Does nothing more for the stream.
    pub(crate) fn remove(&mut self, poller: &mut Poller, stream: StreamKey) {
        self.timers.retain(|_, timer| {
            timer.streams.retain(|&other| other != stream);
            let used = !timer.streams.is_empty();
            if !used {
                poller.remove(&timer.fd, timer.token);
            }
            used
        });
    }

    /// The streams of a timer that has expired; restarts it. Empty if it had not.
    pub(crate) fn expired(&self, key: TimerKey) -> Vec<StreamKey> {
        let Some(timer) = self.timers.get(&key) else {
            return Vec::new();
        };
        match rustix::io::read(&timer.fd, &mut [0; 8]) {
            Ok(_) => timer.streams.clone(),
            Err(_) => Vec::new(),
        }
    }
}

fn start(period_us: u64) -> io::Result<OwnedFd> {
    let fd = timerfd_create(
        TimerfdClockId::Monotonic,
        TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
    )?;
    let period = Timespec {
        tv_sec: (period_us / 1_000_000) as i64,
        tv_nsec: (period_us % 1_000_000) as i64 * 1000,
    };
    let spec = Itimerspec {
        it_interval: period,
        it_value: period,
    };
    timerfd_settime(&fd, TimerfdTimerFlags::empty(), &spec)?;
    Ok(fd)
}
