//! Events per second from raw pages to packets, on one core, in memory.
//!
//! `cargo bench -p kernel`. The records are those of Linux 6.18 on x86-64.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ctf::types::ByteOrder;
use kernel::context::Contexts;
use kernel::format::{EventFormat, PageHeader};
use kernel::machine::Machine;
use kernel::schema::EventSchema;
use kernel::tasks::{Change, Tasks, What, name};
use kernel::transcode::{Programs, StreamIdentity, Transcoder};

const COMMON: &str = "\
    \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
    \tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n\
    \tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n\
    \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n";

/// An event and the bytes of its records.
struct Kind {
    schema: EventSchema,
    record: Vec<u8>,
}

fn kind(machine: &Machine, subsystem: &str, name: &str, id: u16, fields: &str, len: usize) -> Kind {
    let text = format!("name: {name}\nID: {id}\nformat:\n{COMMON}{fields}\nprint fmt: \"\"\n");
    let format = EventFormat::parse(&text).expect("a format");
    let mut record = vec![b'x'; len];
    record[..2].copy_from_slice(&id.to_le_bytes());
    // What points to text: the last 8 bytes of the record.
    if fields.contains("__data_loc") {
        let word = (8 << 16) | (len as u32 - 8);
        record[12..16].copy_from_slice(&word.to_le_bytes());
        record[len - 1] = 0;
    }
    Kind {
        schema: EventSchema::new(&format, subsystem, machine).expect("a schema"),
        record,
    }
}

/// Pages full of the records of `kinds` in turn.
fn pages(kinds: &[&Kind], count: usize, page_size: usize) -> (Vec<Vec<u8>>, u64) {
    let (mut pages, mut events, mut turn) = (Vec::new(), 0, 0);
    for number in 0..count {
        let mut records = Vec::new();
        loop {
            let record = &kinds[turn % kinds.len()].record;
            if records.len() + record.len() + 4 > page_size - 16 {
                break;
            }
            let header = (record.len() as u32 / 4) | (300 << 5);
            records.extend_from_slice(&header.to_le_bytes());
            records.extend_from_slice(record);
            turn += 1;
            events += 1;
        }
        let mut page = (1_000_000_000 + number as u64 * 100_000)
            .to_le_bytes()
            .to_vec();
        page.extend_from_slice(&(records.len() as u64).to_le_bytes());
        page.extend_from_slice(&records);
        page.resize(page_size, 0);
        pages.push(page);
    }
    (pages, events)
}

/// The contexts of [`measure`], if it shall have any.
const CONTEXTS: [&str; 3] = ["pid", "ppid", "procname"];
/// Threads of the events, and others that the history has.
const RUNNING: u32 = 7;
const TASKS: u32 = 2_000;

/// A history in which each running thread has had other names before.
fn history() -> Tasks {
    let mut tasks = Tasks::default();
    let forked = |tid| Change {
        time: 1,
        tid,
        what: What::Forked {
            by: 1,
            flags: 0,
            name: name(b"thread"),
        },
    };
    tasks.add((1..TASKS).map(forked));
    for time in 2..5 {
        tasks.add((1..TASKS).map(|tid| Change {
            time,
            tid,
            what: What::Renamed {
                old: name(b"thread"),
                new: name(b"thread"),
            },
        }));
    }
    tasks.apply(10);
    tasks
}

/// Gives the records of a page the thread ids 100, 101 …, another one each time or for some time.
fn spread(pages: &mut [Vec<u8>], each: usize) {
    let mut count = 0;
    for page in pages {
        let end = 16 + usize::from(u16::from_le_bytes([page[8], page[9]]));
        let mut at = 16;
        while at < end {
            let words = usize::from(page[at] & 31);
            let tid = 100 + (count / each) as u32 % RUNNING;
            page[at + 8..at + 12].copy_from_slice(&tid.to_le_bytes());
            count += 1;
            at += 4 + 4 * words;
        }
    }
}

fn measure(
    name: &str,
    machine: &Machine,
    kinds: &[&Kind],
    page_size: usize,
    tasks: Option<&Tasks>,
) {
    let programs = Arc::new(Programs::new(
        machine,
        kinds.iter().map(|kind| &kind.schema),
    ));
    // More than the first caches hold, as pages come from another core.
    let (mut pages, events) = pages(kinds, (4 << 20) / page_size, page_size);
    // Many events in a row are of one thread, but of switches.
    spread(&mut pages, if kinds.len() == 1 { 1 } else { 20 });
    let identity = StreamIdentity {
        uuid: [1; 16],
        stream_id: 0,
        cpu: 0,
    };
    let contexts = Contexts::of(tasks.map_or(&[][..], |_| &CONTEXTS).iter().copied());
    let mut transcoder = Transcoder::with_contexts(programs, identity, &contexts);
    let nothing = Tasks::default();
    let tasks = tasks.unwrap_or(&nothing);
    let mut best = Duration::MAX;
    let mut bytes = 0;
    for _ in 0..20 {
        let start = Instant::now();
        let (mut seen, mut written) = (0, 0);
        for page in &pages {
            let summary = transcoder
                .add_page_of(black_box(page), tasks)
                .expect("a page");
            assert_eq!((summary.unknown, summary.malformed), (0, 0));
            seen += summary.events;
            if transcoder.len() > 256 << 10 {
                written += black_box(transcoder.finish(None).bytes).len();
            }
        }
        written += transcoder.finish(None).bytes.len();
        best = best.min(start.elapsed());
        bytes = written;
        assert_eq!(seen, events);
    }
    let ns = best.as_secs_f64() * 1e9 / events as f64;
    println!(
        "{name:<46} {page_size:>6} B pages: {:6.1} million events/s, {ns:5.1} ns each, {:.1} bytes each in the trace",
        1e3 / ns,
        bytes as f64 / events as f64
    );
}

fn main() {
    let machine = Machine {
        byte_order: ByteOrder::Little,
        page: PageHeader::LONG_64,
    };
    let switch = kind(
        &machine,
        "sched",
        "sched_switch",
        372,
        "\tfield:char prev_comm[16];\toffset:8;\tsize:16;\tsigned:0;\n\
        \tfield:pid_t prev_pid;\toffset:24;\tsize:4;\tsigned:1;\n\
        \tfield:int prev_prio;\toffset:28;\tsize:4;\tsigned:1;\n\
        \tfield:long prev_state;\toffset:32;\tsize:8;\tsigned:1;\n\
        \tfield:char next_comm[16];\toffset:40;\tsize:16;\tsigned:0;\n\
        \tfield:pid_t next_pid;\toffset:56;\tsize:4;\tsigned:1;\n\
        \tfield:int next_prio;\toffset:60;\tsize:4;\tsigned:1;\n",
        64,
    );
    let enter = kind(
        &machine,
        "syscalls",
        "sys_enter_read",
        842,
        "\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n\
        \tfield:unsigned int fd;\toffset:16;\tsize:8;\tsigned:0;\n\
        \tfield:char * buf;\toffset:24;\tsize:8;\tsigned:0;\n\
        \tfield:size_t count;\toffset:32;\tsize:8;\tsigned:0;\n",
        40,
    );
    let exit = kind(
        &machine,
        "syscalls",
        "sys_exit_read",
        841,
        "\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n\
        \tfield:long ret;\toffset:16;\tsize:8;\tsigned:1;\n",
        24,
    );
    let raw_enter = kind(
        &machine,
        "raw_syscalls",
        "sys_enter",
        443,
        "\tfield:long id;\toffset:8;\tsize:8;\tsigned:1;\n\
        \tfield:unsigned long args[6];\toffset:16;\tsize:48;\tsigned:0;\n",
        64,
    );
    let getppid = kind(
        &machine,
        "syscalls",
        "sys_enter_getppid",
        844,
        "\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n",
        16,
    );
    let irq = kind(
        &machine,
        "irq",
        "irq_handler_entry",
        150,
        "\tfield:int irq;\toffset:8;\tsize:4;\tsigned:1;\n\
        \tfield:__data_loc char[] name;\toffset:12;\tsize:4;\tsigned:0;\n",
        24,
    );
    let history = history();
    let all = [&switch, &enter, &exit, &getppid, &exit, &irq, &raw_enter];
    for page_size in [4096, 65536] {
        for (name, kinds) in [
            ("sched_switch", &[&switch][..]),
            ("sys_enter (raw_syscalls)", &[&raw_enter]),
            ("syscall_entry_read, _exit_read", &[&enter, &exit]),
            ("syscall_entry_getppid", &[&getppid]),
            ("irq_handler_entry (a string)", &[&irq]),
            ("all of them in turn", &all),
        ] {
            measure(name, &machine, kinds, page_size, None);
            let name = format!("{name}, + contexts");
            measure(&name, &machine, kinds, page_size, Some(&history));
        }
    }
}
