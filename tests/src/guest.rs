//! Runs a test body on another kernel: the distribution's, booted in an emulator.
//!
//! The test executable runs itself again, for this one test, as root of a machine of its own. Its files are
//! those of this machine, read-only; `/run` and `/dev/shm` are empty, the host is called `target`. There is
//! no network but the loopback. It is slow, a tenth of the real speed and less: loads have to be small.
//!
//! ```text
//! qemu -- kernel -- initramfs: /init loads modules, mounts --+-- 9p, read-only: / of this machine
//!                                                            +-- 9p: the exchange directory
//!      exchange: script (what to run) -> output, status       console (the kernel's own words)
//! ```

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use crate::World;
use crate::cpio;
use crate::isolation::{INSIDE, fail, inside};
use crate::peers::require;
use crate::toolchain::target_directory;
use crate::tracefs;

/// How long a boot and a test may take. The emulator shares the processors with everything else.
const LIMIT: Duration = Duration::from_secs(480);
/// Memory of the machine in MiB; its files live there too.
const MEMORY_MIB: u32 = 1024;

/// The first process: makes the real root usable and goes there.
const INIT: &str = r#"#!/busybox sh
b=/busybox
for module in /modules/*.ko; do $b insmod $module; done
options=trans=virtio,version=9p2000.L,msize=512000
$b mount -t 9p -o $options,cache=loose,ro host /root
$b mount -t 9p -o $options exchange /exchange
$b mount -t devtmpfs dev /root/dev
$b mkdir -p /root/dev/shm /root/dev/pts
$b mount -t devpts pts /root/dev/pts
$b mount -t proc proc /root/proc
$b mount -t sysfs sys /root/sys
$b mount -t tracefs trace /root/sys/kernel/tracing
$b mount -t tmpfs -o mode=755 run /root/run
$b mount -t tmpfs -o mode=1777 shm /root/dev/shm
$b mkdir -p /root/run/exchange /root/run/tmp /root/run/lttng
$b mount --move /exchange /root/run/exchange
exec $b switch_root /root /bin/sh /run/exchange/script
"#;

/// What it then does. The input of the test stays open until it ends.
const SCRIPT: &str = r#"
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TMPDIR=/run/tmp HOME=/run/tmp
ip link set lo up
hostname target
mkfifo /run/tmp/input
"$@" <>/run/tmp/input >/run/exchange/output 2>&1
echo $? >/run/exchange/status
sync
echo o >/proc/sysrq-trigger
while :; do sleep 1; done
"#;

/// Runs `body` in a [`World`] on the distribution's kernel; panics with the test's output and all logs if it
/// fails. `name` is [`here!()`](crate::here).
pub fn booted(name: &str, body: impl FnOnce(&mut World) -> Result<()>) {
    if std::env::var_os(INSIDE).is_some() {
        inside(body);
    } else if let Err(error) = boot(name) {
        fail(&error);
    }
}

fn boot(name: &str) -> Result<()> {
    let exchange = Exchange::new()?;
    exchange.write("script", script(name)?.as_bytes())?;
    exchange.write("initramfs", &initramfs()?)?;
    let mut machine = Machine(emulator(&exchange)?.spawn().context("start the emulator")?);
    let ended = machine.wait(LIMIT)?;
    let text = exchange.read("output");
    let status = exchange.read("status");
    match status.trim() {
        "0" if text.contains("1 passed") => Ok(()),
        "" => Err(anyhow!(
            "{name}: {}\n{text}\n---- console of the machine:\n{}",
            match ended {
                true => "the machine ended before the test",
                false => "not finished in time",
            },
            exchange.read("console")
        )),
        status => Err(anyhow!("{name}: exit status {status}\n{text}")),
    }
}

/// What the machine runs: this executable, with this test.
fn script(name: &str) -> Result<String> {
    let program = std::env::current_exe()?;
    let program = program
        .to_str()
        .filter(|path| !path.contains('\''))
        .with_context(|| format!("{} has a name that a shell misreads", program.display()))?;
    let identity = tracefs::new_identity();
    let mut settings = format!(
        "export {INSIDE}=1 {}={identity} RUST_BACKTRACE=0\n",
        tracefs::IDENTITY
    );
    if let Some(directory) = std::env::var_os("LTTNG_RS_BIN_DIR") {
        settings += &format!(
            "export LTTNG_RS_BIN_DIR='{}'\n",
            Path::new(&directory).display()
        );
    }
    Ok(format!(
        "{settings}set -- '{program}' --exact {name} --nocapture --test-threads=1 --include-ignored\n{SCRIPT}"
    ))
}

fn emulator(exchange: &Exchange) -> Result<Command> {
    let path = exchange.path.display();
    let mut command = Command::new(require("qemu-system-x86_64")?);
    command
        .args([
            "-accel",
            "tcg,thread=multi",
            "-machine",
            "q35",
            "-cpu",
            "max",
        ])
        .args(["-smp", "2", "-m", &MEMORY_MIB.to_string()])
        .args(["-nodefaults", "-no-user-config", "-no-reboot"])
        .args(["-display", "none"])
        .arg("-kernel")
        .arg(kernel_directory()?.join("vmlinuz"))
        .arg("-initrd")
        .arg(exchange.path.join("initramfs"))
        .args(["-append", "console=ttyS0 panic=-1 quiet"])
        .args(["-serial", &format!("file:{path}/console")])
        .args([
            "-virtfs",
            "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap",
        ])
        .args([
            "-virtfs",
            &format!("local,path={path},mount_tag=exchange,security_model=none"),
        ])
        .stdin(Stdio::null());
    Ok(command)
}

/// A file system with what finds the real one.
fn initramfs() -> Result<Vec<u8>> {
    let mut archive = cpio::Archive::default();
    for directory in ["root", "exchange", "modules", "dev"] {
        archive.directory(directory);
    }
    archive.file("init", 0o755, INIT.as_bytes());
    let busybox = require("busybox")?;
    archive.file("busybox", 0o755, &fs::read(&busybox)?);
    for entry in fs::read_dir(kernel_directory()?.join("modules"))? {
        let entry = entry?;
        let name = format!("modules/{}", entry.file_name().to_string_lossy());
        archive.file(&name, 0o644, &fs::read(entry.path())?);
    }
    Ok(archive.finish())
}

fn kernel_directory() -> Result<PathBuf> {
    let target = target_directory()?;
    let directory = target.parent().unwrap_or(&target).join("guest-kernel");
    ensure!(
        directory.join("vmlinuz").is_file(),
        "there is no kernel in {}; get it with .ci/guest-kernel, or run ./check",
        directory.display()
    );
    Ok(directory)
}

/// Killed when it is let go.
struct Machine(Child);

impl Machine {
    /// Whether it ended in time.
    fn wait(&mut self, limit: Duration) -> Result<bool> {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if self.0.try_wait()?.is_some() {
                return Ok(true);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(false)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A directory that both sides write in; removed when it is let go.
struct Exchange {
    path: PathBuf,
}

impl Exchange {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("lttng-rs-guest-{}", std::process::id()));
        ensure!(
            !path.to_string_lossy().contains(','),
            "{}: the emulator takes no commas in paths",
            path.display()
        );
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("create {}", path.display()))?;
        Ok(Self { path })
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        Ok(File::create(self.path.join(name))?.write_all(bytes)?)
    }

    /// Nothing, if it is not there.
    fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.path.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
