//! A host's disk: a log of which an unsynced end may be lost, and a checkpoint.

use std::sync::Arc;

use bytes::Bytes;
use shoal_replication::{EngineCheckpoint, Entry, NeededFrom, Record, RecordNumber, View};
use shoal_types::{HostId, ViewNumber, join};

#[derive(Clone, Default)]
pub struct Disk {
    log: Vec<Stored>,
    /// Records before this place of the log survive a power loss.
    durable: usize,
    /// A sync in flight covers the log up to here.
    syncing: Option<usize>,
    /// Number that the record at place 0 of the log has, or would have, in this life.
    first_number: i64,
    checkpoint: Option<Checkpoint>,
    /// Taken, but the log it depends on is not durable yet.
    next_checkpoint: Option<Checkpoint>,
    /// Records that the last start replayed.
    pub replayed: usize,
}

#[derive(Clone)]
struct Stored {
    kind: u8,
    bytes: Bytes,
    /// Removed from the log.
    gone: bool,
}

#[derive(Clone)]
pub struct Checkpoint {
    engine: Vec<u8>,
    /// Entries executed.
    pub executed: usize,
    /// Durable before it counts, as a place in the log.
    after: usize,
    /// Where replay starts.
    replay_from: usize,
}

impl Checkpoint {
    pub fn engine(&self) -> EngineCheckpoint {
        postcard::from_bytes(&self.engine).expect("what was encoded decodes")
    }
}

impl Disk {
    pub fn append(&mut self, number: RecordNumber, record: &Record) {
        let expected = self.first_number + self.log.len() as i64;
        assert_eq!(number.0 as i64, expected, "records are numbered in order");
        let chunks = record.encode();
        assert_eq!(chunks[0].len(), record.payload_at());
        self.log.push(Stored {
            kind: record.kind(),
            bytes: join(&chunks),
            gone: false,
        });
    }

    /// Starts a sync if the disk is idle and there is something to sync.
    pub fn start_sync(&mut self) -> Option<usize> {
        if self.syncing.is_some() || self.durable == self.log.len() {
            return None;
        }
        self.syncing = Some(self.log.len());
        self.syncing
    }

    /// A sync is complete.
    pub fn synced(&mut self, up_to: usize) -> RecordNumber {
        self.syncing = None;
        self.durable = self.durable.max(up_to);
        self.settle_checkpoint();
        RecordNumber(u64::try_from(self.first_number + up_to as i64 - 1).expect("from 1"))
    }

    /// The process is gone. `unsynced` records beyond the durable ones happen to survive.
    pub fn crash(&mut self, unsynced: usize) {
        let keep = self.durable.saturating_add(unsynced).min(self.log.len());
        self.log.truncate(keep);
        self.syncing = None;
        self.next_checkpoint = None;
    }

    /// Opening syncs whatever a scan finds.
    pub fn opened(&mut self) {
        self.durable = self.log.len();
    }

    /// The checkpoint and the records to replay.
    pub fn recover(&mut self) -> (Option<Checkpoint>, Vec<Record>) {
        let from = self.checkpoint.as_ref().map_or(0, |c| c.replay_from);
        // Replay may start earlier than it must.
        let from = from.saturating_sub(from % 3).max(self.first_left());
        self.first_number = 1 - from as i64;
        let decode = |s: &Stored| Record::decode(s.kind, s.bytes.clone()).expect("it was encoded");
        let left = self.log[from..].iter().filter(|s| !s.gone);
        assert_eq!(left.clone().count(), self.log.len() - from);
        self.replayed = self.log.len() - from;
        (self.checkpoint.clone(), left.map(decode).collect())
    }

    fn first_left(&self) -> usize {
        let gone = self.log.iter().take_while(|s| s.gone);
        gone.count()
    }

    pub fn take_checkpoint(&mut self, engine: &EngineCheckpoint, executed: usize) {
        let place = |number: RecordNumber| {
            usize::try_from(number.0 as i64 - self.first_number).expect("it is in the log")
        };
        self.next_checkpoint = Some(Checkpoint {
            engine: postcard::to_stdvec(engine).expect("writing to memory does not fail"),
            executed,
            after: place(engine.after.next()),
            replay_from: place(engine.replay_from),
        });
        self.settle_checkpoint();
    }

    fn settle_checkpoint(&mut self) {
        if let Some(next) = self.next_checkpoint.take_if(|c| c.after <= self.durable) {
            self.checkpoint = Some(next);
        }
    }

    /// Removes what is before the checkpoint's replay and not needed by any member.
    pub fn trim(&mut self, needed: &NeededFrom) {
        let Some(checkpoint) = &self.checkpoint else {
            return;
        };
        for stored in &mut self.log[..checkpoint.replay_from] {
            let record = Record::decode(stored.kind, stored.bytes.clone()).expect("it was encoded");
            if let Record::Entry(entry) = record {
                let first = needed.lanes.iter().find(|(lane, _)| *lane == entry.lane);
                let of_view = || first.is_some_and(|(_, first)| entry.index >= *first);
                if entry.view > needed.view || entry.view == needed.view && of_view() {
                    return;
                }
            }
            stored.gone = true;
        }
    }

    /// Entries of the log, as a driver reads them for a peer; `None` if the first is not there. After it
    /// all must be there.
    pub fn entries(
        &self,
        view: ViewNumber,
        lane: HostId,
        from: u64,
        to: u64,
    ) -> Option<Vec<Arc<Entry>>> {
        let records = self.log.iter().filter(|s| !s.gone && s.kind == 1);
        let entries = records.filter_map(|s| match Record::decode(s.kind, s.bytes.clone()) {
            Ok(Record::Entry(entry)) => Some(entry),
            _ => None,
        });
        let asked =
            |e: &Arc<Entry>| e.view == view && e.lane == lane && (from..=to).contains(&e.index);
        let mut entries: Vec<_> = entries.filter(asked).collect();
        entries.sort_by_key(|e| e.index);
        entries.dedup_by_key(|e| e.index);
        if entries.first().is_none_or(|e| e.index > from) {
            return None;
        }
        let indices: Vec<u64> = entries.iter().map(|e| e.index).collect();
        let expected: Vec<u64> = (from..=to).collect();
        assert_eq!(indices, expected, "entries of lane {lane} in view {view}");
        Some(entries)
    }

    /// True if this host's vote for a view, or the view itself, survives a power loss here.
    pub fn stands_for(&self, view: &View) -> bool {
        let durable = self.log[..self.durable].iter().rev();
        let mut votes = durable.filter(|s| s.kind == 3 || s.kind == 4);
        votes.any(
            |s| match Record::decode(s.kind, s.bytes.clone()).expect("it was encoded") {
                Record::Accepted { value, .. } => value == *view,
                Record::View(installed) => installed == *view,
                _ => false,
            },
        ) || self.checkpoint.as_ref().is_some_and(|checkpoint| {
            let engine = checkpoint.engine();
            let accepted = engine.accepted.is_some_and(|(_, value)| value == *view);
            accepted || engine.views.contains(view)
        })
    }

    /// Records that were not removed.
    pub fn left(&self) -> usize {
        self.log.iter().filter(|s| !s.gone).count()
    }

    /// Records that were written and not yet synced.
    pub fn unsynced(&self) -> usize {
        self.log.len() - self.durable
    }
}
