//! Pages as the kernel makes them: every kind of time stamp, padding and loss, in both byte orders and
//! with both sizes of a `long`.

mod common;

use common::pages::PageBuilder;
use ctf::types::ByteOrder;
use kernel::format::PageHeader;
use kernel::machine::Machine;
use kernel::page::{Missed, Page, PageError};

fn machines() -> impl Iterator<Item = Machine> {
    [ByteOrder::Little, ByteOrder::Big]
        .into_iter()
        .flat_map(|byte_order| {
            [PageHeader::LONG_64, PageHeader::LONG_32].map(|page| Machine { byte_order, page })
        })
}

/// Time stamps and records of a page that has to be in order.
fn read(machine: &Machine, page: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let page = Page::parse(page, machine).unwrap();
    let mut records = page.records();
    let read = records
        .by_ref()
        .map(|record| (record.timestamp, record.data.to_vec()))
        .collect();
    assert!(!records.damaged());
    read
}

fn times(machine: &Machine, page: &[u8]) -> Vec<u64> {
    let records = read(machine, page);
    records.into_iter().map(|(time, _)| time).collect()
}

#[test]
fn records_of_every_length_are_read() {
    for machine in machines() {
        // 28 words are the most that fit the header; from 29 on the length has a word of its own.
        for words in [1, 2, 27, 28, 29, 30, 500] {
            let data: Vec<u8> = (0..words * 4).map(|at| at as u8).collect();
            let mut page = PageBuilder::new(&machine, 5000);
            page.record(7, &data).record(0, &[1; 4]).record(9, &data);
            assert_eq!(
                read(&machine, &page.size(8192).finish()),
                [
                    (5007, data.clone()),
                    (5007, vec![1; 4]),
                    (5016, data.clone())
                ],
                "{words} words, {machine:?}"
            );
        }
    }
}

#[test]
fn times_beyond_a_delta_are_exact() {
    for machine in machines() {
        let mut page = PageBuilder::new(&machine, 10);
        page.record(5, &[0; 8])
            .record((1 << 27) - 1, &[0; 8])
            .time_extend(1 << 27)
            .record(0, &[0; 8])
            .time_extend((1 << 58) + 3)
            .record(1, &[0; 8]);
        let first = 15 + (1 << 27) - 1;
        let second = first + (1 << 27);
        let third = second + (1 << 58) + 4;
        assert_eq!(times(&machine, &page.finish()), [15, first, second, third]);
    }
}

#[test]
fn absolute_times_take_their_high_bits_from_the_time_before() {
    const WRAP: u64 = 1 << 59;
    for machine in machines() {
        for (before, time) in [
            (1000, 2000),
            (0, WRAP - 1),
            (3 * WRAP + 17, 3 * WRAP + 400),
            // The low bits went round.
            (3 * WRAP - 5, 3 * WRAP + 20),
            (31 * WRAP + 1, 31 * WRAP + (1 << 40)),
        ] {
            let mut page = PageBuilder::new(&machine, before);
            page.time_stamp(time)
                .record(0, &[0; 8])
                .record(3, &[0; 8])
                .time_stamp(time + 100)
                .record(0, &[0; 8]);
            assert_eq!(
                times(&machine, &page.finish()),
                [time, time + 3, time + 100],
                "after {before}"
            );
        }
    }
}

#[test]
fn discarded_records_leave_their_time() {
    for machine in machines() {
        let mut page = PageBuilder::new(&machine, 100);
        page.record(1, &[1; 8])
            .discarded(20, &[9; 16])
            .record(5, &[2; 8])
            // A delta of nothing is written as 1, for 0 means the end of the page.
            .discarded(0, &[9; 300])
            .record(4, &[3; 8])
            .time_extend(1 << 30)
            .discarded(0, &[9; 8])
            .record(6, &[4; 8]);
        assert_eq!(
            times(&machine, &page.finish()),
            [101, 126, 130, 136 + (1 << 30)]
        );
    }
}

#[test]
fn nothing_is_read_after_the_end_padding() {
    for machine in machines() {
        let mut page = PageBuilder::new(&machine, 100);
        page.record(1, &[1; 8]).end_padding().record(1, &[2; 8]);
        assert_eq!(times(&machine, &page.finish()), [101]);
    }
}

#[test]
fn lost_events_are_told() {
    for machine in machines() {
        let mut page = PageBuilder::new(&machine, 1);
        page.record(1, &[0; 8]);
        let missed = |page: &PageBuilder| {
            let bytes = page.finish();
            assert_eq!(times(&machine, &bytes), [2]);
            Page::parse(&bytes, &machine).unwrap().missed()
        };
        assert_eq!(missed(&page), None);
        page.missed(None);
        assert_eq!(missed(&page), Some(Missed::Unknown));
        let mut page = PageBuilder::new(&machine, 1);
        page.record(1, &[0; 8]).missed(Some(123_456));
        assert_eq!(missed(&page), Some(Missed::Count(123_456)));
        // No room for the number, whatever the flag says.
        let mut bytes = page.finish();
        bytes.truncate(machine.page.data_offset as usize + 12 + 3);
        let page = Page::parse(&bytes, &machine).unwrap();
        assert_eq!(page.missed(), Some(Missed::Unknown));
    }
}

#[test]
fn an_empty_page_has_no_records() {
    for machine in machines() {
        let bytes = PageBuilder::new(&machine, 77).finish();
        let page = Page::parse(&bytes, &machine).unwrap();
        assert!(page.is_empty() && page.records().next().is_none());
        assert_eq!(page.timestamp(), 77);
    }
}

#[test]
fn a_page_that_cannot_be_is_refused() {
    for machine in machines() {
        let header = machine.page.data_offset as usize;
        let mut page = PageBuilder::new(&machine, 1);
        let bytes = page.record(1, &[0; 8]).finish();
        assert_eq!(
            Page::parse(&bytes[..header - 1], &machine).unwrap_err(),
            PageError::TooShort {
                needed: header,
                got: header - 1
            }
        );
        assert_eq!(
            Page::parse(&bytes[..header + 11], &machine).unwrap_err(),
            PageError::CommitTooLarge {
                commit: 12,
                room: 11
            }
        );
    }
}

#[test]
fn what_comes_before_damage_is_read() {
    for machine in machines() {
        let damaged = |kind: u32, words: &[u32]| {
            let mut page = PageBuilder::new(&machine, 100);
            page.record(1, &[1; 8]).header(kind, 1);
            for word in words {
                page.word(*word);
            }
            let bytes = page.finish();
            let page = Page::parse(&bytes, &machine).unwrap();
            let mut records = page.records();
            let times: Vec<u64> = records.by_ref().map(|record| record.timestamp).collect();
            assert!(records.damaged());
            times
        };
        // Longer than the page is filled.
        assert_eq!(damaged(28, &[0]), [101]);
        assert_eq!(damaged(0, &[u32::MAX]), [101]);
        assert_eq!(damaged(29, &[400]), [101]);
        // A length that does not hold its own word, or is no number of words.
        assert_eq!(damaged(0, &[0, 0]), [101]);
        assert_eq!(damaged(0, &[6, 0]), [101]);
        for kind in [0, 29, 30, 31] {
            assert_eq!(damaged(kind, &[]), [101]);
        }
    }
}
