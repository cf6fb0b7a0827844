//! How partitions of a fake cluster follow one another, in the plainest way: without keys that are
//! inherited and without groups that are held.

use std::collections::{BTreeSet, HashMap};

use shoal_types::{
    Command, Epoch, HeldGroups, Inherited, Outcome, PartitionId, Request, RequestId, Seal,
    SuccessionStage, Ts,
};

#[derive(Default)]
pub struct Successions {
    sealed: HashMap<PartitionId, Seal>,
    /// What successors wait for that are not open yet.
    closed: HashMap<PartitionId, BTreeSet<PartitionId>>,
    /// Of successors; all others have the first.
    epochs: HashMap<PartitionId, Epoch>,
    sent: HashMap<RequestId, Outcome>,
}

impl Successions {
    /// The answer to what a machine of the first version does not know of. What is left is for it.
    pub fn answer(&mut self, request: &mut Request, now: Ts) -> Option<Outcome> {
        match request.command.clone() {
            Command::CreateSuccessor {
                partition,
                settings,
                revision,
                succeeds,
            } => {
                self.closed
                    .insert(partition, succeeds.into_iter().collect());
                self.epochs.insert(partition, settings.epoch);
                request.command = Command::CreatePartition {
                    partition,
                    settings,
                    revision,
                };
                None
            }
            Command::Seal {
                partition,
                successors,
                revision,
            } => {
                let seal = Seal {
                    partition,
                    epoch: self.epochs.get(&partition).copied().unwrap_or_default(),
                    successors,
                    keyed_sends: 0,
                    held: HeldGroups::None,
                    revision,
                    sealed_at: now,
                };
                self.sealed.insert(partition, seal.clone());
                Some(Outcome::Sealed(Box::new(seal)))
            }
            Command::Succeed {
                partition,
                seal,
                news: Inherited::Seal,
            } => {
                if let Some(waits_for) = self.closed.get_mut(&partition) {
                    assert!(seal.successors.iter().any(|s| s.partition == partition));
                    waits_for.remove(&seal.partition);
                    if waits_for.is_empty() {
                        self.closed.remove(&partition);
                    }
                }
                Some(self.is_closed(partition).unwrap_or(Outcome::Done))
            }
            Command::Send { partition, .. } => {
                let repeated = self.sent.get(&request.id).cloned();
                let sealed = self.sealed.get(&partition);
                let sealed = || sealed.map(|seal| Outcome::Sealed(Box::new(seal.clone())));
                repeated
                    .or_else(sealed)
                    .or_else(|| self.is_closed(partition))
            }
            Command::DeletePartition { partition, .. } => {
                self.sealed.remove(&partition);
                self.closed.remove(&partition);
                None
            }
            _ => None,
        }
    }

    /// Remembers what was executed.
    pub fn note(&mut self, request: &Request, outcome: &Outcome) {
        if let (Command::Send { .. }, Outcome::Sent(_)) = (&request.command, outcome) {
            self.sent.insert(request.id, outcome.clone());
        }
    }

    pub fn stage(&self, partition: PartitionId) -> SuccessionStage {
        match (self.sealed.get(&partition), self.is_closed(partition)) {
            (Some(seal), _) => SuccessionStage::Sealed {
                seal: Box::new(seal.clone()),
                told_drained: Vec::new(),
            },
            (None, Some(Outcome::Closed { waits_for })) => SuccessionStage::Closed { waits_for },
            _ => SuccessionStage::Open,
        }
    }

    fn is_closed(&self, partition: PartitionId) -> Option<Outcome> {
        let waits_for = self.closed.get(&partition)?.iter().copied().collect();
        Some(Outcome::Closed { waits_for })
    }
}
