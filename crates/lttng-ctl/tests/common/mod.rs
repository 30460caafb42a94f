//! Compiles C programs, against our headers or the distribution's, and runs them.
#![allow(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use system_tests::{Output, run};

/// Whose headers and library a program is compiled and linked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kit {
    Distribution,
    Ours,
}

/// Our library, installed somewhere.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    prefix: PathBuf,
}

impl Installed {
    /// Installs into a directory that need not exist.
    pub(crate) fn into(prefix: &Path) -> Result<Self> {
        // Cargo builds the library for the tests beside the test executable.
        let library = std::env::current_exe()?.with_file_name("liblttng_ctl.so");
        ensure!(library.is_file(), "{} is not there", library.display());
        run(Command::new(source("install.sh")).arg(library).arg(prefix))?.ok()?;
        Ok(Self {
            prefix: prefix.into(),
        })
    }

    /// For `LD_LIBRARY_PATH`.
    pub(crate) fn libraries(&self) -> PathBuf {
        self.prefix.join("lib")
    }

    /// Compiles `tests/c/NAME.c`.
    pub(crate) fn compile(&self, name: &str, kit: Kit) -> Result<Program> {
        let path = self.prefix.join(format!("{name}-{kit:?}"));
        let flags = self.flags(kit)?;
        run(Command::new("gcc")
            .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-g", "-o"])
            .arg(&path)
            .arg(source("tests/c").join(format!("{name}.c")))
            .args(flags.split_whitespace()))?
        .ok()?;
        Ok(Program {
            path,
            libraries: self.libraries(),
        })
    }

    /// What pkg-config says.
    fn flags(&self, kit: Kit) -> Result<String> {
        let mut command = Command::new("pkg-config");
        command.args(["--cflags", "--libs", "lttng-ctl"]);
        if kit == Kit::Ours {
            command.env("PKG_CONFIG_LIBDIR", self.libraries().join("pkgconfig"));
        }
        let found = run(&mut command)?.ok();
        let missing = "lttng-ctl for pkg-config (`apt-get install liblttng-ctl-dev`)";
        Ok(found.context(missing)?.stdout)
    }
}

/// A compiled program.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    path: PathBuf,
    libraries: PathBuf,
}

impl Program {
    /// Runs it with our library.
    pub(crate) fn run(&self, home: &Path, arguments: &[&str]) -> Result<Output> {
        run(self
            .command(home, arguments)
            .env("LD_LIBRARY_PATH", &self.libraries))
    }

    /// Runs it with the distribution's library.
    pub(crate) fn run_with_stock(&self, home: &Path, arguments: &[&str]) -> Result<Output> {
        run(self.command(home, arguments).env_remove("LD_LIBRARY_PATH"))
    }

    fn command(&self, home: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        command
            .args(arguments)
            .env("HOME", home)
            .env_remove("LTTNG_HOME");
        command
    }
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Fails with the lines that differ.
pub(crate) fn assert_same(what: &str, stock: &str, ours: &str) -> Result<()> {
    let (stock, ours): (Vec<_>, Vec<_>) = (stock.lines().collect(), ours.lines().collect());
    let different: Vec<_> = (0..stock.len().max(ours.len()))
        .filter(|&at| stock.get(at) != ours.get(at))
        .take(20)
        .map(|at| {
            let show = |line: Option<&&str>| line.map_or("(nothing)", |line| *line).to_owned();
            format!("-{}\n+{}", show(stock.get(at)), show(ours.get(at)))
        })
        .collect();
    ensure!(different.is_empty(), "{what}:\n{}", different.join("\n"));
    Ok(())
}
