//! Saved sessions of the kernel domain.

use anyhow::{Context, Result, ensure};
use system_tests::{World, here, isolated};

const PROGRAM: &str = "/lib/x86_64-linux-gnu/libc.so.6";

/// The rules as `list` shows them, without the rest.
fn rules(listed: &str) -> Result<&str> {
    let (_, rules) = listed
        .split_once("Recording event rules:")
        .context("no rules")?;
    Ok(rules)
}

#[test]
#[cfg(target_arch = "x86_64")]
fn rules_of_the_kernel_are_loaded_again() {
    isolated(here!(), |w: &mut World| {
        let target = w.kernel_target()?;
        target.script(&format!(
            "create s --output={}
             enable-event -k sched_switch --filter=next_tid>0
             enable-event -k --syscall getppid
             enable-event -k --userspace-probe=elf:{PROGRAM}:getppid probed
             save --output-path={}",
            w.path("traces/s").display(),
            w.path("saved").display()
        ))?;
        let before = target.lttng("list s")?.ok()?;
        let load = format!("load --input-path={}", w.path("saved").display());
        target.script(&format!("destroy s\n {load}"))?;
        let after = target.lttng("list s")?.ok()?;
        ensure!(
            rules(&before.stdout)? == rules(&after.stdout)?,
            "{before}\n{after}"
        );
        ensure!(after.stdout.contains("Function:      getppid()"), "{after}");
        Ok(())
    });
}
