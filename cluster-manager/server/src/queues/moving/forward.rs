//! What nobody consumes from a sealed partition goes on to an heir, so that its cluster becomes empty.
//!
//! ```text
//!            the heir exists            it has all
//!  Creating ────────────────► Passing ────────────► followed in the place of the one that is empty now
//!     │ its cluster cannot be reached
//!     └──► given up: the heir is deleted, and planned anew after a pause
//! ```
//! Written into the move's record and the queue's together, as the stages of the move are. The messages
//! themselves go from cluster to cluster without the manager.

use std::sync::Arc;

use shoal_api::Problem;
use shoal_api::plan::EventKind;
use shoal_types::{
    ClusterId, Command, ErrorCode, Heir, PartitionId, Passed, Query, QueryReply, QueueName,
    Succession, SuccessionStage,
};
use tokio::time::Instant;

use super::begin::refused;
use super::pursue::{Step, Tried};
use crate::executor::InstructError;
use crate::limits::{MOVE_PATIENCE, MOVE_STEP_TIMEOUT};
use crate::problem::store_problem;
use crate::queues::Queues;
use crate::records::{
    At, ForwardRecord, ForwardStage, MoveRecord, MoveStage, Noted, PartitionRecord, PartitionStage,
    QueueRecord, QueueStage,
};

impl Queues {
    /// Begins to forward what nobody consumes from a sealed partition.
    ///
    /// # Errors
    /// If there is no such partition, it is being forwarded already, as much is forwarded as may be, the
    /// cluster does not take it, or the store fails. Nothing was begun then.
    pub(crate) async fn begin_forwarding(
        self: &Arc<Self>,
        name: &QueueName,
        partition: PartitionId,
        to: ClusterId,
        why: &str,
    ) -> Result<(), Problem> {
        let at = self.moves.draining(partition);
        let at = at.ok_or_else(|| refused(format!("{partition} is not being emptied")))?;
        let source = *at.record.may_forward(partition).map_err(refused)?;
        if !self.moves.may_forward() {
            return Err(refused("as much is forwarded as may be".to_owned()));
        }
        if source.cluster == to {
            return Err(refused(format!("{partition} is on {to} already")));
        }
        let queue = self.queue_of(&at).await.map_err(refused)?;
        let queue = queue.ok_or_else(|| refused(format!("{name} is being deleted")))?;
        // What its clusters have not heard of yet would come to them with an earlier revision than this.
        if queue.record.stage != QueueStage::Active {
            return Err(refused(format!("{name} is being changed")));
        }
        let targets = self.targets(&[to]).map_err(refused)?;
        let heir = self.ids.partition(&*self.store).await;
        let heir = PartitionRecord {
            partition: heir.map_err(|error| store_problem(&error))?,
            cluster: to,
            stage: PartitionStage::Held,
            since: self.clock.now().wall,
            ..source
        };
        let text = format!(
            "forward what {name} has on {} to {}: {why}",
            source.cluster, heir.cluster
        );
        let mut is_changed_meanwhile = false;
        let begun = |moving: &mut MoveRecord, queue: &mut QueueRecord, _| {
            if queue.stage != QueueStage::Active {
                is_changed_meanwhile = true;
                return;
            }
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
        self.write_step_beside(&at, &targets, begun, told).await?;
        if is_changed_meanwhile {
            return Err(refused(format!("{name} is being changed")));
        }
        self.moves.wake(at.record.id);
        Ok(())
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
        let heir = forward.heir;
        match self.heir_created(at, forward).await {
            Ok(()) => {
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
                self.write_step(at, created, None).await
            }
            Err(NotCreated { why, is_refused }) => {
                let tried_for = self.clock.now().wall.since(heir.since);
                if is_refused || tried_for > MOVE_PATIENCE.as_micros() as u64 {
                    let why = format!("nothing went on: {why}");
                    return self.give_up_forwarding(at, forward, why).await;
                }
                Err(why)
            }
        }
    }

    async fn heir_created(
        &self,
        at: &At<MoveRecord>,
        forward: &ForwardRecord,
    ) -> Result<(), NotCreated> {
        let Some(queue) = self.queue_of(at).await? else {
            return Err(format!("{} is being deleted", at.record.name).into());
        };
        let heir = forward.heir;
        let seal = match self.succession_of(at, forward.from).await?.stage {
            SuccessionStage::Sealed { seal, .. } => seal,
            SuccessionStage::Forwarding {
                seal, heir: known, ..
            } if known.partition == heir.partition => seal,
            SuccessionStage::Forwarding { heir: known, .. } => {
                return Err(has_another_heir(forward, &known).into());
            }
            other => return Err(format!("{} is not sealed: {other:?}", forward.from).into()),
        };
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
        created.map_err(|failed| NotCreated {
            is_refused: matches!(failed, InstructError::Refused { .. }),
            why: failed.to_string(),
        })?;
        let is_heir = |one: &PartitionRecord| one.partition == heir.partition;
        let QueueRecord { name, queue, .. } = &queue.record;
        self.tell_where_dead_letters_go(name, *queue, is_heir, until)
            .await
            .map_err(|problem| problem.detail.to_string().into())
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
            SuccessionStage::Forwarding { heir: other, .. }
                if other.partition != heir.partition =>
            {
                let why = has_another_heir(forward, &other);
                self.give_up_forwarding(at, forward, why).await
            }
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
        let queue = self.queue_of(at).await?;
        // Settings that are on their way would come with an earlier revision than this, and be refused.
        let is_settled = queue.is_some_and(|queue| {
            queue.record.stage == QueueStage::Active || queue.revision > at.revision
        });
        if !is_settled {
            let why = format!("{}'s settings are on their way", at.record.name);
            return Ok(Step::Waits(why));
        }
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
        let given_up = |moving: &mut MoveRecord, queue: &mut QueueRecord, now| {
            moving.note_given_up(forward.from, heir.cluster, now);
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

    fn place_of(&self, at: &At<MoveRecord>, sealed: PartitionId) -> Result<ClusterId, String> {
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

/// The source passes its messages on to one that this manager did not name: it was made by an earlier
/// instruction, or the store was rebuilt without the cluster that it is on.
fn has_another_heir(forward: &ForwardRecord, heir: &Heir) -> String {
    let (from, to, cluster) = (forward.from, heir.partition, heir.cluster);
    format!("{from} still passes its messages on to {to} on {cluster}")
}

/// Why there is no heir yet.
struct NotCreated {
    why: String,
    /// Its cluster will not make it.
    is_refused: bool,
}

impl From<String> for NotCreated {
    fn from(why: String) -> Self {
        Self {
            why,
            is_refused: false,
        }
    }
}

impl At<MoveRecord> {
    /// True if the partition is followed and consumed to its end.
    pub(super) fn empties(&self, partition: PartitionId) -> bool {
        self.record.stage == MoveStage::Draining && self.record.sealed(partition).is_some()
    }
}
