//! The daemon as a process: background, files, signals, exit codes.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use system_tests::{Output, Signal, World, eventually, here, isolated, process_state, run, signal};

fn relayd(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lttng-relayd"));
    command
        .args(["-C", "tcp://127.0.0.1:0", "-D", "tcp://127.0.0.1:0"])
        .args(["-L", "tcp://127.0.0.1:0"])
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
                .eq(["control", "data", "live"])
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
                "-L",
                "tcp6://[::1]:0",
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
    let output = output.code(1)?.says(&address)?;
    ensure!(
        output.stderr.matches("Address already in use").count() == 1,
        "{output}"
    );
    Ok(output)
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

/// What a daemon with these options says until it is ready, without `-v` or with it.
fn said_until_ready(w: &World, args: &[&str]) -> Result<String> {
    let [pid_file, said] = ["relayd.pid", "said"].map(|name| w.path(name));
    let status = relayd(&["-b", "-o", &text(&w.path("out"))])
        .args(args)
        .arg("--pid-file")
        .arg(&pid_file)
        .stderr(fs::File::create(&said)?)
        .status()?;
    ensure!(status.success(), "{status}");
    let pid: u32 = fs::read_to_string(&pid_file)?.trim().parse()?;
    signal(pid, Signal::TERM)?;
    eventually("it ends", || Ok((!pid_file.exists()).then_some(())))?;
    Ok(fs::read_to_string(said)?)
}

#[test]
fn messages_in_a_file_are_plain_text() {
    isolated(here!(), |w| {
        let said = said_until_ready(w, &["-v"])?;
        ensure!(
            said.contains("confinement=") && !said.contains('\x1b'),
            "{said:?}"
        );
        Ok(())
    });
}

#[test]
fn a_group_that_is_not_there_is_told() {
    isolated(here!(), |w| {
        let said = said_until_ready(w, &["--group=nobody-has-this"])?;
        ensure!(said.contains("no group `nobody-has-this`"), "{said}");
        ensure!(said_until_ready(w, &["--group=daemon"])?.is_empty());
        Ok(())
    });
}

/// As with stock, it stays where it was told to be; `--background` is stronger than `--daemonize`; long options
/// may be abbreviated.
#[test]
fn a_daemon_in_the_background_works_in_its_directory() {
    isolated(here!(), |w| {
        let pid_file = w.path("relayd.pid");
        let directory = w.path("here");
        fs::create_dir(&directory)?;
        let status = relayd(&["-d", "-b", "-w", &text(&directory)])
            .args(["--out", &text(&w.path("out")), "--pid", &text(&pid_file)])
            .stdout(fs::File::create(w.path("said"))?)
            .status()?;
        ensure!(status.success(), "{status}");
        let pid: u32 = fs::read_to_string(&pid_file)?.trim().parse()?;
        ensure!(fs::read_link(format!("/proc/{pid}/cwd"))? == directory);
        ensure!(fs::read_link(format!("/proc/{pid}/fd/1"))? == w.path("said"));
        signal(pid, Signal::TERM)?;
        eventually("it ends", || Ok((!pid_file.exists()).then_some(())))
    });
}

#[test]
fn hanging_up_ends_it_in_order() {
    isolated(here!(), |w| {
        let pid_file = w.path("relayd.pid");
        // Whoever runs the tests may ignore the signal.
        let mut command = Command::new("env");
        command
            .arg("--default-signal=HUP")
            .arg(env!("CARGO_BIN_EXE_lttng-relayd"));
        let mut daemon = command
            .args([
                "-C",
                "tcp://127.0.0.1:0",
                "-D",
                "tcp://127.0.0.1:0",
                "-L",
                "tcp://127.0.0.1:0",
            ])
            .args(["-o", &text(&w.path("out")), "--pid-file", &text(&pid_file)])
            .args(["--port-file", &text(&w.path("relayd.ports"))])
            .spawn()?;
        eventually("it is ready", || Ok(ports(&w.path("relayd.ports")).ok()))?;
        signal(daemon.id(), Signal::HUP)?;
        let status = daemon.wait()?;
        ensure!(status.success() && !pid_file.exists(), "{status}");
        Ok(())
    });
}

/// What a daemon with these options and variables listens on: control, data. It is stopped again.
fn ports_of(w: &World, args: &[&str], variables: &[(&str, &str)]) -> Result<Vec<u16>> {
    let port_file = w.path("relayd.ports");
    let pid_file = w.path("relayd.pid");
    let mut command = Command::new(env!("CARGO_BIN_EXE_lttng-relayd"));
    command
        .args(["-d", "--port-file", &text(&port_file)])
        .args(["--pid-file", &text(&pid_file)])
        .args(args)
        .env("LTTNG_HOME", w.home())
        .envs(variables.iter().copied());
    let status = command.status()?;
    ensure!(status.success(), "{status}");
    let pid: u32 = fs::read_to_string(&pid_file)?.trim().parse()?;
    let found = ports(&port_file)?;
    signal(pid, Signal::TERM)?;
    eventually("it ends", || Ok((!pid_file.exists()).then_some(())))?;
    Ok(found.into_iter().take(2).map(|(_, port)| port).collect())
}

/// Puts a copy over `/etc` of this test, and a configuration file for all users into it.
fn system_file(w: &World, content: &str) -> Result<()> {
    let etc = text(&w.path("etc"));
    run(Command::new("cp").args(["-a", "/etc", &etc]))?.ok()?;
    run(Command::new("mount").args(["--bind", &etc, "/etc"]))?.ok()?;
    fs::create_dir_all("/etc/lttng")?;
    fs::write("/etc/lttng/lttng.conf", content)?;
    Ok(())
}

#[test]
fn the_command_line_is_stronger_than_the_environment_than_files() {
    isolated(here!(), |w| {
        let url = |port: u16| format!("tcp://127.0.0.1:{port}");
        system_file(
            w,
            &format!(
                "[sessiond]\nwhat-ever=1\n[relayd]\ncontrol-port={}\ndata-port={}\noutput=/run/a\n",
                url(1001),
                url(2001)
            ),
        )?;
        ensure!(ports_of(w, &[], &[])? == [1001, 2001]);
        fs::create_dir_all(w.home().join(".lttng"))?;
        let user_file = w.home().join(".lttng/lttng.conf");
        fs::write(&user_file, format!("[relayd]\ndata-port={}\n", url(2002)))?;
        ensure!(ports_of(w, &[], &[])? == [1001, 2002]);
        let third = w.path("third.conf");
        fs::write(&third, format!("[relayd]\ndata-port={}\n", url(2003)))?;
        let config = format!("--config={}", third.display());
        ensure!(ports_of(w, &[&config], &[])? == [1001, 2003]);
        let variable = url(2004);
        let variables = [("LTTNG_RELAYD_DATA_PORT", variable.as_str())];
        ensure!(ports_of(w, &[&config], &variables)? == [1001, 2004]);
        ensure!(ports_of(w, &[&config, "-D", &url(2005)], &variables)? == [1001, 2005]);
        Ok(())
    });
}

#[test]
fn mistakes_in_a_configuration_file_are_told_and_exit_1() {
    isolated(here!(), |w| {
        let file = w.path("my.conf");
        for (content, says) in [
            (
                "[relayd]\noutptu=/x\n",
                "line 2, `outptu`: no such option; did you mean `output`?",
            ),
            ("[relayd]\n;\nverbose\n", "line 3"),
            ("[relayd]\noutput=x\n", "absolute"),
            ("[relayd]\nlive-port=udp://1.2.3.4:1\n", "udp"),
        ] {
            fs::write(&file, content)?;
            let command = &mut relayd(&["-f", &text(&file)]);
            run(command)?.code(1)?.says(says)?;
        }
        let command = &mut relayd(&["-f", "/nonexistent.conf"]);
        run(command)?.code(1)?.says("/nonexistent.conf")?;
        let command = &mut relayd(&[]);
        let command = command.env("LTTNG_RELAYD_DISALLOW_CLEAR", "maybe");
        run(command)?.code(1)?.says("LTTNG_RELAYD_DISALLOW_CLEAR")?;
        Ok(())
    });
}

#[test]
fn any_ports_are_told_in_files_and_the_parent_gets_a_signal() {
    isolated(here!(), |w| {
        let script = format!(
            // Not `wait`, which the signal would not end if it came just before.
            "trap 'echo got it; told=yes' USR1
             {} -S --dynamic-port-allocation -o {} &
             until [ \"$told\" ]; do sleep 0.01; done
             cat {}/relayd/control.port {}/relayd/data.port; kill $!; wait $!",
            env!("CARGO_BIN_EXE_lttng-relayd"),
            w.path("out").display(),
            w.path("rundir").display(),
            w.path("rundir").display(),
        );
        let mut command = Command::new("bash");
        let command = command
            .arg("-c")
            .arg(script)
            .env("LTTNG_RUNDIR", w.path("rundir"));
        let output = run(command)?.ok()?;
        let shown: Vec<_> = output
            .stdout
            .lines()
            .filter(|line| !line.contains("lttng-relayd:"))
            .collect();
        ensure!(
            shown.len() == 3 && shown[0] == "got it",
            "{}",
            output.stdout
        );
        for port in &shown[1..] {
            ensure!(port.parse::<u16>()? > 0);
        }
        ensure!(!w.path("rundir/relayd/control.port").exists(), "it stays");
        Ok(())
    });
}

/// The keep-alive timer of the kernel runs on accepted connections, and on no others.
#[test]
fn keep_alive_is_set_on_accepted_connections() {
    isolated(here!(), |w| {
        let relay = |variables: &[(&str, &str)]| -> Result<String> {
            let port_file = w.path("relayd.ports");
            let _ = fs::remove_file(&port_file);
            let mut daemon = relayd(&["-o", "/run/out", "--port-file", &text(&port_file)])
                .envs(variables.iter().copied())
                .spawn()?;
            let ports = eventually("the ports", || Ok(ports(&port_file).ok()))?;
            let _peer = TcpStream::connect(("127.0.0.1", ports[0].1))?;
            let timers = || -> Result<Option<String>> {
                let filter = format!("sport = :{}", ports[0].1);
                let output =
                    run(Command::new("ss").args(["-tnHo", "state", "established", &filter]))?;
                Ok(Some(output.ok()?.stdout).filter(|text| !text.is_empty()))
            };
            let found = eventually("the connection", timers)?;
            let found = if variables.is_empty() {
                found
            } else {
                eventually("the timer", || {
                    Ok(timers()?.filter(|text| text.contains("keepalive")))
                })?
            };
            daemon.kill()?;
            daemon.wait()?;
            Ok(found)
        };
        let none = relay(&[])?;
        ensure!(!none.contains("keepalive"), "{none}");
        let some = relay(&[
            ("LTTNG_RELAYD_TCP_KEEP_ALIVE", "1"),
            ("LTTNG_RELAYD_TCP_KEEP_ALIVE_IDLE_TIME", "300"),
            ("LTTNG_RELAYD_TCP_KEEP_ALIVE_PROBE_INTERVAL", "7"),
            ("LTTNG_RELAYD_TCP_KEEP_ALIVE_MAX_PROBE_COUNT", "-1"),
        ])?;
        ensure!(
            some.contains("keepalive,4min") || some.contains("keepalive,5min"),
            "{some}"
        );
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
            .shows("Live viewers read sessions")?;
        Ok(())
    });
}
