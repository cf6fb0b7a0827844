//! The partitions of all clusters, as real ones keep them as far as the manager can tell: created,
//! configured, followed, sealed, deleted; each instruction fenced by its revision.

use std::collections::{BTreeMap, BTreeSet};

use shoal_types::{
    ClusterId, ClusterSpec, Command, Description, ErrorCode, Heir, HeldGroups, KeptPartition,
    Outcome, PartitionId, PartitionPage, PartitionSettings, Passed, Refusal, Revision, Seal,
    Standing, Succession, SuccessionStage, Successor,
};

use super::host::now;
use super::transfers::Transfers;

#[derive(Default)]
pub(super) struct Partitions {
    pub(super) all: BTreeMap<PartitionId, Partition>,
    deleted: BTreeMap<PartitionId, Revision>,
    following: BTreeMap<PartitionId, Following>,
    descriptions: BTreeMap<PartitionId, Description>,
    instructed: BTreeMap<ClusterId, Revision>,
    pub(super) transfers: Transfers,
}

/// A partition of the fake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    pub(crate) cluster: ClusterId,
    pub(crate) settings: PartitionSettings,
    pub(crate) revision: Revision,
}

/// How far a partition is in following others and being followed.
#[derive(Default)]
struct Following {
    waits_for: BTreeSet<PartitionId>,
    seal: Option<Box<Seal>>,
    messages: u64,
    /// Who took its messages over, and how many.
    heir: Option<(Box<Heir>, u64)>,
}

fn refused(code: ErrorCode, why: &'static str) -> Refusal {
    Refusal::not_applied(code, why)
}

fn fenced() -> Refusal {
    refused(ErrorCode::Fenced, "seen a newer revision")
}

impl Partitions {
    pub(super) fn apply(
        &mut self,
        cluster: ClusterId,
        command: Command,
    ) -> Result<Outcome, Refusal> {
        let revision = command.revision().unwrap_or_default();
        let instructed = self.instructed.entry(cluster).or_default();
        *instructed = revision.max(*instructed);
        match command {
            Command::Tick => Ok(Outcome::Done),
            Command::Describe {
                partition,
                description,
            } => self.describe(partition, description),
            Command::CreatePartition {
                partition,
                settings,
                revision,
            } => self.create(cluster, partition, settings, revision, Vec::new()),
            Command::CreateSuccessor {
                partition,
                settings,
                revision,
                succeeds,
            } => {
                assert!(!succeeds.is_empty(), "a successor follows somebody");
                self.create(cluster, partition, settings, revision, succeeds)
            }
            Command::ConfigurePartition {
                partition,
                settings,
                revision,
            } => {
                self.known(cluster, partition, revision)?.settings = settings;
                Ok(Outcome::Done)
            }
            Command::DeletePartition {
                partition,
                revision,
            } => {
                if self.all.contains_key(&partition) {
                    self.known(cluster, partition, revision)?;
                }
                self.all.remove(&partition);
                self.following.remove(&partition);
                self.descriptions.remove(&partition);
                self.transfers.gone(partition);
                self.deleted.insert(partition, revision);
                Ok(Outcome::Done)
            }
            Command::Seal {
                partition,
                successors,
                revision,
            } => self.seal(cluster, partition, successors, revision),
            Command::Succeed {
                partition, seal, ..
            } => self.succeed(partition, &seal),
            Command::CreateHeir {
                partition,
                settings,
                revision,
                source,
                seal,
            } => {
                assert_eq!((settings.epoch, seal.epoch), (seal.epoch, settings.epoch));
                let known = self
                    .following
                    .get(&source)
                    .and_then(|one| one.seal.as_ref());
                let shown = known.map(|known| known.partition);
                assert_eq!(shown, Some(seal.partition), "it shows its source's seal");
                self.create(cluster, partition, settings, revision, Vec::new())?;
                self.following.entry(partition).or_default().seal = Some(seal);
                Ok(Outcome::Done)
            }
            Command::Forward {
                partition,
                heir,
                revision,
            } => self.forward(cluster, partition, heir, revision),
            Command::SetDeadLetters { partition, .. }
            | Command::StartMove { partition, .. }
            | Command::CancelMove { partition, .. } => {
                self.there(cluster, partition)?;
                self.transfers.apply(command)
            }
            other => panic!("the manager does not say {other:?}"),
        }
    }

    fn there(&self, cluster: ClusterId, partition: PartitionId) -> Result<(), Refusal> {
        match self.all.get(&partition) {
            Some(known) if known.cluster == cluster => Ok(()),
            _ if self.deleted.contains_key(&partition) => {
                Err(refused(ErrorCode::QueueNotFound, "the queue was deleted"))
            }
            _ => Err(refused(ErrorCode::StaleRoute, "no such partition here")),
        }
    }

    /// Who comes after a partition knows where dead letters go before anybody can receive there.
    fn assert_knows_dead_letters(&self, before: PartitionId, after: PartitionId) {
        let (before, after) = (
            self.transfers.dead_letters(before),
            self.transfers.dead_letters(after),
        );
        assert_eq!(before.is_some(), after.is_some(), "it was not told");
    }

    fn describe(
        &mut self,
        partition: PartitionId,
        description: Description,
    ) -> Result<Outcome, Refusal> {
        if !self.all.contains_key(&partition) {
            return Err(refused(ErrorCode::QueueNotFound, "no such partition"));
        }
        let kept = self.descriptions.get(&partition);
        if kept.is_some_and(|kept| kept.revision > description.revision) {
            return Err(fenced());
        }
        self.descriptions.insert(partition, description);
        Ok(Outcome::Done)
    }

    pub(super) fn instructed(&self, cluster: ClusterId) -> Revision {
        self.instructed.get(&cluster).copied().unwrap_or_default()
    }

    pub(super) fn kept(
        &self,
        spec: ClusterSpec,
        after: Option<PartitionId>,
        limit: usize,
    ) -> PartitionPage {
        let mut here: Vec<KeptPartition> = self
            .all
            .iter()
            .filter(|(id, known)| known.cluster == spec.cluster && Some(**id) > after)
            .map(|(id, known)| self.kept_partition(*id, known))
            .collect();
        let more = here.len() > limit;
        here.truncate(limit);
        PartitionPage {
            partitions: here,
            more,
            instructed: self.instructed(spec.cluster),
            cluster: spec,
        }
    }

    fn kept_partition(&self, partition: PartitionId, known: &Partition) -> KeptPartition {
        let following = self.following.get(&partition);
        let standing = match following {
            Some(Following {
                seal: Some(seal), ..
            }) => Standing::Sealed {
                successors: seal.successors.iter().map(|one| one.partition).collect(),
            },
            Some(Following { waits_for, .. }) if !waits_for.is_empty() => Standing::Closed {
                waits_for: waits_for.iter().copied().collect(),
            },
            _ => Standing::Open,
        };
        let description = self.descriptions.get(&partition).cloned();
        let described = description.as_ref().map(|one| one.revision);
        KeptPartition {
            partition,
            settings: known.settings,
            revision: known.revision.max(described.unwrap_or_default()),
            description,
            standing,
        }
    }

    /// Its hosts pass everything on at once.
    fn forward(
        &mut self,
        cluster: ClusterId,
        partition: PartitionId,
        heir: Heir,
        revision: Revision,
    ) -> Result<Outcome, Refusal> {
        self.known(cluster, partition, revision)?;
        assert!(!heir.members.is_empty(), "its hosts must find the heir");
        self.assert_knows_dead_letters(partition, heir.partition);
        let source = self.following.entry(partition).or_default();
        assert!(source.seal.is_some(), "only what is sealed is forwarded");
        let messages = std::mem::take(&mut source.messages);
        let passed = source.heir.take().map_or(0, |(_, passed)| passed);
        let to = heir.partition;
        source.heir = Some((Box::new(heir), passed + messages));
        let heir = self.following.get_mut(&to);
        heir.expect("nothing goes on before its heir exists")
            .messages += messages;
        Ok(Outcome::Done)
    }

    fn known(
        &mut self,
        cluster: ClusterId,
        partition: PartitionId,
        revision: Revision,
    ) -> Result<&mut Partition, Refusal> {
        let known = self.all.get_mut(&partition);
        let known = known.ok_or_else(|| refused(ErrorCode::QueueNotFound, "no such partition"))?;
        assert_eq!(
            known.cluster, cluster,
            "{partition} was asked for elsewhere"
        );
        if known.revision > revision {
            return Err(fenced());
        }
        known.revision = revision;
        Ok(known)
    }

    fn create(
        &mut self,
        cluster: ClusterId,
        partition: PartitionId,
        settings: PartitionSettings,
        revision: Revision,
        succeeds: Vec<PartitionId>,
    ) -> Result<Outcome, Refusal> {
        if self.deleted.contains_key(&partition) {
            return Err(fenced());
        }
        let new = Partition {
            cluster,
            settings,
            revision,
        };
        if !self.all.contains_key(&partition) {
            let following = self.following.entry(partition).or_default();
            following.waits_for.extend(succeeds);
        }
        let known = self.all.entry(partition).or_insert(new);
        if known.revision < revision {
            *known = new;
        }
        Ok(Outcome::Done)
    }

    fn seal(
        &mut self,
        cluster: ClusterId,
        partition: PartitionId,
        successors: Vec<Successor>,
        revision: Revision,
    ) -> Result<Outcome, Refusal> {
        for successor in &successors {
            // Gone again it is only with its whole queue.
            if !self.deleted.contains_key(&successor.partition) {
                let created = self.all.get(&successor.partition);
                let created = created.expect("nothing is sealed before its successors exist");
                assert_eq!(created.cluster, successor.cluster);
                self.assert_knows_dead_letters(partition, successor.partition);
            }
            assert!(!successor.members.is_empty(), "clients must find them");
        }
        let epoch = self.known(cluster, partition, revision)?.settings.epoch;
        let following = self.following.entry(partition).or_default();
        let ids = |all: &[Successor]| all.iter().map(|one| one.partition).collect::<Vec<_>>();
        let seal = match &following.seal {
            Some(seal) if ids(&seal.successors) != ids(&successors) => return Err(fenced()),
            Some(seal) if seal.revision > revision => return Err(fenced()),
            // Other addresses only by a later instruction.
            Some(seal) if seal.revision == revision => seal.clone(),
            _ => Box::new(Seal {
                partition,
                epoch,
                successors,
                keyed_sends: 0,
                held: HeldGroups::None,
                revision,
                sealed_at: now(),
            }),
        };
        following.seal = Some(seal.clone());
        Ok(Outcome::Sealed(seal))
    }

    fn succeed(&mut self, partition: PartitionId, seal: &Seal) -> Result<Outcome, Refusal> {
        let Some(following) = self.following.get_mut(&partition) else {
            return Err(refused(ErrorCode::QueueNotFound, "no such partition"));
        };
        let mut named = seal.successors.iter();
        assert!(named.any(|successor| successor.partition == partition));
        following.waits_for.remove(&seal.partition);
        let waits_for: Vec<PartitionId> = following.waits_for.iter().copied().collect();
        Ok(match waits_for.is_empty() {
            true => Outcome::Done,
            false => Outcome::Closed {
                waits_for,
                keyed_sends: 0,
            },
        })
    }

    /// Hosts tell successors at once when a partition is drained.
    pub(super) fn succession(&self, partition: PartitionId) -> Result<Succession, Refusal> {
        let Some(following) = self.following.get(&partition) else {
            return Err(refused(ErrorCode::StaleRoute, "no such partition here"));
        };
        let stage = match &following.seal {
            Some(seal) if let Some((heir, messages)) = &following.heir => {
                SuccessionStage::Forwarding {
                    seal: seal.clone(),
                    heir: heir.clone(),
                    passed: Passed {
                        messages: *messages,
                        bytes: 10 * messages,
                    },
                    complete: following.messages == 0,
                }
            }
            Some(seal) => SuccessionStage::Sealed {
                seal: seal.clone(),
                told_drained: match following.messages {
                    0 => seal.successors.iter().map(|one| one.partition).collect(),
                    _ => Vec::new(),
                },
            },
            None if following.waits_for.is_empty() => SuccessionStage::Open,
            None => SuccessionStage::Closed {
                waits_for: following.waits_for.iter().copied().collect(),
            },
        };
        Ok(Succession {
            stage,
            messages: following.messages,
        })
    }

    /// Where a sealed partition believes the hosts of its first successor.
    pub(super) fn successor_at(&self, partition: PartitionId) -> Vec<String> {
        let seal = self.following[&partition].seal.as_ref();
        let successor = &seal.expect("it is sealed").successors[0];
        let members = successor.members.iter();
        members.map(|member| member.address.clone()).collect()
    }

    pub(super) fn holds(&mut self, partition: PartitionId, messages: u64) {
        self.following.entry(partition).or_default().messages = messages;
    }
}
