//! Giving bodies another place in the log. A message's new place is believed only once it is durable:
//! until then the old one holds, and with it the segment that it lies in.

use std::collections::VecDeque;

use bytes::Bytes;
use shoal_storage::{Address, Lsn, Tag};
use shoal_types::BodyRef;
use shoal_types::planted::{Bug, planted};

use super::Core;
use crate::kept_body::{self, KeptBody};

/// Records that were appended and are not durable yet, in their order.
#[derive(Default)]
pub(super) struct Keeping {
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    lsn: Lsn,
    kept: KeptBody,
    to: BodyRef,
}

impl Keeping {
    /// The oldest record whose move is not in the queues' state yet: a checkpoint frozen now does not
    /// contain it, so that replay must begin there at the latest.
    pub(super) fn oldest(&self) -> Option<Lsn> {
        self.waiting.front().map(|waiting| waiting.lsn)
    }
}

impl Core {
    /// True while bodies were given another place that is not durable yet.
    #[must_use]
    pub fn is_moving_bodies(&self) -> bool {
        !self.keeping.waiting.is_empty()
    }

    /// Appends a body that was read, and found to be the right one, once more.
    pub(super) fn keep_body(&mut self, kept: KeptBody, body: Bytes) {
        let (chunks, starts) = kept_body::encode(&kept, body);
        let bytes = chunks.iter().map(Bytes::len).sum();
        self.checkpoint.appended(bytes);
        let appended = self.log.append(kept_body::KIND, Tag::NONE, &chunks);
        let to = kept_body::place(appended.at, starts);
        if planted(Bug::RelocatedBeforeDurable) {
            return self.relocate(&kept, to);
        }
        self.keeping.waiting.push_back(Waiting {
            lsn: appended.lsn,
            kept,
            to,
        });
    }

    /// Everything up to here is durable: these bodies have moved.
    pub(super) fn believe_kept(&mut self, durable: Lsn) {
        while let Some(waiting) = self.keeping.waiting.pop_front_if(|w| w.lsn <= durable) {
            self.relocate(&waiting.kept, waiting.to);
        }
    }

    /// The log holds such a record. Its message may be gone, or not be there yet because its entry is
    /// executed later: then the entry's own bytes are still in the log, and its body is found there.
    pub(super) fn replay_kept(&mut self, kept: &KeptBody, record: Address, starts: usize) {
        self.relocate(kept, kept_body::place(record, starts));
    }

    fn relocate(&mut self, kept: &KeptBody, to: BodyRef) {
        self.machine
            .relocate(kept.partition, kept.sequence, kept.from, to);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use shoal_replication::EngineConfig;
    use shoal_storage::{
        Batch, CheckpointOptions, Checkpoints, Keep, Log, LogOptions, Lsn, MemDisk,
    };
    use shoal_types::{
        Command, HostId, Mono, Now, Outcome, PartitionId, Position, QueueSettings, Request,
        RequestId, Revision, SendItem, Sequence, Ts, ViewNumber,
    };

    use super::super::{Effect, Opened, PendingCheckpoint, recover};
    use super::*;

    const HOST: HostId = HostId(1);
    const QUEUE: PartitionId = PartitionId(7);
    const BODY: Bytes = Bytes::from_static(b"kept");

    /// One host over a disk in memory whose syncs end when the test says so. Its queues are fed by
    /// hand: it belongs to no cluster.
    struct Alone {
        disk: Arc<MemDisk>,
        checkpoints: Checkpoints,
        core: Core,
        now: Now,
        /// A write whose sync has not ended.
        out: Option<Batch>,
    }

    impl Alone {
        fn start(disk: Arc<MemDisk>, now: Now) -> Self {
            let options = CheckpointOptions::default();
            let checkpoints = Checkpoints::open(disk.clone(), options).unwrap();
            let checkpoint = checkpoints.load().unwrap();
            let options = LogOptions {
                replay_from: checkpoint.as_ref().map_or(Lsn::FIRST, |c| c.replay_from),
                ..LogOptions::new(HOST, now.mono.0)
            };
            let (log, scan) = Log::open(disk.clone(), options).unwrap();
            let opened = Opened {
                checkpoint,
                log,
                scan,
                witness: None,
                checkpoint_pace: Default::default(),
                snapshot_pace: Default::default(),
                scrub_round: Duration::from_secs(60),
            };
            let core = recover(HOST, opened, EngineConfig::new(HOST, 1), now).unwrap();
            Self {
                disk,
                checkpoints,
                core,
                now,
                out: None,
            }
        }

        /// With one message, a checkpoint that has it, and its body in a segment of the log.
        fn with_message() -> Self {
            let now = Now {
                mono: Mono(1_000),
                wall: Ts(1_000_000_000),
            };
            let mut host = Self::start(Arc::new(MemDisk::new()), now);
            let body = host.core.log.append(9, Tag::NONE, &[BODY]).at.body(0);
            host.core.machine.begin_entry(
                Position {
                    view: ViewNumber(1),
                    ts: now.wall,
                    lane: HOST,
                },
                &mut Vec::new(),
            );
            let create = Command::CreatePartition {
                partition: QUEUE,
                settings: QueueSettings::default().partition(Default::default()),
                revision: Revision(2),
            };
            let item = SendItem {
                size: BODY.len() as u32,
                crc: 0,
                delay: None,
                ttl: None,
                group: None,
                deduplication: None,
            };
            let send = Command::Send {
                partition: QUEUE,
                items: vec![item],
            };
            for (id, command, bodies) in [(1, create, vec![]), (2, send, vec![body])] {
                let request = Request {
                    id: RequestId(id),
                    deadline: Ts(now.wall.0 + 1_000_000),
                    origin: Default::default(),
                    command,
                };
                let outcome = host.core.machine.apply(&request, &bodies, &mut Vec::new());
                assert!(!matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
            }
            host.sync();
            host.checkpoint();
            host
        }

        /// Ends turns; syncs end in them.
        fn sync(&mut self) {
            for _ in 0..3 {
                if let Some(batch) = self.out.take() {
                    self.core.on_written(batch.write().unwrap());
                }
                self.turn();
            }
        }

        fn turn(&mut self) {
            self.core.begin_turn(self.now);
            for effect in self.core.end_turn() {
                match effect {
                    Effect::Write(batch) => self.out = Some(batch),
                    Effect::Checkpoint(pending) => self.write(*pending),
                    _ => {}
                }
            }
        }

        fn checkpoint(&mut self) {
            self.now.mono.0 += 120_000_000;
            self.core.log.append(9, Tag::NONE, &[BODY]);
            self.sync();
        }

        fn write(&mut self, pending: PendingCheckpoint) {
            let done = pending.write(&self.checkpoints).unwrap();
            self.core.on_checkpoint(done);
        }

        /// The power fails, and the host starts on what is there.
        fn restart(self) -> Self {
            drop((self.core, self.checkpoints, self.out));
            self.disk.crash(Keep::Synced);
            Self::start(self.disk, self.now)
        }

        fn body(&self) -> BodyRef {
            self.core.machine.peek(QUEUE, 1).unwrap()[0].1
        }

        fn read(&self) -> Bytes {
            let reader = self.core.log.reader();
            reader.body(self.body(), BODY.len() as u32).unwrap()
        }

        fn keep_again(&mut self) -> BodyRef {
            let from = self.body();
            let kept = KeptBody {
                partition: QUEUE,
                sequence: Sequence(1),
                from,
            };
            self.core.keep_body(kept, BODY);
            from
        }
    }

    #[test]
    fn a_body_has_moved_once_its_new_place_is_durable_and_stays_there() {
        let mut host = Alone::with_message();
        let from = host.keep_again();
        assert_eq!(host.body(), from, "it is in memory alone");
        host.sync();
        let moved = host.body();
        assert_ne!(moved, from);
        assert_eq!(host.read(), BODY);
        // From the checkpoint before it moved, by its record.
        let mut host = host.restart();
        assert_eq!((host.body(), host.read()), (moved, BODY));
        // And from the next checkpoint, which has it at its new place already.
        host.checkpoint();
        let host = host.restart();
        assert_eq!((host.body(), host.read()), (moved, BODY));
    }

    #[test]
    fn a_body_whose_new_place_is_lost_is_where_it_was() {
        let mut host = Alone::with_message();
        let from = host.keep_again();
        host.turn();
        let host = host.restart();
        assert_eq!((host.body(), host.read()), (from, BODY));
    }

    #[test]
    fn a_checkpoint_frozen_before_the_move_is_replayed_from_its_record_on() {
        // Its state says that the body lies at the old place, and by the time that it is durable the old
        // place may go, since the body has moved. The record has to be replayed.
        let mut host = Alone::with_message();
        let from = host.keep_again();
        let record = host.core.keeping.oldest().unwrap();
        host.now.mono.0 += 120_000_000;
        host.turn();
        assert_eq!(host.body(), from, "frozen before it moved");
        host.sync();
        let moved = host.body();
        let loaded = host.checkpoints.load().unwrap().unwrap();
        assert!(loaded.replay_from <= record);
        drop(loaded);
        assert_ne!(host.restart().body(), from);
        assert_ne!(moved, from);
    }
}
