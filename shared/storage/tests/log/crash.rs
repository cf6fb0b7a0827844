//! Random work, stopped at random places, against a model that is a list.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use proptest::prelude::*;
use shoal_storage::{
    Address, Disk, DiskVersion, Fault, FaultyDisk, Keep, Log, LogOptions, Lsn, MemDisk, Operation,
};
use shoal_types::{HostId, ViewNumber};

use crate::support::{append, assert_exact, entry, open_all, options, payload};

#[derive(Clone, Debug)]
enum Step {
    /// Records of these lengths.
    Append(Vec<usize>),
    /// Takes, writes and completes one batch.
    Write,
    Upkeep,
    /// Removes those closed segments whose bit is set.
    Remove(u8),
    /// Goes over to these formats, or back.
    Version(DiskVersion),
    Stop(Stop, Keep),
}

/// Where the process stops.
#[derive(Clone, Copy, Debug)]
enum Stop {
    /// Between two batches.
    Idle,
    /// In a batch, when this many of its syncs were done; the next one fails.
    InSync(u64),
    /// In the write itself: half of the block is handed to the system.
    InWrite,
    /// After the batch, before anybody was told.
    BeforeComplete,
    /// In the background work.
    InUpkeep(u64),
    /// In the removal of all closed segments.
    InRemoval(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let len = prop_oneof![4 => 0..600usize, 2 => 600..9_000usize, 1 => 9_000..40_000usize];
    let keep = prop_oneof![
        1 => Just(Keep::Synced),
        2 => Just(Keep::All),
        5 => any::<u64>().prop_map(Keep::Random),
    ];
    let stop = prop_oneof![
        Just(Stop::Idle),
        (0..4u64).prop_map(Stop::InSync),
        Just(Stop::InWrite),
        Just(Stop::BeforeComplete),
        (0..12u64).prop_map(Stop::InUpkeep),
        (0..3u64).prop_map(Stop::InRemoval),
    ];
    prop_oneof![
        6 => prop::collection::vec(len, 1..6).prop_map(Step::Append),
        6 => Just(Step::Write),
        1 => Just(Step::Upkeep),
        1 => any::<u8>().prop_map(Step::Remove),
        1 => prop_oneof![Just(DiskVersion::V1), Just(DiskVersion::V2)].prop_map(Step::Version),
        2 => (stop, keep).prop_map(|(stop, keep)| Step::Stop(stop, keep)),
    ]
}

/// The log under test and what is known about it.
struct Run {
    mem: MemDisk,
    disk: FaultyDisk,
    log: Log,
    life: u64,
    /// Address and length of every record that was appended and not lost, by LSN.
    records: BTreeMap<u64, (Address, usize)>,
    /// Reported durable up to here.
    durable: u64,
    replay_from: Lsn,
}

impl Run {
    fn new() -> Self {
        let mem = MemDisk::new();
        let disk = FaultyDisk::new(Arc::new(mem.clone()));
        let (log, _) = open_all(Arc::new(disk.clone()), options(1)).unwrap();
        Self {
            mem,
            disk,
            log,
            life: 1,
            records: BTreeMap::new(),
            durable: 0,
            replay_from: Lsn::FIRST,
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Append(lengths) => {
                for len in lengths {
                    let tag = entry(1, 7, self.log.next_lsn().0);
                    let record = append(&mut self.log, tag, len);
                    self.records.insert(record.lsn.0, (record.at, len));
                }
            }
            Step::Write => {
                if let Some(batch) = self.log.take_batch() {
                    let done = batch.write().unwrap();
                    self.durable = self.log.complete(done).0;
                }
            }
            Step::Upkeep => {
                if let Some(upkeep) = self.log.upkeep() {
                    upkeep.run().unwrap();
                }
            }
            Step::Version(version) => self.log.set_version(version),
            Step::Remove(bits) => {
                let chosen = |place: usize| bits & (1 << (place % 8)) != 0;
                self.removal(chosen).run().unwrap();
            }
            Step::Stop(stop, keep) => {
                self.stop(stop);
                self.mem.crash(keep);
                self.reopen();
            }
        }
    }

    fn removal(&mut self, chosen: impl Fn(usize) -> bool) -> shoal_storage::Removal {
        let segments = self.log.segments();
        let closed = segments.iter().filter(|s| s.closed).enumerate();
        let removed: Vec<_> = closed.filter(|(place, _)| chosen(*place)).collect();
        for (_, segment) in &removed {
            self.replay_from = self.replay_from.max(segment.last_lsn.next());
        }
        let numbers: Vec<u32> = removed.iter().map(|(_, s)| s.number).collect();
        self.log.remove_segments(&numbers)
    }

    fn stop(&mut self, stop: Stop) {
        let fail = |operation, after| {
            self.disk.faults().planned = vec![Fault {
                operation,
                name: String::new(),
                after,
                times: u64::MAX,
                error: io::ErrorKind::Other,
            }];
        };
        match stop {
            Stop::Idle => {}
            Stop::InSync(after) => {
                fail(Operation::SyncData, after);
                if let Some(Ok(done)) = self.log.take_batch().map(|batch| batch.write()) {
                    self.durable = self.log.complete(done).0;
                }
            }
            Stop::InWrite => {
                fail(Operation::Write, 0);
                if let Some(batch) = self.log.take_batch() {
                    batch.write().unwrap_err();
                }
            }
            Stop::BeforeComplete => {
                if let Some(batch) = self.log.take_batch() {
                    let _ = batch.write().unwrap();
                }
            }
            Stop::InUpkeep(after) => {
                fail(Operation::Write, after);
                if let Some(upkeep) = self.log.upkeep() {
                    let _ = upkeep.run();
                }
            }
            Stop::InRemoval(after) => {
                fail(Operation::Remove, after);
                let _ = self.removal(|_| true).run();
            }
        }
        self.disk.faults().planned.clear();
    }

    fn reopen(&mut self) {
        self.life += 1;
        let options = LogOptions {
            replay_from: self.replay_from,
            ..options(self.life)
        };
        let opened = open_all(Arc::new(self.disk.clone()), options);
        let (log, found) = opened.expect("a crash is no damage");
        self.log = log;
        assert_exact(&found, self.replay_from.0);
        let last = self.log.last_lsn().0;
        assert!(last >= self.durable, "{last} is left of {}", self.durable);
        for record in &found {
            let (at, len) = self.records[&record.lsn.0];
            assert_eq!((record.at, record.payload.len()), (at, len));
        }
        self.check_files();
        self.records.retain(|lsn, _| *lsn <= last);
        self.durable = last;
        self.check_reads();
    }

    /// Nothing is left over of interrupted work.
    fn check_files(&self) {
        let mut names = self.mem.list().unwrap();
        names.retain(|name| name.ends_with(".segment"));
        let segments = self.log.segments().into_iter();
        let expected: Vec<String> = segments
            .map(|s| format!("{:010}.segment", s.number))
            .collect();
        assert_eq!(names, expected);
    }

    /// Everything in a segment that is there can be read by address and by tag.
    fn check_reads(&self) {
        let reader = self.log.reader();
        let segments = self.log.segments();
        for (lsn, (at, len)) in &self.records {
            let expected = payload(*lsn, *len).concat();
            let body = reader.body(at.body(0), *len as u32);
            let by_tag = reader.entries(ViewNumber(1), HostId(7), *lsn, *lsn, usize::MAX);
            let unsynced = *lsn > self.log.durable_lsn().0;
            if unsynced || segments.iter().any(|s| s.number == at.segment) {
                assert_eq!(body.unwrap(), expected);
                assert_eq!(by_tag.unwrap(), [expected]);
            } else {
                body.unwrap_err();
                by_tag.unwrap_err();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_was_reported_durable_survives_and_nothing_else_appears(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let mut run = Run::new();
        for step in steps {
            run.run(step);
        }
        run.check_reads();
        run.mem.crash(Keep::Synced);
        run.reopen();
    }
}

#[test]
fn an_unfinished_block_at_the_very_end_is_left_out_and_reported() {
    let mut reported = 0;
    for seed in 0..64 {
        let mut run = Run::new();
        run.run(Step::Append(vec![100]));
        run.run(Step::Write);
        run.run(Step::Append(vec![9_000]));
        run.stop(Stop::InSync(0));
        run.mem.crash(Keep::Random(seed));
        let (log, scan) = Log::open(Arc::new(run.mem.clone()), options(2)).unwrap();
        if let Some(torn) = scan.torn_tail() {
            reported += 1;
            assert_eq!(
                (&torn.file[..], torn.offset, torn.lsn),
                ("0000000001.segment", 8_192, Lsn(2))
            );
            assert_eq!(scan.count(), 1);
            // Nothing of it comes back once the log went on.
            drop(log);
            let (mut log, _) = Log::open(Arc::new(run.mem.clone()), options(3)).unwrap();
            append(&mut log, entry(1, 7, 2), 50);
            crate::support::flush(&mut log);
            run.mem.crash(Keep::Synced);
            let (_, found) = open_all(Arc::new(run.mem.clone()), options(4)).unwrap();
            assert_exact(&found, 1);
            assert_eq!(found[1].payload.len(), 50);
        }
    }
    // Three pages: the first one alone or with one of the others, of eight cases.
    assert!((10..=40).contains(&reported), "{reported} of 64 were torn");
}
