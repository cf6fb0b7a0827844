//! From the decision until the successors take sends.

use futures_util::future::{join_all, try_join_all};
use shoal_api::plan::EventKind;
use shoal_types::{Command, Inherited, Outcome, Seal, Successor};
use tokio::time::Instant;

use super::pursue::{Step, Tried};
use crate::executor::InstructError;
use crate::limits::{MOVE_PATIENCE, MOVE_STEP_TIMEOUT};
use crate::queues::Queues;
use crate::records::{
    At, MoveKind, MoveRecord, MoveStage, Noted, PartitionRecord, PartitionStage, QueueRecord,
};

impl Queues {
    /// Has the successors created, closed. Nothing is sealed before all of them exist; if one cannot be
    /// created, the others are deleted again.
    pub(super) async fn create_successors(&self, at: &At<MoveRecord>) -> Tried {
        let Some(queue) = self.queue_of(at).await? else {
            return Err(format!("{} is being deleted", at.record.name));
        };
        let created = at
            .record
            .opens
            .iter()
            .map(|opened| self.create_successor(at, opened, &queue.record));
        let created = join_all(created).await;
        let Some(failed) = created.into_iter().find_map(Result::err) else {
            self.successors_know_dead_letters(at, &queue.record).await?;
            return self
                .write_step(at, |moving, _, _| moving.stage = MoveStage::Sealing, None)
                .await;
        };
        let tried_for = self.clock.now().wall.since(at.record.begun_at);
        let refused = matches!(failed, InstructError::Refused { .. });
        if refused || tried_for > MOVE_PATIENCE.as_micros() as u64 {
            return self.undo(at, &failed.to_string()).await;
        }
        Err(failed.to_string())
    }

    async fn create_successor(
        &self,
        at: &At<MoveRecord>,
        opened: &PartitionRecord,
        queue: &QueueRecord,
    ) -> Result<(), InstructError> {
        let succeeds = at.record.seals.iter().map(|sealed| sealed.partition);
        let create = Command::CreateSuccessor {
            partition: opened.partition,
            settings: queue.settings.partition(opened.epoch),
            revision: at.revision,
            succeeds: succeeds.collect(),
        };
        let until = Instant::now() + MOVE_STEP_TIMEOUT;
        let note = Noted::of(queue, opened).instruction(opened.partition, at.revision);
        self.instructor
            .execute_in_turn(opened.cluster, vec![create, note], until)
            .await
    }

    /// A message that was received often enough is given out by none of them: they know where it goes before
    /// they take any.
    async fn successors_know_dead_letters(
        &self,
        at: &At<MoveRecord>,
        queue: &QueueRecord,
    ) -> Result<(), String> {
        let opens = &at.record.opens;
        let is_new = |one: &PartitionRecord| opens.iter().any(|new| new.partition == one.partition);
        let until = Instant::now() + MOVE_STEP_TIMEOUT;
        self.tell_where_dead_letters_go(&queue.name, queue.queue, is_new, until)
            .await
            .map_err(|problem| problem.detail.to_string())
    }

    async fn undo(&self, at: &At<MoveRecord>, why: &str) -> Tried {
        let MoveRecord { queue, text, .. } = &at.record;
        let told = format!("undone: {text}. Nothing was sealed: {why}");
        let undone = |moving: &mut MoveRecord, queue: &mut QueueRecord, _| {
            moving.stage = MoveStage::Undoing;
            moving.clears = std::mem::take(&mut moving.opens);
            let gone = &moving.clears;
            queue.partitions.retain(|known| {
                let is_gone = gone.iter().any(|gone| gone.partition == known.partition);
                !is_gone
            });
        };
        let written = self
            .write_step(at, undone, Some((EventKind::Undone, told)))
            .await?;
        self.moves
            .note_undone(*queue, self.clock.now().wall, why.to_owned());
        Ok(written)
    }

    /// Has what is followed sealed. There is no way back from here: a seal may have been shown to somebody
    /// whatever is answered.
    pub(super) async fn seal(&self, at: &At<MoveRecord>) -> Tried {
        self.seals(at).await?;
        let sealed = |moving: &mut MoveRecord, queue: &mut QueueRecord, now| {
            moving.stage = MoveStage::Opening;
            moving.sealed_at = Some(now);
            for known in &mut queue.partitions {
                let is_sealed = |sealed: &PartitionRecord| sealed.partition == known.partition;
                if moving.seals.iter().any(is_sealed) {
                    (known.stage, known.since) = (PartitionStage::Draining, now);
                }
            }
        };
        self.write_step(at, sealed, None).await
    }

    /// The seals of all that is followed. Sealing again names the successors' present hosts.
    async fn seals(&self, at: &At<MoveRecord>) -> Result<Vec<Box<Seal>>, String> {
        let successor = |opened: &PartitionRecord| Successor {
            partition: opened.partition,
            epoch: opened.epoch,
            cluster: opened.cluster,
            members: self.fleet.members(opened.cluster),
            groups: opened.groups,
        };
        let successors: Vec<Successor> = at.record.opens.iter().map(successor).collect();
        let seals = at.record.seals.iter();
        let seals = seals.map(|sealed| self.seal_one(at, sealed, successors.clone()));
        try_join_all(seals).await
    }

    async fn seal_one(
        &self,
        at: &At<MoveRecord>,
        sealed: &PartitionRecord,
        successors: Vec<Successor>,
    ) -> Result<Box<Seal>, String> {
        let PartitionRecord {
            partition, cluster, ..
        } = *sealed;
        let command = Command::Seal {
            partition,
            successors,
            revision: at.revision,
        };
        let until = Instant::now() + MOVE_STEP_TIMEOUT;
        match self.instructor.execute(cluster, command, until).await {
            Ok(Outcome::Sealed(seal)) => Ok(seal),
            Ok(other) => Err(format!("{cluster} answered {other:?}")),
            Err(why) => Err(why.to_string()),
        }
    }

    /// Shows the seals to the successors until all of them take sends. Hosts and frontends that learn of
    /// a seal do the same; whoever comes first is as good.
    pub(super) async fn open(&self, at: &At<MoveRecord>) -> Tried {
        let seals = self.seals(at).await?;
        let shown = at
            .record
            .opens
            .iter()
            .map(|opened| self.show(opened, &seals));
        let waits = try_join_all(shown).await?;
        if let Some(why) = waits.into_iter().flatten().next() {
            return Ok(Step::Waits(why));
        }
        let kind = at.record.kind;
        let opened = |moving: &mut MoveRecord, queue: &mut QueueRecord, now| {
            moving.stage = MoveStage::Draining;
            for known in &mut queue.partitions {
                let is_opened = |opened: &PartitionRecord| opened.partition == known.partition;
                if moving.opens.iter().any(is_opened) {
                    (known.stage, known.since) = (PartitionStage::Active, now);
                }
            }
            if kind != MoveKind::Move {
                queue.resized_at = now;
            }
        };
        let text = format!("the successors take sends: {}", at.record.text);
        self.write_step(at, opened, Some((EventKind::Done, text)))
            .await
    }

    /// Shows a successor all seals; what it still waits for, if it does.
    async fn show(
        &self,
        opened: &PartitionRecord,
        seals: &[Box<Seal>],
    ) -> Result<Option<String>, String> {
        let mut waits = None;
        for seal in seals {
            let command = Command::Succeed {
                partition: opened.partition,
                seal: seal.clone(),
                news: Inherited::Seal,
            };
            let until = Instant::now() + MOVE_STEP_TIMEOUT;
            let shown = self
                .instructor
                .execute(opened.cluster, command, until)
                .await;
            waits = match shown.map_err(|why| why.to_string())? {
                Outcome::Done => None,
                Outcome::Closed { waits_for, .. } => {
                    let of: Vec<String> = waits_for.iter().map(ToString::to_string).collect();
                    let partition = opened.partition;
                    Some(format!(
                        "{partition} waits for what {} left to it",
                        of.join(" ")
                    ))
                }
                other => return Err(format!("{} answered {other:?}", opened.cluster)),
            };
        }
        Ok(waits)
    }
}
