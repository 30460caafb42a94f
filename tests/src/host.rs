//! A machine of its own as far as programs can tell: own network, host name, `/run/lttng`, `/dev/shm` and
//! `/etc/hosts`. It shares the process ids and the other files with the [`World`].

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::peers::require;
use crate::process::run;
use crate::{Who, World, eventually};

/// `sh -c SETUP sh NAME HOSTS READY`: the setting-up inside the new namespaces. Holds them until its input ends.
const SETUP: &str = r#"set -e
hostname "$1"
ip link set lo up
mkdir -p /run/lttng
mount -t tmpfs -o mode=755 tmpfs /run/lttng
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount --bind "$2" /etc/hosts
: >"$3"
exec cat
"#;

/// A host with its namespaces. They go away with it, when nothing runs in them any more.
#[derive(Debug)]
pub struct Host {
    name: String,
    home: PathBuf,
    holder: Child,
}

impl Host {
    /// What the host calls itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its administrator.
    pub fn root(&self) -> Who {
        Who::root(self.home.clone()).on_host(self.holder.id())
    }

    /// Runs `program` with arguments cut at white space, on this host.
    pub fn run(&self, program: &str, args: &str) -> Result<()> {
        let mut command = self.root().command(&require(program)?)?;
        run(command.args(args.split_whitespace()))?.ok().map(drop)
    }

    /// Lays a cable to `peer`. Each side is the interface of that name, with those addresses (`ADDRESS/PREFIX`).
    pub fn connect(
        &self,
        (mine, my_addresses): (&str, &[&str]),
        peer: &Self,
        (its, its_addresses): (&str, &[&str]),
    ) -> Result<()> {
        let holder = peer.holder.id();
        self.run(
            "ip",
            &format!("link add {mine} type veth peer name {its} netns {holder}"),
        )?;
        for (host, interface, addresses) in [(self, mine, my_addresses), (peer, its, its_addresses)]
        {
            for address in addresses {
                // Without the search for duplicates, during which an address cannot be used.
                let nodad = if address.contains(':') { "nodad" } else { "" };
                host.run("ip", &format!("addr add {address} dev {interface} {nodad}"))?;
            }
            host.run("ip", &format!("link set {interface} up"))?;
        }
        Ok(())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

impl World {
    /// A host that calls itself `name` and has these lines in its `/etc/hosts`. Its files in this world are below
    /// `directory`.
    pub fn host(&self, directory: &str, name: &str, hosts: &str) -> Result<Host> {
        let root = self.path(directory);
        let [home, table, ready] = ["home", "hosts", "ready"].map(|file| root.join(file));
        fs::create_dir_all(&home).with_context(|| format!("create {}", home.display()))?;
        fs::write(&table, format!("127.0.0.1 localhost\n{hosts}"))?;
        let mut holder = Command::new(require("unshare")?)
            .args(["--mount", "--net", "--uts", "sh", "-c", SETUP, "sh", name])
            .args([&table, &ready])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .context("start unshare")?;
        eventually("the host is set up", || {
            let ended = holder.try_wait()?;
            ensure!(ended.is_none(), "the host's setting-up ended: {ended:?}");
            Ok(ready.is_file().then_some(()))
        })?;
        Ok(Host {
            name: name.into(),
            home,
            holder,
        })
    }
}

/// `program`, to be run in the namespaces of process `holder`.
pub(crate) fn command_on(holder: u32, program: &Path) -> Result<Command> {
    let mut command = Command::new(require("nsenter")?);
    command
        .arg(format!("--target={holder}"))
        .args(["--mount", "--net", "--uts"])
        .arg(program);
    Ok(command)
}
