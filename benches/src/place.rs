//! Daemons of one side for one measurement, and what they used.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use system_tests::{Output, Relay, Target, World, cpu_seconds, peak_rss_kib};

use crate::table::{Side, Table, Unit};

/// Where a session's events go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// Into files of this machine.
    Local,
    /// Over the loopback interface to a relay daemon.
    Network,
}

impl Route {
    pub(crate) const BOTH: [Self; 2] = [Self::Local, Self::Network];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Network => "net",
        }
    }
}

/// Fresh daemons, and a directory for the trace on a tmpfs.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) world: World,
    pub(crate) target: Target,
    pub(crate) relay: Relay,
    pub(crate) side: Side,
}

/// CPU seconds of each daemon.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    pub(crate) session: f64,
    pub(crate) consumer: f64,
    pub(crate) relay: f64,
}

impl Place {
    pub(crate) fn new(side: Side) -> Result<Self> {
        Self::with_target(side, side)
    }

    /// The relay daemon of `side`, and the daemons of the target of `target`.
    pub(crate) fn with_target(side: Side, target: Side) -> Result<Self> {
        let mut world = World::new()?;
        let relay = world.relay(side.toolchain())?;
        let target = world.target(target.toolchain())?;
        Ok(Self {
            world,
            target,
            relay,
            side,
        })
    }

    /// The `create` option for a session `name`, and the directory its trace will be in.
    pub(crate) fn output(&self, route: Route, name: &str) -> (String, PathBuf) {
        match route {
            Route::Local => {
                let dir = self.world.path(&format!("traces/{name}"));
                (format!("--output={}", dir.display()), dir)
            }
            Route::Network => {
                let dir = self.relay.output().join("target").join(name);
                (format!("--set-url={}/{name}", self.relay.url()), dir)
            }
        }
    }

    /// CPU seconds used so far.
    pub(crate) fn cpu(&self) -> Cpu {
        Cpu {
            session: cpu_seconds(self.target.daemon().pid()),
            consumer: self.target.consumers().into_iter().map(cpu_seconds).sum(),
            relay: cpu_seconds(self.relay.daemon().pid()),
        }
    }

    /// Adds the largest resident sets of the daemons, with `name` before their names.
    pub(crate) fn add_memory(&self, table: &mut Table, name: &str) {
        let mib = |pid: u32| peak_rss_kib(pid) as f64 / 1024.0;
        let session = mib(self.target.daemon().pid());
        let consumer: f64 = self.target.consumers().into_iter().map(mib).sum();
        table.add(
            self.side,
            &format!("{name}: peak memory of the session daemon"),
            Unit::Mebibytes,
            session,
        );
        table.add(
            self.side,
            &format!("{name}: peak memory of the consumer daemon"),
            Unit::Mebibytes,
            consumer,
        );
        let relay = mib(self.relay.daemon().pid());
        table.add(
            self.side,
            &format!("{name}: peak memory of the relay daemon"),
            Unit::Mebibytes,
            relay,
        );
    }

    /// Runs `lttng`; it must succeed. Gives how long the command took from start to exit.
    pub(crate) fn timed(&self, line: &str) -> Result<(Duration, Output)> {
        let begin = Instant::now();
        let output = self.target.lttng(line)?;
        let took = begin.elapsed();
        Ok((took, output.ok()?))
    }

    /// Ends the daemons and removes their files, so that the next measurement finds none.
    pub(crate) fn close(self) -> Result<()> {
        self.target.lttng("destroy --all")?;
        self.target.daemon().terminate()?;
        self.relay.daemon().terminate()?;
        std::fs::remove_dir_all(self.world.path("traces"))?;
        std::fs::remove_dir_all(self.relay.output())?;
        Ok(())
    }
}

/// Fails if `stop` reported losses: the measurement would compare different work.
pub(crate) fn no_loss(stop: &Output) -> Result<()> {
    if stop.stdout.contains("Warning:") {
        bail!("events were lost:\n{stop}");
    }
    Ok(())
}
