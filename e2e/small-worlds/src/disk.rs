//! A host's log, of which an unsynced end may be lost.

use std::sync::Arc;

use shoal_replication::{Entry, Message, Record, RecordNumber};
use shoal_types::{HostId, ViewNumber};

/// The records of all lives so far. A life replays all of them, so places and record numbers agree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    log: Vec<Record>,
    /// So many of them were reported as durable.
    durable: usize,
    /// So many of them survive a crash for sure: the same, if the driver is honest.
    safe: usize,
    /// The sync under way covers so many.
    syncing: Option<usize>,
}

impl Disk {
    pub(crate) fn append(&mut self, number: RecordNumber, record: Record) {
        self.log.push(record);
        assert_eq!(number, number_of(self.log.len()), "records come in order");
    }

    /// Starts a sync if the disk is idle and there is something to sync.
    pub(crate) fn start_sync(&mut self) {
        if self.syncing.is_none() && self.durable < self.log.len() {
            self.syncing = Some(self.log.len());
        }
    }

    pub(crate) fn is_syncing(&self) -> bool {
        self.syncing.is_some()
    }

    /// The sync under way is complete.
    pub(crate) fn synced(&mut self) -> RecordNumber {
        let durable = self.said_to_be_synced();
        self.safe = self.durable;
        durable
    }

    /// The sync under way is reported as complete, and is not.
    pub(crate) fn said_to_be_synced(&mut self) -> RecordNumber {
        self.durable = self.syncing.take().expect("a sync is under way");
        number_of(self.durable)
    }

    /// Records that a crash may take.
    pub(crate) fn may_be_lost(&self) -> usize {
        self.log.len() - self.safe
    }

    /// So many records beyond the safe ones happen to be on disk.
    pub(crate) fn crash(&mut self, kept: usize) {
        self.log.truncate(self.safe + kept);
        self.syncing = None;
    }

    /// Opening syncs what a scan finds.
    pub(crate) fn open(&mut self) -> Vec<Record> {
        self.durable = self.log.len();
        self.safe = self.durable;
        self.log.clone()
    }

    /// The answer to a peer that lacks entries. All of them must be there.
    pub(crate) fn entries(&self, view: ViewNumber, lane: HostId, from: u64, to: u64) -> Message {
        let entries = self.log.iter().filter_map(|record| match record {
            Record::Entry(entry) if (entry.view, entry.lane) == (view, lane) => Some(entry),
            _ => None,
        });
        let wanted = entries.filter(|e| (from..=to).contains(&e.index));
        let mut wanted: Vec<Arc<Entry>> = wanted.cloned().collect();
        wanted.sort_by_key(|e| e.index);
        wanted.dedup_by_key(|e| e.index);
        let found: Vec<u64> = wanted.iter().map(|e| e.index).collect();
        let asked: Vec<u64> = (from..=to).collect();
        assert_eq!(found, asked, "entries of lane {lane} in view {view}");
        Message::entries(wanted)
    }
}

fn number_of(place: usize) -> RecordNumber {
    RecordNumber(place as u64)
}
