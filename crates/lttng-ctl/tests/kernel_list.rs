//! What can be recorded of the kernel is listed as upstream's command lists it, which asks with our library.

mod common;

use std::process::Command;

use anyhow::{Result, ensure};
use common::{Installed, assert_same};
use system_tests::Toolchain::Stock;
use system_tests::{here, isolated, run};

#[test]
fn our_command_lists_as_upstreams_does() {
    isolated(here!(), |world| {
        let installed = Installed::into(&world.path("installed"))?;
        let target = world.kernel_target()?;
        let upstream = |arguments: &[&str]| -> Result<String> {
            let mut command = Command::new(Stock.program("lttng")?);
            command
                .args(arguments)
                .env("HOME", world.home())
                .env("LD_LIBRARY_PATH", installed.libraries());
            Ok(run(&mut command)?.ok()?.stdout)
        };
        for arguments in [&["list", "-k", "--syscall"][..], &["list", "-k"]] {
            let ours = target.lttng_args(arguments)?.ok()?.stdout;
            ensure!(ours.lines().count() > 100, "{ours}");
            assert_same(&arguments.join(" "), &upstream(arguments)?, &ours)?;
        }
        Ok(())
    });
}
