//! A hash over the whole state, for tests and the simulator.

use shoal_types::PartitionId;

use crate::chunk::Hold;
use crate::hash::StateHash;
use crate::link::LinkBack;
use crate::machine::Machine;
use crate::partition::Partition;
use crate::remembered::Answer;

impl Machine {
    /// Hash over everything that all hosts have in common: body places, remains of purges and the
    /// layout in memory are left out. O(state).
    #[must_use]
    pub fn full_hash(&self) -> u64 {
        let mut hash = self.hash;
        hash.absorb(&(
            self.version,
            self.executed,
            self.deleted.floor(),
            self.messages,
            self.bytes,
        ));
        for (id, partition) in &self.partitions {
            absorb_partition(*id, partition, &mut hash);
        }
        for (_, entry) in self.remembered.iter() {
            match entry.answer() {
                Answer::Taken(taken) => {
                    hash.absorb(&(entry.id(), entry.deadline(), taken.host_independent()));
                }
                _ => hash.absorb(entry),
            }
        }
        for deleted in self.deleted.iter() {
            hash.absorb(&deleted);
        }
        hash.0
    }
}

fn absorb_partition(id: PartitionId, partition: &Partition, hash: &mut StateHash) {
    hash.absorb(&(id, partition.settings, partition.revision));
    hash.absorb(&(partition.last, partition.purged_through));
    for (number, chunk, offset) in partition.contents.slots.iter() {
        let slot = chunk.slot(offset).expect("it is live");
        let sent = (slot.sent_at, slot.size, slot.crc);
        let received = (slot.lease, slot.receives, slot.given_back);
        let link = partition.contents.link(number);
        let group = link.map(|link| &link.group);
        let side = chunk.side(offset);
        hash.absorb(&(number, sent, received, group, side));
        if let Hold::Leased { since, .. } = side.hold {
            hash.absorb(&since);
        }
        hash.absorb(&chunk.ready().contains(offset));
        hash.absorb(&chunk.dead_from(offset));
        let standard = link.filter(|_| !partition.settings.fifo);
        hash.absorb(&standard.is_some_and(|link| link.back() != LinkBack::None));
    }
    let turns = partition.contents.turns();
    for (place, first) in turns.into_iter().flat_map(|turns| turns.iter()) {
        hash.absorb(&(place.to_stored(), first));
    }
    for (_, send) in partition.keyed_sends.window().iter() {
        hash.absorb(send);
    }
    for (_, attempt) in partition.attempts.window().iter() {
        hash.absorb(attempt);
    }
    if let Some(lineage) = &partition.lineage {
        hash.absorb(lineage.record());
    }
    if let Some(description) = &partition.description {
        hash.absorb(description.get());
    }
    if let Some(transfers) = &partition.transfers {
        hash.absorb(transfers.record());
    }
    let waiting: Vec<u64> = partition.waiters.positions().collect();
    hash.absorb(&waiting.len());
    hash.absorb(&partition.first_due().map(|(at, _)| at));
}
