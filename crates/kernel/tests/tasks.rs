//! The history of tasks: whatever order the buffers of the CPUs are read in, each time has its own task.

use kernel::tasks::{
    Change, Name, Orphan, Tasks, UNKNOWN_ID, UNKNOWN_NAME, What, changes, name, records,
};
use proptest::prelude::*;

const THREAD: u64 = 0x1_0000;
const SIBLING: u64 = 0x8000;

fn change(time: u64, tid: u32, what: What) -> Change {
    Change { time, tid, what }
}

fn seen(tid: u32, pid: i32, ppid: i32, text: &str) -> Change {
    let name = name(text.as_bytes());
    change(
        5,
        tid,
        What::Seen {
            pid,
            ppid,
            name,
            again: false,
        },
    )
}

fn forked(time: u64, tid: u32, by: u32, flags: u64, text: &str) -> Change {
    let name = name(text.as_bytes());
    change(time, tid, What::Forked { by, flags, name })
}

fn renamed(time: u64, tid: u32, old: &str, new: &str) -> Change {
    let (old, new) = (name(old.as_bytes()), name(new.as_bytes()));
    change(time, tid, What::Renamed { old, new })
}

fn ended(time: u64, tid: u32, text: &str, last: Option<bool>) -> Change {
    let name = name(text.as_bytes());
    change(time, tid, What::Ended { name, last })
}

/// Process, parent and name at a time.
fn at(tasks: &Tasks, tid: u32, time: u64) -> Option<(i32, i32, String)> {
    let version = tasks.at(tid, time).0?;
    Some((version.pid, version.ppid, text(&version.name)))
}

fn text(name: &Name) -> String {
    let end = name.iter().position(|&byte| byte == 0).unwrap();
    String::from_utf8(name[..end].to_vec()).unwrap()
}

fn is(pid: i32, ppid: i32, text: &str) -> Option<(i32, i32, String)> {
    Some((pid, ppid, text.to_owned()))
}

/// A shell that runs a program with a thread, whose number is used again afterwards.
fn life() -> Vec<Change> {
    vec![
        seen(1, 1, 0, "init"),
        seen(100, 100, 1, "shell"),
        forked(10, 101, 100, 0, "shell"),
        renamed(20, 101, "shell", "program"),
        forked(30, 102, 101, THREAD, "program"),
        renamed(40, 102, "program", "worker"),
        ended(50, 102, "worker", Some(false)),
        forked(55, 103, 101, SIBLING, "program"),
        ended(60, 101, "program", Some(true)),
        forked(70, 102, 100, 0, "shell"),
        renamed(80, 102, "shell", "other"),
    ]
}

fn check(tasks: &Tasks) {
    for (tid, time, expected) in [
        (1, 7, is(1, 0, "init")),
        (101, 9, None),
        (101, 10, is(101, 100, "shell")),
        (101, 19, is(101, 100, "shell")),
        (101, 20, is(101, 100, "program")),
        (102, 29, None),
        (102, 39, is(101, 100, "program")),
        (102, 55, is(101, 100, "worker")),
        (103, 56, is(103, 100, "program")),
        (102, 70, is(102, 100, "shell")),
        (102, 1000, is(102, 100, "other")),
        (999, 50, None),
    ] {
        assert_eq!(at(tasks, tid, time), expected, "{tid} at {time}");
    }
}

proptest! {
    #[test]
    fn the_order_of_reading_does_not_matter(order in Just(life()).prop_shuffle()) {
        let mut tasks = Tasks::default();
        tasks.add(order);
        tasks.apply(100);
        check(&tasks);
    }

    #[test]
    fn nor_do_pauses_and_successors(cut in 0..12usize, stop in 0..100u64) {
        let mut tasks = Tasks::default();
        let life = life();
        let (first, rest) = life.split_at(cut.min(life.len()));
        tasks.add(first.iter().copied());
        // Up to where everything is there.
        tasks.apply(stop.min(rest.first().map_or(100, |change| change.time - 1)));
        let mut successor = Tasks::default();
        successor.add(changes(&records(&tasks.changes())));
        successor.loaded();
        successor.add(rest.iter().copied());
        successor.apply(100);
        check(&successor);
    }
}

#[test]
fn an_event_after_the_time_of_asking_waits() {
    let mut tasks = Tasks::default();
    // The fork was in a buffer that had been read already.
    tasks.add([
        seen(100, 100, 1, "shell"),
        renamed(20, 101, "shell", "program"),
    ]);
    tasks.apply(15);
    assert_eq!(at(&tasks, 101, 30), None);
    tasks.add([forked(16, 101, 100, 0, "shell")]);
    tasks.apply(30);
    assert_eq!(at(&tasks, 101, 17), is(101, 100, "shell"));
    assert_eq!(at(&tasks, 101, 30), is(101, 100, "program"));
}

#[test]
fn what_was_read_too_late_is_corrected() {
    let mut tasks = Tasks::default();
    // Read from /proc when it had the new name, and another that ended before it was read.
    tasks.add([seen(7, 7, 1, "new"), renamed(9, 7, "old", "new")]);
    tasks.add([ended(4, 8, "gone", Some(true))]);
    // And one that had got another name before.
    tasks.add([renamed(3, 9, "first", "second"), seen(9, 9, 1, "second")]);
    tasks.apply(10);
    assert_eq!(at(&tasks, 7, 8), is(7, 1, "old"));
    assert_eq!(at(&tasks, 7, 9), is(7, 1, "new"));
    assert_eq!(at(&tasks, 8, 5), is(UNKNOWN_ID, UNKNOWN_ID, "gone"));
    assert_eq!(at(&tasks, 9, 2), is(9, 1, "first"));
    assert_eq!(at(&tasks, 9, 6), is(9, 1, "second"));
}

#[test]
fn orphans_have_another_parent_from_then_on() {
    for last in [Some(true), None] {
        let mut tasks = Tasks::default();
        tasks.add([
            seen(1, 1, 0, "init"),
            seen(50, 50, 1, "parent"),
            forked(10, 51, 50, 0, "child"),
            forked(11, 52, 51, THREAD, "thread"),
            forked(12, 53, 51, 0, "grandchild"),
            ended(20, 50, "parent", last),
            forked(25, 54, 51, THREAD, "late"),
            renamed(26, 51, "child", "named"),
        ]);
        tasks.apply(30);
        let orphan = Orphan {
            pid: 51,
            parent: 50,
        };
        assert_eq!(tasks.orphans(), [orphan]);
        // The end of the parent takes its time.
        assert_eq!(tasks.adopt(51, 50, 22), None);
        assert_eq!(tasks.orphans(), [orphan]);
        let mut successor = Tasks::default();
        successor.add(tasks.changes());
        successor.loaded();
        for tasks in [&mut tasks, &mut successor] {
            let adopted = tasks.adopt(51, 1, 40).unwrap();
            assert_eq!((adopted.time, adopted.tid), (22, 51));
            assert!(tasks.orphans().is_empty());
            for (tid, time, expected) in [
                (51, 21, is(51, 50, "child")),
                (51, 22, is(51, 1, "child")),
                (51, 26, is(51, 1, "named")),
                (52, 21, is(51, 50, "thread")),
                (52, 22, is(51, 1, "thread")),
                (54, 25, is(51, 1, "late")),
                (53, 30, is(53, 51, "grandchild")),
            ] {
                assert_eq!(at(tasks, tid, time), expected, "{tid} at {time}");
            }
        }
    }
}

#[test]
fn nobody_tells_the_parent_of_the_dead() {
    let mut tasks = Tasks::default();
    tasks.add([
        seen(50, 50, 1, "parent"),
        forked(10, 51, 50, 0, "child"),
        ended(20, 50, "parent", Some(true)),
        ended(30, 51, "child", Some(true)),
    ]);
    tasks.apply(40);
    tasks.adopt(51, UNKNOWN_ID, 40);
    assert_eq!(at(&tasks, 51, 19), is(51, 50, "child"));
    assert_eq!(at(&tasks, 51, 25), is(51, UNKNOWN_ID, "child"));
}

#[test]
fn what_nobody_needs_is_forgotten() {
    const SECOND: u64 = 1_000_000_000;
    let mut tasks = Tasks::default();
    tasks.add([
        seen(1, 1, 0, "init"),
        forked(10, 51, 1, 0, "child"),
        renamed(20, 51, "child", "named"),
        renamed(SECOND, 51, "named", "again"),
        forked(30, 52, 1, 0, "short"),
        ended(40, 52, "short", Some(true)),
        forked(20 * SECOND, 53, 1, 0, "young"),
    ]);
    tasks.apply(30 * SECOND);
    tasks.forget(SECOND / 2);
    assert_eq!(at(&tasks, 51, 15), None);
    assert_eq!(at(&tasks, 51, SECOND / 2), is(51, 1, "named"));
    // It may still be ending.
    assert_eq!(at(&tasks, 52, 50), is(52, 1, "short"));
    tasks.forget(10 * SECOND);
    assert_eq!(at(&tasks, 52, 50), None);
    assert_eq!(at(&tasks, 51, 10 * SECOND), is(51, 1, "again"));
    assert_eq!(at(&tasks, 53, 20 * SECOND), is(53, 1, "young"));
    assert_eq!(tasks.len(), 3);
}

#[test]
fn the_unknown_is_marked() {
    assert_eq!(text(&UNKNOWN_NAME), "<...>");
    let mut tasks = Tasks::default();
    tasks.add([
        forked(10, 51, 50, 0, "child"),
        forked(11, 52, 50, THREAD, "thread"),
    ]);
    tasks.apply(20);
    assert_eq!(at(&tasks, 51, 15), is(51, UNKNOWN_ID, "child"));
    assert_eq!(at(&tasks, 52, 15), is(UNKNOWN_ID, UNKNOWN_ID, "thread"));
    let version = tasks.at(51, 9);
    assert_eq!((version.0, version.1), (None, 10));
}
