//! What a partition follows, and that it is followed: what makes it *closed*, *open* or *sealed*.
//!
//! Kept only by partitions that were created as successors or were sealed; of all others this costs a
//! null pointer. What is done with it stands in `sealing.rs` and `inheriting.rs`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shoal_types::planted::{Bug, planted};
use shoal_types::{Epoch, GroupName, Heir, HeldGroups, PartitionId, Passed, Rest, Seal, Ts};

use crate::numbers::Numbers;

/// See the module.
#[derive(Debug)]
pub(crate) struct Lineage {
    /// Shared with freezes; copied when it changes as long as one of them lives.
    record: Arc<LineageRecord>,
    /// Changed since the last freeze.
    dirty: bool,
}

/// A lineage as a checkpoint stores it.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct LineageRecord {
    /// Ascending, at most [`shoal_types::limits::SUCCESSORS_MAX`]; empty: it follows none.
    pub(crate) follows: Vec<Predecessor>,
    pub(crate) sealed: Option<Sealed>,
    /// Only if it was given an heir.
    pub(crate) forwarding: Option<Forwarding>,
    /// Only of an heir.
    pub(crate) inheritance: Option<Inheritance>,
}

/// A partition that this one follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Predecessor {
    pub(crate) partition: PartitionId,
    /// `None` until its seal was shown.
    pub(crate) heard: Option<Heard>,
}

/// What a seal said, and how much of what it left has been told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Heard {
    pub(crate) epoch: Epoch,
    pub(crate) sealed_at: Ts,
    /// Sends with deduplication keys to be told of.
    pub(crate) keyed_sends: u32,
    /// So many of them have been told, from the first on.
    pub(crate) keyed_sends_told: u32,
    /// The groups that are not to be handed out yet; none in a standard partition.
    pub(crate) held: HeldGroups,
}

/// That a partition takes no sends any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sealed {
    pub(crate) seal: Seal,
    /// Successors that were told that it is drained, ascending.
    pub(crate) told_drained: Vec<PartitionId>,
}

/// That a sealed partition's messages go on to an heir.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Forwarding {
    pub(crate) heir: Heir,
    /// How many pieces were made.
    pub(crate) pieces: u64,
    /// The numbers of the messages in the last one, until the heir has it.
    pub(crate) piece: Option<Vec<u64>>,
    /// What the last one says is left besides.
    pub(crate) rest: Rest,
    /// The group of which a part did not fit into it.
    pub(crate) unfinished: Option<GroupName>,
    /// What the heir has.
    pub(crate) passed: Passed,
    /// Those among them that had been leased: there may be receipts for them.
    pub(crate) went: Numbers,
    /// The heir is gone for good.
    pub(crate) ended: bool,
}

/// That a partition takes over another one's messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Inheritance {
    /// Whose.
    pub(crate) source: PartitionId,
    /// How many pieces were taken.
    pub(crate) pieces: u64,
    /// What was left there besides them.
    pub(crate) rest: Rest,
}

impl Forwarding {
    /// Nothing went yet; `held`: by the seal.
    pub(crate) fn to(heir: &Heir, held: HeldGroups) -> Self {
        Self {
            heir: heir.clone(),
            pieces: 0,
            piece: None,
            rest: Rest::Some { groups: held },
            unfinished: None,
            passed: Passed::default(),
            went: Numbers::default(),
            ended: false,
        }
    }

    /// Whether it is the same heir, wherever its hosts are reached.
    pub(crate) fn is_to(&self, heir: &Heir) -> bool {
        (self.heir.partition, self.heir.cluster) == (heir.partition, heir.cluster)
    }
}

impl Lineage {
    /// Of an heir of the source, which shows this seal.
    pub(crate) fn heir(source: PartitionId, seal: &Seal) -> Self {
        let mut lineage = Self::first();
        let record = lineage.change();
        record.sealed = Some(Sealed {
            seal: seal.clone(),
            told_drained: Vec::new(),
        });
        record.inheritance = Some(Inheritance {
            source,
            pieces: 0,
            rest: Rest::Some {
                groups: seal.held.clone(),
            },
        });
        lineage
    }

    /// Of a partition that follows these.
    pub(crate) fn following(partitions: &[PartitionId]) -> Self {
        let mut follows: Vec<_> = partitions
            .iter()
            .map(|partition| Predecessor {
                partition: *partition,
                heard: None,
            })
            .collect();
        follows.sort_unstable_by_key(|predecessor| predecessor.partition);
        Self {
            record: Arc::new(LineageRecord {
                follows,
                ..LineageRecord::default()
            }),
            dirty: true,
        }
    }

    /// Of a partition that follows none and is sealed in a moment.
    pub(crate) fn first() -> Self {
        Self::following(&[])
    }

    /// As a checkpoint has it, or what is wrong with it.
    pub(crate) fn restore(partition: PartitionId, record: LineageRecord) -> Result<Self, String> {
        let ids = record.follows.iter().map(|one| one.partition);
        if !ids.is_sorted_by(|one, next| one < next) {
            return Err("what the partition follows is not in order".to_owned());
        }
        let sealed = record.sealed.as_ref().map(|sealed| sealed.seal.partition);
        // An heir shows the seal of the one whose messages it takes over.
        let inherits = record.inheritance.is_some();
        if sealed.is_some_and(|sealed| !inherits && sealed != partition) {
            return Err("the seal is another partition's".to_owned());
        }
        if sealed.is_none() && (inherits || record.forwarding.is_some()) {
            return Err("the partition has or is an heir and is not sealed".to_owned());
        }
        Ok(Self {
            record: Arc::new(record),
            dirty: false,
        })
    }

    pub(crate) fn record(&self) -> &LineageRecord {
        &self.record
    }

    pub(crate) fn change(&mut self) -> &mut LineageRecord {
        self.dirty = true;
        Arc::make_mut(&mut self.record)
    }

    /// The whole of it, if it changed since the last freeze.
    pub(crate) fn freeze(&mut self) -> Option<Arc<LineageRecord>> {
        std::mem::take(&mut self.dirty).then(|| Arc::clone(&self.record))
    }

    /// The next freeze contains it.
    pub(crate) fn mark(&mut self) {
        self.dirty = true;
    }

    /// Bytes.
    pub(crate) fn memory(&self) -> usize {
        let record = &self.record;
        let held = |held: &HeldGroups| match held {
            HeldGroups::These(groups) => groups.capacity() * 4,
            HeldGroups::None | HeldGroups::All => 0,
        };
        let heard = record.follows.iter().filter_map(|one| one.heard.as_ref());
        let follows: usize = heard.map(|heard| held(&heard.held)).sum();
        let seal = record.sealed.as_ref().map_or(0, |sealed| {
            let successors = sealed.seal.successors.iter().map(|successor| {
                let members = successor.members.iter();
                size_of_val(successor)
                    + members
                        .map(|member| size_of_val(member) + member.address.len())
                        .sum::<usize>()
            });
            held(&sealed.seal.held) + successors.sum::<usize>()
        });
        let rest = |rest: &Rest| match rest {
            Rest::Some { groups } => held(groups),
            Rest::Nothing => 0,
        };
        let forwarding = record.forwarding.as_ref().map_or(0, |one| {
            let piece = one.piece.as_ref().map_or(0, Vec::capacity) * size_of::<u64>();
            piece + rest(&one.rest) + one.went.memory()
        });
        let inheritance = record.inheritance.as_ref().map_or(0, |one| rest(&one.rest));
        size_of::<Self>()
            + size_of::<LineageRecord>()
            + forwarding
            + inheritance
            + record.follows.capacity() * size_of::<Predecessor>()
            + follows
            + seal
    }
}

impl LineageRecord {
    /// What it follows and has not all been told about, ascending. Closed as long as there is any.
    pub(crate) fn waits_for(&self) -> impl Iterator<Item = PartitionId> {
        let waits = |one: &&Predecessor| !one.is_complete();
        self.follows.iter().filter(waits).map(|one| one.partition)
    }

    /// True if it follows exactly these, in whatever order.
    pub(crate) fn follows_just(&self, partitions: &[PartitionId]) -> bool {
        let follows =
            |partition: &PartitionId| self.follows.iter().any(|one| one.partition == *partition);
        self.follows.len() == partitions.len() && partitions.iter().all(follows)
    }
}

impl Predecessor {
    /// Its seal was shown, and every send with a deduplication key told.
    fn is_complete(&self) -> bool {
        let told = |heard: &Heard| {
            heard.keyed_sends_told == heard.keyed_sends || planted(Bug::OpenedBeforeTold)
        };
        self.heard.as_ref().is_some_and(told)
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::Revision;

    use super::*;

    const ME: PartitionId = PartitionId(5);

    fn following(ids: &[u64]) -> LineageRecord {
        let ids: Vec<_> = ids.iter().copied().map(PartitionId).collect();
        Lineage::following(&ids).record().clone()
    }

    #[test]
    fn what_a_checkpoint_contradicts_itself_about_is_refused() {
        let mut record = following(&[3, 1]);
        assert!(Lineage::restore(ME, record.clone()).is_ok(), "in order");
        record.follows.reverse();
        assert!(Lineage::restore(ME, record.clone()).is_err());
        record.follows[1] = record.follows[0].clone();
        assert!(Lineage::restore(ME, record).is_err(), "one twice");
        let sealed = |partition| LineageRecord {
            sealed: Some(Sealed {
                seal: Seal {
                    partition,
                    epoch: Epoch(0),
                    successors: Vec::new(),
                    keyed_sends: 0,
                    held: HeldGroups::None,
                    revision: Revision(1),
                    sealed_at: Ts(1),
                },
                told_drained: Vec::new(),
            }),
            ..following(&[])
        };
        assert!(Lineage::restore(ME, sealed(ME)).is_ok());
        assert!(Lineage::restore(ME, sealed(PartitionId(6))).is_err());
        let seal = sealed(PartitionId(6)).sealed.unwrap().seal;
        let heir = Lineage::heir(PartitionId(6), &seal).record().clone();
        assert!(Lineage::restore(ME, heir.clone()).is_ok());
        let open = LineageRecord {
            sealed: None,
            ..heir
        };
        assert!(Lineage::restore(ME, open).is_err(), "an heir is sealed");
    }

    #[test]
    fn it_is_written_when_it_changed_and_shares_what_it_wrote() {
        let mut lineage = Lineage::following(&[PartitionId(1)]);
        let before = lineage.freeze().expect("it is new");
        assert_eq!(lineage.freeze(), None);
        lineage.change().follows.clear();
        assert_eq!(before.follows.len(), 1, "what was frozen stays");
        assert!(lineage.freeze().is_some_and(|now| now.follows.is_empty()));
    }
}
