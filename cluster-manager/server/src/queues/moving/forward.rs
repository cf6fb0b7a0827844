//! What nobody consumes from a sealed partition goes on to an heir, so that its cluster becomes empty.
//!
//! ```text
//!            the heir exists            it has all
//!  Creating ────────────────► Passing ────────────► followed in the place of the one that is empty now
//!     │ its cluster cannot be reached
//!     └──► given up: the heir is deleted, and planned anew
//! ```
//! Written into the move's record and the queue's together, as the stages of the move are. The messages
//! themselves go from cluster to cluster without the manager.

use std::sync::Arc;

use shoal_api::Problem;
use shoal_api::plan::EventKind;
use shoal_types::{
    Command, ErrorCode, Heir, PartitionId, Passed, Query, QueryReply, QueueName, Succession,
    SuccessionStage,
};
use tokio::time::Instant;

use super::pursue::{Step, Tried};
use crate::executor::InstructError;
use crate::limits::{MOVE_PATIENCE, MOVE_STEP_TIMEOUT};
use crate::problem::store_problem;
use crate::queues::Queues;
use crate::records::{
    At, ClusterRecord, ClusterStage, ForwardRecord, ForwardStage, MoveRecord, MoveStage, Noted,
    PartitionRecord, PartitionStage, QueueRecord,
};

impl Queues {
    /// Begins to forward what nobody consumes from a sealed partition.
    ///
    /// # Errors
    /// If there is no such partition, it is being forwarded already, no cluster can take it, or the store
    /// fails. Nothing was begun then.
    pub(crate) async fn begin_forwarding(
        self: &Arc<Self>,
        name: &QueueName,
        partition: PartitionId,
        why: &str,
    ) -> Result<(), Problem> {
        let refused = |why: String| Problem::new(ErrorCode::Busy, why);
        let at = self.moves.draining(partition);
        let at = at.ok_or_else(|| refused(format!("{partition} is not being emptied")))?;
        if at.record.forward_of(partition).is_some() {
            return Err(refused(format!("{partition} is being forwarded already")));
        }
        let queue = self.queue_of(&at).await.map_err(refused)?;
        let queue = queue.ok_or_else(|| refused(format!("{name} is being deleted")))?;
        let source = *at
            .record
            .sealed(partition)
            .expect("it was found by its being sealed");
        let target = self.heir_target(&queue.record, &source).map_err(refused)?;
        let heir = self.ids.partition(&*self.store).await;
        let heir = PartitionRecord {
            partition: heir.map_err(|error| store_problem(&error))?,
            cluster: target.record.cluster,
            stage: PartitionStage::Held,
            since: self.clock.now().wall,
            ..source
        };
        let text = format!(
            "forward what {name} has on {} to {}: {why}",
            source.cluster, heir.cluster
        );
        let begun = |moving: &mut MoveRecord, queue: &mut QueueRecord, _| {
            moving.forwards.push(ForwardRecord {
                from: partition,
                heir,
                stage: ForwardStage::Creating,
                text: text.clone(),
            });
            queue.partitions.push(heir);
            queue.partitions.sort_by_key(|partition| partition.epoch);
        };
        let told = Some((EventKind::Decided, text.clone()));
        let written = self.write_step_beside(&at, &[target], begun, told).await;
        written.map(drop)
    }

    /// Where an heir is to be: where the queue's sends go, if that takes queues and still does when it is
    /// written. One that is drained meanwhile might be retired.
    fn heir_target(
        &self,
        queue: &QueueRecord,
        source: &PartitionRecord,
    ) -> Result<At<ClusterRecord>, String> {
        let active = queue.partitions.iter().filter(|known| {
            known.stage == PartitionStage::Active && known.cluster != source.cluster
        });
        let takes_queues = |at: &At<ClusterRecord>| {
            at.record.stage == ClusterStage::Formed && self.fleet.is_serving(at.record.cluster)
        };
        let mut targets = active.filter_map(|known| self.fleet.cluster(known.cluster));
        targets.find(takes_queues).ok_or_else(|| {
            let name = &queue.name;
            format!("no other cluster that {name} is sent to takes queues at the moment")
        })
    }

    /// Carries all forwarding of a move one step on. `None` if there is none, or all of it only waits; what
    /// for is added to `why`.
    pub(super) async fn carry_on_forwarding(
        &self,
        at: &At<MoveRecord>,
        why: &mut Vec<String>,
    ) -> Result<Option<Step>, String> {
        for forward in &at.record.forwards {
            let step = match forward.stage {
                ForwardStage::Creating => self.create_heir(at, forward).await,
                ForwardStage::Passing => self.pass_on(at, forward).await,
            };
            match step {
                Ok(Step::Waits(what)) | Err(what) => why.push(what),
                Ok(written) => return Ok(Some(written)),
            }
        }
        Ok(None)
    }

    async fn create_heir(&self, at: &At<MoveRecord>, forward: &ForwardRecord) -> Tried {
        let Some(queue) = self.queue_of(at).await? else {
            return Err(format!("{} is being deleted", at.record.name));
        };
        let seal = match self.succession_of(at, forward.from).await?.stage {
            SuccessionStage::Sealed { seal, .. } | SuccessionStage::Forwarding { seal, .. } => seal,
            other => return Err(format!("{} is not sealed: {other:?}", forward.from)),
        };
        let heir = forward.heir;
        let command = Command::CreateHeir {
            partition: heir.partition,
            settings: queue.record.settings.partition(heir.epoch),
            revision: at.revision,
            source: forward.from,
            seal,
        };
        let until = Instant::now() + MOVE_STEP_TIMEOUT;
        let note = Noted::of(&queue.record, &heir).instruction(heir.partition, at.revision);
        let created = self
            .instructor
            .execute_in_turn(heir.cluster, vec![command, note], until)
            .await;
        let Err(failed) = created else {
            let created = |moving: &mut MoveRecord, queue: &mut QueueRecord, now| {
                let known = moving.forwards.iter_mut();
                for known in known.filter(|known| known.heir.partition == heir.partition) {
                    known.stage = ForwardStage::Passing;
                    (known.heir.stage, known.heir.since) = (PartitionStage::Draining, now);
                }
                let known = queue.partitions.iter_mut();
                for known in known.filter(|known| known.partition == heir.partition) {
                    (known.stage, known.since) = (PartitionStage::Draining, now);
                }
            };
            return self.write_step(at, created, None).await;
        };
        let tried_for = self.clock.now().wall.since(heir.since);
        let refused = matches!(failed, InstructError::Refused { .. });
        if refused || tried_for > MOVE_PATIENCE.as_micros() as u64 {
            let why = format!("nothing went on: {failed}");
            return self.give_up_forwarding(at, forward, why).await;
        }
        Err(failed.to_string())
    }

    /// Has the source pass its messages on, and notes when the heir has all.
    async fn pass_on(&self, at: &At<MoveRecord>, forward: &ForwardRecord) -> Tried {
        let heir = Heir {
            partition: forward.heir.partition,
            cluster: forward.heir.cluster,
            members: self.fleet.members(forward.heir.cluster),
        };
        let known = self.succession_of(at, forward.from).await?;
        match known.stage {
            SuccessionStage::Forwarding {
                passed, complete, ..
            } if complete => self.write_forwarded(at, forward, passed).await,
            SuccessionStage::Forwarding {
                heir: known_heir,
                passed,
                ..
            } if *known_heir == heir => Ok(Step::Waits(format!(
                "{} has {} messages left, {} went on to {}",
                forward.from, known.messages, passed.messages, heir.partition
            ))),
            _ => self.tell_to_forward(at, forward, heir).await,
        }
    }

    /// Tells the source who its heir is and where, and begins anew if that is gone.
    async fn tell_to_forward(
        &self,
        at: &At<MoveRecord>,
        forward: &ForwardRecord,
        heir: Heir,
    ) -> Tried {
        let cluster = self.place_of(at, forward.from)?;
        let command = Command::Forward {
            partition: forward.from,
            heir,
            revision: at.revision,
        };
        let until = Instant::now() + MOVE_STEP_TIMEOUT;
        match self.instructor.execute(cluster, command, until).await {
            Ok(_) => Ok(Step::Waits(format!(
                "{} has been told to pass its messages on",
                forward.from
            ))),
            Err(InstructError::Refused { refusal, .. }) if refusal.code == ErrorCode::Fenced => {
                // The queue's settings were changed since: this record gets a later revision.
                self.write_step(at, |_, _, _| (), None).await
            }
            Err(failed @ InstructError::Refused { .. }) => {
                let why = format!("what had not gone on stays: {failed}");
                self.give_up_forwarding(at, forward, why).await
            }
            Err(failed) => Err(failed.to_string()),
        }
    }

    /// From here on the heir is what is followed.
    async fn write_forwarded(
        &self,
        at: &At<MoveRecord>,
        forward: &ForwardRecord,
        passed: Passed,
    ) -> Tried {
        let Passed { messages, bytes } = passed;
        let text = format!(
            "{messages} messages of {bytes} bytes went on: {}",
            forward.text
        );
        let (from, heir) = (forward.from, forward.heir);
        let forwarded = |moving: &mut MoveRecord, queue: &mut QueueRecord, _| {
            moving.forwards.retain(|known| known.from != from);
            let empty = moving.seals.extract_if(.., |one| one.partition == from);
            moving.clears.extend(empty);
            moving.seals.push(heir);
            moving.heirs.push(heir.partition);
            queue.partitions.retain(|one| one.partition != from);
        };
        self.write_step(at, forwarded, Some((EventKind::Done, text)))
            .await
    }

    /// The heir is deleted, if it is there; the source keeps what it has.
    async fn give_up_forwarding(
        &self,
        at: &At<MoveRecord>,
        forward: &ForwardRecord,
        why: String,
    ) -> Tried {
        let text = format!("undone: {}. {why}", forward.text);
        let heir = forward.heir;
        let given_up = |moving: &mut MoveRecord, queue: &mut QueueRecord, _| {
            let is_heir = |one: PartitionId| one == heir.partition;
            moving
                .forwards
                .retain(|known| !is_heir(known.heir.partition));
            moving.clears.push(heir);
            queue.partitions.retain(|one| !is_heir(one.partition));
        };
        self.write_step(at, given_up, Some((EventKind::Undone, text)))
            .await
    }

    fn place_of(
        &self,
        at: &At<MoveRecord>,
        sealed: PartitionId,
    ) -> Result<shoal_types::ClusterId, String> {
        let known = at.record.sealed(sealed);
        let known = known.ok_or_else(|| format!("{sealed} is not followed any more"))?;
        Ok(known.cluster)
    }

    async fn succession_of(
        &self,
        at: &At<MoveRecord>,
        partition: PartitionId,
    ) -> Result<Succession, String> {
        let cluster = self.place_of(at, partition)?;
        let until = Instant::now() + MOVE_STEP_TIMEOUT;
        let query = Query::Succession { partition };
        match self.instructor.query(cluster, query, until).await {
            Ok(QueryReply::Succession(known)) => Ok(known),
            Ok(_) => Err(format!("{cluster} answered something else")),
            Err(why) => Err(why.to_string()),
        }
    }
}

impl At<MoveRecord> {
    /// True if the partition is followed and consumed to its end.
    pub(super) fn empties(&self, partition: PartitionId) -> bool {
        self.record.stage == MoveStage::Draining && self.record.sealed(partition).is_some()
    }
}
