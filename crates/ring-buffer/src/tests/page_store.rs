//! Readers of pages that die at any moment: another one finds every page, once.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, memfd_create};

use crate::{BegunPacket, PacketState, PagePosition, PageStore};

const PAGE: u64 = 64;

/// A pipe in place of the kernel's: what is read is gone.
fn kernel(pages: u8) -> OwnedFd {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).unwrap();
    for number in 0..pages {
        rustix::io::write(&writer, &page(number)).unwrap();
    }
    // The end of the pipe is "nothing" as well.
    reader
}

fn page(number: u8) -> [u8; PAGE as usize] {
    [number; PAGE as usize]
}

fn store() -> (OwnedFd, PageStore) {
    let fd = PageStore::create(PAGE, 4 * PAGE, PAGE).unwrap();
    let store = PageStore::map(&fd, PAGE).unwrap();
    (fd, store)
}

fn read(store: &PageStore, kernel: &OwnedFd) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    store
        .read(kernel.as_fd(), &mut bytes)
        .unwrap()
        .then_some(bytes)
}

fn kept(store: &PageStore) -> Vec<Vec<u8>> {
    let mut pages = Vec::new();
    let (mut at, mut page) = (store.delivered(), Vec::new());
    while let Some(next) = store.page_after(at, &mut page) {
        pages.push(page.clone());
        at = next;
    }
    pages
}

fn state(next_packet: u64) -> PacketState {
    PacketState {
        next_packet,
        discarded: 3,
        last: 100 + next_packet,
        earliest: 100,
    }
}

#[test]
fn a_page_that_was_read_and_not_kept_is_read_again() {
    let (fd, store) = store();
    let kernel = kernel(2);
    assert_eq!(read(&store, &kernel), Some(page(0).to_vec()));
    drop(store);
    let store = PageStore::map(&fd, PAGE).unwrap();
    assert_eq!(read(&store, &kernel), Some(page(0).to_vec()));
    store.keep(PAGE);
    drop(store);
    let store = PageStore::map(&fd, PAGE).unwrap();
    assert_eq!(read(&store, &kernel), Some(page(1).to_vec()));
    store.keep(10);
    assert_eq!(read(&store, &kernel), None);
    assert_eq!(kept(&store), [page(0).to_vec(), page(1)[..10].to_vec()]);
}

#[test]
fn a_page_that_comes_in_pieces_is_completed() {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).unwrap();
    let (fd, store) = store();
    rustix::io::write(&writer, &page(7)[..24]).unwrap();
    // Killed before the rest came.
    assert!(read(&store, &reader).is_some());
    drop(store);
    rustix::io::write(&writer, &page(7)[24..]).unwrap();
    let store = PageStore::map(&fd, PAGE).unwrap();
    assert_eq!(read(&store, &reader), Some(page(7).to_vec()));
    store.keep(PAGE);
    assert_eq!(kept(&store), [page(7).to_vec()]);
}

#[test]
fn a_packet_is_begun_until_it_has_arrived() {
    let (fd, store) = store();
    let kernel = kernel(3);
    read(&store, &kernel);
    let end = store.keep(PAGE);
    read(&store, &kernel);
    store.keep(PAGE);
    assert_eq!(store.begun(), None);
    let packet = BegunPacket {
        end,
        after: state(1),
    };
    store.begin(packet);
    drop(store);
    // Killed on the way: the pages are still there.
    let store = PageStore::map(&fd, PAGE).unwrap();
    assert_eq!(store.begun(), Some(packet));
    assert_eq!(
        (store.state(), kept(&store).len()),
        (PacketState::default(), 2)
    );
    store.commit();
    assert_eq!((store.begun(), store.state()), (None, state(1)));
    assert_eq!(kept(&store), [page(1).to_vec()]);
    // Nothing is begun any more.
    store.commit();
    assert_eq!(store.state(), state(1));
}

#[test]
fn memory_is_used_again() {
    let (_fd, store) = store();
    let kernel = kernel(200);
    for number in 0..100 {
        assert!(store.has_room());
        let mut end = PagePosition::default();
        for half in 0..2 {
            assert_eq!(
                read(&store, &kernel),
                Some(page(2 * number + half).to_vec())
            );
            end = store.keep(PAGE - u64::from(number % 50));
        }
        assert_eq!(kept(&store).len(), 2);
        let after = state(u64::from(number) + 1);
        store.begin(BegunPacket { end, after });
        store.commit();
        assert!(store.is_empty());
        assert_eq!(store.head(), store.delivered());
    }
}

#[test]
fn the_oldest_make_place() {
    let (_fd, store) = store();
    let kernel = kernel(100);
    let mut bytes = Vec::new();
    for number in 0..100_u8 {
        while !store.has_room() {
            let oldest = store.page_after(store.delivered(), &mut bytes).unwrap();
            store.drop_until(oldest);
        }
        assert_eq!(read(&store, &kernel), Some(page(number).to_vec()));
        store.keep(PAGE);
        let numbers: Vec<u8> = kept(&store).iter().map(|page| page[0]).collect();
        let first = number.saturating_sub(numbers.len() as u8 - 1);
        assert_eq!(numbers, (first..=number).collect::<Vec<_>>());
        assert!(
            numbers.len() >= usize::from(number + 1).min(4),
            "{numbers:?}"
        );
    }
}

#[test]
fn other_files_are_refused() {
    let fd = memfd_create("x", MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&fd, 1 << 20).unwrap();
    assert!(PageStore::map(&fd, PAGE).is_err(), "somebody could cut it");
    let fd = PageStore::create(PAGE, PAGE, PAGE).unwrap();
    assert!(PageStore::map(&fd, 1 << 20).is_err(), "no place for a page");
}

#[test]
fn what_others_wrote_does_no_harm() {
    let (fd, store) = store();
    let len = rustix::fs::fstat(&fd).unwrap().st_size as usize;
    for byte in [0xff, 0x7f, 1] {
        rustix::io::pwrite(&fd, &vec![byte; len], 0).unwrap();
        let _ = (
            store.begun(),
            store.has_room(),
            store.is_empty(),
            store.state(),
        );
        let mut page = Vec::new();
        let _ = store.page_after(store.delivered(), &mut page);
        let _ = store.read(kernel(1).as_fd(), &mut page);
        store.keep(PAGE);
        store.begin(BegunPacket {
            end: store.head(),
            after: state(1),
        });
        store.commit();
    }
}
