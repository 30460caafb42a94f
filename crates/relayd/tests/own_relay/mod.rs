//! A relay daemon of ours with options that a test chooses.

#![allow(dead_code, reason = "each test uses some of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use anyhow::{Context, Result, ensure};
use system_tests::{Signal, World, eventually, signal};

/// See the module. It is killed at the end of the test.
pub(crate) struct OwnRelay {
    child: Child,
    ports: Vec<(String, u16)>,
    pub(crate) output: PathBuf,
    log: PathBuf,
}

impl OwnRelay {
    /// Starts it, with any free ports, and waits until it listens. Its files begin with `name`.
    pub(crate) fn start(
        w: &World,
        name: &str,
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        let path = |what: &str| w.path(&format!("{name}.{what}"));
        let (port_file, output, log) = (path("ports"), path("out"), path("log"));
        let file = fs::File::create(&log)?;
        let child = Command::new(env!("CARGO_BIN_EXE_lttng-relayd"))
            .args(["-C", "tcp://127.0.0.1:0", "-D", "tcp://127.0.0.1:0"])
            .args(["-L", "tcp://127.0.0.1:0", "-v"])
            .arg("--port-file")
            .arg(&port_file)
            .arg("--output")
            .arg(&output)
            .args(args)
            .envs(variables.iter().copied())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()?;
        let mut relay = Self {
            child,
            ports: Vec::new(),
            output,
            log,
        };
        relay.ports = eventually("the ports", || {
            ensure!(relay.child.try_wait()?.is_none(), "{}", relay.log());
            Ok(ports(&port_file).ok())
        })?;
        Ok(relay)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Of `control`, `data` and so on.
    pub(crate) fn port(&self, name: &str) -> Result<u16> {
        let found = self.ports.iter().find(|(found, _)| found == name);
        found.map(|(_, port)| *port).context("no such port")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it in order.
    pub(crate) fn stop(&mut self) -> Result<()> {
        signal(self.pid(), Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "{status}\n{}", self.log());
        Ok(())
    }
}

impl Drop for OwnRelay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ports(path: &Path) -> Result<Vec<(String, u16)>> {
    let line = |line: &str| -> Result<(String, u16)> {
        let (name, port) = line.split_once('=').context("no =")?;
        Ok((name.to_owned(), port.parse()?))
    };
    fs::read_to_string(path)?.lines().map(line).collect()
}
