use super::ChunkEffect::{MakeDirectory, RemoveEmpty, RemoveTree, Rename};
use super::*;

const C0: ChunkId = ChunkId(0);
const C1: ChunkId = ChunkId(1);
const C2: ChunkId = ChunkId(2);

fn path(text: &str) -> RelativePath {
    RelativePath::new("test path", text).unwrap()
}

/// A session with one stream in chunk 0.
fn started() -> (ChunkSet, ChunkMember) {
    let mut set = ChunkSet::new(&path("vm/rot"));
    let mut member = ChunkMember::default();
    set.create(&mut member, C0, "t0", None).unwrap();
    set.stream_joins(C0, &path("ust/uid/0/64-bit")).unwrap();
    assert_eq!(effects(&mut set), []);
    assert_eq!(set.directory_of(C0).unwrap(), "vm/rot");
    (set, member)
}

fn effects(set: &mut ChunkSet) -> Vec<ChunkEffect> {
    std::iter::from_fn(|| set.next_effect()).collect()
}

fn rename(from: &str, to: &str) -> ChunkEffect {
    Rename {
        from: from.to_owned(),
        to: to.to_owned(),
    }
}

fn make(path: &str) -> ChunkEffect {
    MakeDirectory(path.to_owned())
}

fn close(
    set: &mut ChunkSet,
    member: &mut ChunkMember,
    id: ChunkId,
    end: &str,
    command: Option<CloseCommand>,
) -> Result<String, ChunkError> {
    set.close(member, id, end, command, true)
}

const MOVE: Option<CloseCommand> = Some(CloseCommand::MOVE_TO_COMPLETED);
const DELETE: Option<CloseCommand> = Some(CloseCommand::DELETE);

#[test]
fn a_plain_session_stays_where_it_is() {
    let (mut set, mut member) = started();
    assert_eq!(
        close(&mut set, &mut member, C0, "t9", None).unwrap(),
        "vm/rot"
    );
    assert!(set.exists(C0));
    set.leave(C0);
    assert!(!set.exists(C0) && set.is_empty());
    assert_eq!(effects(&mut set), []);
}

#[test]
fn two_rotations() {
    let (mut set, mut member) = started();
    set.create(&mut member, C1, "t1", None).unwrap();
    let moved = [
        make("vm/rot/.tmp_old_chunk"),
        rename("vm/rot/ust", "vm/rot/.tmp_old_chunk/ust"),
    ];
    assert_eq!(effects(&mut set), moved);
    assert_eq!(set.directory_of(C1).unwrap(), "vm/rot/.tmp_new_chunk");
    set.stream_joins(C1, &path("ust/uid/0/64-bit")).unwrap();
    assert_eq!(
        close(&mut set, &mut member, C0, "t2", MOVE).unwrap(),
        "vm/rot"
    );
    assert_eq!(
        effects(&mut set),
        [rename("vm/rot/.tmp_new_chunk", "vm/rot/t1-1")]
    );
    assert!(set.exists(C0));
    set.leave(C0);
    let archived = [
        make("vm/rot/archives"),
        rename("vm/rot/.tmp_old_chunk", "vm/rot/archives/t0-t2-0"),
    ];
    assert_eq!(effects(&mut set), archived);
    assert!(!set.exists(C0));

    set.create(&mut member, C2, "t3", None).unwrap();
    assert_eq!(
        effects(&mut set),
        [rename("vm/rot/t1-1", "vm/rot/.tmp_old_chunk")]
    );
    let found_at = close(&mut set, &mut member, C1, "t4", MOVE).unwrap();
    assert_eq!(found_at, "vm/rot/archives/t1-t4-1");
    assert_eq!(
        effects(&mut set),
        [rename("vm/rot/.tmp_new_chunk", "vm/rot/t3-2")]
    );
    set.leave(C1);
    let archived = [
        make("vm/rot/archives"),
        rename("vm/rot/.tmp_old_chunk", "vm/rot/archives/t1-t4-1"),
    ];
    assert_eq!(effects(&mut set), archived);
}

#[test]
fn rotation_after_stop_has_no_next_chunk() {
    let (mut set, mut member) = started();
    set.leave(C0);
    assert_eq!(
        close(&mut set, &mut member, C0, "t1", MOVE).unwrap(),
        "vm/rot"
    );
    let archived = [
        make("vm/rot/archives"),
        make("vm/rot/archives/t0-t1-0"),
        rename("vm/rot/ust", "vm/rot/archives/t0-t1-0/ust"),
    ];
    assert_eq!(effects(&mut set), archived);
    set.create(&mut member, C1, "t2", None).unwrap();
    assert_eq!(set.directory_of(C1).unwrap(), "vm/rot/t2-1");
}

#[test]
fn clear_deletes_the_old_chunk_and_moves_the_new_one_up() {
    let (mut set, mut member) = started();
    set.create(&mut member, C1, "t1", None).unwrap();
    effects(&mut set);
    set.stream_joins(C1, &path("ust/uid/0/64-bit")).unwrap();
    close(&mut set, &mut member, C0, "t2", DELETE).unwrap();
    let moved_up = [
        make("vm/rot"),
        rename("vm/rot/.tmp_new_chunk/ust", "vm/rot/ust"),
        RemoveEmpty(vec!["vm/rot/.tmp_new_chunk".to_owned()]),
    ];
    assert_eq!(effects(&mut set), moved_up);
    assert_eq!(set.directory_of(C1).unwrap(), "vm/rot");
    set.leave(C0);
    let old = "vm/rot/.tmp_old_chunk";
    let deleted = [
        RemoveTree(format!("{old}/ust/uid/0/64-bit")),
        RemoveEmpty(vec![
            format!("{old}/ust/uid/0"),
            format!("{old}/ust/uid"),
            format!("{old}/ust"),
            old.to_owned(),
        ]),
    ];
    assert_eq!(effects(&mut set), deleted);
}

#[test]
fn clear_can_be_forbidden() {
    let (mut set, mut member) = started();
    let error = set.close(&mut member, C0, "t1", DELETE, false).unwrap_err();
    assert_eq!(error.code(), ReturnCode::INVALID_PROTOCOL);
}

#[test]
fn two_consumer_daemons_share_a_chunk_and_the_last_one_moves_it() {
    let (mut set, mut first) = started();
    let mut second = ChunkMember::default();
    set.create(&mut second, C0, "t0", None).unwrap();
    for member in [&mut first, &mut second] {
        set.create(member, C1, "t1", None).unwrap();
    }
    assert_eq!(effects(&mut set).len(), 2);
    set.leave(C0);
    close(&mut set, &mut first, C0, "t2", MOVE).unwrap();
    assert_eq!(
        effects(&mut set),
        [rename("vm/rot/.tmp_new_chunk", "vm/rot/t1-1")]
    );
    assert_eq!(
        close(&mut set, &mut second, C0, "t2", MOVE).unwrap(),
        "vm/rot"
    );
    assert_eq!(effects(&mut set).len(), 2, "archived");
}

#[test]
fn a_second_rotation_waits_for_the_first() {
    let (mut set, mut member) = started();
    set.create(&mut member, C1, "t1", None).unwrap();
    let error = set.create(&mut member, C2, "t2", None).unwrap_err();
    assert_eq!(error.code(), ReturnCode::INVALID_PROTOCOL);
    assert_eq!(
        close(&mut set, &mut member, C1, "t", MOVE),
        Err(ChunkError::NotPending(C1))
    );
    assert_eq!(
        close(&mut set, &mut member, C2, "t", MOVE),
        Err(ChunkError::Unknown(C2))
    );
    close(&mut set, &mut member, C0, "t2", MOVE).unwrap();
    // The streams have not left the old chunk: its directory is taken.
    let error = set.create(&mut member, C2, "t2", None).unwrap_err();
    assert_eq!(error, ChunkError::NotClosed);
}

#[test]
fn snapshots_have_directories_of_their_own() {
    let mut set = ChunkSet::new(&path("vm/snap"));
    let mut member = ChunkMember::default();
    let name = Component::chunk_name("snapshot-1-20261122-215049-0").unwrap();
    set.create(&mut member, C0, "t0", Some(name)).unwrap();
    let directory = "vm/snap/snapshot-1-20261122-215049-0";
    assert_eq!(set.directory_of(C0).unwrap(), directory);
    assert_eq!(
        close(&mut set, &mut member, C0, "t1", None).unwrap(),
        directory
    );
    assert!(set.is_empty());
    assert_eq!(effects(&mut set), []);
}

#[test]
fn a_lost_connection_leaves_its_chunks() {
    let (mut set, mut member) = started();
    set.create(&mut member, C1, "t1", None).unwrap();
    set.member_left(&mut member);
    assert!(set.exists(C0) && !set.exists(C1));
    set.leave(C0);
    assert!(set.is_empty());
}
