//! What is left behind: sealed partitions until they are empty, and successors of moves that were undone.

use futures_util::future::join_all;
use shoal_api::plan::EventKind;
use shoal_types::{Command, PartitionId, Query, QueryReply, Seal, SuccessionStage};
use tokio::time::Instant;

use super::pursue::{Step, Tried};
use crate::limits::MOVE_STEP_TIMEOUT;
use crate::queues::Queues;
use crate::records::{At, MoveRecord, MoveStage, PartitionRecord, QueueRecord, QueueStage};

impl Queues {
    /// Deletes what nobody has a route to any more; takes those out of the queue that are empty.
    pub(super) async fn clear(&self, at: &At<MoveRecord>) -> Tried {
        let mut why = Vec::new();
        let clears = match self.may_be_deleted(&at.record) {
            Ok(()) => at.record.clears.as_slice(),
            Err(still_named) => {
                why.push(still_named);
                &[]
            }
        };
        let deleted = join_all(clears.iter().map(|gone| self.delete_partition(at, gone)));
        let mut gone = Vec::new();
        for (cleared, deleted) in clears.iter().zip(deleted.await) {
            match deleted {
                Ok(()) => gone.push(cleared.partition),
                Err(failed) => why.push(failed),
            }
        }
        if !gone.is_empty() {
            let is_last = gone.len() == at.record.clears.len() && at.record.seals.is_empty();
            return self.write_cleared(at, &gone, is_last).await;
        }
        if let Some(step) = self.carry_on_forwarding(at, &mut why).await? {
            return Ok(step);
        }
        let is_left = |sealed: &&PartitionRecord| at.record.forward_of(sealed.partition).is_none();
        let left: Vec<_> = at.record.seals.iter().filter(is_left).collect();
        let looks = left.iter().map(|sealed| self.look(at, sealed));
        let mut drained = Vec::new();
        for (sealed, look) in left.iter().zip(join_all(looks).await) {
            match look {
                Ok(Left::Nothing) => drained.push(sealed.partition),
                Ok(Left::Elsewhere(seal)) => match self.seal_anew(at, sealed, &seal).await {
                    Ok(Step::Waits(told)) | Err(told) => why.push(told),
                    Ok(written) => return Ok(written),
                },
                Err(waits) => why.push(waits),
            }
        }
        if drained.is_empty() {
            return Ok(Step::Waits(why.join("; ")));
        }
        let leave = |moving: &mut MoveRecord, queue: &mut QueueRecord, _| {
            let leaves = |one: &PartitionRecord| drained.contains(&one.partition);
            moving
                .clears
                .extend(moving.seals.extract_if(.., |one| leaves(one)));
            queue.partitions.retain(|one| !leaves(one));
        };
        self.write_step(at, leave, None).await
    }

    /// A partition that messages of other queues may still be sent to is not deleted: they would be taken for
    /// messages that have no place to go, and be given out again.
    fn may_be_deleted(&self, record: &MoveRecord) -> Result<(), String> {
        // What was undone took no messages.
        if record.clears.is_empty() || record.stage == MoveStage::Undoing {
            return Ok(());
        }
        let name = &record.name;
        if let Some(source) = self.dead_letters.not_told(name) {
            return Err(format!(
                "{source} is to be told first where its dead letters go in {name}"
            ));
        }
        let goes_to = self.dead_letters.goes_to(name);
        match self
            .redrives
            .may_name(name, goes_to.as_ref(), record.sealed_at)
        {
            Some(task) => Err(format!(
                "the redrive {task} moves messages to {name}, and may know of no other partition"
            )),
            None => Ok(()),
        }
    }

    async fn write_cleared(
        &self,
        at: &At<MoveRecord>,
        gone: &[PartitionId],
        is_last: bool,
    ) -> Tried {
        let told = match at.record.stage {
            MoveStage::Draining if is_last => {
                let text = format!(
                    "over, what was followed is empty and gone: {}",
                    at.record.text
                );
                Some((EventKind::Done, text))
            }
            _ => None,
        };
        let cleared = |moving: &mut MoveRecord, _: &mut QueueRecord, _| {
            moving.clears.retain(|one| !gone.contains(&one.partition));
        };
        self.write_step(at, cleared, told).await
    }

    async fn delete_partition(
        &self,
        at: &At<MoveRecord>,
        gone: &PartitionRecord,
    ) -> Result<(), String> {
        let command = Command::DeletePartition {
            partition: gone.partition,
            revision: at.revision,
        };
        let until = Instant::now() + MOVE_STEP_TIMEOUT;
        let deleted = self.instructor.execute(gone.cluster, command, until).await;
        deleted.map(drop).map_err(|why| why.to_string())
    }

    /// What is left of a sealed partition: nothing if it holds no message and every successor that there
    /// still is has been told so. If it cannot go on by itself: what it waits for.
    async fn look(&self, at: &At<MoveRecord>, sealed: &PartitionRecord) -> Result<Left, String> {
        let PartitionRecord {
            partition, cluster, ..
        } = *sealed;
        let _asks = self.moves.question().await;
        let until = Instant::now() + MOVE_STEP_TIMEOUT;
        let query = Query::Succession { partition };
        let reply = self.instructor.query(cluster, query, until).await;
        let QueryReply::Succession(known) = reply.map_err(|why| why.to_string())? else {
            return Err(format!("{cluster} answered something else"));
        };
        let SuccessionStage::Sealed { seal, told_drained } = known.stage else {
            return Err(format!("{partition} is not known to be sealed yet"));
        };
        let queue = self.queue_of(at).await?;
        // A successor that was itself followed and emptied meanwhile needs to hear nothing any more.
        let is_there = |opened: &&PartitionRecord| {
            let queue = queue.as_ref();
            queue.is_some_and(|queue| queue.record.partition(opened.partition).is_some())
        };
        let is_to_be_told = |opened: &&PartitionRecord| {
            is_there(opened) && !told_drained.contains(&opened.partition)
        };
        let mut wait = at.record.opens.iter().filter(is_to_be_told);
        // Settings that are on their way would come with an earlier revision than this, and be refused.
        let is_settled = queue.as_ref().is_some_and(|queue| {
            queue.record.stage == QueueStage::Active || queue.revision > at.revision
        });
        let seal = self.with_addresses(&seal, wait.clone());
        if let Some(seal) = seal.filter(|_| is_settled) {
            return Ok(Left::Elsewhere(seal));
        }
        if known.messages > 0 {
            return Err(format!("{partition} holds {} messages", known.messages));
        }
        match wait.next() {
            None => Ok(Left::Nothing),
            Some(opened) => Err(format!(
                "{partition} is empty, which {} is about to be told",
                opened.partition
            )),
        }
    }

    /// The seal with the present addresses of those that still have to be told something, if it has others.
    fn with_addresses<'a>(
        &self,
        seal: &Seal,
        told: impl Iterator<Item = &'a PartitionRecord>,
    ) -> Option<Box<Seal>> {
        let mut present = seal.clone();
        for opened in told {
            let members = self.fleet.members(opened.cluster);
            let mut named = present.successors.iter_mut();
            let named = named.find(|one| one.partition == opened.partition);
            if let Some(named) = named.filter(|_| !members.is_empty()) {
                named.members = members;
            }
        }
        (present != *seal).then(|| Box::new(present))
    }

    /// Tells a sealed partition where the hosts of its successors are now: else its own could not tell them
    /// what they wait for. A seal takes addresses only of a later revision than it has.
    async fn seal_anew(&self, at: &At<MoveRecord>, sealed: &PartitionRecord, seal: &Seal) -> Tried {
        if at.revision <= seal.revision {
            return self.write_step(at, |_, _, _| (), None).await;
        }
        let PartitionRecord {
            partition, cluster, ..
        } = *sealed;
        let command = Command::Seal {
            partition,
            successors: seal.successors.clone(),
            revision: at.revision,
        };
        let until = Instant::now() + MOVE_STEP_TIMEOUT;
        let told = self.instructor.execute(cluster, command, until).await;
        told.map_err(|why| why.to_string())?;
        Ok(Step::Waits(format!(
            "{partition} has been told where those are that follow it"
        )))
    }
}

/// What is left of a sealed partition.
enum Left {
    /// It is empty, and all know it.
    Nothing,
    /// Its successors' hosts are elsewhere by now: its seal as it should be.
    Elsewhere(Box<Seal>),
}
