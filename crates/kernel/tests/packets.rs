//! Packets as babeltrace2 reads them: times to the nanosecond, losses, names and values of fields.

mod common;

use std::sync::Arc;

use common::pages::PageBuilder;
use common::trace_dir::{TraceDir, UUID};
use ctf::types::ByteOrder;
use kernel::format::{EventFormat, PageHeader};
use kernel::machine::Machine;
use kernel::schema::EventSchema;
use kernel::transcode::{Programs, State, StreamIdentity, Transcoder};

const MACHINE: Machine = Machine {
    byte_order: ByteOrder::Little,
    page: PageHeader::LONG_64,
};

const IDENTITY: StreamIdentity = StreamIdentity {
    uuid: UUID,
    stream_id: 0,
    cpu: 5,
};

fn schema(machine: &Machine, subsystem: &str, name: &str, id: u16, fields: &str) -> EventSchema {
    let text = format!(
        "name: {name}\nID: {id}\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
        \tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n\
        \tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n\
        \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n{fields}\n"
    );
    EventSchema::new(&EventFormat::parse(&text).unwrap(), subsystem, machine).unwrap()
}

/// An event with one number.
fn number(machine: &Machine) -> EventSchema {
    schema(
        machine,
        "test",
        "number",
        3,
        "\tfield:u64 value;\toffset:8;\tsize:8;\tsigned:0;\n",
    )
}

fn number_record(value: u64) -> Vec<u8> {
    let mut record = vec![3, 0, 0, 0];
    record.extend(77u32.to_le_bytes());
    record.extend(value.to_le_bytes());
    record
}

fn transcoder(schemas: &[EventSchema]) -> Transcoder {
    Transcoder::new(Arc::new(Programs::new(&MACHINE, schemas)), IDENTITY)
}

#[test]
fn times_are_exact_however_far_apart() {
    let schemas = [number(&MACHINE)];
    let mut transcoder = transcoder(&schemas);
    let start = 0x7_ffff_ff00u64;
    let steps = [
        0,
        1,
        (1 << 32) - 1,
        1 << 32,
        (1 << 32) + 1,
        0xff,
        1 << 45,
        1 << 27,
        5,
    ];
    let mut page = PageBuilder::new(&MACHINE, start);
    let mut expected = Vec::new();
    let mut time = start;
    for (at, step) in steps.into_iter().enumerate() {
        page.time_extend(step).record(0, &number_record(at as u64));
        time += step;
        expected.push(format!(
            "[{time:020}] target number: {{ cpu_id = 5 }}, {{ tid = 77 }}, {{ value = {at} }}"
        ));
    }
    let summary = transcoder.add_page(&page.finish()).unwrap();
    assert_eq!(summary.events, steps.len() as u64);
    let trace = TraceDir::new("exact_times");
    trace.metadata(&MACHINE, &schemas);
    trace.stream("kernel_5", transcoder.finish(None).bytes);
    let (lines, _) = trace.babeltrace2();
    assert_eq!(lines, expected);
}

#[test]
fn pages_fill_packets_that_follow_each_other() {
    let schemas = [number(&MACHINE)];
    let mut transcoder = transcoder(&schemas);
    assert!(transcoder.is_empty());
    let mut stream = Vec::new();
    for packet in 0..4u64 {
        for page in 0..3u64 {
            let at = 1_000_000 * (packet * 3 + page + 1);
            let mut builder = PageBuilder::new(&MACHINE, at);
            for event in 0..10u64 {
                builder.record(10, &number_record(packet * 30 + page * 10 + event));
            }
            let summary = transcoder.add_page(&builder.finish()).unwrap();
            assert_eq!(summary.events, 10);
        }
        assert_eq!(transcoder.events(), 30);
        assert_eq!(transcoder.len(), 84 + 30 * 18);
        let end = (packet == 3).then_some(20_000_000);
        let finished = transcoder.finish(end);
        assert_eq!((finished.seq, finished.events), (packet, 30));
        assert_eq!(finished.begin, 1_000_000 * (packet * 3 + 1));
        assert_eq!(
            finished.end,
            end.unwrap_or(1_000_000 * (packet * 3 + 3) + 100)
        );
        stream.extend_from_slice(finished.bytes);
        assert!(transcoder.is_empty() && transcoder.events() == 0);
    }
    // Nothing happened until the flush.
    let empty = transcoder.finish(Some(30_000_000));
    assert_eq!((empty.begin, empty.end), (30_000_000, 30_000_000));
    assert_eq!((empty.seq, empty.bytes.len()), (4, 84));
    stream.extend_from_slice(empty.bytes);
    let trace = TraceDir::new("many_pages");
    trace.metadata(&MACHINE, &schemas);
    trace.stream("kernel_5", &stream);
    let (lines, discarded) = trace.babeltrace2();
    assert_eq!((lines.len(), discarded.len()), (120, 0));
    for (at, line) in lines.iter().enumerate() {
        assert!(line.ends_with(&format!("{{ value = {at} }}")), "{line}");
    }
}

#[test]
fn lost_events_are_counted_in_the_packet() {
    let schemas = [number(&MACHINE)];
    let mut transcoder = transcoder(&schemas);
    let mut stream = Vec::new();
    let mut add = |transcoder: &mut Transcoder, at: u64, missed: Option<Option<u64>>| {
        let mut page = PageBuilder::new(&MACHINE, at);
        page.record(1, &number_record(at));
        if let Some(missed) = missed {
            page.missed(missed);
        }
        transcoder.add_page(&page.finish()).unwrap();
        let packet = transcoder.finish(None);
        stream.extend_from_slice(packet.bytes);
        packet.events_discarded
    };
    assert_eq!(add(&mut transcoder, 100, None), 0);
    assert_eq!(add(&mut transcoder, 200, Some(Some(1000))), 1000);
    assert_eq!(add(&mut transcoder, 300, Some(None)), 1001);
    transcoder.add_discarded(9);
    assert_eq!(add(&mut transcoder, 400, None), 1010);
    let trace = TraceDir::new("lost_events");
    trace.metadata(&MACHINE, &schemas);
    trace.stream("kernel_5", &stream);
    let (lines, discarded) = trace.babeltrace2();
    assert_eq!(lines.len(), 4);
    let counts: Vec<&str> = discarded
        .iter()
        .filter_map(|line| line.split("discarded ").nth(1)?.split(' ').next())
        .collect();
    assert_eq!(counts, ["1000", "1", "9"], "{discarded:?}");
}

#[test]
fn a_successor_goes_on_with_the_numbers() {
    let schemas = [number(&MACHINE)];
    let mut transcoder = transcoder(&schemas);
    let before = State {
        next_seq: 41,
        discarded: 7,
        last: 90,
        earliest: 91,
    };
    transcoder.restore(before);
    assert_eq!(transcoder.state(), before);
    let page = PageBuilder::new(&MACHINE, 100).finish();
    transcoder.add_page(&page).unwrap();
    let packet = transcoder.finish(None);
    assert_eq!((packet.seq, packet.events_discarded), (41, 7));
    let (bytes, after) = (packet.bytes.to_vec(), packet.after);
    assert_eq!(transcoder.state(), after);
    // What another one makes of the same page is the same packet, whatever was begun before.
    transcoder.add_page(&page).unwrap();
    transcoder.restore(before);
    transcoder.add_page(&page).unwrap();
    let again = transcoder.finish(Some(after.last));
    assert_eq!((again.bytes, again.after), (&bytes[..], after));
    assert_eq!(transcoder.finish(Some(200)).seq, 42);
}

#[test]
fn nothing_begins_before_what_was_said_to_be_idle() {
    let schemas = [number(&MACHINE)];
    let mut transcoder = transcoder(&schemas);
    let empty = PageBuilder::new(&MACHINE, 100).finish();
    transcoder.add_page(&empty).unwrap();
    transcoder.idle_until(500);
    let mut page = PageBuilder::new(&MACHINE, 200);
    page.record(400, &number_record(1));
    transcoder.add_page(&page.finish()).unwrap();
    let packet = transcoder.finish(None);
    assert_eq!((packet.begin, packet.end, packet.events), (500, 600, 1));
}

#[test]
fn events_that_are_enabled_later_come_into_the_open_packet() {
    let number = number(&MACHINE);
    let later = schema(
        &MACHINE,
        "test",
        "later",
        4,
        "\tfield:u32 half;\toffset:8;\tsize:4;\tsigned:0;\n",
    );
    let mut transcoder = transcoder(std::slice::from_ref(&number));
    let page = |at: u64| {
        let mut other = number_record(5);
        other[0] = 4;
        let mut page = PageBuilder::new(&MACHINE, at);
        page.record(1, &number_record(at)).record(1, &other);
        page.finish()
    };
    let summary = transcoder.add_page(&page(100)).unwrap();
    assert_eq!((summary.events, summary.unknown), (1, 1));
    let schemas = [number, later];
    transcoder.set_programs(Arc::new(Programs::new(&MACHINE, &schemas)));
    let summary = transcoder.add_page(&page(200)).unwrap();
    assert_eq!((summary.events, summary.unknown), (2, 0));
    let trace = TraceDir::new("enabled_later");
    trace.metadata(&MACHINE, &schemas);
    trace.stream("kernel_5", transcoder.finish(None).bytes);
    let (lines, _) = trace.babeltrace2();
    assert_eq!(lines.len(), 3);
    assert!(lines[2].ends_with("later: { cpu_id = 5 }, { tid = 77 }, { half = 5 }"));
}

#[test]
fn what_cannot_be_an_event_is_counted() {
    let schemas = [number(&MACHINE)];
    let mut transcoder = transcoder(&schemas);
    let mut unknown = number_record(1);
    unknown[0] = 4;
    let mut page = PageBuilder::new(&MACHINE, 100);
    page.record(1, &number_record(1))
        .record(1, &unknown)
        .record(1, &number_record(1)[..12])
        .record(1, &[3, 0, 0, 0])
        .record(1, &number_record(2))
        .header(28, 1);
    let summary = transcoder.add_page(&page.finish()).unwrap();
    assert_eq!((summary.events, summary.unknown), (2, 1));
    assert_eq!((summary.malformed, summary.damaged), (2, true));
    // An earlier page: events cannot go back in a packet.
    let mut page = PageBuilder::new(&MACHINE, 50);
    page.record(1, &number_record(3));
    let summary = transcoder.add_page(&page.finish()).unwrap();
    assert_eq!((summary.events, summary.out_of_order), (1, 1));
    assert_eq!(transcoder.last_timestamp(), 105);
    let trace = TraceDir::new("no_events");
    trace.metadata(&MACHINE, &schemas);
    trace.stream("kernel_5", transcoder.finish(None).bytes);
    assert_eq!(trace.babeltrace2().0.len(), 3);
}

/// The fields of every shape, with values, in both byte orders.
#[test]
fn every_shape_of_field_has_its_value() {
    for byte_order in [ByteOrder::Little, ByteOrder::Big] {
        let machine = Machine {
            byte_order,
            page: PageHeader::LONG_64,
        };
        let big = byte_order == ByteOrder::Big;
        let mut record = vec![0; 8];
        let put = |record: &mut Vec<u8>, bytes: &[u8]| {
            let at = record.len();
            record.extend_from_slice(bytes);
            if big {
                record[at..].reverse();
            }
        };
        record.clear();
        put(&mut record, &9u16.to_le_bytes());
        record.extend([0, 0]);
        put(&mut record, &(-5i32).to_le_bytes());
        put(&mut record, &(-3i8).to_le_bytes());
        record.push(1);
        put(&mut record, &0xfffeu16.to_le_bytes());
        record.extend(*b"a name\0junk\0\0\0\0\0");
        put(&mut record, &0xffff_8880_0000_0001u64.to_le_bytes());
        put(&mut record, &(-7i64).to_le_bytes());
        // Offset 44: text at 64, numbers from the end of their word.
        put(&mut record, &(6u32 << 16 | 64).to_le_bytes());
        put(&mut record, &(8u32 << 16 | 20).to_le_bytes());
        put(&mut record, &(8u32 << 16 | 80).to_le_bytes());
        record.extend([1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(record.len(), 64);
        record.extend(*b"text\0x\0\0");
        put(&mut record, &(-1i32).to_le_bytes());
        put(&mut record, &70_000i32.to_le_bytes());
        put(&mut record, &0x3u64.to_le_bytes());
        assert_eq!(record.len(), 88);
        let fields = "\tfield:s8 tiny;\toffset:8;\tsize:1;\tsigned:1;\n\
            \tfield:bool yes;\toffset:9;\tsize:1;\tsigned:0;\n\
            \tfield:u16 mode;\toffset:10;\tsize:2;\tsigned:0;\n\
            \tfield:char name[16];\toffset:12;\tsize:16;\tsigned:0;\n\
            \tfield:void * address;\toffset:28;\tsize:8;\tsigned:0;\n\
            \tfield:long state;\toffset:36;\tsize:8;\tsigned:1;\n\
            \tfield:__data_loc char[] text;\toffset:44;\tsize:4;\tsigned:0;\n\
            \tfield:__rel_loc int[] numbers;\toffset:48;\tsize:4;\tsigned:1;\n\
            \tfield:__data_loc cpumask_t mask;\toffset:52;\tsize:4;\tsigned:0;\n\
            \tfield:u8 bytes[8];\toffset:56;\tsize:8;\tsigned:0;\n\n\
            print fmt: \"%o %s\", REC->mode, __print_symbolic(REC->yes, { 0, \"no\" }, { 1, \"yes\" })\n";
        let schemas = [schema(&machine, "test", "shapes", 9, fields)];
        let programs = Arc::new(Programs::new(&machine, &schemas));
        let mut transcoder = Transcoder::new(programs, IDENTITY);
        let mut page = PageBuilder::new(&machine, 100);
        page.record(1, &record);
        let summary = transcoder.add_page(&page.finish()).unwrap();
        assert_eq!((summary.events, summary.malformed), (1, 0));
        let trace = TraceDir::new(&format!("shapes_{byte_order:?}"));
        trace.metadata(&machine, &schemas);
        trace.stream("kernel_5", transcoder.finish(None).bytes);
        let (lines, _) = trace.babeltrace2();
        assert_eq!(
            lines,
            [
                "[00000000000000000101] target shapes: { cpu_id = 5 }, { tid = -5 }, \
            { tiny = -3, yes = ( \"yes\" : container = 1 ), mode = 0177776, name = \"a name\", \
            address = 0xFFFF888000000001, state = -7, text = \"text\", _numbers_length = 2, \
            numbers = [ [0] = -1, [1] = 70000 ], _mask_length = 1, mask = [ [0] = 0x3 ], \
            bytes = [ [0] = 1, [1] = 2, [2] = 3, [3] = 4, [4] = 5, [5] = 6, [6] = 7, [7] = 8 ] }"
            ],
            "{byte_order:?}"
        );
    }
}

/// An empty text has its byte in the record, one that could not be read has none.
#[test]
fn text_that_could_not_be_read_is_its_address() {
    let fields = "\tfield:const char * filename;\toffset:8;\tsize:8;\tsigned:0;\n\
        \tfield:int mode;\toffset:16;\tsize:4;\tsigned:1;\n\
        \tfield:__data_loc char[] __filename_val;\toffset:20;\tsize:4;\tsigned:0;\n\n\
        print fmt: \"\"\n";
    for (byte_order, big) in [(ByteOrder::Little, false), (ByteOrder::Big, true)] {
        let machine = Machine {
            byte_order,
            page: PageHeader::LONG_64,
        };
        let schemas = [schema(&machine, "syscalls", "sys_enter_access", 9, fields)];
        let record = |len: u32, text: &[u8]| {
            let mut record = Vec::new();
            let mut put = |mut bytes: Vec<u8>| {
                if big {
                    bytes.reverse();
                }
                record.extend(bytes);
            };
            put(9u16.to_le_bytes().into());
            put(vec![0, 0]);
            put(77u32.to_le_bytes().into());
            put(0x7fff_0000_beefu64.to_le_bytes().into());
            put(4u32.to_le_bytes().into());
            put((len << 16 | 24).to_le_bytes().into());
            record.extend_from_slice(text);
            record
        };
        let programs = Arc::new(Programs::new(&machine, &schemas));
        let mut transcoder = Transcoder::new(programs, IDENTITY);
        let mut page = PageBuilder::new(&machine, 100);
        page.record(1, &record(0, &[0; 4]))
            .record(1, &record(4, b"/a\n\0"))
            .record(1, &record(0, b""));
        let summary = transcoder.add_page(&page.finish()).unwrap();
        assert_eq!((summary.events, summary.malformed), (3, 0));
        let trace = TraceDir::new(&format!("address_{byte_order:?}"));
        trace.metadata(&machine, &schemas);
        trace.stream("kernel_5", transcoder.finish(None).bytes);
        let (lines, _) = trace.babeltrace2();
        for (line, text) in lines.iter().zip(["", "/a\\n", "0x7fff0000beef"]) {
            let shown = format!("{{ filename = \"{text}\", mode = 4 }}");
            assert!(line.ends_with(&shown), "{byte_order:?}: {line}");
        }
        assert_eq!(lines.len(), 3);
    }
}
