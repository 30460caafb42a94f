//! How the daemons start, say that they are ready, and end.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use system_tests::Toolchain::{Ours, Stock};
use system_tests::{Signal, World, eventually, here, isolated, process_state, run, signal};

fn pid_in(file: &Path) -> Result<u32> {
    Ok(fs::read_to_string(file)?.trim().parse()?)
}

/// What `ps`, `pidof` and `pkill` call a process.
fn ensure_called(pid: u32, name: &str) -> Result<()> {
    let called = fs::read_to_string(format!("/proc/{pid}/comm"))?;
    ensure!(called.trim_end() == name, "process {pid} is `{called}`");
    Ok(())
}

/// Runs a script of the shell whose `$0` is our session daemon.
fn with_session_daemon(w: &World, script: &str) -> Result<()> {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", script])
        .arg(Ours.program("lttng-sessiond")?);
    run(shell.env("HOME", w.home()))?.ok().map(|_| ())
}

/// When the parent of `--daemonize` has ended, commands work.
#[test]
fn a_daemonized_session_daemon_is_ready_when_its_parent_ends() {
    isolated(here!(), |w| {
        let home = w.home();
        let program = Ours.program("lttng-sessiond")?;
        run(Command::new(&program)
            .args(["--no-kernel", "--daemonize"])
            .env("HOME", &home))?
        .ok()?;
        let lttng = Ours.program("lttng")?;
        run(Command::new(&lttng)
            .args(["--no-sessiond", "create", "s"])
            .env("HOME", &home))?
        .ok()?;
        let pid = pid_in(Path::new("/run/lttng/lttng-sessiond.pid"))?;
        ensure_called(pid, "lttng-sessiond")?;

        run(Command::new(&program)
            .args(["--no-kernel", "--daemonize"])
            .env("HOME", &home))?
        .code(1)?
        .says("Error: A session daemon is already running: it holds ")?;
        run(Command::new(&lttng)
            .args(["destroy", "s"])
            .env("HOME", &home))?
        .ok()?;

        signal(pid, Signal::TERM)?;
        eventually("the session daemon ends", || {
            Ok(matches!(process_state(pid), None | Some('Z')).then_some(()))
        })?;
        ensure!(
            !Path::new("/run/lttng/lttng-sessiond.pid").exists(),
            "the pid file is still there"
        );
        Ok(())
    });
}

/// Neither takes the run directory away from the other, whichever was first.
#[test]
fn ours_and_stock_do_not_start_beside_each_other() {
    isolated(here!(), |w| {
        let home = w.home();
        for (first, second) in [(Ours, Stock), (Stock, Ours)] {
            let target = w.target(first)?;
            let pid = fs::read_to_string("/run/lttng/lttng-sessiond.pid")?;
            run(Command::new(second.program("lttng-sessiond")?)
                .args(["--no-kernel", "--daemonize"])
                .env("HOME", &home))?
            .code(1)?;
            ensure!(fs::read_to_string("/run/lttng/lttng-sessiond.pid")? == pid);
            target.script("create s\n enable-event -u emitter:small\n start")?;
            w.app("--events 5").run_once()?;
            target.script("destroy s")?;
            target.daemon().terminate()?;
        }
        Ok(())
    });
}

/// A terminal that is closed ends the daemon in order, unless somebody said `nohup`.
#[test]
fn hanging_up_ends_a_session_daemon_in_order() {
    const START: &str = r#"
        trap 'touch "$HOME/ready"' USR1
        "$0" --no-kernel --sig-parent &
        pid=$!
        while [ ! -e "$HOME/ready" ]; do wait "$pid" || [ $? -gt 128 ] || exit 1; done
        rm "$HOME/ready"
        kill -HUP "$pid"
    "#;
    const ENDS: &str = r#"
        wait "$pid" && [ ! -e /run/lttng/lttng-sessiond.pid ]
    "#;
    // The lowest bit is that of SIGHUP.
    const STAYS: &str = r#"
        grep -q '^SigIgn:.*[13579bdf]$' "/proc/$pid/status" && kill "$pid" && wait "$pid"
    "#;
    isolated(here!(), |w| {
        let program = Ours.program("lttng-sessiond")?;
        for script in [
            format!("{START}{ENDS}"),
            format!("trap '' HUP\n{START}{STAYS}"),
        ] {
            run(Command::new("sh")
                .args(["-c", &script])
                .arg(&program)
                .env("HOME", w.home()))?
            .ok()?;
        }
        Ok(())
    });
}

/// Our command says which daemon is in the way, and starts none beside it.
#[test]
fn the_daemon_of_another_toolchain_is_named() {
    isolated(here!(), |w| {
        let target = w.target(Stock)?;
        for line in ["list", "create s"] {
            run(Command::new(Ours.program("lttng")?)
                .args(line.split(' '))
                .env("HOME", w.home()))?
            .code(1)?
            .says("Error: No session daemon is available\n")?
            .says("of another LTTng does on /var/run/lttng/client-lttng-sessiond: stop it")?;
        }
        target.daemon().terminate()
    });
}

/// A system that had stock's daemon keeps its options and its configuration files.
#[test]
fn a_session_daemon_takes_the_options_of_stock() {
    isolated(here!(), |w| {
        let program = Ours.program("lttng-sessiond")?;
        let home = w.home();
        let pid_file = w.path("sessiond.pid");
        fs::create_dir_all(home.join(".lttng"))?;
        fs::write(
            home.join(".lttng/lttng.conf"),
            format!(
                "[relayd]\nanything\n[sessiond]\nno-kernel=yes\npidfile={}\nextra-kmod-probes=mine\n",
                pid_file.display()
            ),
        )?;
        let config = w.path("more.conf");
        fs::write(
            &config,
            "[sessiond]\ndaemonize=on\ngroup = root ; a comment\n",
        )?;
        let stock = "/usr/lib/x86_64-linux-gnu/lttng/libexec/lttng-consumerd";
        run(Command::new(&program)
            .arg("--config")
            .arg(&config)
            .args([
                "--consumerd32-path=/x",
                "--consumerd32-libdir=/x",
                "--consumerd64-libdir=/x",
            ])
            .args(["--kconsumerd-cmd-sock=/x", "--ustconsumerd64-err-sock=/x"])
            .args(["--kmod-probes=a,b", "--agent-tcp-port=5345"])
            .args(["--event-notifier-error-buffer-size-userspace=12"])
            .env("LTTNG_CONSUMERD64_BIN", stock)
            .env("HOME", &home))?
        .ok()?
        .says("without effect, see --help: --agent-tcp-port, ")?
        .says(&format!("{stock} is no consumer daemon of lttng-rs"))?;
        let lttng = Ours.program("lttng")?;
        for line in ["create s", "enable-event -u x", "start", "destroy"] {
            run(Command::new(&lttng)
                .args(line.split(' '))
                .env("HOME", &home))?
            .ok()?;
        }
        let socket = fs::metadata("/run/lttng/control.sock")?;
        ensure!(
            std::os::unix::fs::MetadataExt::gid(&socket) == 0,
            "the group of the file is not taken"
        );
        // The terminal is closed: as good as any other request to end.
        signal(pid_in(&pid_file)?, Signal::HUP)?;
        eventually("the session daemon ends", || {
            Ok((!pid_file.exists()).then_some(()))
        })?;

        let refused = |args: &[&str], says: &str| -> Result<()> {
            run(Command::new(&program).args(args).env("HOME", &home))?
                .code(1)?
                .says(says)?;
            Ok(())
        };
        refused(&["--agent-tcp-port=0"], "--agent-tcp-port")?;
        refused(
            &["--consumerd-path=/bin/true"],
            "/bin/true is no consumer daemon",
        )?;
        refused(
            &["--config=/nonexistent"],
            "configuration file /nonexistent: ",
        )?;
        fs::write(&config, "[sessiond]\nno-kernels=yes\n")?;
        let config = config.display().to_string();
        refused(
            &["--config", &config],
            &format!("{config}: line 2, `no-kernels`: no such option; did you mean `no-kernel`?"),
        )
    });
}

#[test]
fn a_session_daemon_signals_its_parent() {
    isolated(here!(), |w| {
        let script = r#"
            trap 'touch "$HOME/ready"' USR1
            "$0" --no-kernel --sig-parent &
            pid=$!
            while [ ! -e "$HOME/ready" ]; do wait "$pid" || [ $? -gt 128 ] || exit 1; done
            kill "$pid"
            wait "$pid"
        "#;
        with_session_daemon(w, script)
    });
}

/// Both the daemon and the command go where `LTTNG_RUNDIR` says.
#[test]
fn the_run_directory_can_be_elsewhere() {
    isolated(here!(), |w| {
        let script = r#"
            "$0/lttng-sessiond" --no-kernel --daemonize
            "$0/lttng" --no-sessiond create elsewhere
            "$0/lttng" --no-sessiond list
            kill "$(cat "$LTTNG_RUNDIR/lttng-sessiond.pid")"
        "#;
        let program = Ours.program("lttng-sessiond")?;
        let directory = program.parent().context("no directory of programs")?;
        let output = run(Command::new("sh")
            .args(["-ec", script])
            .arg(directory)
            .env("HOME", w.home())
            .env("LTTNG_RUNDIR", w.path("rundir")))?;
        output.ok()?.shows("1) elsewhere [inactive]")?;
        Ok(())
    });
}

/// The signal goes to whoever asked for the background, not to the process that waits for it.
#[test]
fn a_session_daemon_in_the_background_signals_its_parent() {
    isolated(here!(), |w| {
        let script = r#"
            trap 'touch "$HOME/ready"' USR1
            "$0" --no-kernel --sig-parent --background &
            pid=$!
            while [ ! -e "$HOME/ready" ]; do wait "$pid" || [ $? -gt 128 ] || exit 1; done
            kill "$(cat /run/lttng/lttng-sessiond.pid)"
        "#;
        with_session_daemon(w, script)
    });
}

#[test]
fn a_daemonized_relay_daemon_listens_when_its_parent_ends() {
    isolated(here!(), |w| {
        let program = Ours.program("lttng-relayd")?;
        let out = w.path("collected");
        fs::create_dir_all(&out)?;
        let pid_file = w.path("relayd.pid");
        run(Command::new(&program)
            .args(["--daemonize", "--output"])
            .arg(&out)
            .arg("--pid-file")
            .arg(&pid_file)
            .env("HOME", w.home()))?
        .ok()?;
        for port in [5342, 5343] {
            std::net::TcpStream::connect(("127.0.0.1", port))?;
        }
        let pid = pid_in(&pid_file)?;
        ensure_called(pid, "lttng-relayd")?;
        signal(pid, Signal::TERM)?;
        eventually("the relay daemon ends", || {
            Ok(matches!(process_state(pid), None | Some('Z')).then_some(()))
        })
    });
}

#[test]
fn versions_and_help_are_there() {
    isolated(here!(), |_| {
        for name in ["lttng", "lttng-sessiond", "lttng-relayd"] {
            let program = Ours.program(name)?;
            // Scripts compare the version, ours is behind it.
            run(Command::new(&program).arg("--version"))?
                .ok()?
                .shows("2.13.9 - lttng-rs ")?;
            let help = run(Command::new(&program).arg("--help"))?.ok()?;
            ensure!(!help.stdout.is_empty(), "{name} --help says nothing");
            let unknown = run(Command::new(&program)
                .arg("--no-such-option")
                .stdin(Stdio::null()))?;
            ensure!(unknown.code == 1 || unknown.code == 2, "{unknown}");
        }
        Ok(())
    });
}
