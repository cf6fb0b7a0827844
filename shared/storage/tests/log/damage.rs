//! Every single-bit flip and every cut: an exact prefix or a refusal that names the file, never wrong
//! records, and a prefix only where nothing tells damage from an unfinished write.

use std::sync::Arc;

use bytes::Bytes;
use shoal_storage::{Disk, LogError, LogRecord, MemDisk, Tag};

use crate::support::{append, assert_exact, entry, flush, open, open_all, options};

const FIRST: &str = "0000000001.segment";
const SECOND: &str = "0000000002.segment";

/// Two lives of three blocks each: a closed segment and the last one. Both are cut to their contents.
fn two_segments() -> (MemDisk, usize) {
    let disk = MemDisk::new();
    for life in 1..=2 {
        let (mut log, _) = open(&disk, life).unwrap();
        for lengths in [[5, 300], [200, 0], [40, 4_100]] {
            for len in lengths {
                append(&mut log, entry(1, life, 1), len);
            }
            flush(&mut log);
        }
    }
    drop(open(&disk, 3).unwrap());
    (disk, 12)
}

/// All records, or the refusal; panics if a record is wrong.
fn outcome(disk: &MemDisk) -> Result<Vec<LogRecord>, LogError> {
    let (_, records) = open_all(Arc::new(disk.clone()), options(9))?;
    assert_exact(&records, 1);
    Ok(records)
}

fn len_of(disk: &MemDisk, name: &str) -> u64 {
    disk.open(name).unwrap().len().unwrap()
}

fn names_file(error: &LogError, name: &str) -> bool {
    match error {
        LogError::Corruption { file, .. } | LogError::Foreign { file, .. } => file == name,
        LogError::NoSpace { .. } | LogError::Io { .. } => false,
    }
}

#[test]
fn every_bit_flip_in_a_closed_segment_is_harmless_or_refused() {
    let (disk, all) = two_segments();
    let mut refused = 0;
    for bit in 0..len_of(&disk, FIRST) * 8 {
        let disk = disk.fork();
        disk.flip(FIRST, bit / 8, 1 << (bit % 8));
        match outcome(&disk) {
            Ok(records) => assert_eq!(records.len(), all, "bit {bit}"),
            Err(error) => {
                assert!(names_file(&error, FIRST), "bit {bit}: {error}");
                refused += 1;
            }
        }
    }
    // Header, three block headers, six records; the rest is padding.
    let meaningful = 48 + 3 * 36 + 6 * 44 + 305 + 200 + 4_140;
    assert_eq!(refused, meaningful * 8);
}

#[test]
fn every_bit_flip_in_the_last_segment_costs_at_most_the_very_last_block() {
    let (disk, all) = two_segments();
    let len = len_of(&disk, SECOND);
    let last_block = len - 8_192;
    let mut cut = 0;
    for bit in 0..len * 8 {
        let disk = disk.fork();
        disk.flip(SECOND, bit / 8, 1 << (bit % 8));
        match outcome(&disk) {
            Ok(records) if records.len() == all => {}
            Ok(records) => {
                assert_eq!(records.len(), all - 2, "bit {bit}");
                assert!(bit / 8 >= last_block, "bit {bit} is not in the last block");
                cut += 1;
            }
            Err(error) => {
                assert!(names_file(&error, SECOND), "bit {bit}: {error}");
                assert!(bit / 8 < last_block, "bit {bit}: {error}");
            }
        }
    }
    assert_eq!(cut, (36 + 2 * 44 + 4_140) * 8);
}

#[test]
fn damage_to_the_last_block_is_reported_and_its_bytes_are_kept() {
    let (disk, all) = two_segments();
    let len = len_of(&disk, SECOND);
    for offset in [len - 8_192, len - 8_192 + 20, len - 8_000, len - 4_096] {
        let disk = disk.fork();
        disk.flip(SECOND, offset, 0x10);
        let (_, scan) = open(&disk, 4).unwrap();
        assert_eq!(scan.torn_tail().unwrap().lsn.0, all as u64 - 1, "{offset}");
        assert_eq!(len_of(&disk, SECOND), len);
    }
}

#[test]
fn a_log_cut_anywhere_is_a_prefix_or_refused() {
    let (disk, all) = two_segments();
    for name in [FIRST, SECOND] {
        for len in 0..len_of(&disk, name) {
            let disk = disk.fork();
            disk.open(name).unwrap().set_len(len).unwrap();
            match outcome(&disk) {
                // The padding of the last block carries nothing.
                Ok(records) if name == FIRST => assert_eq!(records.len(), all, "{len}"),
                Ok(records) => assert!((6..=all).contains(&records.len()), "{len}"),
                Err(error) => assert!(names_file(&error, name), "{len}: {error}"),
            }
        }
    }
}

#[test]
fn a_checkpoint_that_saw_more_than_the_log_has_left_is_believed() {
    let (disk, all) = two_segments();
    let len = len_of(&disk, SECOND);
    disk.flip(SECOND, len - 8_000, 1);
    let checkpointed = shoal_storage::LogOptions {
        replay_from: shoal_storage::Lsn(all as u64 + 1),
        ..options(4)
    };
    let error = open_all(Arc::new(disk), checkpointed).unwrap_err();
    assert!(names_file(&error, SECOND), "{error}");
}

#[test]
fn every_bit_flip_in_manifest_or_index_is_refused_or_without_effect() {
    let (disk, all) = two_segments();
    let (mut log, _) = open(&disk, 5).unwrap();
    append(&mut log, Tag::NONE, 5);
    flush(&mut log);
    log.upkeep().unwrap().run().unwrap();
    for bit in 0..len_of(&disk, "0000000001.index") * 8 {
        let disk = disk.fork();
        disk.flip("0000000001.index", bit / 8, 1 << (bit % 8));
        assert_eq!(outcome(&disk).unwrap().len(), all + 1);
    }
    let replay_from = log.segments()[1].first_lsn;
    log.remove_segments(&[1]).run().unwrap();
    for bit in 0..len_of(&disk, "manifest") * 8 {
        let disk = disk.fork();
        disk.flip("manifest", bit / 8, 1 << (bit % 8));
        let later = shoal_storage::LogOptions {
            replay_from,
            ..options(6)
        };
        let error = open_all(Arc::new(disk), later).unwrap_err();
        assert!(names_file(&error, "manifest"), "{error}");
    }
}

#[test]
fn a_manifest_that_is_cut_or_gone_is_refused_and_an_index_is_made_again() {
    let (disk, all) = two_segments();
    let (mut log, _) = open(&disk, 5).unwrap();
    append(&mut log, Tag::NONE, 5);
    flush(&mut log);
    log.upkeep().unwrap().run().unwrap();
    for len in 0..len_of(&disk, "0000000001.index") {
        let disk = disk.fork();
        disk.open("0000000001.index").unwrap().set_len(len).unwrap();
        assert_eq!(outcome(&disk).unwrap().len(), all + 1);
    }
    let replay_from = log.segments()[1].first_lsn;
    log.remove_segments(&[1]).run().unwrap();
    let later = shoal_storage::LogOptions {
        replay_from,
        ..options(6)
    };
    for len in 0..len_of(&disk, "manifest") {
        let disk = disk.fork();
        disk.open("manifest").unwrap().set_len(len).unwrap();
        let error = open_all(Arc::new(disk), later.clone()).unwrap_err();
        assert!(names_file(&error, "manifest"), "{len}: {error}");
    }
    disk.remove("manifest").unwrap();
    let error = open_all(Arc::new(disk.clone()), options(7)).unwrap_err();
    assert!(names_file(&error, FIRST), "{error}");
    let (_, scan) = shoal_storage::Log::open(Arc::new(disk), later).unwrap();
    assert_eq!(scan.damage()[0].file, FIRST, "nothing is replayed from it");
}

/// Opens what is left, appends one record, opens again: what was left and the new record, and nothing
/// of what had been lost comes back.
fn assert_goes_on(disk: &MemDisk, what: &str) {
    let (mut log, left) = open_all(Arc::new(disk.clone()), options(7)).unwrap();
    append(&mut log, Tag::NONE, 70);
    flush(&mut log);
    drop(log);
    let records = outcome(disk).unwrap();
    assert_eq!(records.len(), left.len() + 1, "{what}");
    assert_eq!(records[left.len()].payload.len(), 70, "{what}");
}

#[test]
fn a_log_goes_on_after_any_damage_that_only_cost_its_last_block() {
    let (disk, _) = two_segments();
    let len = len_of(&disk, SECOND);
    // Not every place: each is opened three times.
    for offset in (len - 8_192..len).step_by(13) {
        let flipped = disk.fork();
        flipped.flip(SECOND, offset, 0x10);
        assert_goes_on(&flipped, &format!("a flip at {offset}"));
        let cut = disk.fork();
        cut.open(SECOND).unwrap().set_len(offset).unwrap();
        assert_goes_on(&cut, &format!("a cut at {offset}"));
    }
}

fn read_block(disk: &MemDisk, offset: u64) -> Vec<u8> {
    let mut block = vec![0; 4_096];
    disk.open(FIRST)
        .unwrap()
        .read_at(offset, &mut block)
        .unwrap();
    block
}

/// Three records in a block of a page each; the second one has this length.
fn three_blocks(second: usize) -> MemDisk {
    let disk = MemDisk::new();
    let (mut log, _) = open(&disk, 1).unwrap();
    for len in [10, second, 30] {
        append(&mut log, Tag::NONE, len);
        flush(&mut log);
    }
    disk
}

#[test]
fn a_sound_block_in_the_wrong_place_is_corruption() {
    for (from, to) in [(1, 3), (2, 3), (1, 2), (3, 2), (3, 1)] {
        let disk = three_blocks(20);
        let block = read_block(&disk, from * 4_096);
        disk.open(FIRST)
            .unwrap()
            .write_at(to * 4_096, &[&block])
            .unwrap();
        let error = outcome(&disk).unwrap_err();
        assert!(
            error.to_string().contains("belongs elsewhere"),
            "{from} at {to}: {error}"
        );
    }
}

#[test]
fn a_block_that_was_written_on_top_of_other_contents_is_corruption() {
    let (disk, other) = (three_blocks(20), three_blocks(21));
    let block = read_block(&other, 3 * 4_096);
    disk.open(FIRST)
        .unwrap()
        .write_at(3 * 4_096, &[&block])
        .unwrap();
    let error = outcome(&disk).unwrap_err();
    assert!(error.to_string().contains("belongs elsewhere"), "{error}");
}

#[test]
fn records_that_are_not_those_their_block_was_closed_over_are_not_taken() {
    let with_tag = |index| {
        let disk = MemDisk::new();
        let (mut log, _) = open(&disk, 1).unwrap();
        append(&mut log, entry(1, 1, index), 10);
        flush(&mut log);
        disk
    };
    let (disk, other) = (with_tag(1), with_tag(2));
    let block = read_block(&other, 4_096);
    // All of the other block but its header: its record is sound, and of this segment.
    disk.open(FIRST)
        .unwrap()
        .write_at(4_096 + 36, &[&block[36..]])
        .unwrap();
    assert_eq!(outcome(&disk).unwrap().len(), 0);
}

#[test]
fn a_segment_that_was_written_on_top_of_other_contents_is_corruption() {
    let other = |second| {
        let disk = three_blocks(second);
        let (mut log, _) = open(&disk, 2).unwrap();
        append(&mut log, Tag::NONE, 10);
        flush(&mut log);
        disk
    };
    let (disk, other) = (other(20), other(21));
    let file = other.open(SECOND).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    disk.open(SECOND).unwrap().write_at(0, &[&bytes]).unwrap();
    let error = outcome(&disk).unwrap_err();
    assert!(names_file(&error, FIRST), "{error}");
}

#[test]
fn a_refusal_changes_nothing() {
    let (disk, _) = two_segments();
    disk.flip(FIRST, 4_100, 1);
    let image = |disk: &MemDisk| -> Vec<(String, Vec<u8>)> {
        let read = |name: String| {
            let file = disk.open(&name).unwrap();
            let mut bytes = vec![0; file.len().unwrap() as usize];
            file.read_at(0, &mut bytes).unwrap();
            (name, bytes)
        };
        disk.list().unwrap().into_iter().map(read).collect()
    };
    let before = image(&disk);
    outcome(&disk).unwrap_err();
    assert!(image(&disk) == before);
}

#[test]
fn a_message_that_holds_a_whole_segment_is_just_a_message() {
    let (disk, _) = two_segments();
    let file = disk.open(SECOND).unwrap();
    let mut image = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut image).unwrap();
    let wide = shoal_storage::LogOptions {
        segment_bytes: 1 << 20,
        ..options(5)
    };
    let disk = MemDisk::new();
    let (mut log, _) = open_all(Arc::new(disk.clone()), wide.clone()).unwrap();
    for shift in 0..4_096 / 64 {
        // Among these, one puts the image's blocks at page boundaries.
        let chunks = [vec![0; 16 + shift * 64].into(), Bytes::from(image.clone())];
        log.append(1, Tag::NONE, &chunks);
        let done = log.take_batch().unwrap().write().unwrap();
        let _ = log.complete(done);
    }
    let (_, records) = open_all(Arc::new(disk), wide).unwrap();
    assert_eq!(records.len(), 64);
}
