//! What can be asked of the model without changing it.

use shoal_types::{Description, PartitionCounts, PartitionId, Peeked, Revision, Sequence};

use crate::Model;
use crate::partition::{Message, Partition};

impl Model {
    /// The version of the rules that were raised to last; 0 if they never were.
    #[must_use]
    pub fn version(&self) -> u16 {
        self.version
    }

    /// How many messages are where. `None` if there is no such partition.
    #[must_use]
    pub fn counts(&self, id: PartitionId) -> Option<PartitionCounts> {
        let p = self.partitions.get(&id)?;
        let count = |f: fn(&Message) -> bool| p.messages.iter().filter(|m| f(m)).count() as u64;
        Some(PartitionCounts {
            ready: count(Message::counts_as_ready),
            in_flight: count(|m| m.leased_until.is_some()),
            delayed: count(|m| m.delayed_until.is_some()),
            bytes: p.messages.iter().map(|m| u64::from(m.size)).sum(),
            oldest_sent_at: p.messages.iter().map(|m| m.sent_at).min(),
            last_sequence: if p.last == 0 {
                Sequence(0)
            } else {
                p.sequence(p.last)
            },
        })
    }

    /// The first ready messages. `None` if there is no such partition.
    #[must_use]
    pub fn peek(&self, id: PartitionId, limit: usize) -> Option<Vec<Peeked>> {
        let p = self.partitions.get(&id)?;
        let shown = |m: &&Message| m.ready() && !m.expired(self.now, p.settings.retention);
        let peeked = |m: &Message| Peeked {
            sequence: p.sequence(m.number),
            sent_at: m.sent_at,
            receive_count: m.receives,
            group: m.group.clone(),
            size: m.size,
            crc: m.crc,
        };
        let shown = p.messages.iter().filter(shown).take(limit);
        Some(shown.map(peeked).collect())
    }

    /// What was noted down beside a partition.
    #[must_use]
    pub fn description(&self, id: PartitionId) -> Option<&Description> {
        self.partitions.get(&id)?.description.as_ref()
    }

    /// The highest revision of all instructions that were carried out, also on partitions that are gone.
    #[must_use]
    pub fn instructed(&self) -> Revision {
        let partitions = self.partitions.values().map(Partition::instructed);
        let all = partitions.chain(self.deleted.values().copied());
        all.max().unwrap_or_default()
    }

    /// All partitions, by id.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionId> {
        self.partitions.keys().copied()
    }
}
