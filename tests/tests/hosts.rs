//! Targets and a collector as hosts of their own, each with its network: streaming over IPv4, over IPv6 and by
//! host name, and targets that the collector cannot tell apart by their names.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use system_tests::Toolchain::Ours;
use system_tests::{
    App, Host, Relay, Round, Target, Trace, World, check_indexes, eventually, here, isolated,
    trees_with_metadata,
};

/// The collector's addresses, the same for all targets.
const IPV4: &str = "10.77.0.1";
const IPV6: &str = "fd00::1";
/// What the targets call it.
const NAMES: &str = "10.77.0.1 collector4.test\nfd00::1 collector6.test\n";

/// A collector and two targets with a cable from each to it.
struct Site {
    relay: Relay,
    targets: [Target; 2],
    /// Last: what runs there ends first.
    hosts: [Host; 3],
}

impl Site {
    fn new(w: &mut World, names: [&str; 2]) -> Result<Self> {
        let collector = w.host("collector-host", "collector", "")?;
        collector.run("ip", &format!("addr add {IPV4}/32 dev lo"))?;
        collector.run("ip", &format!("addr add {IPV6}/128 dev lo"))?;
        let [a, b] = [(1, names[0]), (2, names[1])].map(|(number, name)| {
            let host = w.host(&format!("target-host{number}"), name, NAMES)?;
            let [mine4, its4] = [2, 1].map(|end| format!("10.77.{number}.{end}/24"));
            let [mine6, its6] = [2, 1].map(|end| format!("fd00:77:{number}::{end}/64"));
            host.connect(
                ("uplink", &[&mine4, &mine6]),
                &collector,
                (&format!("cable{number}"), &[&its4, &its6]),
            )?;
            host.run(
                "ip",
                &format!("route add {IPV4} via 10.77.{number}.1 dev uplink"),
            )?;
            host.run(
                "ip",
                &format!("route add {IPV6} via fd00:77:{number}::1 dev uplink"),
            )?;
            anyhow::Ok(host)
        });
        let (a, b) = (a?, b?);
        let relay = w.relay_on(&collector, "tcp6://[::]", &w.path("collected"))?;
        let targets = [w.target_on(Ours, &a)?, w.target_on(Ours, &b)?];
        Ok(Self {
            relay,
            targets,
            hosts: [a, b, collector],
        })
    }

    /// `HOST:DATA_PORT:CTRL_PORT`.
    fn network(&self, host: &str) -> String {
        let [control, data, _] = self.relay.ports();
        format!("{host}:{data}:{control}")
    }

    /// One application on each target, which emit at the same time; thread numbers tell them apart.
    fn emit(&self, w: &World) -> Result<[Round; 2]> {
        let start = |target: &Target, first: u32| {
            w.app(&format!(
                "--kind fields --threads 2 --events 400 --first-thread {first}"
            ))
            .as_user(target.who())
            .blocking()
            .start()
        };
        let [a, b] = &self.targets;
        let mut apps = [start(a, 0)?, start(b, 10)?];
        for app in &mut apps {
            app.begin_round()?;
        }
        let [a, b] = apps.map(|mut app: App| {
            let round = app.end_round(system_tests::DEADLINE)?;
            app.finish()?;
            anyhow::Ok(round)
        });
        Ok([a?, b?])
    }

    fn end(self) -> Result<()> {
        for target in &self.targets {
            target.daemon().terminate()?;
            target.daemon().assert_no_complaints()?;
        }
        self.relay.daemon().terminate()?;
        self.relay.daemon().assert_no_complaints()?;
        drop(self.hosts);
        Ok(())
    }
}

/// Many sub-buffers: with a few, a writer that is preempted in the middle of an event makes others lose theirs.
fn enable(target: &Target, session: &str) -> Result<()> {
    target.script(&format!(
        "enable-channel -u c -s {session} --subbuf-size=16k --num-subbuf=128 --blocking-timeout=inf
         enable-event -u -s {session} -c c emitter:*
         start {session}"
    ))
}

/// Directories right below `dir`.
fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

fn check(dir: &Path, round: &Round) -> Result<()> {
    let trace = Trace::read(dir)?;
    trace.assert_lines(&round.lines)?;
    trace.assert_in_order()?;
    trace.assert_clean()?;
    check_indexes(dir).map(drop)
}

/// The same sessions on both targets, all at once: one for each way to name the collector.
#[test]
fn two_targets_stream_by_address_and_by_name() {
    isolated(here!(), |w| {
        let site = Site::new(w, ["north", "south"])?;
        let ways = [
            ("ipv4", IPV4.to_owned()),
            ("ipv6", format!("[{IPV6}]")),
            ("name4", "collector4.test".into()),
            ("name6", "collector6.test".into()),
        ];
        for target in &site.targets {
            for (session, host) in &ways {
                let network = site.network(host);
                target.script(&format!("create {session} --network {network}"))?;
                enable(target, session)?;
                target
                    .lttng(&format!("list {session}"))?
                    .ok()?
                    .shows("Output state: connected")?;
            }
        }
        let rounds = site.emit(w)?;
        for target in &site.targets {
            target.script("destroy --all")?;
        }
        let collected = site.relay.output();
        ensure!(names(collected)? == ["north", "south"]);
        for (host, round) in site.hosts.iter().zip(&rounds) {
            let of_host = collected.join(host.name());
            let sessions = names(&of_host)?;
            ensure!(sessions.len() == ways.len(), "{sessions:?}");
            for ((way, _), session) in ways.iter().zip(&sessions) {
                ensure!(session.starts_with(&format!("{way}-20")), "{session}");
                check(&of_host.join(session), round)
                    .with_context(|| format!("{session} of {}", host.name()))?;
            }
        }
        site.end()
    });
}

/// A host that is not there is refused, and the session goes on where it was.
#[test]
fn a_host_that_cannot_be_reached_changes_nothing() {
    isolated(here!(), |w| {
        let site = Site::new(w, ["north", "south"])?;
        let [north, _] = &site.targets;
        north.script(&format!("create s --network {}", site.network(IPV4)))?;
        enable(north, "s")?;
        let before = north.lttng("status")?.ok()?.stdout;
        // No route, nobody on the port, a name that nothing knows.
        for host in ["10.99.0.1", "[fd00:99::1]", "[fd00:77:1::2]", "nobody.test"] {
            let refused = north.lttng(&format!("enable-streaming {}", site.network(host)))?;
            refused.code(1)?.says("Error:")?;
            let now = north.lttng("status")?.ok()?.stdout;
            ensure!(now == before, "{host}: before:\n{before}\nnow:\n{now}");
        }
        let [round, _] = site.emit(w)?;
        north.script("destroy --all")?;
        check(site.relay.output(), &round)
    });
}

/// Two targets with one name, and sessions of one name that begin in the same second.
#[test]
fn the_same_host_name_twice_keeps_apart() {
    isolated(here!(), |w| {
        let site = Site::new(w, ["twin", "twin"])?;
        let now = || {
            SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .context("before 1970")
        };
        // Both sessions begin in one second, early in which there is time for both.
        let second = eventually("both sessions begin in the same second", || {
            if now()?.subsec_millis() > 200 {
                return Ok(None);
            }
            let second = now()?.as_secs();
            let [a, b] = &site.targets;
            let create = |target: &Target, host: &str| {
                target.script(&format!("create s --network {}", site.network(host)))
            };
            thread::scope(|scope| {
                let other = scope.spawn(|| create(b, &format!("[{IPV6}]")));
                create(a, IPV4)?;
                other.join().ok().context("the command panicked")?
            })?;
            if now()?.as_secs() == second {
                return Ok(Some(second));
            }
            for target in &site.targets {
                target.script("destroy s")?;
            }
            Ok(None)
        })?;
        for target in &site.targets {
            enable(target, "s")?;
        }
        let rounds = site.emit(w)?;
        for target in &site.targets {
            target.script("destroy --all")?;
        }
        let all = Trace::read(site.relay.output())?;
        let both = rounds.iter().flat_map(|round| round.lines.clone());
        all.assert_lines(&both.collect::<Vec<_>>())?;
        all.assert_clean()?;
        // Each trace has all of one target and nothing of the other.
        let trees = trees_with_metadata(site.relay.output())?;
        ensure!(trees.len() == 2, "begun in second {second}: {trees:?}");
        let mut by_first_thread = BTreeMap::new();
        for tree in &trees {
            let trace = Trace::read(tree)?;
            let event = trace.events.first().context("an empty trace")?;
            let thread = event.number("thread").context("no thread")?;
            by_first_thread.insert(thread / 10, tree);
        }
        for (number, round) in (0..).zip(&rounds) {
            let tree = by_first_thread.get(&number).context("no such target")?;
            check(tree, round).with_context(|| tree.display().to_string())?;
        }
        site.end()
    });
}
