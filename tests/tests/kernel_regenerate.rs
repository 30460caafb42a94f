//! The state of the system is written again when somebody asks for it.

use std::process::{Command, Stdio};

use anyhow::ensure;
use system_tests::{Trace, here, isolated};

/// Name of a process that is there only at the second time.
const LATE: &str = "comes-late";

#[test]
fn the_state_is_dumped_again() {
    isolated(here!(), |w| {
        let target = w.kernel_target()?;
        let out = w.path("traces/s");
        target.script(&format!(
            "create s --output={}
             enable-event -k sched_process_exec
             start",
            out.display()
        ))?;
        let program = w.path(LATE);
        std::fs::copy("/bin/cat", &program)?;
        let mut late = Command::new(&program).stdin(Stdio::piped()).spawn()?;
        target.script("regenerate statedump\n stop")?;
        // Not when nothing is recorded: upstream's code.
        target.lttng("regenerate statedump")?.code(118)?;
        drop(late.stdin.take());
        late.wait()?;
        target.lttng("destroy")?.ok()?;

        let trace = Trace::read(&out)?;
        trace.assert_clean()?;
        for name in ["lttng_statedump_start", "lttng_statedump_end"] {
            ensure!(trace.count(name) == 2, "{} of {name}", trace.count(name));
        }
        let begins: Vec<_> = trace
            .events
            .iter()
            .enumerate()
            .filter(|(_, event)| event.name == "lttng_statedump_start")
            .map(|(at, _)| at)
            .collect();
        let is_late = |name: &str| name == LATE;
        let names = |from: usize, to: usize| {
            let states = trace.events[from..to].iter();
            let states = states.filter(|event| event.name == "lttng_statedump_process_state");
            let name = |fields: &str| {
                let (_, rest) = fields.split_once("name = \"")?;
                Some(rest.split_once('"')?.0.to_owned())
            };
            states
                .filter_map(|event| name(&event.fields))
                .collect::<Vec<_>>()
        };
        let first = names(begins[0], begins[1]);
        let second = names(begins[1], trace.events.len());
        ensure!(!first.is_empty() && !first.iter().any(|name| is_late(name)));
        ensure!(second.iter().any(|name| is_late(name)), "{second:?}");
        ensure!(trace.count("lttng_statedump_network_interface") >= 2);
        Ok(())
    });
}
