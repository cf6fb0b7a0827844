//! What a move comes to: which partitions follow which, and where.

use std::sync::Arc;

use shoal_api::Problem;
use shoal_api::plan::EventKind;
use shoal_planner::limits::{BEHIND_MAX, QUEUE_PARTITIONS_MAX};
use shoal_types::limits::SUCCESSORS_MAX;
use shoal_types::{
    ClusterId, Epoch, ErrorCode, GroupRange, PartitionId, Partitioning, QueueId, QueueName, Ts,
};

use crate::events::News;
use crate::problem::{queue_not_found, store_problem};
use crate::queues::Queues;
use crate::records::{
    At, ClusterRecord, ClusterStage, MoveKind, MoveRecord, MoveStage, PartitionRecord,
    PartitionStage, QueueRecord, QueueStage, Record,
};
use crate::store::{CommitError, Transaction};

/// What is to be done about a partition of a queue.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) kind: MoveKind,
    pub(crate) queue: QueueId,
    /// The queue's highest epoch when it was decided: with another one the decision is out of date.
    pub(crate) epoch: Epoch,
    pub(crate) partition: PartitionId,
    /// Of a merge: the other one.
    pub(crate) with: Option<PartitionId>,
    /// Where its successors are to be; a split leaves one more where it is.
    pub(crate) to: Vec<ClusterId>,
    /// In millionths of a cluster's heat, what goes with it.
    pub(crate) carries: u64,
    /// What and why, in words.
    pub(crate) text: String,
}

impl Wanted {
    /// What is to be followed.
    pub(crate) fn seals(&self) -> impl Iterator<Item = PartitionId> {
        [Some(self.partition), self.with].into_iter().flatten()
    }

    /// Where the successors are to be and which groups they are to have, or why it cannot be done.
    /// `is_emptied`: the cluster that the partition is on is drained. That need not wait for consumers, who may
    /// never come: the successor holds back what the partition holds back for those before it.
    pub(crate) fn places(
        &self,
        record: &QueueRecord,
        is_emptied: bool,
    ) -> Result<Vec<(ClusterId, GroupRange)>, String> {
        let name = &record.name;
        if record.newest_epoch() != self.epoch {
            let now = record.newest_epoch();
            return Err(format!(
                "out of date: it was decided at epoch {} of {name}, which is at {now}",
                self.epoch
            ));
        }
        if record.stage != QueueStage::Active {
            return Err(format!("{name} is being changed"));
        }
        let takes_sends = |partition: &PartitionRecord| partition.stage == PartitionStage::Active;
        check_order(record, is_emptied)?;
        let partitions = record.partitions.len();
        if partitions >= QUEUE_PARTITIONS_MAX {
            return Err(format!(
                "{name} has {partitions} partitions, most of which wait for consumers"
            ));
        }
        if record.last_epoch.0 + SUCCESSORS_MAX as u32 > Epoch::MAX.0 {
            return Err(format!("{name} has used up its epochs"));
        }
        let active = |partition: PartitionId| {
            let known = record
                .partition(partition)
                .filter(|known| takes_sends(known));
            known.ok_or_else(|| format!("{partition} of {name} takes no sends"))
        };
        let from = active(self.partition)?;
        let groups = match (self.kind, self.with) {
            (MoveKind::Move, _) => vec![from.groups],
            (MoveKind::Split, _) => {
                let parts = self.to.len() + 1;
                if record.settings.partitions != Partitioning::Auto {
                    return Err(format!("{name} is to have one partition"));
                }
                if parts > SUCCESSORS_MAX {
                    return Err(format!("{parts} partitions at a time are too many"));
                }
                from.groups.split(parts)
            }
            (MoveKind::Merge, with) => {
                let with = active(with.ok_or("a merge is of two partitions")?)?;
                let joined = from.groups.joined(with.groups);
                let apart = || {
                    format!(
                        "the groups of {} and {} are no neighbours",
                        from.partition, with.partition
                    )
                };
                vec![joined.ok_or_else(apart)?]
            }
        };
        let stays = (self.kind == MoveKind::Split).then_some(from.cluster);
        let clusters: Vec<ClusterId> = stays.into_iter().chain(self.to.iter().copied()).collect();
        if clusters.len() != groups.len() {
            return Err(format!(
                "the groups of {} are too few to split",
                from.partition
            ));
        }
        Ok(clusters.into_iter().zip(groups).collect())
    }
}

/// A FIFO queue is moved when its last move is over: whoever consumes would have to go through all that is
/// left of them. Only off a cluster that is drained it is moved before, a few times.
fn check_order(record: &QueueRecord, is_emptied: bool) -> Result<(), String> {
    let name = &record.name;
    let in_stage = |stage| {
        record
            .partitions
            .iter()
            .filter(move |one| one.stage == stage)
    };
    let sealed = || in_stage(PartitionStage::Draining);
    if !record.settings.fifo {
        return Ok(());
    }
    if in_stage(PartitionStage::Held).next().is_some() {
        return Err(format!(
            "{name} keeps its order, and its last move has not opened yet"
        ));
    }
    match sealed().next() {
        Some(left) if !is_emptied => Err(format!(
            "{name} keeps its order, and its last move is not over: what is left on {} has to be consumed first",
            left.cluster
        )),
        Some(_) if sealed().count() >= BEHIND_MAX => Err(format!(
            "{name} keeps its order, and {BEHIND_MAX} of its partitions are not empty"
        )),
        _ => Ok(()),
    }
}

impl Queues {
    /// Begins a move, split or merge that was planned. From here on it is carried out, or undone if a
    /// target cannot be reached.
    ///
    /// # Errors
    /// If it is out of date, cannot be done now, or the store fails. Nothing was begun then.
    pub(crate) async fn begin_move(
        self: &Arc<Self>,
        name: &QueueName,
        wanted: Wanted,
    ) -> Result<(), Problem> {
        let now = self.clock.now().wall;
        if let Some(left) = self.moves.left_alone(now).get(&wanted.queue) {
            return Err(refused(format!("its last move was undone: {}", left.why)));
        }
        self.alone(name, |this, name, _| async move {
            this.begin_move_alone(&name, wanted).await.map(drop)
        })
        .await
    }

    /// Begins a move, split or merge; gives its id.
    pub(super) async fn begin_move_alone(
        &self,
        name: &QueueName,
        wanted: Wanted,
    ) -> Result<PartitionId, Problem> {
        let now = self.clock.now().wall;
        if !self.moves.has_room() {
            return Err(refused("as many moves are under way as may be".to_owned()));
        }
        let at = self.read(name).await?;
        let at = at.filter(|at| at.record.queue == wanted.queue);
        let before = at.ok_or_else(|| queue_not_found(name))?;
        let from = before.record.partition(wanted.partition);
        let from = from.and_then(|from| self.fleet.cluster(from.cluster));
        let is_emptied = from.is_some_and(|at| at.record.stage == ClusterStage::Draining);
        let places = wanted.places(&before.record, is_emptied).map_err(refused)?;
        if let Some(followed) = self.moves.follows_any(&wanted) {
            let why = format!("{followed} of {name} is being followed already");
            return Err(refused(why));
        }
        let targets = self.targets(&wanted.to).map_err(refused)?;
        let mut opens = Vec::with_capacity(places.len());
        for (above, (cluster, groups)) in (1..).zip(places) {
            let partition = self.ids.partition(&*self.store).await;
            opens.push(PartitionRecord {
                partition: partition.map_err(|error| store_problem(&error))?,
                epoch: Epoch(before.record.last_epoch.0 + above),
                cluster,
                stage: PartitionStage::Held,
                groups,
                since: now,
            });
        }
        let (record, moving) = begun(&before.record, &wanted, opens, now);
        let id = moving.id;
        self.write_begun(&before, &targets, record, moving).await?;
        Ok(id)
    }

    /// The records of the clusters that are given something. They must take queues, and still do when the
    /// move is written: one that is drained meanwhile might be retired.
    pub(super) fn targets(&self, to: &[ClusterId]) -> Result<Vec<At<ClusterRecord>>, String> {
        let target = |cluster: &ClusterId| {
            let at = self.fleet.cluster(*cluster);
            at.filter(|at| at.record.stage == ClusterStage::Formed)
                .filter(|_| self.fleet.is_serving(*cluster) && self.fleet.is_heard(*cluster))
                .ok_or_else(|| format!("{cluster} takes no queues at the moment"))
        };
        to.iter().map(target).collect()
    }

    async fn write_begun(
        &self,
        before: &At<QueueRecord>,
        targets: &[At<ClusterRecord>],
        record: QueueRecord,
        moving: MoveRecord,
    ) -> Result<(), Problem> {
        let as_known = |all: Transaction, target: &At<ClusterRecord>| {
            all.expect(target.record.key(), Some(target.revision))
        };
        let transaction = targets
            .iter()
            .fold(Transaction::new(), as_known)
            .expect(record.key(), Some(before.revision))
            .put(record.key(), record.encode())
            .expect(moving.key(), None)
            .put(moving.key(), moving.encode());
        let news = News {
            kind: EventKind::Decided,
            clusters: moving.clusters(),
            queue: Some(moving.name.clone()),
            text: moving.text.clone(),
        };
        match self.events.commit(transaction, news).await {
            Ok(revision) => {
                self.partitions_changed(&before.record, &record);
                self.move_changed(At {
                    record: moving,
                    revision,
                });
                Ok(())
            }
            Err(CommitError::Conflict { key }) => {
                let why = format!("{key} was changed meanwhile");
                Err(Problem::new(ErrorCode::Busy, why))
            }
            Err(CommitError::Store(error)) => Err(store_problem(&error)),
        }
    }
}

pub(super) fn refused(why: String) -> Problem {
    Problem::new(ErrorCode::Busy, why)
}

/// The records once a move is decided.
fn begun(
    before: &QueueRecord,
    wanted: &Wanted,
    opens: Vec<PartitionRecord>,
    now: Ts,
) -> (QueueRecord, MoveRecord) {
    let mut record = before.clone();
    record.partitions.extend(&opens);
    record.partitions.sort_by_key(|partition| partition.epoch);
    record.last_epoch = record.newest_epoch();
    let moving = MoveRecord {
        id: opens[0].partition,
        name: before.name.clone(),
        queue: before.queue,
        kind: wanted.kind,
        stage: MoveStage::Creating,
        seals: wanted
            .seals()
            .filter_map(|sealed| before.partition(sealed).copied())
            .collect(),
        opens,
        clears: Vec::new(),
        forwards: Vec::new(),
        heirs: Vec::new(),
        given_up: Vec::new(),
        carries: wanted.carries,
        text: wanted.text.clone(),
        begun_at: now,
        sealed_at: None,
    };
    (record, moving)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(id: u64, epoch: u32, groups: GroupRange) -> PartitionRecord {
        PartitionRecord {
            partition: PartitionId(id),
            epoch: Epoch(epoch),
            cluster: ClusterId(id),
            stage: PartitionStage::Active,
            groups,
            since: Ts(0),
        }
    }

    fn queue(name: &str, partitions: Vec<PartitionRecord>) -> QueueRecord {
        let name: QueueName = name.parse().unwrap();
        let settings = shoal_types::QueueSettings {
            fifo: name.is_fifo(),
            ..Default::default()
        };
        let newest = partitions.last().unwrap().epoch;
        QueueRecord {
            name,
            queue: QueueId(1),
            stage: QueueStage::Active,
            settings,
            partitions,
            last_epoch: Epoch(newest.0 + 4),
            resized_at: Ts(0),
            created_at: Ts(0),
            changed_at: Ts(0),
        }
    }

    fn wanted(kind: MoveKind, epoch: u32, with: Option<u64>, to: &[u64]) -> Wanted {
        Wanted {
            kind,
            queue: QueueId(1),
            epoch: Epoch(epoch),
            partition: PartitionId(1),
            with: with.map(PartitionId),
            to: to.iter().copied().map(ClusterId).collect(),
            carries: 0,
            text: String::new(),
        }
    }

    fn clusters(places: &[(ClusterId, GroupRange)]) -> Vec<u64> {
        places.iter().map(|place| place.0.0).collect()
    }

    #[test]
    fn a_split_leaves_a_part_and_the_parts_are_the_whole() {
        for name in ["a", "a.fifo"] {
            let mut split = queue(name, vec![partition(1, 0, GroupRange::ALL)]);
            let wanted = wanted(MoveKind::Split, 0, None, &[5, 6]);
            let refused = wanted.places(&split, false);
            assert!(refused.unwrap_err().contains("to have one partition"));
            split.settings.partitions = Partitioning::Auto;
            let parts = wanted.places(&split, false).unwrap();
            assert_eq!(clusters(&parts), [1, 5, 6]);
            let whole = parts.iter().map(|part| part.1);
            let whole = whole.reduce(|one, next| one.joined(next).unwrap());
            assert_eq!(whole, Some(GroupRange::ALL));
        }
    }

    #[test]
    fn a_merge_is_of_neighbours_and_joins_their_groups() {
        let parts = GroupRange::ALL.split(3);
        let three = |n: usize| partition(n as u64 + 1, n as u32, parts[n]);
        let fifo = queue("a.fifo", (0..3).map(three).collect());
        let merged = wanted(MoveKind::Merge, 2, Some(2), &[2])
            .places(&fifo, false)
            .unwrap();
        let both = parts[0].joined(parts[1]).unwrap();
        assert_eq!(merged, [(ClusterId(2), both)]);
        let apart = wanted(MoveKind::Merge, 2, Some(3), &[3]).places(&fifo, false);
        assert!(apart.unwrap_err().contains("no neighbours"));
    }

    #[test]
    fn what_is_out_of_date_or_moving_already_is_refused() {
        let mut fifo = queue("a.fifo", vec![partition(1, 3, GroupRange::ALL)]);
        let stale = wanted(MoveKind::Move, 2, None, &[5]).places(&fifo, false);
        assert!(stale.unwrap_err().contains("out of date"));
        let mut draining = partition(9, 2, GroupRange::ALL);
        draining.stage = PartitionStage::Draining;
        fifo.partitions.push(draining);
        let order = wanted(MoveKind::Move, 3, None, &[5]).places(&fifo, false);
        assert!(order.unwrap_err().contains("not over"));
        let off_drained = wanted(MoveKind::Move, 3, None, &[5]).places(&fifo, true);
        assert_eq!(off_drained, Ok(vec![(ClusterId(5), GroupRange::ALL)]));
        let mut often = fifo.clone();
        often.partitions.extend([draining; BEHIND_MAX - 1]);
        let often = wanted(MoveKind::Move, 3, None, &[5]).places(&often, true);
        assert!(often.unwrap_err().contains("are not empty"));
        let mut opening = fifo.clone();
        opening.partitions[1].stage = PartitionStage::Held;
        let opening = wanted(MoveKind::Move, 3, None, &[5]).places(&opening, true);
        assert!(opening.unwrap_err().contains("has not opened yet"));
        let standard = queue("a", fifo.partitions.clone());
        let standard = QueueRecord {
            stage: QueueStage::Configuring,
            ..standard
        };
        let changing = wanted(MoveKind::Move, 3, None, &[5]).places(&standard, false);
        assert!(changing.unwrap_err().contains("being changed"));
        let mut many = queue("a", vec![partition(1, 3, GroupRange::ALL)]);
        many.partitions.extend([draining; QUEUE_PARTITIONS_MAX - 1]);
        let many = wanted(MoveKind::Move, 3, None, &[5]).places(&many, true);
        assert!(many.unwrap_err().contains("wait for consumers"));
    }

    /// The highest epoch may have been that of a partition that is gone.
    #[test]
    fn successors_are_above_every_epoch_that_ever_was() {
        let standard = queue("a", vec![partition(1, 3, GroupRange::ALL)]);
        let opens = vec![partition(8, standard.last_epoch.0 + 1, GroupRange::ALL)];
        let wanted = wanted(MoveKind::Move, 3, None, &[5]);
        let (record, moving) = begun(&standard, &wanted, opens, Ts(1));
        assert_eq!(record.last_epoch, Epoch(8));
        assert_eq!(moving.id, PartitionId(8));
        assert_eq!(moving.seals, [partition(1, 3, GroupRange::ALL)]);
        assert_eq!(record.partitions.len(), 2);
    }
}
