//! Our headers against the distribution's.

mod common;

use std::path::Path;

use anyhow::{Result, ensure};
use common::{Installed, Kit, assert_same};

fn installed(name: &str) -> Result<Installed> {
    Installed::into(&Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
}

#[test]
fn sizes_offsets_and_values_are_upstreams() -> Result<()> {
    let installed = installed("layout")?;
    let show = |kit| -> Result<String> {
        let home = Path::new("/nonexistent");
        Ok(installed
            .compile("layout", kit)?
            .run(home, &[])?
            .ok()?
            .stdout)
    };
    let theirs = show(Kit::Distribution)?;
    ensure!(theirs.lines().count() > 300, "{theirs}");
    assert_same("the headers differ", &theirs, &show(Kit::Ours)?)
}

#[test]
fn programs_for_upstreams_headers_compile_with_ours() -> Result<()> {
    let installed = installed("compile")?;
    for program in [
        "behaviour",
        "kernel",
        "modes",
        "probes",
        "regenerating",
        "saving",
        "trackers",
    ] {
        installed.compile(program, Kit::Ours)?;
    }
    Ok(())
}

#[test]
fn without_a_daemon_every_call_says_so() -> Result<()> {
    let installed = installed("alone")?;
    let program = installed.compile("alone", Kit::Ours)?;
    // Not root's daemon, if one runs: the program gives up its privileges.
    program.run(Path::new("/nonexistent"), &[])?.ok().map(drop)
}
