//! A log of format version 1, byte for byte, as releases in use have written it.
//!
//! If these fail, the format changed: it gets a new version number, a way for old logs to be read, and
//! a fixture of its own beside this one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use shoal_storage::{Disk, Log, LogOptions, MemDisk, RealDisk, Tag};

use crate::support::{OWNER, append, assert_exact, entry, flush, open_all};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/log-v1")
}

fn options(salt_seed: u64) -> LogOptions {
    LogOptions {
        segment_bytes: 16 << 10,
        ..LogOptions::new(OWNER, salt_seed)
    }
}

/// Writes the fixture's log: two lives, entries of two lanes and other records, a removed segment.
fn write(disk: Arc<dyn Disk>) {
    for life in 1..=2 {
        let (mut log, _) = open_all(Arc::clone(&disk), options(life)).unwrap();
        for i in 1..=6u64 {
            append(&mut log, Tag::NONE, i as usize * 10);
            append(
                &mut log,
                entry(life, i % 2 + 1, i / 2 + 1),
                i as usize * 300,
            );
            flush(&mut log);
        }
        if life == 2 {
            log.remove_segments(&[1]).run().unwrap();
            log.upkeep().unwrap().run().unwrap();
        }
    }
}

/// A copy, since opening a log tidies up.
fn copy(names: &[String]) -> MemDisk {
    let from = RealDisk::new(fixture());
    let disk = MemDisk::new();
    for name in names {
        let file = from.open(name).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_at(0, &mut bytes).unwrap();
        disk.create(name).unwrap().write_at(0, &[&bytes]).unwrap();
    }
    disk
}

fn contents(disk: &dyn Disk, name: &str) -> Vec<u8> {
    let file = disk.open(name).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

fn kept_names(disk: &dyn Disk) -> Vec<String> {
    let mut names = disk.list().unwrap();
    names.retain(|name| !name.starts_with("spare-"));
    names.sort();
    names
}

#[test]
fn logs_in_use_can_be_read() {
    let names = kept_names(&RealDisk::new(fixture()));
    let disk = copy(&names);
    let (log, scan) = Log::open(
        Arc::new(disk),
        LogOptions {
            replay_from: shoal_storage::Lsn(9),
            ..options(3)
        },
    )
    .unwrap();
    let records: Vec<_> = scan.map(Result::unwrap).collect();
    assert_eq!(records.len(), 16);
    assert_exact(&records, 9);
    assert_eq!(records[1].tag, entry(1, 2, 3));
    assert_eq!(records[0].tag, Tag::NONE);
    assert_eq!(log.next_lsn().0, 25);
}

#[test]
fn logs_are_still_written_as_they_were() {
    let today = MemDisk::new();
    write(Arc::new(today.clone()));
    let then = RealDisk::new(fixture());
    let names = kept_names(&then);
    assert_eq!(kept_names(&today), names);
    for name in names {
        assert!(
            contents(&today, &name) == contents(&then, &name),
            "{name} differs"
        );
    }
}
