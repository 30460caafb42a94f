//! The two implementations under test.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::peers::require;

/// Whose daemons and commands to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toolchain {
    /// The distribution's lttng-tools.
    Stock,
    /// The binaries of this workspace.
    Ours,
}

impl Toolchain {
    /// The executable `name` (`lttng`, `lttng-sessiond`, `lttng-relayd`) of this toolchain.
    ///
    /// Ours come from the directory in the variable `LTTNG_RS_BIN_DIR` or else from the target
    /// directory of the running executable.
    pub fn program(self, name: &str) -> Result<PathBuf> {
        match self {
            Self::Stock => require(name),
            Self::Ours => {
                let path = our_directory()?.join(name);
                if !path.is_file() {
                    bail!(
                        "{} is not there; build it with `cargo build --workspace --bins`",
                        path.display()
                    );
                }
                Ok(path)
            }
        }
    }

    /// For file names and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Ours => "ours",
        }
    }
}

/// Where the programs of this workspace are.
fn our_directory() -> Result<PathBuf> {
    std::env::var_os("LTTNG_RS_BIN_DIR").map_or_else(target_directory, |dir| Ok(dir.into()))
}

/// Where cargo put the running executable, without `deps`.
pub(crate) fn target_directory() -> Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let dir = exe.parent().context("the executable has no directory")?;
    // Tests live in `deps`, one level below the programs.
    Ok(if dir.ends_with("deps") {
        dir.parent().unwrap_or(dir).into()
    } else {
        dir.into()
    })
}
