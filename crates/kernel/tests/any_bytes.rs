//! Arbitrary bytes in the place of pages and of format texts: the answer is an error or a good packet,
//! never a panic, an endless loop or memory out of proportion.
//!
//! `PROPTEST_CASES=100000 cargo test -p kernel --test any_bytes` hunts longer.

mod common;

use std::sync::Arc;

use common::pages::PageBuilder;
use common::trace_dir::{UUID, metadata};
use ctf::decode::Decoder;
use ctf::types::ByteOrder;
use kernel::format::{EventFormat, PageHeader};
use kernel::machine::Machine;
use kernel::page::Page;
use kernel::schema::EventSchema;
use kernel::transcode::{Programs, StreamIdentity, Transcoder};
use proptest::prelude::*;

/// An event with a field of every shape.
const EVERY_SHAPE: &str = "name: every_shape\nID: 3\nformat:\n\
    \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
    \tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n\
    \tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n\
    \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
    \tfield:u8 small;\toffset:8;\tsize:1;\tsigned:0;\n\
    \tfield:char comm[5];\toffset:9;\tsize:5;\tsigned:0;\n\
    \tfield:__data_loc char[] text;\toffset:16;\tsize:4;\tsigned:0;\n\
    \tfield:__rel_loc char[] relative;\toffset:20;\tsize:4;\tsigned:0;\n\
    \tfield:__data_loc cpumask_t mask;\toffset:24;\tsize:4;\tsigned:0;\n\
    \tfield:__rel_loc int[] numbers;\toffset:28;\tsize:4;\tsigned:1;\n\
    \tfield:struct pair pairs[2];\toffset:32;\tsize:24;\tsigned:0;\n\
    \tfield:long last;\toffset:56;\tsize:8;\tsigned:1;\n\
    \tfield:u32 rest[];\toffset:64;\tsize:0;\tsigned:0;\n\n\
    print fmt: \"%x\", REC->small\n";

/// An event of one number.
const SMALL: &str = "name: small\nID: 5\nformat:\n\
    \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
    \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
    \tfield:u64 value;\toffset:8;\tsize:8;\tsigned:0;\n\n\
    print fmt: \"\"\n";

/// A system call with a text.
const CALL: &str = "name: sys_enter_call\nID: 7\nformat:\n\
    \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
    \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
    \tfield:const char * name;\toffset:8;\tsize:8;\tsigned:0;\n\
    \tfield:__data_loc char[] __name_val;\toffset:16;\tsize:4;\tsigned:0;\n\n\
    print fmt: \"\"\n";

fn machine(big: bool, long: bool) -> Machine {
    Machine {
        byte_order: if big {
            ByteOrder::Big
        } else {
            ByteOrder::Little
        },
        page: if long {
            PageHeader::LONG_64
        } else {
            PageHeader::LONG_32
        },
    }
}

fn schemas(machine: &Machine) -> Vec<EventSchema> {
    [(EVERY_SHAPE, "test"), (SMALL, "test"), (CALL, "syscalls")]
        .iter()
        .map(|(text, subsystem)| {
            let format = EventFormat::parse(text).unwrap();
            EventSchema::new(&format, subsystem, machine).unwrap()
        })
        .collect()
}

/// What the transcoder makes of pages is read back by the decoder: the same number of events.
fn check(machine: &Machine, pages: &[Vec<u8>]) {
    let schemas = schemas(machine);
    let programs = Arc::new(Programs::new(machine, &schemas));
    let identity = StreamIdentity {
        uuid: UUID,
        stream_id: 0,
        cpu: 1,
    };
    let mut transcoder = Transcoder::new(programs, identity);
    let (mut events, mut packets) = (0, Vec::new());
    for (at, page) in pages.iter().enumerate() {
        if let Ok(summary) = transcoder.add_page(page) {
            events += summary.events;
        }
        if at % 2 == 1 && !transcoder.is_empty() {
            packets.extend_from_slice(transcoder.finish(None).bytes);
        }
    }
    packets.extend_from_slice(transcoder.finish(None).bytes);
    let decoder = Decoder::new(&metadata(machine, &schemas)).unwrap();
    let summary = decoder.count_trace_file(&packets).unwrap();
    assert_eq!(summary.events, events);
}

/// Pages of records, with time in all forms between them.
fn pages(machine: &Machine, start: u64, records: &[(u32, Vec<u8>)]) -> Vec<Vec<u8>> {
    let mut pages = Vec::new();
    for (at, records) in records.chunks(5).enumerate() {
        // Sometimes the clock goes back; the trace's does not.
        let mut page = PageBuilder::new(machine, start.wrapping_add(at as u64 * 7_000_000));
        for (number, (delta, bytes)) in records.iter().enumerate() {
            if bytes.is_empty() {
                page.time_extend(u64::from(*delta) << number);
            } else if bytes[0] == 0xdd {
                page.discarded(*delta, bytes);
            } else {
                page.record(*delta, bytes);
            }
        }
        if at % 3 == 2 {
            page.missed((at % 2 == 0).then_some(9));
        }
        pages.push(page.finish());
    }
    pages
}

/// A record of a known event with anything in it, of any length.
fn record() -> impl Strategy<Value = (u32, Vec<u8>)> {
    let id = prop_oneof![Just(3u16), Just(3), Just(5), Just(7), any::<u16>()];
    let bytes = proptest::collection::vec(any::<u8>(), 0..200);
    // Locations that are mostly inside the record.
    let locations = proptest::collection::vec((0u8..200, 0u8..100), 4);
    (0u32..1 << 27, id, bytes, locations, any::<bool>()).prop_map(
        |(delta, id, mut bytes, locations, big)| {
            if bytes.len() >= 64 {
                for (at, (offset, length)) in locations.into_iter().enumerate() {
                    let word = u32::from(offset) | u32::from(length) << 16;
                    let word = if big {
                        word.to_be_bytes()
                    } else {
                        word.to_le_bytes()
                    };
                    bytes[16 + 4 * at..20 + 4 * at].copy_from_slice(&word);
                }
            }
            if bytes.len() >= 2 {
                let id = if big {
                    id.to_be_bytes()
                } else {
                    id.to_le_bytes()
                };
                bytes[..2].copy_from_slice(&id);
            }
            (delta, bytes)
        },
    )
}

proptest! {
    #[test]
    fn any_bytes_are_no_danger_as_a_page(
        bytes in proptest::collection::vec(any::<u8>(), 0..6000),
        commit in 0u16..6000,
        big in any::<bool>(),
        long in any::<bool>(),
    ) {
        let machine = machine(big, long);
        let mut page = bytes;
        // A length that fits, mostly: else there is nothing to read.
        if page.len() >= 16 {
            let at = if big && long { 14 } else if big { 10 } else { 8 };
            page[8..machine.page.data_offset as usize].fill(0);
            let commit = if big { commit.to_be_bytes() } else { commit.to_le_bytes() };
            page[at..at + 2].copy_from_slice(&commit);
        }
        if let Ok(parsed) = Page::parse(&page, &machine) {
            let bytes: usize = parsed.records().map(|record| record.data.len() + 4).sum();
            prop_assert!(bytes <= parsed.len());
        }
        check(&machine, &[page]);
    }

    #[test]
    fn any_records_become_good_packets(
        records in proptest::collection::vec(record(), 0..30),
        start in any::<u64>(),
        big in any::<bool>(),
        long in any::<bool>(),
    ) {
        let machine = machine(big, long);
        check(&machine, &pages(&machine, start, &records));
    }

    #[test]
    fn good_pages_with_some_bytes_changed_are_no_danger(
        records in proptest::collection::vec(record(), 1..30),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
        big in any::<bool>(),
        long in any::<bool>(),
    ) {
        let machine = machine(big, long);
        let mut pages = pages(&machine, 1 << 40, &records);
        for (number, (place, byte)) in changes.into_iter().enumerate() {
            let page = &mut pages[0];
            // Most of a page is not in use.
            let place = place.index(page.len().min(600));
            page[place] = byte;
            if number == 10 {
                page.truncate(cut.index(4096));
                break;
            }
        }
        check(&machine, &pages);
    }

    #[test]
    fn any_text_is_no_danger_as_a_format(text in "(name: x\nID: [0-9]{1,6}\nformat:\n)?(\tfield:[a-z_ \\[\\]*0-9]{0,30};(\toffset:[0-9]{1,11};)?(\tsize:[0-9]{1,11};\tsigned:[01];)?\n){0,6}(print fmt: [^\n]{0,60}\n)?") {
        let machine = machine(false, true);
        if let Ok(format) = EventFormat::parse(&text) {
            let _ = EventSchema::new(&format, "test", &machine);
        }
        let _ = PageHeader::parse(&text);
    }

    #[test]
    fn any_print_format_is_no_danger(print in "[\"%x(){},<>REC\\-_prinsymbolfag0-9 ]{0,80}") {
        let machine = machine(false, true);
        let text = SMALL.replace("print fmt: \"\"", &format!("print fmt: {print}"));
        let format = EventFormat::parse(&text).unwrap();
        EventSchema::new(&format, "test", &machine).unwrap();
    }
}
