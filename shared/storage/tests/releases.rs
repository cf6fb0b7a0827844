//! Two releases that take turns with one data folder: what the later one may read, what the earlier one
//! refuses, and that it changes nothing then.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use shoal_storage::{
    CheckpointError, CheckpointOptions, Checkpoints, Commit, Disk, DiskVersion, Log, LogError,
    LogOptions, LogRecord, Lsn, MemDisk, Tag,
};
use shoal_types::HostId;

const EARLIER: DiskVersion = DiskVersion::V1;
const LATER: DiskVersion = DiskVersion::V2;

fn open_log(disk: &MemDisk, newest: DiskVersion) -> Result<(Log, Vec<LogRecord>), LogError> {
    let options = LogOptions {
        segment_bytes: 16 << 10,
        newest,
        ..LogOptions::new(HostId(0xab), 7)
    };
    let (log, scan) = Log::open(Arc::new(disk.clone()), options)?;
    Ok((log, scan.collect::<Result<_, _>>()?))
}

fn open_checkpoints(disk: &MemDisk, newest: DiskVersion) -> Result<Checkpoints, CheckpointError> {
    let options = CheckpointOptions {
        cache_bytes: 256 << 10,
        newest,
    };
    Checkpoints::open(Arc::new(disk.clone()), options)
}

/// Appends so many records of 1,000 bytes, three of which fill a segment.
fn append(log: &mut Log, records: u64) {
    for _ in 0..records {
        log.append(3, Tag::NONE, &[Bytes::from_static(&[7; 1_000])]);
        let batch = log.take_batch().unwrap();
        let done = batch.write().unwrap();
        log.complete(done);
    }
}

/// A row to put.
type Put = (Vec<u8>, Option<Vec<u8>>);

fn commit(version: DiskVersion, n: u8) -> Commit<[Put; 1]> {
    Commit {
        version,
        meta: vec![n; 100],
        replay_from: Lsn(n.into()),
        writes: [(vec![n], Some(vec![n; 50]))],
    }
}

/// Every file and what it holds.
fn everything(disk: &MemDisk) -> BTreeMap<String, Vec<u8>> {
    let read = |name: String| {
        let file = disk.open(&name).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_at(0, &mut bytes).unwrap();
        (name, bytes)
    };
    disk.list().unwrap().into_iter().map(read).collect()
}

/// The format that a file says it has.
fn format_of(disk: &MemDisk, name: &str) -> u8 {
    everything(disk)[name][8]
}

#[test]
fn a_later_release_that_writes_the_earlier_formats_can_be_put_back_and_forth() {
    let disk = MemDisk::new();
    let mut expected = 0;
    for release in [EARLIER, LATER, EARLIER, LATER] {
        let (mut log, found) = open_log(&disk, release).unwrap();
        assert_eq!(found.len(), expected);
        append(&mut log, 4);
        expected += 4;
        let checkpoints = open_checkpoints(&disk, release).unwrap();
        let loaded = checkpoints.load().unwrap();
        assert_eq!(loaded.is_some(), expected > 4);
        checkpoints.write(commit(EARLIER, expected as u8)).unwrap();
    }
    assert_eq!(format_of(&disk, "checkpoint.head"), 2);
}

#[test]
fn each_segment_is_read_by_its_own_format() {
    let disk = MemDisk::new();
    let (mut log, _) = open_log(&disk, LATER).unwrap();
    // Within a life: the segment that is being filled stays as it is.
    append(&mut log, 2);
    log.set_version(LATER);
    append(&mut log, 4);
    log.set_version(EARLIER);
    append(&mut log, 4);
    let segments: Vec<u8> = (1..=4)
        .map(|number| format_of(&disk, &format!("{number:010}.segment")))
        .collect();
    assert_eq!(segments, [1, 2, 1, 1]);
    let bodies = log.reader();
    drop(log);
    let (_, found) = open_log(&disk, LATER).unwrap();
    assert_eq!(found.len(), 10);
    for record in found {
        assert_eq!(record.payload, vec![7; 1_000]);
        assert!(bodies.body(record.at.body(0), 1_000).is_ok());
    }
}

#[test]
fn the_manifest_is_written_in_the_formats_in_force() {
    let disk = MemDisk::new();
    let (mut log, _) = open_log(&disk, LATER).unwrap();
    append(&mut log, 10);
    log.remove_segments(&[1]).run().unwrap();
    assert_eq!(format_of(&disk, "manifest"), 1);
    log.set_version(LATER);
    log.remove_segments(&[2]).run().unwrap();
    assert_eq!(format_of(&disk, "manifest"), 2);
    drop(log);
    let options = LogOptions {
        segment_bytes: 16 << 10,
        newest: LATER,
        replay_from: Lsn(7),
        ..LogOptions::new(HostId(0xab), 8)
    };
    let (log, _) = Log::open(Arc::new(disk.clone()), options).unwrap();
    assert_eq!(log.segments()[0].number, 3);
}

#[test]
fn an_earlier_release_refuses_what_a_later_one_wrote_and_changes_nothing() {
    let newer_log = |disk: &MemDisk| {
        let (mut log, _) = open_log(disk, LATER).unwrap();
        log.set_version(LATER);
        append(&mut log, 4);
    };
    let newer_manifest = |disk: &MemDisk| {
        let (mut log, _) = open_log(disk, LATER).unwrap();
        append(&mut log, 10);
        log.set_version(LATER);
        log.remove_segments(&[1]).run().unwrap();
    };
    let newer_checkpoint = |disk: &MemDisk| {
        let checkpoints = open_checkpoints(disk, LATER).unwrap();
        checkpoints.write(commit(LATER, 2)).unwrap();
        // What a start in good order would remove.
        disk.create("checkpoint.redb.staged").unwrap();
    };
    let log =
        "0000000001.segment cannot be used: it has log format version 2, this release reads 1";
    let manifest =
        "manifest cannot be used: it has manifest format version 2, this release reads 1";
    let checkpoint =
        "checkpoint.head cannot be used: it has checkpoint format version 3, this release reads 2";
    type Write = fn(&MemDisk);
    let cases: [(Write, &str); 3] = [
        (newer_log, log),
        (newer_manifest, manifest),
        (newer_checkpoint, checkpoint),
    ];
    for (write, why) in cases {
        let disk = MemDisk::new();
        write(&disk);
        let before = everything(&disk);
        let refused = DiskVersion::refuse_newer(&disk, EARLIER).unwrap_err();
        assert!(refused.to_string().starts_with(why), "{refused}");
        // The same by whoever opens the file, if nobody looked before.
        let refused = match open_checkpoints(&disk, EARLIER) {
            Err(error) => error.to_string(),
            Ok(_) => open_log(&disk, EARLIER).unwrap_err().to_string(),
        };
        assert!(refused.starts_with(why), "{refused}");
        let mut after = everything(&disk);
        // Of a folder without checkpoints, an empty one is made before the log is looked at.
        after.retain(|name, _| before.contains_key(name));
        assert!(after == before, "something changed: {why}");
        DiskVersion::refuse_newer(&disk, LATER).unwrap();
    }
}

#[test]
fn a_checkpoint_says_how_it_was_written_and_a_rewritten_one_too() {
    let disk = MemDisk::new();
    let checkpoints = open_checkpoints(&disk, LATER).unwrap();
    let version = || {
        let reopened = open_checkpoints(&disk.fork(), LATER).unwrap();
        reopened.load().unwrap().unwrap().version
    };
    checkpoints.write(commit(EARLIER, 1)).unwrap();
    assert_eq!(version(), EARLIER);
    checkpoints.write(commit(LATER, 2)).unwrap();
    assert_eq!(version(), LATER);
    checkpoints.rewrite(commit(EARLIER, 3)).unwrap();
    assert_eq!(version(), EARLIER);
    let mut staging = checkpoints.stage().unwrap();
    staging.put([(vec![1], vec![2])]).unwrap();
    assert_eq!(staging.read_back().unwrap().count(), 1);
    let commit = Commit {
        version: LATER,
        meta: vec![4],
        replay_from: Lsn(4),
        writes: [],
    };
    checkpoints.install(staging, commit).unwrap();
    assert_eq!(version(), LATER);
    assert_eq!(format_of(&disk, "checkpoint.head"), 3);
}

#[test]
#[should_panic(expected = "version 2 is not read back")]
fn a_release_writes_nothing_that_it_does_not_read() {
    let (mut log, _) = open_log(&MemDisk::new(), EARLIER).unwrap();
    log.set_version(LATER);
}
