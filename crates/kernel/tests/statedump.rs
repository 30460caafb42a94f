//! The state dump of a made-up system, and of this one.

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use common::trace_dir::{TraceDir, UUID, preamble};
use ctf::types::ByteOrder;
use kernel::format::PageHeader;
use kernel::machine::Machine;
use kernel::schema::stream_class;
use kernel::statedump::{Sources, StateDump, classes, collect};
use kernel::transcode::StreamIdentity;

const IDENTITY: StreamIdentity = StreamIdentity {
    uuid: UUID,
    stream_id: 4,
    cpu: 0,
};

fn dump(sources: &Sources) -> StateDump {
    let mut time = 1000;
    collect(sources, &IDENTITY, &mut || {
        time += 1;
        time
    })
}

/// The events as babeltrace2 shows them, without their times and contexts.
fn read(name: &str, dump: &StateDump) -> (Vec<String>, Vec<String>) {
    assert_eq!(dump.packet_lens.iter().sum::<usize>(), dump.bytes.len());
    let machine = Machine::native(&PageHeader::LONG_64);
    let trace = TraceDir::new(name);
    let mut metadata = preamble(&machine);
    metadata.push_str(&ctf::tsdl::stream(&stream_class(4), ByteOrder::NATIVE));
    for class in classes(4) {
        metadata.push_str(&ctf::tsdl::event(&class, ByteOrder::NATIVE));
    }
    trace.metadata_text(&metadata);
    trace.stream("statedump_0", &dump.bytes);
    let (lines, discarded) = trace.babeltrace2();
    assert_eq!(lines.len() as u64, dump.events);
    let lines = lines
        .iter()
        .map(|line| {
            let (_, rest) = line.split_once(" target ").unwrap();
            let (name, rest) = rest.split_once(':').unwrap();
            let fields = rest.splitn(3, "}, {").nth(2).unwrap_or_default();
            format!("{name} {{{fields}")
        })
        .collect();
    (lines, discarded)
}

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn made_up(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&root);
    let rest = "0 0 0 0 0 0 0 0 20 0 1 0 9 1 1 1 1 1 0 0 0 0 0 0 0 0 0 0 17";
    for (pid, tid, stat) in [
        (
            2,
            2,
            format!("2 (kthreadd) I 0 0 0 0 -1 2129984 {rest} 1 0 0"),
        ),
        (
            70,
            70,
            format!("70 (a \"b\") R 1 70 70 0 -1 4194304 {rest} 0 0 0"),
        ),
        (
            70,
            71,
            format!("71 (a long name of a thread) S 1 70 70 0 -1 4194304 {rest} 1 0 0"),
        ),
    ] {
        put(&root, &format!("proc/{pid}/task/{tid}/stat"), &stat);
    }
    put(
        &root,
        "proc/70/task/71/status",
        "Name:\tx\nTgid:\t70\nPPid:\t1\nNStgid:\t70\t3\nNSpid:\t71\t4\n",
    );
    fs::create_dir_all(root.join("proc/70/task/71/ns")).unwrap();
    symlink("pid:[4026532001]", root.join("proc/70/task/71/ns/pid")).unwrap();
    // It has ended meanwhile.
    fs::create_dir_all(root.join("proc/80/task/80")).unwrap();
    fs::create_dir_all(root.join("proc/70/fd")).unwrap();
    symlink("/tmp/a file", root.join("proc/70/fd/3")).unwrap();
    symlink("socket:[12]", root.join("proc/70/fd/10")).unwrap();
    put(&root, "proc/70/fdinfo/3", "pos:\t0\nflags:\t0100001\n");
    put(&root, "proc/70/fdinfo/10", "pos:\t0\nflags:\t02\n");
    put(
        &root,
        "proc/cpuinfo",
        "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\n\
        model name\t: A CPU @ 2.80GHz\nphysical id\t: 0\ncore id\t\t: 1\ncpu cores\t: 2\n\n\
        processor\t: 1\nBogoMIPS\t: 50.0\n\n",
    );
    put(&root, "sys/kernel/irq/9/chip_name", "IO-APIC\n");
    put(&root, "sys/kernel/irq/9/actions", "acpi,other\n");
    put(&root, "sys/kernel/irq/11/chip_name", "\n");
    put(&root, "sys/kernel/irq/11/actions", "\n");
    put(&root, "sys/class/block/vda1/dev", "254:1\n");
    put(&root, "sys/class/block/vda/dev", "254:0\n");
    root
}

fn sources(root: &Path) -> Sources {
    Sources {
        proc: root.join("proc"),
        sys: root.join("sys"),
        network: false,
        ..Sources::default()
    }
}

#[test]
fn a_made_up_system_is_described() {
    let dump = dump(&sources(&made_up("made_up_system")));
    let (lines, discarded) = read("statedump", &dump);
    assert_eq!((dump.left_out, discarded.len()), (0, 0));
    let process = |tid, pid, ppid, name, ty, status, cpu| {
        format!(
            "lttng_statedump_process_state {{ tid = {tid}, pid = {pid}, ppid = {ppid}, name = \"{name}\", \
            type = {ty}, mode = 5, submode = 0, status = {status}, cpu = {cpu}, \
            file_table_address = 0x{pid:X} }}"
        )
    };
    assert_eq!(
        lines,
        [
            "lttng_statedump_start { }".to_owned(),
            process(2, 2, 0, "kthreadd", 1, 5, 1),
            process(70, 70, 1, "a \\\"b\\\"", 0, 2, 0),
            process(71, 70, 1, "a long name of ", 0, 5, 1),
            "lttng_statedump_process_pid_ns { tid = 71, vtid = 4, vpid = 3, vppid = 0, ns_level = 1, \
            ns_inum = 4026532001 }"
                .to_owned(),
            "lttng_statedump_file_descriptor { file_table_address = 0x46, fd = 3, flags = 0100001, \
            fmode = 0x2, filename = \"/tmp/a file\" }"
                .to_owned(),
            "lttng_statedump_file_descriptor { file_table_address = 0x46, fd = 10, flags = 02, \
            fmode = 0x3, filename = \"socket:[12]\" }"
                .to_owned(),
            "lttng_statedump_interrupt { irq = 9, name = \"IO-APIC\", action = \"acpi\", tid = 0 }".to_owned(),
            "lttng_statedump_interrupt { irq = 9, name = \"IO-APIC\", action = \"other\", tid = 0 }".to_owned(),
            "lttng_statedump_block_device { dev = 266338304, diskname = \"vda\" }".to_owned(),
            "lttng_statedump_block_device { dev = 266338305, diskname = \"vda1\" }".to_owned(),
            "lttng_statedump_cpu_topology { architecture = \"x86\", cpu_id = 0, vendor = \"GenuineIntel\", \
            family = 6, model = 85, model_name = \"A CPU @ 2.80GHz\", physical_id = 0, core_id = 1, cores = 2 }"
                .to_owned(),
            "lttng_statedump_end { }".to_owned(),
        ]
    );
}

#[test]
fn a_large_system_fills_packets_up_to_the_limit() {
    let root = made_up("large_system");
    for fd in 100..3000 {
        symlink("x".repeat(60), root.join(format!("proc/70/fd/{fd}"))).unwrap();
    }
    let all = dump(&sources(&root));
    assert!(all.packet_lens.len() > 3, "{:?}", all.packet_lens);
    assert_eq!((all.events, all.left_out), (13 + 2900, 0));
    assert_eq!(read("large_statedump", &all).1.len(), 0);
    let limited = dump(&Sources {
        max_bytes: 100_000,
        ..sources(&root)
    });
    assert!(limited.bytes.len() < 100_200, "{}", limited.bytes.len());
    assert_eq!(limited.events + limited.left_out, all.events);
    let (lines, discarded) = read("limited_statedump", &limited);
    assert!(lines.last().unwrap().starts_with("lttng_statedump_end"));
    assert_eq!(discarded.len(), 1, "{discarded:?}");
}

#[test]
fn a_system_without_anything_is_described() {
    let nowhere = Path::new("/nowhere/at/all");
    let dump = dump(&sources(nowhere));
    assert_eq!((dump.events, dump.packet_lens.len()), (2, 1));
}

#[test]
fn this_system_is_described() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("open in the state dump");
    let _open = fs::File::create(&file).unwrap();
    let dump = dump(&Sources::default());
    let (lines, _) = read("this_system", &dump);
    let pid = std::process::id();
    let parent = std::os::unix::process::parent_id();
    let own = format!("tid = {pid}, pid = {pid}, ppid = {parent}, ");
    assert!(lines.iter().any(|line| line.contains(&own)), "{own}");
    let own = format!("file_table_address = 0x{pid:X}, fd = ");
    let name = format!("filename = \"{}\"", file.display());
    let has_file = |line: &String| line.contains(&own) && line.contains(&name);
    assert!(lines.iter().any(has_file), "{own}{name}");
    let loopback = [
        "lttng_statedump_network_interface { name = \"lo\", address_ipv4 = 0x7F000001 }",
        // It is down.
        "lttng_statedump_network_interface { name = \"lo\", address_ipv4 = 0x0 }",
    ];
    assert!(
        lines.iter().any(|line| loopback.contains(&&line[..])),
        "{lines:#?}"
    );
    assert!(lines.last().unwrap().starts_with("lttng_statedump_end"));
}
