//! The files of `tests/data` were written by LTTng 2.13: they are read, and written again byte for byte.

use control::v1::output::Kind;
use control::v1::{BufferType, Channel, Domain, EventKind, EventRule, RelayLoss, TrackingPolicy};
use session_file::{SavedSession, Step, read, steps, write};

fn data(name: &str) -> String {
    let path = format!("{}/tests/data/{name}.lttng", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn one(name: &str) -> SavedSession {
    let mut sessions = read(&data(name)).unwrap();
    assert_eq!(sessions.len(), 1);
    sessions.remove(0)
}

#[test]
fn files_are_written_as_they_were() {
    for name in [
        "full",
        "network",
        "network-elsewhere",
        "network-v6",
        "snapshot",
        "snapshot-nowhere",
        "live",
        "no-output",
    ] {
        let text = data(name);
        let sessions = read(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(write(&sessions), text, "{name}");
    }
}

#[test]
fn all_of_a_session_is_read() {
    let saved = one("full");
    let session = saved.details.session.as_ref().unwrap();
    assert!(session.active);
    assert_eq!(session.rotation_schedules.len(), 2);
    assert_eq!(saved.details.buffer_type(), BufferType::PerUid);
    let [first, second] = &saved.details.channels[..] else {
        panic!("{:?}", saved.details.channels);
    };
    assert_eq!(first.domain(), Domain::Ust);
    let attributes = first.attributes.unwrap();
    assert_eq!(
        (attributes.subbuf_size, attributes.tracefile_count),
        (65536, 3)
    );
    assert_eq!(second.attributes.unwrap().overwrite, Some(true));
    assert_eq!(first.events[1].filter, "x > 2 && y == \"a&b\"");
    assert_eq!(first.events[1].exclusions.len(), 2);
    assert!(!first.events[0].enabled);
    let contexts = [
        "vpid",
        "vtid",
        "procname",
        "perf:thread:cpu-cycles",
        "$app.prov:ct",
        "vuid",
        "ip",
        "pthread_id",
        "mnt_ns",
    ];
    assert_eq!(first.contexts, contexts);
    let policies: Vec<_> = saved
        .details
        .trackers
        .iter()
        .map(|tracker| (tracker.policy(), tracker.values.len()))
        .collect();
    assert_eq!(
        policies,
        [
            (TrackingPolicy::IncludeSet, 2),
            (TrackingPolicy::IncludeSet, 1),
            (TrackingPolicy::ExcludeAll, 0)
        ]
    );
}

#[test]
fn outputs_are_read() {
    let kind = |name: &str| {
        let session = one(name).details.session.unwrap();
        session.output.and_then(|output| output.kind).unwrap()
    };
    let Kind::Relay(relay) = kind("network-elsewhere") else {
        panic!("not a relay daemon");
    };
    let found = (relay.address.as_str(), relay.control_port, relay.data_port);
    assert_eq!(found, ("127.0.0.1", 7777, 7778));
    assert_eq!(relay.base_path, "base/dir");
    assert!(matches!(kind("no-output"), Kind::None(_)));
    assert!(matches!(kind("network-v6"), Kind::Relay(relay) if relay.address == "::1"));
    assert_eq!(one("snapshot").snapshot_outputs.len(), 1);
    assert_eq!(one("snapshot-nowhere").snapshot_outputs.len(), 0);
    let live = one("live");
    assert_eq!(live.details.session.unwrap().live_timer_us, 500_000);
    assert_eq!(live.details.buffer_type, BufferType::PerPid as i32);
}

#[test]
fn rules_are_disabled_before_others_of_their_name_are_enabled() {
    let steps = steps(&one("full"), "/home/u");
    let at = |wanted: &dyn Fn(&Step) -> bool| steps.iter().position(wanted).unwrap();
    assert!(matches!(&steps[0], Step::CreateSession(create) if create.home == "/home/u"));
    let disabled = at(&|step| matches!(step, Step::DisableEvent(event) if event.name == "foo:bar"));
    let enabled = at(&|step| {
        matches!(step, Step::EnableEvent(event)
            if event.rule.as_ref().is_some_and(|rule| rule.name == "hello_world:*"))
    });
    assert!(disabled < enabled);
    assert!(matches!(steps.last(), Some(Step::StartSession(_))));
}

/// What only we have is passed over by other readers, and kept by ours.
#[test]
fn our_own_attributes_are_kept() {
    let mut saved = one("no-output");
    let session = saved.details.session.as_mut().unwrap();
    session.set_relay_loss(RelayLoss::Local);
    session.network = Some(control::v1::NetworkAttributes {
        enabled: false,
        address: "collector.example".into(),
        control_port: 6342,
        data_port: 6343,
    });
    let text = write(&[saved.clone()]);
    assert_eq!(read(&text).unwrap(), [saved]);
}

#[test]
fn mistakes_are_told_with_their_line() {
    let wrap = |inside: &str| {
        format!("<sessions>\n<session>\n<name>n</name>\n{inside}\n</session>\n</sessions>")
    };
    let domain = |inside: &str| {
        wrap(&format!(
            "<domains><domain><type>UST</type><channels><channel>\n{inside}</channel></channels></domain></domains>"
        ))
    };
    for (text, line, what) in [
        (wrap("<bogus/>"), 4, "<bogus> is not expected here"),
        (
            wrap("<started>maybe</started>"),
            4,
            "`maybe`, not true or false",
        ),
        (
            wrap("<shared_memory_path>/x</shared_memory_path>"),
            4,
            "shared_memory_path",
        ),
        (
            domain("<name>c</name>\n<subbuffer_size>big</subbuffer_size>"),
            6,
            "cannot be `big`",
        ),
        (
            domain("<name>c</name><events><event><type>X</type></event></events>"),
            5,
            "`X`, not one of ALL, TRACEPOINT",
        ),
        (
            domain("<name>c</name><contexts><context><type>NOPE</type></context></contexts>"),
            5,
            "NOPE is not known",
        ),
        (domain(""), 4, "<channel> has no <name>"),
        (
            wrap(
                "<domains><domain><type>JUL</type><channels><channel/></channels></domain></domains>",
            ),
            4,
            "JUL is not supported",
        ),
        (
            "<sessions><session/></sessions>".into(),
            1,
            "<session> has no <name>",
        ),
        ("<other/>".into(), 1, "<sessions> is expected, not <other>"),
    ] {
        let error = read(&text).unwrap_err();
        assert_eq!(error.line, line, "{text}: {error}");
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn older_trackers_are_read() {
    let text = "<sessions><session><name>n</name><domains><domain><type>KERNEL</type>\
        <buffer_type>GLOBAL</buffer_type><trackers><pid_tracker><targets><pid_target><pid>7</pid>\
        </pid_target></targets></pid_tracker></trackers></domain></domains></session></sessions>";
    let sessions = read(text).unwrap();
    let trackers = &sessions[0].details.trackers;
    assert_eq!(trackers[0].values.len(), 1);
    // Stock starts what does not say otherwise.
    assert!(sessions[0].details.session.as_ref().unwrap().active);
}

proptest::proptest! {
    /// Nothing that is in a file makes the reader panic.
    #[test]
    fn damaged_files_are_refused_or_read(at in 0usize..4000, byte in 0u8..128, cut in 0usize..4400) {
        let mut bytes = data("full").into_bytes();
        bytes.truncate(cut.max(1));
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(text) = String::from_utf8(bytes) {
            let _ = read(&text);
        }
    }
}

#[test]
fn places_of_probes_survive() {
    let rules = [
        (EventKind::Probe, "schedule"),
        (EventKind::Probe, "schedule+0x10"),
        (EventKind::Probe, "0xffffffff81000000"),
        (EventKind::Function, "kernel_clone"),
        (EventKind::UserspaceProbe, "elf:/bin/sh:main"),
        (EventKind::UserspaceProbe, "sdt:/bin/sh:provider:name"),
    ];
    let rules = rules.map(|(kind, location)| EventRule {
        name: "event".into(),
        enabled: true,
        kind: kind.into(),
        location: location.into(),
        log_level: -1,
        ..EventRule::default()
    });
    let mut saved = one("live");
    saved.details.channels = vec![Channel {
        name: "channel".into(),
        domain: Domain::Kernel.into(),
        events: rules.to_vec(),
        ..saved.details.channels.first().cloned().unwrap_or_default()
    }];
    let text = write(&[saved]);
    let again = read(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(again[0].details.channels[0].events, rules, "{text}");
}
