//! The rows of the table.

mod applications;
mod blocking;
mod commands;
mod discard;
mod fan_in;
mod far;
mod kernel;
mod live;
mod live_start;

use anyhow::Result;
use clap::ValueEnum;

use crate::Settings;
use crate::table::{Side, Table};

/// One group of measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Row {
    /// Blocking mode, local and over loopback: wall time and CPU seconds per GB.
    Blocking,
    /// Share of events delivered at full rate.
    Discard,
    /// Latency of the commands.
    Commands,
    /// Many applications: start, launch while recording, stop after they ended.
    Apps,
    /// Idle CPU and memory with many per-PID applications.
    Idle,
    /// First events of many streaming sessions started together.
    LiveStart,
    /// Many synthetic targets at one relay daemon.
    FanIn,
    /// How long after it was emitted a live viewer sees an event.
    Live,
    /// Viewers of many sessions: their first events.
    LiveSessions,
    /// Commands with a relay daemon at the other end of a slow way.
    Far,
    /// The kernel domain, beside trace-cmd.
    Kernel,
}

impl Row {
    pub(crate) const ALL: [Self; 11] = [
        Self::Blocking,
        Self::Discard,
        Self::Commands,
        Self::Apps,
        Self::Idle,
        Self::LiveStart,
        Self::FanIn,
        Self::Live,
        Self::LiveSessions,
        Self::Far,
        Self::Kernel,
    ];

    /// Measures the row, stock and ours in turn.
    pub(crate) fn measure(self, settings: &Settings, table: &mut Table) -> Result<()> {
        let one = match self {
            Self::Blocking => blocking::measure,
            Self::Discard => discard::measure,
            Self::Commands => commands::measure,
            Self::Apps => applications::measure,
            Self::Idle => applications::measure_idle,
            Self::LiveStart => live_start::measure,
            Self::FanIn => fan_in::measure,
            Self::Live => live::measure,
            Self::LiveSessions => live::measure_many,
            Self::Far => far::measure,
            Self::Kernel => kernel::measure,
        };
        for _ in 0..settings.iterations {
            for side in Side::BOTH {
                if settings.only.is_none_or(|only| only == side) {
                    one(side, settings, table)?;
                }
            }
        }
        Ok(())
    }
}
