//! The run directory: lock, pid file, sockets and the memory that applications wait on.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, bail};
use ring_buffer::{WAIT_MEMORY_BYTES, WaitWord};
use rustix::fs::{
    FlockOperation, Gid, Mode, OFlags, Uid, chown, fchmod, fchown, fcntl_lock, ftruncate, open,
};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};

use crate::host::random_text;
use crate::lock::lock as lock_mutex;
use crate::options::Options;

/// Connections that may wait to be accepted: many applications start at once.
const BACKLOG: i32 = 4096;
/// Enough to differ from all others on the machine.
const IDENTITY_DIGITS: usize = 12;
/// Gives the identity, where the run directory does not last.
const IDENTITY_VARIABLE: &str = "LTTNG_RS_KERNEL_IDENTITY";

/// Paths of everything in the run directory.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    directory: PathBuf,
    /// Socket of the control API.
    pub control: PathBuf,
    apps: PathBuf,
    health: PathBuf,
    pidfile: PathBuf,
    wait_memory: PathBuf,
}

impl Paths {
    /// From the options and the environment.
    pub(crate) fn new(options: &Options) -> anyhow::Result<Self> {
        let directory = options.rundir.clone().or_else(places::run_directory);
        let directory = directory.context(
            "no run directory: neither HOME nor LTTNG_HOME is set; set one or give --rundir",
        )?;
        let or = |given: &Option<PathBuf>, name: &str| {
            given.clone().unwrap_or_else(|| directory.join(name))
        };
        let uid = rustix::process::getuid();
        let suffix = ust::SOCKET_SUFFIX;
        let wait_memory = if uid.is_root() {
            format!("/dev/shm/lttng-ust-wait-{suffix}")
        } else {
            format!("/dev/shm/lttng-ust-wait-{suffix}-{}", uid.as_raw())
        };
        Ok(Self {
            control: or(&options.client_sock, control::CONTROL_SOCKET),
            apps: or(&options.apps_sock, &format!("lttng-ust-sock-{suffix}")),
            health: directory.join(control::HEALTH_SOCKET),
            pidfile: or(&options.pidfile, "lttng-sessiond.pid"),
            wait_memory: wait_memory.into(),
            directory,
        })
    }
}

/// What the daemon holds in the run directory; removed when dropped.
#[derive(Debug)]
pub(crate) struct RunDirectory {
    paths: Paths,
    wait_word: WaitWord,
    tracing_gid: Option<u32>,
    /// Locked as long as it is open.
    _lock: File,
}

/// The sockets, bound and listening.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// Of the control API.
    pub control: UnixListener,
    /// On which applications register.
    pub apps: UnixListener,
    /// That answers whether the daemon is well.
    pub health: UnixListener,
}

impl RunDirectory {
    /// Takes the run directory; fails if another daemon has it.
    pub(crate) fn take(
        paths: Paths,
        tracing_gid: Option<u32>,
    ) -> anyhow::Result<(Self, Listeners)> {
        create_directory(&paths.directory, 0o755, tracing_gid)?;
        let lock = lock(&paths.directory.join("lttng-sessiond.lck"))?;
        let control = bind_for_group(&paths.control, tracing_gid)?;
        let health = bind_for_group(&paths.health, tracing_gid)?;
        let apps = bind_socket(&paths.apps, 0o666)?;
        let wait_word = wait_word(&paths.wait_memory)?;
        fs::write(&paths.pidfile, format!("{}\n", std::process::id()))
            .with_context(|| format!("cannot write {}", paths.pidfile.display()))?;
        let listeners = Listeners {
            control,
            apps,
            health,
        };
        Ok((
            Self {
                paths,
                wait_word,
                tracing_gid,
                _lock: lock,
            },
            listeners,
        ))
    }

    /// The socket of the control API.
    pub(crate) fn control_socket(&self) -> &Path {
        &self.paths.control
    }

    /// What this run directory is called in the names of things outside of it, such as instances in tracefs:
    /// the same for every daemon that uses the directory.
    pub(crate) fn kernel_identity(&self) -> anyhow::Result<String> {
        if let Ok(identity) = std::env::var(IDENTITY_VARIABLE) {
            return Ok(identity);
        }
        let path = self.paths.directory.join("kernel-identity");
        match fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
            _ => {
                let identity = random_text(IDENTITY_DIGITS)?;
                fs::write(&path, format!("{identity}\n"))
                    .with_context(|| format!("cannot write {}", path.display()))?;
                Ok(identity)
            }
        }
    }

    /// Where the sockets of consumer daemons are.
    pub(crate) fn consumer_directories(&self) -> ConsumerDirectories {
        ConsumerDirectories {
            run_directory: self.paths.directory.clone(),
            tracing_gid: self.tracing_gid,
            made: Mutex::default(),
        }
    }

    /// Wakes the applications that wait for a daemon.
    pub(crate) fn announce(&self) -> anyhow::Result<()> {
        self.wait_word
            .announce(1)
            .context("cannot wake waiting applications")
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        // Nothing can be done about failures here, and the next daemon copes with leftovers.
        let _ = self.wait_word.announce(0);
        let paths = &self.paths;
        for path in [&paths.control, &paths.apps, &paths.health, &paths.pidfile] {
            let _ = fs::remove_file(path);
        }
    }
}

/// Directories of consumer daemons below the run directory, with one socket each; removed when dropped.
#[derive(Debug)]
pub(crate) struct ConsumerDirectories {
    run_directory: PathBuf,
    tracing_gid: Option<u32>,
    made: Mutex<Vec<PathBuf>>,
}

impl ConsumerDirectories {
    /// Makes the directory of that name, and listens there.
    pub(crate) fn listen(&self, name: &str) -> anyhow::Result<UnixListener> {
        let directory = self.run_directory.join(name);
        create_directory(&directory, 0o750, self.tracing_gid)?;
        let socket = directory.join(control::CONSUMER_HEALTH);
        let listener = bind_for_group(&socket, self.tracing_gid)?;
        lock_mutex(&self.made).push(socket);
        Ok(listener)
    }
}

impl Drop for ConsumerDirectories {
    fn drop(&mut self) {
        for socket in lock_mutex(&self.made).drain(..) {
            // The next daemon copes with leftovers.
            let _ = fs::remove_file(&socket);
            let _ = socket.parent().map(fs::remove_dir);
        }
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn create_directory(path: &Path, mode: u32, tracing_gid: Option<u32>) -> anyhow::Result<()> {
    let mode = if is_root() { mode } else { 0o700 };
    let existed = path.is_dir();
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .with_context(|| format!("cannot create the run directory {}", path.display()))?;
    match tracing_gid {
        Some(gid) if is_root() && !existed => give_to_group(path, gid),
        _ => Ok(()),
    }
}

fn give_to_group(path: &Path, gid: u32) -> anyhow::Result<()> {
    chown(path, None, Some(Gid::from_raw(gid)))
        .with_context(|| format!("cannot give {} to group {gid}", path.display()))
}

/// A lock of the same kind as upstream's: neither daemon starts beside the other.
fn lock(path: &Path) -> anyhow::Result<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o640)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => bail!(
            "A session daemon is already running: it holds {}.",
            path.display()
        ),
        Err(errno) => Err(errno).with_context(|| format!("cannot lock {}", path.display())),
    }
}

/// A socket of the daemon's user and of the tracing group.
fn bind_for_group(path: &Path, tracing_gid: Option<u32>) -> anyhow::Result<UnixListener> {
    let listener = bind_socket(path, 0o660)?;
    if let Some(gid) = tracing_gid.filter(|_| is_root()) {
        give_to_group(path, gid)?;
    }
    Ok(listener)
}

/// Binds a socket in place of a dead one. The lock is ours, so a live one belongs to another program, for
/// instance a stock session daemon.
fn bind_socket(path: &Path, mode: u32) -> anyhow::Result<UnixListener> {
    let what = || format!("cannot listen on {}", path.display());
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        bail!(
            "A session daemon is already running: it answers on {}.",
            path.display()
        );
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(what);
        }
        _ => {}
    }
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    bind(&socket, &SocketAddrUnix::new(path).with_context(what)?).with_context(what)?;
    fs::set_permissions(path, Permissions::from_mode(mode)).with_context(what)?;
    listen(&socket, BACKLOG).with_context(what)?;
    Ok(UnixListener::from(socket))
}

fn wait_word(path: &Path) -> anyhow::Result<WaitWord> {
    let what = || format!("cannot use {}", path.display());
    let file = open_wait_memory(path).with_context(what)?;
    if is_root() {
        // An application may have created it first.
        fchown(&file, Some(Uid::ROOT), Some(Gid::ROOT)).with_context(what)?;
        fchmod(&file, Mode::from_raw_mode(0o664)).with_context(what)?;
    } else {
        fchmod(&file, Mode::from_raw_mode(0o660)).with_context(what)?;
    }
    ftruncate(&file, WAIT_MEMORY_BYTES).with_context(what)?;
    WaitWord::map(&file).with_context(what)
}

fn open_wait_memory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mode = Mode::from_raw_mode(0o660);
    match open(path, flags | OFlags::CREATE, mode) {
        // `fs.protected_regular`: a file of another user in a sticky directory must not be created again.
        Err(rustix::io::Errno::ACCESS) => Ok(open(path, flags, mode)?),
        result => Ok(result?),
    }
}
