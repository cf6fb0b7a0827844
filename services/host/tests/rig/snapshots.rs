//! Snapshots: making hosts need them, disturbing them, and what became of them.

use std::time::Duration;

use bytes::Bytes;
use shoal_host::core::{SnapshotEvent, SnapshotPace};
use shoal_replication::{Message, Payload};
use shoal_types::HostId;

use super::Rig;

impl Rig {
    /// Starts all hosts anew with logs of which next to nothing is kept, and checkpoints every second.
    pub(crate) fn keep_little(&mut self) {
        self.checkpoint_pace.interval = Duration::from_secs(1);
        self.snapshot_pace = SnapshotPace {
            catch_up_bytes: 3 << 20,
            chunk_bytes: 100_000,
            ..SnapshotPace::default()
        };
        let hosts = self.hosts();
        for host in &hosts {
            self.kill(*host);
            self.start(*host);
            self.run_until(|rig| rig.acting().len() == hosts.len());
        }
    }

    /// Of the messages about snapshots every so many-th is lost from now on, and every so many-th damaged.
    pub(crate) fn disturb_snapshots(&mut self, every: u64) {
        self.disturbed = Some(every);
    }

    pub(super) fn disturb(&mut self, message: Message) -> Option<Message> {
        let (Message::Snapshot(payload), Some(every)) = (&message, self.disturbed) else {
            return Some(message);
        };
        let is_chunk = payload.len() > 1_000;
        self.snapshot_messages += u64::from(is_chunk);
        match self.snapshot_messages % every {
            0 if is_chunk => None,
            3 if is_chunk => {
                let mut bytes = payload.contiguous().to_vec();
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
                Some(Message::Snapshot(Payload::from(Bytes::from(bytes))))
            }
            _ => Some(message),
        }
    }

    /// How often a host went on from a snapshot.
    pub(crate) fn restarts(&self, host: HostId) -> u32 {
        self.slots[&host].restarts
    }

    /// True if a host ever wanted to be woken while it waited for its disk to install a snapshot.
    pub(crate) fn wakes_at_rest(&self, host: HostId) -> bool {
        self.slots[&host].wakes_at_rest
    }

    /// How many snapshots a host gave up half-way.
    pub(crate) fn abandoned(&self, host: HostId) -> usize {
        let events = self.slots[&host].snapshots.iter();
        let abandoned = |event: &&SnapshotEvent| matches!(event, SnapshotEvent::Abandoned { .. });
        events.filter(abandoned).count()
    }

    /// How many chunks a host refused as damaged, and how many it asked for again.
    pub(crate) fn chunks_repeated(&self, host: HostId) -> (usize, usize) {
        let events = &self.slots[&host].snapshots;
        let refused = |event: &&SnapshotEvent| matches!(event, SnapshotEvent::ChunkRefused { .. });
        let again = |event: &&SnapshotEvent| matches!(event, SnapshotEvent::ChunkAskedAgain { .. });
        (
            events.iter().filter(refused).count(),
            events.iter().filter(again).count(),
        )
    }
}
