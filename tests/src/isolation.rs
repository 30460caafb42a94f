//! Runs a test body in namespaces of its own.
//!
//! The test executable runs itself again, for this one test, under `unshare`. The outer process only
//! waits, passes the output on if the test failed, and enforces a time limit. The inner one exits when
//! the outer one is gone (its standard input ends), and with it the whole pid namespace.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use crate::World;
use crate::guest::booted;
use crate::peers::require;
use crate::tracefs;
use crate::world::beginning;

/// Says to a test executable that it is in a place of its own.
pub(crate) const INSIDE: &str = "LTTNG_RS_TEST_INSIDE";

/// Sends all tests to the other kernel.
const ON_GUEST: &str = "LTTNG_RS_ON_GUEST_KERNEL";

/// Runs as process 1 of the namespace and reaps what the daemons leave behind. Where there is debugfs, there is
/// another way to tracefs, which would be taken where tracefs is not mounted at its own place.
const INIT: &str = r#"set -e
ip link set lo up
umount --lazy /sys/kernel/debug 2>/dev/null || true
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
hostname target
set +e
"$@"
exit $?
"#;

/// The name of the calling test as the test runner knows it.
#[macro_export]
macro_rules! here {
    () => {{
        fn f() {}
        $crate::test_path(std::any::type_name_of_val(&f))
    }};
}

/// `crate::module::test::f` to `module::test`: what [`here!`] needs.
pub fn test_path(function: &'static str) -> &'static str {
    let inner = function.strip_suffix("::f").unwrap_or(function);
    inner.split_once("::").map_or(inner, |(_, path)| path)
}

/// Runs `body` in a private [`World`]; panics with the test's output and all logs if it fails.
/// `name` is [`here!()`](here). The limit is five minutes.
pub fn isolated(name: &str, body: impl FnOnce(&mut World) -> Result<()>) {
    isolated_for(Duration::from_secs(300), name, body);
}

/// [`isolated`] with another time limit.
pub fn isolated_for(limit: Duration, name: &str, body: impl FnOnce(&mut World) -> Result<()>) {
    if std::env::var_os(INSIDE).is_none() && std::env::var_os(ON_GUEST).is_some() {
        booted(name, body);
    } else if std::env::var_os(INSIDE).is_some() {
        inside(body);
    } else if let Err(error) = outside(limit, name) {
        fail(&error);
    }
}

/// Fails the calling test, and says no more than why: where in here that is hides it.
pub(crate) fn fail(error: &anyhow::Error) -> ! {
    eprintln!("{error:#}");
    resume_unwind(Box::new("the test failed"))
}

/// Runs the body and exits with a status that tells how it went.
pub(crate) fn inside(body: impl FnOnce(&mut World) -> Result<()>) {
    thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
    let mut world = World::new().expect("a private world");
    let result = catch_unwind(AssertUnwindSafe(|| body(&mut world)))
        .unwrap_or_else(|_| Err(anyhow!("the test panicked (see above)")))
        .and_then(|()| world.finish());
    if let Err(error) = result {
        let error = format!("{error:?}");
        // Once more at the end: of a long output somebody may see no more than that.
        eprintln!(
            "FAILED: {error}\n{}FAILED: {}",
            world.post_mortem(),
            beginning(&error)
        );
        std::process::exit(1);
    }
}

fn outside(limit: Duration, name: &str) -> Result<()> {
    let identity = tracefs::new_identity();
    let result = outside_as(&identity, limit, name);
    if result.is_err() {
        // Not in the namespace: that may be gone, and this is for the whole machine.
        tracefs::clean_up(&identity);
    }
    result
}

fn outside_as(identity: &str, limit: Duration, name: &str) -> Result<()> {
    // Here, and not inside, so that the files belong to the user who runs the tests.
    crate::app::built()?;
    let mut child = private_self()?
        .args([
            "--exact",
            name,
            "--nocapture",
            "--test-threads=1",
            "--include-ignored",
        ])
        .env("RUST_BACKTRACE", "0")
        .env(tracefs::IDENTITY, identity)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("start unshare")?;
    let output = collect(child.stdout.take(), child.stderr.take());
    let end = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if Instant::now() >= end {
            // The namespace goes down with it: by --kill-child, and by the end of its input.
            drop(child.stdin.take());
            child.kill()?;
            child.wait()?;
            break None;
        }
        thread::sleep(Duration::from_millis(10));
    };
    let text = output
        .recv_timeout(Duration::from_secs(10))
        .unwrap_or_default();
    match status {
        Some(status) if status.success() && text.contains("1 passed") => Ok(()),
        Some(status) => Err(anyhow!("{name}: {status}\n{text}")),
        None => Err(anyhow!("{text}\n{name}: not finished after {limit:?}")),
    }
}

/// This executable, to be run in namespaces of its own.
fn private_self() -> Result<Command> {
    for program in ["unshare", "ip", "mount", "hostname"] {
        require(program)?;
    }
    let mut command = if rustix::process::geteuid().is_root() {
        Command::new("env")
    } else {
        // The stock session daemon needs more than one user id: a user namespace is not enough.
        require("sudo").context("the whole-system tests need root")?;
        let mut command = Command::new("sudo");
        command.args([
            "--non-interactive",
            "--preserve-env=PATH,LTTNG_RS_BIN_DIR,LTTNG_RS_KERNEL_IDENTITY",
            "env",
        ]);
        command
    };
    command.arg(format!("{INSIDE}=1")).arg("unshare");
    command
        .args([
            "--mount",
            "--net",
            "--pid",
            "--uts",
            "--fork",
            "--mount-proc",
            "--kill-child",
        ])
        .args(["sh", "-c", INIT, "sh"])
        .arg(std::env::current_exe()?);
    Ok(command)
}

/// For programs that are no tests: runs the program again with the same arguments in namespaces of its own
/// and gives its exit status; `None` when this is that run.
pub fn enclose() -> Result<Option<std::process::ExitStatus>> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(None);
    }
    let identity = tracefs::new_identity();
    let mut program = private_self()?;
    program
        .args(std::env::args_os().skip(1))
        .env(tracefs::IDENTITY, &identity);
    let status = program.status();
    tracefs::clean_up(&identity);
    Ok(Some(status?))
}

/// Reads both pipes to their ends, in the order the lines come.
fn collect(
    stdout: Option<impl Read + Send + 'static>,
    stderr: Option<impl Read + Send + 'static>,
) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let stderr = thread::spawn(move || read_all(stderr));
        let mut text = read_all(stdout);
        text.push_str(&stderr.join().unwrap_or_default());
        let _ = sender.send(text);
    });
    receiver
}

fn read_all(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        let _ = pipe.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
