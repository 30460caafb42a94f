//! What a service manager gives and is told. No systemd is needed for it: the sockets and variables are
//! what it would set.

mod own_relay;

use std::fs;
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, Receiver};

use anyhow::{Context, Result, ensure};
use own_relay::OwnRelay;
use system_tests::{DEADLINE, here, isolated, run};

/// What is said there. A service manager reads at once: few messages fit into the socket.
fn listen(socket: UnixDatagram) -> Receiver<String> {
    let (sender, messages) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(len) = socket.recv(&mut bytes) {
            let message = String::from_utf8_lossy(&bytes[..len]).into_owned();
            if sender.send(message).is_err() {
                break;
            }
        }
    });
    messages
}

#[test]
fn ready_alive_stopping() {
    isolated(here!(), |w| {
        let path = w.path("notify");
        let messages = listen(UnixDatagram::bind(&path)?);
        let next = || messages.recv_timeout(DEADLINE).context("nothing is said");
        let variables = [
            ("NOTIFY_SOCKET", path.to_str().context("no UTF-8")?),
            ("WATCHDOG_USEC", "100000"),
        ];
        let mut relay = OwnRelay::start(w, "a", &[], &variables)?;
        let ready = next()?;
        ensure!(
            ready.contains("READY=1") && ready.contains("STATUS=traces go to"),
            "{ready}"
        );
        for _ in 0..3 {
            let alive = next()?;
            ensure!(alive.contains("WATCHDOG=1"), "{alive}");
        }
        relay.stop()?;
        let mut last = next()?;
        while last.contains("WATCHDOG=1") {
            last = next()?;
        }
        ensure!(last.contains("STOPPING=1"), "{last}");
        Ok(())
    });
}

/// Opens the sockets in the order given, hands them over, and becomes the program.
const HAND_OVER: &str = r#"
import os, socket, sys
names, program = sys.argv[1], sys.argv[2:]
open_sockets = []
for position, port in enumerate(os.environ["PORTS"].split(":")):
    s = socket.create_server(("127.0.0.1", int(port)))
    open_sockets.append(s)
for position, s in enumerate(open_sockets):
    os.dup2(s.fileno(), 100 + position)
for position, s in enumerate(open_sockets):
    os.dup2(100 + position, 3 + position)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(len(open_sockets))
if names:
    os.environ["LISTEN_FDNAMES"] = names
os.execv(program[0], program)
"#;

fn handed_over(directory: &Path, names: &str, ports: &str) -> Result<String> {
    let port_file = directory.join("ports");
    let _ = fs::remove_file(&port_file);
    let mut daemon = Command::new("/usr/bin/python3")
        .args(["-c", HAND_OVER, names, env!("CARGO_BIN_EXE_lttng-relayd")])
        // Taken, so that nothing else than the sockets can have been used.
        .args(["-C", "tcp://127.0.0.1:1", "-D", "tcp://127.0.0.1:1"])
        .arg("--port-file")
        .arg(&port_file)
        .arg("--output")
        .arg(directory.join("out"))
        .env("PORTS", ports)
        .spawn()?;
    let found = system_tests::eventually("the ports", || {
        ensure!(daemon.try_wait()?.is_none(), "it ended");
        Ok(fs::read_to_string(&port_file).ok())
    });
    for port in ports.split(':').take(2) {
        TcpStream::connect(("127.0.0.1", port.parse()?))?;
    }
    daemon.kill()?;
    daemon.wait()?;
    found
}

#[test]
fn sockets_are_taken_over_by_name_and_by_order() {
    isolated(here!(), |w| {
        let directory = w.path("d");
        fs::create_dir(&directory)?;
        let by_order = handed_over(&directory, "", "7001:7002")?;
        ensure!(by_order.contains("control=7001\ndata=7002\n"), "{by_order}");
        let by_name = handed_over(&directory, "data:control", "7003:7004")?;
        ensure!(by_name.contains("control=7004\ndata=7003\n"), "{by_name}");
        Ok(())
    });
}

#[test]
fn what_is_no_listening_socket_is_refused() {
    isolated(here!(), |w| {
        let script = r#"LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" -o /run/out 3</dev/null"#;
        let mut command = Command::new("bash");
        command.args(["-c", script, env!("CARGO_BIN_EXE_lttng-relayd")]);
        run(command.env("HOME", w.home()))?
            .code(1)?
            .says("for control: it is no socket")?;
        Ok(())
    });
}

fn units() -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/systemd");
    let mut units: Vec<_> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().to_string_lossy().into_owned())
        .collect();
    units.sort();
    units
}

/// Where systemd is installed, it checks the unit files.
#[test]
fn unit_files_are_sound() {
    isolated(here!(), |w| {
        let units = units();
        ensure!(units.len() >= 3, "{units:?}");
        for unit in &units {
            let text = fs::read_to_string(unit)?;
            ensure!(text.contains("[Unit]"), "{unit}");
        }
        // It looks for the programs where the unit says it is.
        let directory = w.path("units");
        fs::create_dir(&directory)?;
        let programs = Path::new(env!("CARGO_BIN_EXE_lttng-relayd"));
        let programs = programs.parent().context("no directory")?;
        let mut copies = Vec::new();
        for unit in &units {
            let copy = directory.join(Path::new(unit).file_name().context("no name")?);
            let text = fs::read_to_string(unit)?;
            let text = text.replace("/usr/bin", &programs.display().to_string());
            fs::write(&copy, text)?;
            copies.push(copy);
        }
        let output = run(Command::new("systemd-analyze")
            .arg("verify")
            .arg("--man=no")
            .args(copies))
        .context("systemd-analyze cannot be run; get it with `apt-get install systemd`")?;
        let told: Vec<_> = output
            .stderr
            .lines()
            .filter(|line| line.contains("lttng"))
            .collect();
        ensure!(told.is_empty(), "{told:?}");
        Ok(())
    });
}
