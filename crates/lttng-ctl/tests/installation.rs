//! What `packaging/install.sh` puts below a prefix.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use system_tests::Toolchain::Ours;
use system_tests::{World, here, isolated, run};

const PREFIX: &str = "/opt/lttng";

/// Installs below a directory of the test, as a package would be made, and returns where the prefix is there.
fn install(w: &World) -> Result<PathBuf> {
    let built = w.path("built");
    fs::create_dir_all(&built)?;
    for name in ["lttng", "lttng-sessiond", "lttng-consumerd", "lttng-relayd"] {
        symlink(Ours.program(name)?, built.join(name))?;
    }
    // Cargo builds the library for the tests beside the test executable.
    let library = std::env::current_exe()?.with_file_name("liblttng_ctl.so");
    symlink(library, built.join("liblttng_ctl.so"))?;
    let root = w.path("root");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/install.sh");
    run(Command::new(script)
        .arg(PREFIX)
        .arg(&built)
        .env("DESTDIR", &root))?
    .ok()?;
    Ok(root.join(PREFIX.trim_start_matches('/')))
}

#[test]
fn everything_is_below_the_prefix() {
    isolated(here!(), |w| {
        let installed = install(w)?;
        let all = fs::read_dir(w.path("root"))?.count();
        ensure!(all == 1, "{all} directories beside the prefix");
        let begins = |file: &str, with: &str| -> Result<()> {
            let text = fs::read_to_string(installed.join(file))?;
            ensure!(text.contains(with), "no {with:?} in {file}:\n{text}");
            Ok(())
        };
        begins("share/man/man1/lttng.1", ".TH lttng 1 ")?;
        begins("share/man/man1/lttng-enable-event.1", "fB\\-\\-loglevel")?;
        begins("share/man/man1/lttng-snapshot.1", "del\\-output")?;
        begins("share/man/man8/lttng-sessiond.8", ".TH lttng-sessiond 8 ")?;
        begins("share/man/man8/lttng-relayd.8", "fB\\-\\-data\\-port")?;
        begins("share/zsh/site-functions/_lttng", "#compdef lttng")?;
        begins(
            "share/fish/vendor_completions.d/lttng.fish",
            "complete -c lttng",
        )?;
        begins("lib/pkgconfig/lttng-ctl.pc", PREFIX)?;
        for daemon in ["lttng-sessiond", "lttng-relayd"] {
            let program = format!("ExecStart={PREFIX}/bin/{daemon}");
            begins(&format!("lib/systemd/system/{daemon}.service"), &program)?;
        }
        Ok(())
    });
}

/// The installed command starts the installed daemon, and the shell completes what that knows.
#[test]
fn the_shell_completes_names_of_sessions() {
    isolated(here!(), |w| {
        let installed = install(w)?;
        let home = w.home();
        let lttng = |line: &[&str]| -> Result<_> {
            run(Command::new(installed.join("bin/lttng"))
                .args(line)
                .env("HOME", &home))?
            .ok()
        };
        for name in ["demo", "de luxe", "other"] {
            lttng(&["create", name])?;
        }
        let complete = |words: &[&str]| -> Result<String> {
            let script = r#"
                . "$0/share/bash-completion/completions/lttng"
                PATH=$0/bin:$PATH
                complete -p lttng >/dev/null || exit 1
                COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
                _lttng_or_session lttng "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
                printf '%s|' "${COMPREPLY[@]}"
            "#;
            Ok(run(Command::new("bash")
                .args(["-c", script])
                .arg(&installed)
                .args(words)
                .env("HOME", &home))?
            .ok()?
            .stdout)
        };
        for (words, expected) in [
            (&["lttng", "destroy", "de"][..], r"de\ luxe|demo|"),
            (&["lttng", "start", ""], r"other|de\ luxe|demo|"),
            (&["lttng", "-n", "stop", "--no-wait", "ot"], "other|"),
            (&["lttng", "add-context", "-s", "d"], r"de\ luxe|demo|"),
            (&["lttng", "destroy", "--al"], "--all|"),
            (&["lttng", "set-s"], "set-session|"),
            (&["lttng", "create", "d"], "|"),
        ] {
            let found = complete(words)?;
            ensure!(
                found == expected,
                "{words:?}: {found:?}, expected {expected:?}"
            );
        }
        lttng(&["destroy", "--all"])?;
        Ok(())
    });
}
