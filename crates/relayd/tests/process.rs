//! The daemon as a process: background, files, signals, exit codes.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use system_tests::{Output, Signal, eventually, here, isolated, process_state, run, signal};

fn relayd(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lttng-relayd"));
    command
        .args(["-C", "tcp://127.0.0.1:0", "-D", "tcp://127.0.0.1:0"])
        .args(args);
    command
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn ports(path: &Path) -> Result<Vec<(String, u16)>> {
    let line = |line: &str| -> Result<(String, u16)> {
        let (name, port) = line.split_once('=').context("no =")?;
        Ok((name.to_owned(), port.parse()?))
    };
    fs::read_to_string(path)?.lines().map(line).collect()
}

/// In the background until a signal: ready when the parent returns, files there, and gone after.
fn background(option: &str, stop: Signal) {
    isolated(here_of(option), |w| {
        let [pid_file, port_file, output] =
            ["relayd.pid", "relayd.ports", "out"].map(|name| w.path(name));
        // In files: `--background` keeps them, and a pipe would not end.
        let said = w.path("said");
        let status = relayd(&[option, "-o", &text(&output)])
            .arg("--pid-file")
            .arg(&pid_file)
            .arg("--port-file")
            .arg(&port_file)
            .stdout(fs::File::create(&said)?)
            .status()?;
        ensure!(status.success(), "{status}");
        let said = fs::read_to_string(said)?;
        let ports = ports(&port_file)?;
        ensure!(
            ports
                .iter()
                .map(|(name, _)| name.as_str())
                .eq(["control", "data"])
        );
        for (name, port) in &ports {
            TcpStream::connect(("127.0.0.1", *port)).context("ready when the parent returns")?;
            let line = format!("lttng-relayd: {name} port {port}");
            ensure!(said.contains(&line), "{said}");
        }
        let pid: u32 = fs::read_to_string(&pid_file)?.trim().parse()?;
        ensure!(fs::read_link(format!("/proc/{pid}/cwd"))? == Path::new("/"));
        let null = fs::read_link(format!("/proc/{pid}/fd/1"))? == Path::new("/dev/null");
        ensure!(null == (option == "--daemonize"), "standard output");
        signal(pid, stop)?;
        eventually("it ends", || {
            Ok(matches!(process_state(pid), None | Some('Z')).then_some(()))
        })?;
        ensure!(!pid_file.exists(), "the pid file stays");
        Ok(())
    });
}

fn here_of(option: &str) -> &'static str {
    match option {
        "--daemonize" => "daemonize",
        _ => "background_keeps_its_streams",
    }
}

#[test]
fn daemonize() {
    background("--daemonize", Signal::TERM);
}

#[test]
fn background_keeps_its_streams() {
    background("--background", Signal::INT);
}

#[test]
fn ipv6() {
    isolated(here!(), |w| {
        let port_file = w.path("relayd.ports");
        let mut command = Command::new(env!("CARGO_BIN_EXE_lttng-relayd"));
        let status = command
            .args([
                "-d",
                "-C",
                "tcp6://[::1]:0",
                "-D",
                "tcp6://[::]:0",
                "-o",
                "/run/out",
            ])
            .arg("--port-file")
            .arg(&port_file)
            .status()?;
        ensure!(status.success(), "{status}");
        for (_, port) in ports(&port_file)? {
            TcpStream::connect(("::1", port))?;
        }
        Ok(())
    });
}

fn port_in_use(options: &[&str]) -> Result<Output> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("--control-port=tcp://{}", taken.local_addr()?);
    let mut command = Command::new(env!("CARGO_BIN_EXE_lttng-relayd"));
    let address = taken.local_addr()?.to_string();
    let output = run(command.arg(url).args(options).args(["-o", "/run/out"]))?;
    output
        .code(1)?
        .says(&address)?
        .says("Address already in use")
}

#[test]
fn a_port_in_use_is_told_and_exit_1() {
    isolated(here!(), |_| {
        for options in [&[][..], &["-b"], &["-d"]] {
            port_in_use(options).with_context(|| format!("{options:?}"))?;
        }
        Ok(())
    });
}

#[test]
fn bad_arguments_are_told_and_exit_1() {
    isolated(here!(), |w| {
        for (args, says) in [
            (&["-o", "relative"][..], "absolute"),
            (&["-C", "udp://1.2.3.4:5"], "udp"),
            (&["-D", "tcp://127.0.0.1:99999"], "99999"),
            (
                &["-C", "tcp://no.such.host.invalid:0"],
                "no.such.host.invalid",
            ),
            (&["-s", "-p"], "group-output-by"),
            (&["-w", "/nonexistent"], "/nonexistent"),
            (&["--fd-pool-size=1"], "fd-pool-size"),
            (&["--pid-file=/nonexistent/pid"], "/nonexistent/pid"),
            (&["--nonsense"], "--nonsense"),
        ] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_lttng-relayd"));
            let output = run(command
                .args(["-D", "tcp://127.0.0.1:0"])
                .args(args)
                .env("HOME", w.home()))?;
            output
                .code(1)?
                .says(says)
                .with_context(|| format!("{args:?}"))?;
        }
        Ok(())
    });
}

#[test]
fn version_and_help() {
    isolated(here!(), |_| {
        run(&mut relayd(&["--version"]))?
            .ok()?
            .shows(env!("CARGO_PKG_VERSION"))?;
        run(&mut relayd(&["--help"]))?
            .ok()?
            .shows("Live viewers are not served yet")?;
        Ok(())
    });
}
