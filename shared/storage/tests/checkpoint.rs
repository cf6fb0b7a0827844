//! Checkpoints: whole or not at all, whatever the disk does, and never a wrong row.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use shoal_storage::{
    CheckpointError, CheckpointOptions, Checkpoints, Commit, Disk, DiskVersion, Fault, FaultyDisk,
    Keep, Lsn, MemDisk, Operation,
};

const FILE: &str = "checkpoint.redb";
const COPY: &str = "checkpoint.head";
const SMALL: CheckpointOptions = CheckpointOptions {
    cache_bytes: 256 << 10,
    newest: DiskVersion::V1,
};

type State = BTreeMap<Vec<u8>, Vec<u8>>;
type Writes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

fn open(disk: &impl CloneDisk) -> Result<Checkpoints, CheckpointError> {
    Checkpoints::open(disk.shared(), SMALL)
}

trait CloneDisk {
    fn shared(&self) -> Arc<dyn Disk>;
}

impl<D: Disk + Clone> CloneDisk for D {
    fn shared(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }
}

fn load(checkpoints: &Checkpoints) -> Result<Option<(Vec<u8>, Lsn, State)>, CheckpointError> {
    let Some(loaded) = checkpoints.load()? else {
        return Ok(None);
    };
    let rows = loaded.rows.collect::<Result<State, _>>()?;
    Ok(Some((loaded.meta, loaded.replay_from, rows)))
}

/// The `n`-th of a series of checkpoints: adds, replaces and deletes.
fn writes(n: u64) -> Writes {
    let key = |k: u64| format!("key-{k:04}").into_bytes();
    let value = |k: u64| vec![(n * 7 + k) as u8; (k * 13 % 700) as usize];
    let put = (0..40).map(|i| (n * 17 + i * 3) % 200);
    let put = put.map(|k| (key(k), Some(value(k))));
    let delete = (0..5).map(|i| (n * 31 + i * 11) % 200);
    put.chain(delete.map(|k| (key(k), None))).collect()
}

fn commit(n: u64) -> Commit<Writes> {
    Commit {
        version: DiskVersion::V1,
        meta: format!("meta {n}").into_bytes(),
        replay_from: Lsn(n * 100),
        writes: writes(n),
    }
}

/// What should be there after the `n`-th.
fn expected(n: u64) -> (Vec<u8>, Lsn, State) {
    let mut state = State::new();
    for (key, value) in (1..=n).flat_map(writes) {
        match value {
            Some(value) => state.insert(key, value),
            None => state.remove(&key),
        };
    }
    let commit = commit(n);
    (commit.meta, commit.replay_from, state)
}

#[test]
fn each_checkpoint_builds_on_the_last_one() {
    let disk = MemDisk::new();
    let checkpoints = open(&disk).unwrap();
    assert_eq!(load(&checkpoints).unwrap(), None);
    for n in 1..=10 {
        checkpoints.write(commit(n)).unwrap();
        assert!(load(&checkpoints).unwrap() == Some(expected(n)), "{n}");
    }
    disk.crash(Keep::Synced);
    drop(checkpoints);
    assert!(load(&open(&disk).unwrap()).unwrap() == Some(expected(10)));
}

#[test]
fn rows_that_are_being_read_do_not_change() {
    let disk = MemDisk::new();
    let checkpoints = open(&disk).unwrap();
    checkpoints.write(commit(1)).unwrap();
    let loaded = checkpoints.load().unwrap().unwrap();
    checkpoints.write(commit(2)).unwrap();
    let rows: State = loaded.rows.map(Result::unwrap).collect();
    assert!(rows == expected(1).2);
}

fn plan(operation: Operation, after: u64, times: u64, error: io::ErrorKind) -> Fault {
    Fault {
        operation,
        name: FILE.to_owned(),
        after,
        times,
        error,
    }
}

#[test]
fn a_crash_at_any_point_leaves_the_old_or_the_new_checkpoint_whole() {
    let (mut olds, mut news) = (0, 0);
    for operation in [Operation::Write, Operation::SyncData, Operation::Grow] {
        for after in 0..60 {
            let mem = MemDisk::new();
            let disk = FaultyDisk::new(Arc::new(mem.clone()));
            let checkpoints = open(&disk).unwrap();
            checkpoints.write(commit(1)).unwrap();
            let always = plan(operation, after, u64::MAX, io::ErrorKind::Other);
            disk.faults().planned = vec![always];
            let written = checkpoints.write(commit(2)).is_ok();
            drop(checkpoints);
            for keep in [
                Keep::Synced,
                Keep::All,
                Keep::Random(after),
                Keep::Random(!after),
            ] {
                let mem = mem.fork();
                mem.crash(keep);
                let found = load(&open(&mem).unwrap()).unwrap().unwrap();
                if found == expected(1) {
                    assert!(!written, "{operation:?} {after}: lost");
                    olds += 1;
                } else {
                    assert!(found == expected(2), "{operation:?} {after} {keep:?}");
                    news += 1;
                }
                // What was loaded once is relied upon: the next crash must not take it.
                mem.crash(Keep::Synced);
                assert!(load(&open(&mem).unwrap()).unwrap() == Some(found));
            }
            if written {
                break;
            }
        }
    }
    assert!(olds > 20 && news > 10, "{olds} old, {news} new");
}

#[test]
fn a_crash_while_the_store_is_made_leaves_none_or_an_empty_one() {
    for operation in [
        Operation::Write,
        Operation::SyncData,
        Operation::Rename,
        Operation::SyncFolder,
    ] {
        for after in 0..20 {
            let mem = MemDisk::new();
            let disk = FaultyDisk::new(Arc::new(mem.clone()));
            disk.faults().planned = vec![Fault {
                name: String::new(),
                ..plan(operation, after, u64::MAX, io::ErrorKind::Other)
            }];
            let made = open(&disk).is_ok();
            for keep in [Keep::Synced, Keep::All, Keep::Random(after)] {
                let mem = mem.fork();
                mem.crash(keep);
                assert_eq!(load(&open(&mem).unwrap()).unwrap(), None);
            }
            if made {
                break;
            }
        }
    }
}

#[test]
fn a_full_disk_undoes_the_checkpoint_and_nothing_else() {
    let first = MemDisk::new();
    open(&first).unwrap().write(commit(1)).unwrap();
    let (mut refused, mut undone) = (0, 0);
    for operation in [Operation::Write, Operation::Grow] {
        for after in 0..40 {
            let mem = first.fork();
            let disk = FaultyDisk::new(Arc::new(mem.clone()));
            let checkpoints = open(&disk).unwrap();
            disk.faults().planned = vec![plan(operation, after, 1, io::ErrorKind::StorageFull)];
            match checkpoints.write(commit(2)) {
                Err(CheckpointError::NoSpace { file }) => assert_eq!(file, FILE),
                Err(other) => panic!("{other}"),
                Ok(()) => break,
            }
            refused += 1;
            // With the very last write, half of which got through, the new one may be there.
            let found = load(&checkpoints).unwrap();
            undone += u32::from(found == Some(expected(1)));
            assert!(found == Some(expected(1)) || found == Some(expected(2)));
            checkpoints.write(commit(2)).unwrap();
            mem.crash(Keep::Synced);
            drop(checkpoints);
            assert!(load(&open(&mem).unwrap()).unwrap() == Some(expected(2)));
        }
    }
    assert!(
        refused > 5 && undone + 4 >= refused,
        "{undone} of {refused} were undone"
    );
}

#[test]
fn a_disk_that_is_really_full_is_survived_too() {
    let disk = MemDisk::new();
    let checkpoints = open(&disk).unwrap();
    checkpoints.write(commit(1)).unwrap();
    let len = disk.open(FILE).unwrap().len().unwrap();
    disk.set_capacity(Some(len + 4_096));
    let large = || Commit {
        writes: vec![(b"large".to_vec(), Some(vec![1; 8 << 20]))],
        ..commit(2)
    };
    let error = checkpoints.write(large()).unwrap_err();
    assert!(error.may_succeed_later(), "{error}");
    assert!(load(&checkpoints).unwrap() == Some(expected(1)));
    disk.set_capacity(None);
    checkpoints.write(large()).unwrap();
}

#[test]
fn a_failed_write_or_sync_is_final() {
    for operation in [Operation::Write, Operation::SyncData] {
        let disk = FaultyDisk::new(Arc::new(MemDisk::new()));
        let checkpoints = open(&disk).unwrap();
        disk.faults().planned = vec![plan(operation, 0, 1, io::ErrorKind::Other)];
        let first = checkpoints.write(commit(1)).unwrap_err();
        assert!(matches!(first, CheckpointError::Io { .. }), "{first}");
        let syncs = disk.faults().syncs;
        let second = checkpoints.write(commit(1)).unwrap_err();
        assert_eq!(first.to_string(), second.to_string());
        assert_eq!(disk.faults().syncs, syncs, "nothing is tried again");
    }
}

#[test]
fn a_sync_that_runs_out_of_space_is_final_as_well() {
    let disk = FaultyDisk::new(Arc::new(MemDisk::new()));
    let checkpoints = open(&disk).unwrap();
    disk.faults().planned = vec![plan(Operation::SyncData, 0, 1, io::ErrorKind::StorageFull)];
    let error = checkpoints.write(commit(1)).unwrap_err();
    assert!(!error.may_succeed_later(), "{error}");
}

/// Rows that another host sent.
fn from_another(n: u64) -> State {
    let row = |k: u64| {
        (
            format!("row-{k:05}").into_bytes(),
            vec![n as u8; (k * 37 % 900) as usize],
        )
    };
    (0..300).map(row).collect()
}

/// Gathers what another host sent and puts it in force.
fn take_over(checkpoints: &Checkpoints) -> Result<(), CheckpointError> {
    let rows = from_another(7);
    let mut staging = checkpoints.stage()?;
    for row in rows.clone() {
        staging.put([row])?;
    }
    let read = staging.read_back()?.collect::<Result<State, _>>()?;
    assert!(read == rows, "what is read back is what was put in");
    let commit = Commit {
        version: DiskVersion::V1,
        meta: b"another's".to_vec(),
        replay_from: Lsn(77),
        writes: [],
    };
    checkpoints.install(staging, commit)
}

fn is_anothers(found: &Option<(Vec<u8>, Lsn, State)>) -> bool {
    *found == Some((b"another's".to_vec(), Lsn(77), from_another(7)))
}

#[test]
fn what_another_host_sent_takes_the_place_of_all_rows_and_is_built_upon() {
    let disk = MemDisk::new();
    let checkpoints = open(&disk).unwrap();
    checkpoints.write(commit(1)).unwrap();
    take_over(&checkpoints).unwrap();
    assert!(is_anothers(&load(&checkpoints).unwrap()));
    disk.crash(Keep::Synced);
    drop(checkpoints);
    let checkpoints = open(&disk).unwrap();
    assert!(is_anothers(&load(&checkpoints).unwrap()));
    checkpoints.write(commit(2)).unwrap();
    let (meta, _, rows) = load(&checkpoints).unwrap().unwrap();
    assert_eq!(meta, b"meta 2");
    assert!(rows.len() > from_another(7).len());
}

#[test]
fn a_crash_at_any_point_of_taking_over_leaves_the_old_rows_or_the_new_ones_whole() {
    use Operation::{Create, Grow, Remove, Rename, SyncData, SyncFolder, Write};
    let (mut olds, mut news) = (0, 0);
    for operation in [Create, Grow, Remove, Rename, SyncData, SyncFolder, Write] {
        for (after, keep) in (0..40).flat_map(|n| [(n, Keep::Synced), (n, Keep::All)]) {
            let mem = MemDisk::new();
            let disk = FaultyDisk::new(Arc::new(mem.clone()));
            let checkpoints = open(&disk).unwrap();
            checkpoints.write(commit(1)).unwrap();
            let always = plan(operation, after, u64::MAX, io::ErrorKind::Other);
            disk.faults().planned = vec![Fault {
                name: String::new(),
                ..always
            }];
            let taken = take_over(&checkpoints).is_ok();
            drop(checkpoints);
            mem.crash(keep);
            let found = load(&open(&mem).unwrap()).unwrap();
            let names = mem.list().unwrap();
            let others = names
                .iter()
                .filter(|name| ![FILE, COPY].contains(&&name[..]));
            assert_eq!(others.count(), 0, "nothing is left over: {names:?}");
            if is_anothers(&found) {
                news += 1;
            } else {
                assert!(
                    !taken && found == Some(expected(1)),
                    "{operation:?} {after}"
                );
                olds += 1;
            }
            // What a start has shown is not taken back by the power's going.
            mem.crash(Keep::Synced);
            assert!(load(&open(&mem).unwrap()).unwrap() == found);
        }
    }
    assert!(olds > 20 && news > 20, "{olds} {news}");
}

fn contents(disk: &MemDisk) -> Vec<u8> {
    let file = disk.open(FILE).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

/// All places of `needle`.
fn places(haystack: &[u8], needle: &[u8]) -> Vec<usize> {
    let windows = haystack.windows(needle.len()).enumerate();
    windows
        .filter(|(_, w)| *w == needle)
        .map(|(at, _)| at)
        .collect()
}

#[test]
fn a_flipped_bit_in_a_value_or_key_is_found() {
    let disk = MemDisk::new();
    let checkpoints = open(&disk).unwrap();
    let needle = b"a value that is easy to find";
    let writes = vec![
        (
            b"a key that is easy to find".to_vec(),
            Some(needle.to_vec()),
        ),
        (b"another".to_vec(), Some(b"value".to_vec())),
    ];
    checkpoints
        .write(Commit {
            writes,
            ..commit(1)
        })
        .unwrap();
    drop(checkpoints);
    let bytes = contents(&disk);
    let mut flipped = 0;
    for what in [&needle[..], b"a key that is easy to find", b"meta 1"] {
        for at in places(&bytes, what) {
            for bit in 0..8 {
                let disk = disk.fork();
                disk.flip(FILE, at as u64 + 3, 1 << bit);
                let error = open(&disk).and_then(|c| load(&c)).unwrap_err();
                assert!(
                    matches!(error, CheckpointError::Corruption { .. }),
                    "{error}"
                );
                flipped += 1;
            }
        }
    }
    assert!(flipped >= 24, "{flipped}");
}

#[test]
fn a_flipped_bit_anywhere_never_gives_wrong_rows() {
    let disk = MemDisk::new();
    let checkpoints = open(&disk).unwrap();
    for n in 1..=3 {
        checkpoints.write(commit(n)).unwrap();
    }
    drop(checkpoints);
    let bytes = contents(&disk);
    let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let mut refused = 0;
    // Every so many bytes, with all bits in turn; the step is coprime to the layout's.
    for (round, at) in used.iter().step_by(89).enumerate() {
        let disk = disk.fork();
        disk.flip(FILE, *at as u64, 1 << (round % 8));
        match open(&disk).and_then(|c| load(&c)) {
            Ok(found) => assert!(found == Some(expected(3)), "byte {at}"),
            Err(error) => {
                assert!(error.to_string().starts_with(FILE), "byte {at}: {error}");
                refused += 1;
            }
        }
    }
    assert!(
        refused > 20,
        "{refused} of {} were refused",
        used.len() / 89
    );
}

/// Writes all of the `n`-th state anew.
fn rewrite(checkpoints: &Checkpoints, n: u64) -> Result<(), CheckpointError> {
    let (meta, replay_from, state) = expected(n);
    checkpoints.rewrite(Commit {
        version: DiskVersion::V1,
        meta,
        replay_from,
        writes: state.into_iter().map(|(key, value)| (key, Some(value))),
    })
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Flip {
    Unnoticed,
    WrittenAnew,
    TakenFromAPeer,
}

/// What a host does about a damaged store, which must end with the state that it had or a peer's.
fn go_on_from(disk: &MemDisk, n: u64) -> Flip {
    let checkpoints = open(disk).unwrap();
    let loaded = checkpoints.load().unwrap().unwrap();
    let (meta, replay_from, state) = expected(n);
    assert_eq!((&loaded.meta, loaded.replay_from), (&meta, replay_from));
    let damage = loaded.damage;
    match loaded.rows.collect::<Result<State, _>>() {
        Ok(rows) => {
            assert!(rows == state, "wrong rows");
            let written = checkpoints.write(commit(n + 1));
            let went = match written {
                Ok(()) => {
                    assert!(damage.is_none(), "nothing is built upon damage: {damage:?}");
                    Flip::Unnoticed
                }
                Err(error) => {
                    assert!(error.is_damage(), "{error}");
                    rewrite(&checkpoints, n + 1).unwrap();
                    Flip::WrittenAnew
                }
            };
            disk.crash(Keep::Synced);
            drop(checkpoints);
            let checkpoints = open(disk).unwrap();
            let loaded = checkpoints.load().unwrap().unwrap();
            assert!(loaded.damage.is_none(), "{:?}", loaded.damage);
            let rows = loaded.rows.collect::<Result<State, _>>().unwrap();
            assert!((loaded.meta, loaded.replay_from, rows) == expected(n + 1));
            went
        }
        Err(error) => {
            assert!(error.is_damage(), "{error}");
            take_over(&checkpoints).unwrap();
            disk.crash(Keep::Synced);
            drop(checkpoints);
            assert!(is_anothers(&load(&open(disk).unwrap()).unwrap()));
            Flip::TakenFromAPeer
        }
    }
}

#[test]
fn a_flipped_bit_in_any_page_makes_no_difference_or_is_mended() {
    const PAGE: usize = 4_096;
    let disk = MemDisk::new();
    let checkpoints = open(&disk).unwrap();
    for n in 1..=4 {
        checkpoints.write(commit(n)).unwrap();
    }
    drop(checkpoints);
    let bytes = contents(&disk);
    let mut went = BTreeMap::new();
    for (page, contents) in bytes.chunks(PAGE).enumerate() {
        let used: Vec<usize> = (0..contents.len())
            .filter(|at| contents[*at] != 0)
            .collect();
        // Of redb's own header every byte that says something, of the others some from everywhere.
        let step = if page == 0 {
            1
        } else {
            used.len().div_ceil(12).max(1)
        };
        for (round, at) in used.iter().step_by(step).enumerate() {
            let disk = disk.fork();
            disk.flip(FILE, (page * PAGE + at) as u64, 1 << ((round + page) % 8));
            let flip = std::panic::catch_unwind(|| go_on_from(&disk, 4));
            let flip = flip.unwrap_or_else(|_| panic!("byte {at} of page {page}"));
            *went.entry(flip).or_insert(0) += 1;
        }
    }
    println!("{went:?}");
    assert!(went.values().sum::<u32>() > 300, "{went:?}");
    assert!(went.len() == 3, "all of it came up: {went:?}");
}

#[test]
fn a_flipped_bit_in_the_copy_of_the_head_is_mended_at_the_next_start() {
    let disk = MemDisk::new();
    open(&disk).unwrap().write(commit(1)).unwrap();
    let bytes = disk.open(COPY).unwrap().len().unwrap();
    for at in 0..bytes {
        let disk = disk.fork();
        disk.flip(COPY, at, 1 << (at % 8));
        assert!(load(&open(&disk).unwrap()).unwrap() == Some(expected(1)));
        // It counts again: without its database the host still knows what it promised.
        disk.remove(FILE).unwrap();
        let loaded = open(&disk).unwrap().load().unwrap().unwrap();
        assert_eq!(
            (loaded.meta, loaded.replay_from),
            (b"meta 1".to_vec(), Lsn(100))
        );
        assert!(loaded.damage.is_some() && loaded.rows.last().unwrap().is_err());
    }
}

/// redb's commit slots take turns: with the wrong one in force, everything checks out, and is old. The log
/// that it would be replayed from may be gone.
#[test]
fn a_database_that_fell_back_to_the_checkpoint_before_is_noticed() {
    let disk = MemDisk::new();
    let checkpoints = open(&disk).unwrap();
    checkpoints.write(commit(1)).unwrap();
    drop(checkpoints);
    let before = contents(&disk);
    open(&disk).unwrap().write(commit(2)).unwrap();
    disk.open(FILE)
        .unwrap()
        .set_len(before.len() as u64)
        .unwrap();
    disk.open(FILE).unwrap().write_at(0, &[&before]).unwrap();
    let loaded = open(&disk).unwrap().load().unwrap().unwrap();
    assert_eq!(
        (loaded.meta, loaded.replay_from),
        (b"meta 2".to_vec(), Lsn(200))
    );
    let error = loaded.rows.last().unwrap().unwrap_err();
    assert!(error.is_damage(), "{error}");
}

#[test]
fn what_is_discarded_takes_no_space_and_takes_nothing_with_it() {
    const STAGED: &str = "checkpoint.redb.staged";
    let disk = MemDisk::new();
    let checkpoints = open(&disk).unwrap();
    let is_there = || disk.list().unwrap().iter().any(|name| name == STAGED);
    let first = checkpoints.stage().unwrap();
    assert!(is_there());
    checkpoints.discard(first).unwrap();
    assert!(!is_there());
    let late = checkpoints.stage().unwrap();
    let second = checkpoints.stage().unwrap();
    checkpoints.discard(late).unwrap();
    assert!(is_there(), "it belongs to what was begun since");
    checkpoints.discard(second).unwrap();
    assert!(!is_there());
}

#[test]
fn a_full_disk_while_all_is_written_anew_changes_nothing() {
    let disk = MemDisk::new();
    let checkpoints = open(&disk).unwrap();
    checkpoints.write(commit(1)).unwrap();
    let used: u64 = disk
        .list()
        .unwrap()
        .iter()
        .map(|name| disk.open(name).unwrap().len().unwrap())
        .sum();
    disk.set_capacity(Some(used + 20_000));
    let error = rewrite(&checkpoints, 2).unwrap_err();
    assert!(error.may_succeed_later(), "{error}");
    assert!(load(&checkpoints).unwrap() == Some(expected(1)));
    assert_eq!(disk.list().unwrap().len(), 2, "nothing is left over");
    disk.set_capacity(None);
    rewrite(&checkpoints, 2).unwrap();
    assert!(load(&checkpoints).unwrap() == Some(expected(2)));
}

#[test]
fn a_file_that_is_no_checkpoint_is_refused_and_left_alone() {
    let noise: Vec<u8> = (0..20_000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    for bytes in [&b""[..], b"short", &noise] {
        let disk = MemDisk::new();
        disk.create(FILE).unwrap().write_at(0, &[bytes]).unwrap();
        let error = open(&disk).unwrap_err();
        assert!(error.to_string().contains(FILE), "{error}");
        assert!(!error.may_succeed_later());
        assert_eq!(contents(&disk), bytes);
    }
}

#[test]
fn another_format_version_is_refused_with_its_number() {
    use redb::{Database, TableDefinition};
    let folder = tempfile::tempdir().unwrap();
    let mut head = b"SHOALCHK".to_vec();
    head.extend(9u32.to_le_bytes());
    head.extend(b"what the future holds");
    head.extend(crc32c::crc32c(&head).to_le_bytes());
    let database = Database::create(folder.path().join(FILE)).unwrap();
    let transaction = database.begin_write().unwrap();
    let table = TableDefinition::<&str, &[u8]>::new("head");
    transaction
        .open_table(table)
        .unwrap()
        .insert("head", &head[..])
        .unwrap();
    transaction.commit().unwrap();
    drop(database);
    let disk = shoal_storage::RealDisk::new(folder.path());
    let error = Checkpoints::open(Arc::new(disk), SMALL)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("format version 9, this release reads 2"),
        "{error}"
    );
}
