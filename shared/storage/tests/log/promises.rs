//! What the log promises while nothing goes wrong, and on a single failure.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use crate::support::{append, assert_exact, entry, flush, open, open_all, options, payload};
use bytes::Bytes;
use shoal_storage::{
    Disk, Fault, FaultyDisk, Keep, Log, LogError, LogOptions, Lsn, MemDisk, Operation, ReadError,
    Tag,
};
use shoal_types::{BodyRef, HostId, ViewNumber};

#[test]
fn what_was_appended_is_there_after_a_restart_in_order() {
    let disk = MemDisk::new();
    let mut expected = 0;
    for life in 0..5 {
        let (mut log, records) = open_all(Arc::new(disk.clone()), options(life)).unwrap();
        assert_eq!(records.len(), expected);
        assert_exact(&records, 1);
        for i in 0..40 {
            append(&mut log, entry(1, 2, expected as u64 + 1), i * 97);
            expected += 1;
            if i % 7 == 0 {
                flush(&mut log);
            }
        }
        assert_eq!(flush(&mut log), Lsn(expected as u64));
    }
}

#[test]
fn a_fresh_log_is_empty_and_opening_leaves_no_trace() {
    let disk = MemDisk::new();
    for seed in 0..3 {
        let (log, records) = open_all(Arc::new(disk.clone()), options(seed)).unwrap();
        assert_eq!(
            (records.len(), log.next_lsn(), log.durable_lsn()),
            (0, Lsn(1), Lsn(0))
        );
        assert_eq!(log.first_lsn(), Lsn(1));
    }
    assert!(disk.list().unwrap().is_empty());
}

#[test]
fn while_one_batch_is_out_the_next_gathers_and_is_acknowledged_in_order() {
    let disk = MemDisk::new();
    let (mut log, _) = open(&disk, 1).unwrap();
    append(&mut log, Tag::NONE, 10);
    let first = log.take_batch().unwrap();
    for _ in 0..5 {
        append(&mut log, Tag::NONE, 10);
        assert!(log.take_batch().is_none(), "one batch at a time");
    }
    assert!(log.writing());
    assert_eq!(
        log.durable_lsn(),
        Lsn(0),
        "nothing is durable before its sync"
    );
    let done = first.write().unwrap();
    assert_eq!(log.durable_lsn(), Lsn(0), "nor before it is completed");
    assert_eq!(log.complete(done), Lsn(1));
    let second = log.take_batch().unwrap();
    append(&mut log, Tag::NONE, 10);
    let done = second.write().unwrap();
    assert_eq!(log.complete(done), Lsn(6), "all five in one go");
    assert_eq!(flush(&mut log), Lsn(7));
    assert_eq!(log.unsynced_bytes(), 0);
}

#[test]
fn one_batch_is_one_sync() {
    let faulty = FaultyDisk::new(Arc::new(MemDisk::new()));
    let (mut log, _) = open_all(Arc::new(faulty.clone()), options(1)).unwrap();
    append(&mut log, Tag::NONE, 10);
    flush(&mut log);
    let before = faulty.faults().syncs;
    for _ in 0..100 {
        append(&mut log, Tag::NONE, 10);
    }
    flush(&mut log);
    assert_eq!(faulty.faults().syncs, before + 1);
}

#[test]
fn bodies_are_read_from_memory_from_disk_and_across_chunks() {
    let disk = MemDisk::new();
    let (mut log, _) = open(&disk, 1).unwrap();
    let reader = log.reader();
    let lengths = [0, 1, 100, 4_095, 4_096, 9_000, 20_000, 70_000, 5];
    let appended: Vec<_> = lengths
        .iter()
        .map(|len| (append(&mut log, Tag::NONE, *len), *len))
        .collect();
    let check = || {
        for (record, len) in &appended {
            let whole = payload(record.lsn.0, *len).concat();
            for (from, to) in [(0, *len), (len / 3, *len), (len / 4, len / 2)] {
                let at = record.at.body(from);
                let body = reader.body(at, (to - from) as u32).unwrap();
                assert_eq!(body, whole[from..to], "{len}: {from}..{to}");
            }
        }
    };
    check();
    let batch = log.take_batch().unwrap();
    check();
    let done = batch.write().unwrap();
    check();
    let _ = log.complete(done);
    check();
    flush(&mut log);
    check();
}

#[test]
fn a_record_larger_than_a_segment_gets_one_of_its_own() {
    let disk = MemDisk::new();
    let (mut log, _) = open(&disk, 1).unwrap();
    append(&mut log, Tag::NONE, 100);
    flush(&mut log);
    // A spare is at hand, but of the usual size.
    log.upkeep().unwrap().run().unwrap();
    for len in [200_000, 100, 40_000] {
        append(&mut log, Tag::NONE, len);
    }
    flush(&mut log);
    let sizes: Vec<u64> = log.segments().iter().map(|s| s.bytes).collect();
    assert_eq!(sizes, [32 << 10, 204_800, 45_056]);
    let (_, records) = open_all(Arc::new(disk), options(2)).unwrap();
    assert_eq!(records.len(), 4);
    assert_exact(&records, 1);
}

#[test]
fn a_batch_is_bounded_and_the_rest_follows() {
    let disk = MemDisk::new();
    let wide = LogOptions {
        segment_bytes: 64 << 20,
        ..options(1)
    };
    let (mut log, _) = open_all(Arc::new(disk), wide).unwrap();
    for _ in 0..10 {
        append(&mut log, Tag::NONE, 1 << 20);
    }
    let mut sizes = Vec::new();
    while let Some(batch) = log.take_batch() {
        sizes.push(batch.bytes());
        let done = batch.write().unwrap();
        let _ = log.complete(done);
    }
    assert_eq!(sizes.len(), 4, "{sizes:?}");
    assert!(sizes.iter().all(|bytes| *bytes <= 4 << 20));
}

#[test]
fn entries_come_by_lane_from_disk_and_memory_alike() {
    let disk = MemDisk::new();
    let (mut log, _) = open(&disk, 1).unwrap();
    let reader = log.reader();
    let mut expected = [Vec::new(), Vec::new()];
    for index in 1..=200u64 {
        for lane in [1, 2] {
            let record = append(&mut log, entry(3, lane, index), 400);
            expected[lane as usize - 1].push(payload(record.lsn.0, 400).concat());
        }
        if index % 11 == 0 {
            append(&mut log, Tag::NONE, 50);
        }
        if index < 150 && index % 5 == 0 {
            flush(&mut log);
        }
    }
    let batch = log.take_batch();
    for (lane, expected) in [1, 2].into_iter().zip(expected) {
        for (from, to) in [(1, 200), (7, 9), (140, 160), (200, 200), (199, 300)] {
            let read = |max| reader.entries(ViewNumber(3), HostId(lane), from, to, max);
            let all = read(usize::MAX).unwrap();
            let last = to.min(200) as usize;
            assert_eq!(
                all,
                expected[from as usize - 1..last],
                "{lane}: {from}..={to}"
            );
            assert_eq!(read(0).unwrap().len(), 1, "always at least one");
            assert_eq!(read(850).unwrap().len(), 2.min(all.len()));
        }
        let none = reader.entries(ViewNumber(3), HostId(lane), 201, 300, 1_000);
        assert!(matches!(none, Err(ReadError::NotFound { index: 201, .. })));
        let none = reader.entries(ViewNumber(2), HostId(lane), 1, 3, 1_000);
        assert!(matches!(none, Err(ReadError::NotFound { .. })));
    }
    drop(batch);
}

#[test]
fn entries_of_earlier_lives_are_found_with_and_without_index_files() {
    for upkeep in [false, true] {
        let disk = MemDisk::new();
        for life in 0..4u64 {
            let (mut log, _) = open(&disk, life).unwrap();
            for i in 1..=60 {
                append(&mut log, entry(life + 1, 9, i), 900);
                flush(&mut log);
                if upkeep && let Some(job) = log.upkeep() {
                    job.run().unwrap();
                }
            }
            let indexes = disk.list().unwrap();
            let indexes = indexes.iter().filter(|name| name.ends_with(".index"));
            assert_eq!(indexes.count() > 0, upkeep);
            disk.crash(Keep::All);
        }
        let (log, _) = open(&disk, 9).unwrap();
        for life in 0..4 {
            let view = ViewNumber(life + 1);
            let found = log.reader().entries(view, HostId(9), 1, 60, usize::MAX);
            assert_eq!(found.unwrap().len(), 60);
        }
    }
}

#[test]
fn a_damaged_index_file_is_made_again() {
    let disk = MemDisk::new();
    let (mut log, _) = open(&disk, 1).unwrap();
    for i in 1..=60 {
        append(&mut log, entry(1, 9, i), 900);
        flush(&mut log);
    }
    log.upkeep().unwrap().run().unwrap();
    let segments = log.segments();
    drop(log);
    disk.flip("0000000001.index", 40, 4);
    let (mut log, _) = open(&disk, 2).unwrap();
    let lanes = |segments: &[shoal_storage::SegmentInfo]| {
        segments.iter().map(|s| s.lanes.clone()).collect::<Vec<_>>()
    };
    assert_eq!(lanes(&log.segments()), lanes(&segments));
    append(&mut log, Tag::NONE, 1);
    flush(&mut log);
    log.upkeep().unwrap().run().unwrap();
    assert!(log.unindexed().is_empty());
}

#[test]
fn an_index_file_of_another_segment_is_not_believed() {
    let disk = MemDisk::new();
    let mut log = fill_segments(&disk, 4);
    log.upkeep().unwrap().run().unwrap();
    let lanes = |log: &Log| -> Vec<_> { log.segments().into_iter().map(|s| s.lanes).collect() };
    let expected = lanes(&log);
    disk.rename("0000000001.index", "0000000002.index").unwrap();
    let (log, _) = open(&disk, 2).unwrap();
    assert_eq!(lanes(&log), expected);
}

#[test]
fn a_scan_begins_where_it_is_told() {
    let disk = MemDisk::new();
    let (mut log, _) = open(&disk, 1).unwrap();
    for i in 0..300 {
        append(&mut log, Tag::NONE, 500);
        if i % 13 == 0 {
            flush(&mut log);
        }
    }
    flush(&mut log);
    for from in [1, 2, 60, 150, 299, 300, 301] {
        let from_there = LogOptions {
            replay_from: Lsn(from),
            ..options(7)
        };
        let (_, records) = open_all(Arc::new(disk.fork()), from_there).unwrap();
        assert_eq!(records.len() as u64, 301 - from);
        assert_exact(&records, from);
    }
    let beyond = LogOptions {
        replay_from: Lsn(302),
        ..options(7)
    };
    let error = open_all(Arc::new(disk), beyond).unwrap_err();
    assert!(
        error.to_string().contains("the log ends before LSN 302"),
        "{error}"
    );
}

#[test]
fn the_last_segment_is_cut_to_its_contents_at_a_restart_and_is_no_spare_later() {
    let disk = MemDisk::new();
    for life in 1..=10 {
        let (mut log, _) = open(&disk, life).unwrap();
        for segment in log.segments() {
            let file = disk
                .open(&format!("{:010}.segment", segment.number))
                .unwrap();
            assert_eq!(segment.bytes, file.len().unwrap());
            assert_eq!(segment.bytes, 8_192, "header and one block");
        }
        append(&mut log, Tag::NONE, 10);
        flush(&mut log);
    }
    let (mut log, _) = open(&disk, 11).unwrap();
    append(&mut log, Tag::NONE, 10);
    flush(&mut log);
    log.remove_segments(&[1, 2, 10]).run().unwrap();
    let names = disk.list().unwrap().concat();
    assert!(!names.contains("spare"), "{names}");
}

fn fill_segments(disk: &MemDisk, count: usize) -> Log {
    let (mut log, _) = open(disk, 1).unwrap();
    while log.segments().len() < count {
        let tag = entry(1, 1, log.next_lsn().0);
        append(&mut log, tag, 1_000);
        flush(&mut log);
    }
    log
}

#[test]
fn removed_segments_are_unreadable_at_once_and_gone_after_a_restart() {
    let disk = MemDisk::new();
    let mut log = fill_segments(&disk, 8);
    let reader = log.reader();
    let before = log.bytes_used();
    assert!(!log.segments().last().unwrap().closed);
    let removal = log.remove_segments(&[3, 5]);
    let gone = BodyRef {
        segment: 3,
        offset: 5_000,
    };
    assert!(matches!(
        reader.body(gone, 10),
        Err(ReadError::Removed { segment: 3 })
    ));
    removal.run().unwrap();
    log.remove_segments(&[1]).run().unwrap();
    assert_eq!(log.bytes_used(), before - 3 * (32 << 10));
    let left = |log: &Log| -> Vec<u32> { log.segments().iter().map(|s| s.number).collect() };
    assert_eq!(left(&log), [2, 4, 6, 7, 8]);
    let next = log.next_lsn();
    let recent = LogOptions {
        replay_from: log.segments()[2].first_lsn,
        ..options(2)
    };
    drop(log);
    disk.crash(Keep::Synced);
    let (mut log, records) = open_all(Arc::new(disk.clone()), recent).unwrap();
    assert_eq!(left(&log), [2, 4, 6, 7, 8]);
    assert_eq!(records.last().unwrap().lsn.next(), next);
    append(&mut log, Tag::NONE, 10);
    flush(&mut log);
    assert!(
        log.reader()
            .entries(ViewNumber(1), HostId(1), next.0 - 1, next.0, 9)
            .is_ok()
    );
    let error = open(&disk, 3).unwrap_err();
    assert!(error.to_string().contains("but 1 is needed"), "{error}");
}

#[test]
fn a_removed_segment_that_replay_needs_is_refused() {
    let disk = MemDisk::new();
    let mut log = fill_segments(&disk, 7);
    let firsts: Vec<Lsn> = log.segments().iter().map(|s| s.first_lsn).collect();
    log.remove_segments(&[4]).run().unwrap();
    for (replay_from, works) in [(firsts[2], false), (firsts[3], false), (firsts[4], true)] {
        let there = LogOptions {
            replay_from,
            ..options(2)
        };
        let opened = open_all(Arc::new(disk.fork()), there);
        assert_eq!(opened.is_ok(), works, "{replay_from}");
    }
}

#[test]
fn a_missing_segment_that_was_not_removed_is_corruption_or_told_if_nothing_is_replayed_from_it() {
    for number in 1..=7u32 {
        for removed_before in [&[][..], &[2, 4]] {
            if removed_before.contains(&number) {
                continue;
            }
            let disk = MemDisk::new();
            let mut log = fill_segments(&disk, 7);
            log.remove_segments(removed_before).run().unwrap();
            let replay_from = log.segments().last().unwrap().first_lsn;
            drop(log);
            let name = format!("{number:010}.segment");
            disk.remove(&name).unwrap();
            let recent = LogOptions {
                replay_from,
                ..options(2)
            };
            let refused = |disk: MemDisk, options| match Log::open(Arc::new(disk), options) {
                Err(LogError::Corruption { file, .. }) => file,
                other => panic!("{:?}", other.map(|_| ())),
            };
            if number == 7 {
                // The very last one: nothing in the folder says that it was there.
                let (_, scan) = Log::open(Arc::new(disk), recent).unwrap();
                assert_eq!(scan.count(), 0);
                continue;
            }
            if removed_before.is_empty() {
                assert_eq!(refused(disk.fork(), options(2)), name);
            }
            let (log, scan) = Log::open(Arc::new(disk), recent).unwrap();
            let damage: Vec<u32> = scan.damage().iter().map(|d| d.segment).collect();
            assert_eq!(damage, [number]);
            assert_eq!(scan.damage()[0].file, name);
            let there = log.segments().into_iter().map(|s| s.number);
            assert!(!there.collect::<Vec<_>>().contains(&number));
        }
    }
}

#[test]
fn spares_are_made_ahead_and_removed_segments_are_used_again() {
    let disk = MemDisk::new();
    let mut log = fill_segments(&disk, 6);
    for _ in 0..3 {
        log.upkeep().unwrap().run().unwrap();
    }
    assert!(log.upkeep().is_none(), "nothing more to do");
    log.remove_segments(&[1, 2, 3]).run().unwrap();
    let files = || -> BTreeSet<String> { disk.list().unwrap().into_iter().collect() };
    let spares = || files().iter().filter(|n| n.starts_with("spare-")).count();
    assert_eq!(spares(), 3, "those made, the removed ones deleted");
    let first = log.next_lsn();
    while log.segments().len() < 6 {
        append(&mut log, Tag::NONE, 1_000);
        flush(&mut log);
    }
    assert_eq!(spares(), 0);
    let replay = LogOptions {
        replay_from: first,
        ..options(5)
    };
    drop(log);
    disk.crash(Keep::Synced);
    let (_, records) = open_all(Arc::new(disk), replay).unwrap();
    assert_exact(&records, first.0);
}

#[test]
fn a_failed_write_or_sync_is_final() {
    for operation in [Operation::Write, Operation::SyncData] {
        let mem = MemDisk::new();
        let faulty = FaultyDisk::new(Arc::new(mem.clone()));
        let (mut log, _) = open_all(Arc::new(faulty.clone()), options(1)).unwrap();
        let kept = append(&mut log, Tag::NONE, 10);
        flush(&mut log);
        append(&mut log, Tag::NONE, 10);
        faulty.faults().planned.push(Fault {
            operation,
            name: String::new(),
            after: 0,
            times: 1,
            error: io::ErrorKind::Other,
        });
        let error = log.take_batch().unwrap().write().unwrap_err();
        assert!(matches!(error, LogError::Io { .. }), "{error}");
        append(&mut log, Tag::NONE, 10);
        assert!(log.take_batch().is_none(), "nothing is written any more");
        assert_eq!(log.durable_lsn(), kept.lsn);
        assert_eq!(log.failure().unwrap().to_string(), error.to_string());
        let syncs = faulty.faults().syncs;
        assert_eq!(log.reader().body(kept.at.body(0), 10).unwrap().len(), 10);
        assert_eq!(faulty.faults().syncs, syncs);
    }
}

#[test]
fn no_room_for_a_spare_counts_as_a_full_disk_until_there_is_room() {
    let disk = MemDisk::new();
    let (mut log, _) = open(&disk, 1).unwrap();
    append(&mut log, Tag::NONE, 10);
    flush(&mut log);
    disk.set_capacity(Some(40 << 10));
    let error = log.upkeep().unwrap().run().unwrap_err();
    assert!(error.to_string().contains("spare"), "{error}");
    assert!(log.upkeep().is_none());
    assert_eq!(disk.list().unwrap().len(), 1, "no half a spare is left");
    assert_eq!(log.level_percent().unwrap(), 95, "80 % are used");
    log.upkeep().unwrap().run().unwrap_err();
    assert_eq!(log.level_percent().unwrap(), 95);
    append(&mut log, Tag::NONE, 10);
    assert_eq!(flush(&mut log), Lsn(2), "the open segment has its space");
    disk.set_capacity(None);
    for _ in 0..3 {
        log.upkeep().unwrap().run().unwrap();
    }
    assert_eq!(
        log.level_percent().unwrap(),
        0,
        "room again, without a restart"
    );
}

#[test]
fn the_room_of_a_spare_is_lent_once_and_made_good_later() {
    let disk = MemDisk::new();
    let (mut log, _) = open(&disk, 1).unwrap();
    append(&mut log, Tag::NONE, 10);
    flush(&mut log);
    let spares = || {
        let names = disk.list().unwrap();
        names
            .iter()
            .filter(|name| name.starts_with("spare-"))
            .count()
    };
    assert!(log.lend_reserve().is_none(), "there is none");
    while let Some(upkeep) = log.upkeep() {
        upkeep.run().unwrap();
    }
    assert_eq!((spares(), log.level_percent().unwrap()), (3, 0));
    log.lend_reserve().unwrap().run().unwrap();
    assert_eq!((spares(), log.level_percent().unwrap()), (2, 95));
    assert!(log.upkeep().is_none(), "nothing is made in its place");
    assert!(log.lend_reserve().is_none(), "the log keeps the others");
    log.take_back_reserve();
    log.upkeep().unwrap().run().unwrap();
    assert_eq!((spares(), log.level_percent().unwrap()), (3, 0));
}

/// A host that has used up its reserve waits for room; it has broken no promise and need not end.
#[test]
fn a_segment_for_which_there_is_no_room_can_be_begun_later() {
    let disk = MemDisk::new();
    disk.set_capacity(Some(10_000));
    let (mut log, _) = open(&disk, 1).unwrap();
    let appended = append(&mut log, Tag::NONE, 10);
    let batch = log.take_batch().unwrap();
    for _ in 0..2 {
        let error = batch.write().unwrap_err();
        assert!(error.may_succeed_later(), "{error}");
        assert!(disk.list().unwrap().is_empty(), "nothing is left of it");
    }
    assert!(log.failure().is_none());
    disk.set_capacity(None);
    let done = batch.write().unwrap();
    assert_eq!(log.complete(done), appended.lsn);
    drop(log);
    disk.crash(Keep::Synced);
    let (_, records) = open_all(Arc::new(disk), options(2)).unwrap();
    assert_exact(&records, appended.lsn.0);
}

#[test]
fn the_quota_counts_like_a_full_disk() {
    let disk = MemDisk::new();
    let limited = LogOptions {
        log_bytes_max: Some(100_000),
        ..options(1)
    };
    let (mut log, _) = open_all(Arc::new(disk), limited).unwrap();
    assert_eq!(log.level_percent().unwrap(), 0);
    while log.level_percent().unwrap() < 90 {
        append(&mut log, Tag::NONE, 1_000);
        flush(&mut log);
    }
    assert!((90_000..=100_000).contains(&log.bytes_used()));
    log.remove_segments(&[1]).run().unwrap();
    assert!(log.level_percent().unwrap() < 70);
}

#[test]
fn a_log_of_another_host_or_version_is_refused_by_name() {
    let disk = MemDisk::new();
    drop(fill_segments(&disk, 2));
    let other = LogOptions::new(HostId(5), 1);
    let error = open_all(Arc::new(disk.clone()), other).unwrap_err();
    assert_eq!(
        error.to_string(),
        "0000000001.segment cannot be used: it is of the log of host hab, this folder is of host h5"
    );
    disk.rename("0000000002.segment", "0000000001.segment")
        .unwrap();
    let error = open(&disk, 1).unwrap_err();
    assert!(error.to_string().contains("it holds segment 2"), "{error}");
}

#[test]
#[should_panic(expected = "is not closed")]
fn the_segment_being_written_cannot_be_removed() {
    let mut log = fill_segments(&MemDisk::new(), 3);
    let _ = log.remove_segments(&[3]);
}

#[test]
#[should_panic(expected = "over the limit")]
fn a_record_over_the_limit_is_a_fault_of_the_caller() {
    let (mut log, _) = open(&MemDisk::new(), 1).unwrap();
    log.append(1, Tag::NONE, &[Bytes::from(vec![0; (16 << 20) + 1])]);
}
