//! What the store is to say, from what the clusters told and what it says already. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use shoal_api::rebuild::FINDINGS_MAX;
use shoal_types::{
    ClusterId, GroupHash, GroupRange, KeptPartition, PartitionId, PartitionSettings, QueueId,
    QueueName, Revision, Standing, Ts,
};

use super::moves::{Picked, pick_up, said};
use crate::records::{
    At, MoveRecord, Noted, PartitionRecord, PartitionStage, QueueRecord, QueueStage, Record,
};

/// A partition, where it was found, and what was noted of it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) cluster: ClusterId,
    pub(super) kept: KeptPartition,
    pub(super) noted: Noted,
}

/// What the store says of queues before it is rebuilt.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) queues: BTreeMap<QueueName, At<QueueRecord>>,
    pub(super) moves: Vec<At<MoveRecord>>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Plan {
    /// Records that become others, or new ones.
    pub(super) changes: Vec<Change>,
    /// Records of queues that no cluster has any more.
    pub(super) gone: Vec<At<QueueRecord>>,
    /// Queues that the store has right.
    pub(super) kept: u64,
    /// What is not sealed, of moves that are undone: it must not be sealed by an instruction that is on its
    /// way yet.
    pub(super) fences: BTreeMap<PartitionId, (ClusterId, PartitionSettings)>,
    /// The highest ids that were seen.
    pub(super) last_queue: QueueId,
    pub(super) last_partition: PartitionId,
    /// Partitions that were found and do not say, or not readably, which queue they are of.
    unnamed: BTreeSet<PartitionId>,
    pub(super) findings: Findings,
}

/// One queue's record as it is to be, with the moves that are under way.
pub(super) struct Change {
    pub(super) before: Option<At<QueueRecord>>,
    pub(super) after: QueueRecord,
    pub(super) moves: Vec<MoveRecord>,
    /// Moves of the store that are no more.
    pub(super) over: Vec<At<MoveRecord>>,
}

/// What an operator should know. The first [`FINDINGS_MAX`] are spelled out.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    pub(super) said: Vec<String>,
    pub(super) more: u64,
}

impl Findings {
    pub(super) fn say(&mut self, finding: String) {
        if self.said.len() < FINDINGS_MAX {
            self.said.push(finding);
        } else {
            self.more += 1;
        }
    }
}

/// Plans. `without`: clusters that were left out.
pub(super) fn plan(
    found: impl IntoIterator<Item = (ClusterId, Vec<KeptPartition>)>,
    mut stored: Stored,
    without: &BTreeSet<ClusterId>,
    now: Ts,
) -> Plan {
    let mut plan = Plan::default();
    let known: BTreeSet<PartitionId> = stored
        .queues
        .values()
        .flat_map(|at| &at.record.partitions)
        .map(|partition| partition.partition)
        .collect();
    let places = read(found, &known, &mut plan);
    for (name, lives) in places {
        let before = stored.queues.remove(&name);
        plan.add_queue(&name, lives, before, &stored.moves, without, now);
    }
    for at in stored.queues.into_values() {
        plan.look_at_missing(at, without);
    }
    plan
}

type Lives = BTreeMap<QueueId, BTreeMap<PartitionId, Place>>;

/// By name, then by life of the name.
fn read(
    found: impl IntoIterator<Item = (ClusterId, Vec<KeptPartition>)>,
    known: &BTreeSet<PartitionId>,
    plan: &mut Plan,
) -> BTreeMap<QueueName, Lives> {
    let mut places: BTreeMap<QueueName, Lives> = BTreeMap::new();
    let mut seen: BTreeMap<PartitionId, ClusterId> = BTreeMap::new();
    for (cluster, partitions) in found {
        for kept in partitions {
            let partition = kept.partition;
            plan.last_partition = plan.last_partition.max(partition);
            if let Some(other) = seen.insert(partition, cluster) {
                let finding = format!(
                    "{partition} is on {other} and on {cluster}: that on {cluster} is left alone"
                );
                plan.findings.say(finding);
                continue;
            }
            let noted = kept.description.as_ref().map(Noted::read);
            let noted = match noted {
                Some(Ok(noted)) => noted,
                // What was made before partitions were described is in the store, if that is not lost.
                None if known.contains(&partition) => {
                    plan.unnamed.insert(partition);
                    continue;
                }
                None => {
                    let finding = format!(
                        "{partition} of {cluster} does not say which queue it is of: its creation was \
                         under way, or an earlier release made it. It is left alone"
                    );
                    plan.findings.say(finding);
                    continue;
                }
                Some(Err(why)) => {
                    plan.unnamed.insert(partition);
                    let finding = format!(
                        "what is noted of {partition} of {cluster} cannot be read: {why}. It is left alone"
                    );
                    plan.findings.say(finding);
                    continue;
                }
            };
            plan.last_queue = plan.last_queue.max(noted.queue);
            let lives = places.entry(noted.name.clone()).or_default();
            let life = lives.entry(noted.queue).or_default();
            let place = Place {
                cluster,
                kept,
                noted,
            };
            life.insert(partition, place);
        }
    }
    places
}

impl Plan {
    fn add_queue(
        &mut self,
        name: &QueueName,
        mut lives: Lives,
        before: Option<At<QueueRecord>>,
        moves: &[At<MoveRecord>],
        without: &BTreeSet<ClusterId>,
        now: Ts,
    ) {
        let Some((queue, places)) = lives.pop_last() else {
            return;
        };
        for (older, places) in lives {
            let ids = said(&places.into_keys().collect());
            self.findings.say(format!(
                "{name} was created twice, as {older} and as {queue}: the later one is kept, and what the \
                 earlier one has is left alone: {ids}"
            ));
        }
        let mine: Vec<&At<MoveRecord>> = moves
            .iter()
            .filter(|at| {
                let stored = before.as_ref().map(|before| before.record.queue);
                at.record.queue == queue || Some(at.record.queue) == stored
            })
            .collect();
        if let Some(before) = &before {
            let stored = mine.iter().map(|at| at.revision).max();
            let stored = stored.unwrap_or_default().max(before.revision);
            let told = places.values().map(|place| place.kept.revision).max();
            let is_same = before.record.queue == queue && told <= Some(stored);
            if is_same || before.record.queue > queue {
                if before.record.queue > queue {
                    self.findings.say(format!(
                        "{name} is another queue at its clusters, {queue}, than in the store, {}: the \
                         store's is later and is kept",
                        before.record.queue
                    ));
                }
                self.kept += 1;
                return;
            }
        }
        let over = mine.into_iter().cloned().collect();
        let (after, picked) = self.record(name, queue, &places, without, now);
        if !after.fits() || !picked.moves.iter().all(MoveRecord::fits) {
            self.findings.say(format!(
                "{name} has {} partitions, more than a record holds: it is left alone",
                places.len()
            ));
            return;
        }
        for partition in &picked.fences {
            let place = &places[partition];
            let fence = (place.cluster, place.kept.settings);
            self.fences.insert(*partition, fence);
        }
        self.changes.push(Change {
            before,
            after,
            moves: picked.moves,
            over,
        });
    }

    fn record(
        &mut self,
        name: &QueueName,
        queue: QueueId,
        places: &BTreeMap<PartitionId, Place>,
        without: &BTreeSet<ClusterId>,
        now: Ts,
    ) -> (QueueRecord, Picked) {
        let newest = places.values().max_by_key(|place| described_at(place));
        let newest = newest
            .expect("a queue was found by a partition of it")
            .noted
            .clone();
        let partitions: Vec<PartitionRecord> = places
            .values()
            .map(|place| partition_record(place, now))
            .collect();
        let last_epoch = partitions.iter().map(|one| one.epoch).max();
        let mut picked = pick_up(name, queue, places, now);
        let mut partitions: Vec<PartitionRecord> = partitions
            .into_iter()
            .filter(|one| !picked.undone.contains(&one.partition))
            .collect();
        partitions.sort_by_key(|one| one.epoch);
        for finding in std::mem::take(&mut picked.findings) {
            self.findings.say(finding);
        }
        let is_even = places.values().all(|place| {
            place.noted.settings == newest.settings
                && place.kept.settings == newest.settings.partition(place.kept.settings.epoch)
        });
        let takes = partitions
            .iter()
            .filter(|one| one.stage != PartitionStage::Draining)
            .map(|one| one.groups);
        let is_whole = covers_all(takes.collect());
        let stage = match (is_whole, is_even) {
            (true, true) => QueueStage::Active,
            (true, false) => QueueStage::Configuring,
            (false, _) if without.is_empty() => {
                self.findings.say(format!(
                    "{name}: partitions of it are gone, so its deletion was under way: it is completed"
                ));
                QueueStage::Deleting
            }
            (false, _) => {
                self.findings.say(format!(
                    "{name}: partitions of it are gone, probably with a cluster that was left out: \
                     messages of their groups are refused. Delete it and create it anew"
                ));
                QueueStage::Active
            }
        };
        let record = QueueRecord {
            name: name.clone(),
            queue,
            stage,
            settings: newest.settings,
            partitions,
            last_epoch: last_epoch.unwrap_or_default(),
            resized_at: newest.created_at,
            created_at: newest.created_at,
            changed_at: newest.changed_at.unwrap_or(newest.created_at),
        };
        (record, picked)
    }

    /// The store has a queue that no cluster told of.
    fn look_at_missing(&mut self, at: At<QueueRecord>, without: &BTreeSet<ClusterId>) {
        let record = &at.record;
        let name = &record.name;
        let is_found = |one: &PartitionRecord| self.unnamed.contains(&one.partition);
        if record.partitions.iter().any(is_found) {
            // Only what was noted of it is missing.
            self.kept += 1;
            return;
        }
        if record.clusters().any(|cluster| without.contains(&cluster)) {
            self.findings.say(format!(
                "{name} is on a cluster that was left out; it stays in the store"
            ));
            self.kept += 1;
            return;
        }
        match record.stage {
            // It goes on from there.
            QueueStage::Creating | QueueStage::Deleting => self.kept += 1,
            QueueStage::Active | QueueStage::Configuring => {
                self.findings.say(format!(
                    "{name} is in the store and at no cluster: it was deleted since this copy was made"
                ));
                self.gone.push(at);
            }
        }
    }
}

fn described_at(place: &Place) -> Revision {
    let description = place.kept.description.as_ref();
    description.map_or(Revision(0), |description| description.revision)
}

/// As it was found.
pub(super) fn partition_record(place: &Place, now: Ts) -> PartitionRecord {
    PartitionRecord {
        partition: place.kept.partition,
        epoch: place.kept.settings.epoch,
        cluster: place.cluster,
        stage: match place.kept.standing {
            Standing::Open => PartitionStage::Active,
            Standing::Closed { .. } => PartitionStage::Held,
            Standing::Sealed { .. } | Standing::Forwarding { .. } | Standing::Heir { .. } => {
                PartitionStage::Draining
            }
        },
        groups: place.noted.groups,
        since: now,
    }
}

/// Whether there is no group that belongs to none of these.
fn covers_all(mut ranges: Vec<GroupRange>) -> bool {
    ranges.sort_by_key(|range| range.first);
    let mut next: Option<GroupHash> = Some(GroupHash::MIN);
    for range in ranges {
        match next {
            Some(first) if range.first > first => return false,
            Some(first) if range.last >= first => next = range.last.checked_add(1),
            Some(_) | None => {}
        }
    }
    next.is_none()
}
