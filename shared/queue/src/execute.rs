//! What each command does.

use shoal_types::planted::{Bug, planted};
use shoal_types::{
    BodyRef, Command, ErrorCode, Outcome, PartitionId, PartitionSettings, Refusal, Request,
    RequestId, Revision,
};

use crate::Effect;
use crate::admission::{check_deadline, check_form, check_numbers};
use crate::machine::Machine;
use crate::partition::{Partition, Step};
use crate::remains::{DeadPiece, Remains};
use crate::remembered::{Answer, Wanted};

pub(crate) type Executed = Result<Outcome, Refusal>;

pub(crate) fn fenced() -> Refusal {
    Refusal::not_applied(
        ErrorCode::Fenced,
        "a later instruction was carried out already",
    )
}

impl Machine {
    pub(crate) fn execute(
        &mut self,
        request: &Request,
        bodies: &[BodyRef],
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        let now = self.executed.ts;
        if let Err(refusal) = check_deadline(request, now) {
            return Outcome::Refused(refusal);
        }
        if let Some(position) = self.remembered.find(request.id, now)
            && !planted(Bug::RepetitionExecutedAgain)
        {
            return self.answer_again(position, request);
        }
        match self.execute_new(request, bodies, effects) {
            Ok(outcome) => {
                let revision = request.command.revision().unwrap_or_default();
                self.instructed = self.instructed.max(revision);
                self.remember(request, &outcome);
                outcome
            }
            // Nothing was applied, so a repetition may as well be tried.
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    fn execute_new(
        &mut self,
        request: &Request,
        bodies: &[BodyRef],
        effects: &mut Vec<Effect>,
    ) -> Executed {
        match &request.command {
            Command::Tick => Ok(Outcome::Done),
            Command::RaiseVersion { to } => {
                self.version = self.version.max(*to);
                Ok(Outcome::Done)
            }
            Command::CreatePartition {
                partition,
                settings,
                revision,
            } => self.create(*partition, *settings, *revision, effects),
            Command::ConfigurePartition {
                partition,
                settings,
                revision,
            } => {
                self.known(*partition)?;
                self.configure(*partition, *settings, *revision, effects)
            }
            Command::DeletePartition {
                partition,
                revision,
            } => self.delete(*partition, *revision, effects),
            Command::Purge { partition } => {
                self.known(*partition)?;
                Ok(self.purge(*partition, effects))
            }
            Command::CancelWaiter { waiter, .. } => {
                self.cancel_waiter(*waiter, request, effects);
                Ok(Outcome::Done)
            }
            Command::Send { partition, items } => {
                let known = self.known(*partition)?;
                check_form(&request.command, &known.settings)?;
                if let Some(outcome) = known.turn_away(items, self.executed.ts) {
                    return Ok(outcome);
                }
                check_numbers(known, items.len())?;
                self.on_messages(*partition, request, effects, |partition, step| {
                    Outcome::Sent(partition.send(items, bodies, step))
                })
            }
            Command::Receive {
                partition,
                max,
                visibility,
                wait_until,
                attempt,
                auto_ack,
            } => {
                let wanted = Wanted {
                    max: *max,
                    visibility: *visibility,
                    attempt: *attempt,
                    auto_ack: *auto_ack,
                };
                self.on_messages(*partition, request, effects, |partition, step| {
                    partition.receive(request, wanted, *wait_until, step)
                })
            }
            Command::Acknowledge {
                partition,
                receipts,
            } => self.on_messages(*partition, request, effects, |partition, step| {
                Outcome::Receipts(partition.acknowledge(receipts, step))
            }),
            Command::ChangeVisibility { partition, changes } => {
                self.on_messages(*partition, request, effects, |partition, step| {
                    Outcome::Receipts(partition.change_visibility(changes, step))
                })
            }
            Command::Release {
                partition,
                receipts,
                delay,
            } => self.on_messages(*partition, request, effects, |partition, step| {
                Outcome::Receipts(partition.release(receipts, *delay, step))
            }),
            Command::Unreceive {
                partition,
                receipts,
            } => self.on_messages(*partition, request, effects, |partition, step| {
                Outcome::Receipts(partition.unreceive(receipts, step))
            }),
            Command::CreateSuccessor {
                partition,
                settings,
                revision,
                succeeds,
            } => {
                self.check_succession(&request.command)?;
                self.create_successor(*partition, *settings, *revision, succeeds, effects)
            }
            Command::Seal {
                partition,
                successors,
                revision,
            } => {
                self.check_succession(&request.command)?;
                self.seal(*partition, successors, *revision, effects)
            }
            Command::Succeed {
                partition,
                seal,
                news,
            } => {
                self.check_succession(&request.command)?;
                self.succeed(*partition, seal, news, effects)
            }
            Command::ToldDrained {
                partition,
                successors,
            } => {
                self.check_succession(&request.command)?;
                self.told_drained(*partition, successors, effects)
            }
            Command::Describe {
                partition,
                description,
            } => self.describe(*partition, description, effects),
            Command::CreateHeir { .. }
            | Command::Forward { .. }
            | Command::NextPiece { .. }
            | Command::TakePiece { .. }
            | Command::EndForwarding { .. } => {
                self.check_succession(&request.command)?;
                self.pass_on(&request.command, bodies, effects)
            }
            Command::SetDeadLetters { .. }
            | Command::StartMove { .. }
            | Command::CancelMove { .. }
            | Command::NextParcel { .. }
            | Command::TakeParcel { .. }
            | Command::RedirectParcel { .. }
            | Command::ReturnParcel { .. } => {
                self.check_transfers(&request.command)?;
                self.transfer(&request.command, bodies, effects)
            }
        }
    }

    /// Runs a command on a partition's messages; what it made ready goes to those who wait.
    fn on_messages(
        &mut self,
        id: PartitionId,
        request: &Request,
        effects: &mut Vec<Effect>,
        act: impl FnOnce(&mut Partition, &mut Step<'_>) -> Outcome,
    ) -> Executed {
        check_form(&request.command, &self.known(id)?.settings)?;
        let outcome = self.on_partition(id, effects, |partition, step| {
            let outcome = act(partition, step);
            partition.serve_waiters(step);
            outcome
        });
        Ok(outcome.expect("it is known"))
    }

    /// Receives are remembered where they are executed: their answer may come later.
    fn remember(&mut self, request: &Request, outcome: &Outcome) {
        if request.id == RequestId(0) {
            return;
        }
        let answer = match outcome {
            Outcome::Done => Answer::Done,
            Outcome::Sent(results) => Answer::Sent(results.as_slice().into()),
            Outcome::Receipts(results) => Answer::Receipts(results.as_slice().into()),
            Outcome::Received(_)
            | Outcome::Waiting
            | Outcome::Refused(_)
            | Outcome::Sealed(_)
            | Outcome::Closed { .. }
            | Outcome::Taken { .. }
            // Purged once more it names the same once more, and nothing is sent there in between.
            | Outcome::PurgedBut { .. } => return,
        };
        let now = self.executed.ts;
        self.remembered
            .remember(request.id, request.deadline, answer, now, &mut self.bodies);
    }

    /// The first answer once more. A receive that waits does so at the host that asks now; one that
    /// got leases gets those again that have not ended, and never new ones.
    fn answer_again(&mut self, position: u64, request: &Request) -> Outcome {
        self.remembered.rehome(position, request.origin);
        match self.remembered.answer(position) {
            Answer::Forgotten => panic!("forgotten requests are not found"),
            Answer::Done => Outcome::Done,
            Answer::Sent(results) => Outcome::Sent(results.to_vec()),
            Answer::Receipts(results) => Outcome::Receipts(results.to_vec()),
            Answer::Waiting(_) => Outcome::Waiting,
            Answer::Taken(taken) => Outcome::Received(taken.deliveries()),
            Answer::Leased(leases) => {
                let partition = self.partitions.get(&leases.partition);
                let now = self.executed.ts;
                Outcome::Received(
                    partition.map_or_else(Vec::new, |p| p.still_leased(&leases.leases, now)),
                )
            }
        }
    }

    fn create(
        &mut self,
        id: PartitionId,
        settings: PartitionSettings,
        revision: Revision,
        effects: &mut Vec<Effect>,
    ) -> Executed {
        if let Some(partition) = self.partitions.get(&id) {
            return if partition.revision >= revision {
                Ok(Outcome::Done)
            } else {
                self.configure(id, settings, revision, effects)
            };
        }
        if !self.deleted.may_create(id, revision) {
            return Err(fenced());
        }
        self.insert(Partition::new(id, settings, revision), effects);
        Ok(Outcome::Done)
    }

    pub(crate) fn insert(&mut self, partition: Partition, effects: &mut Vec<Effect>) {
        let id = partition.id;
        self.partitions.insert(id, Box::new(partition));
        self.on_partition(id, effects, |_, _| ());
    }

    /// The partition exists.
    pub(crate) fn configure(
        &mut self,
        id: PartitionId,
        settings: PartitionSettings,
        revision: Revision,
        effects: &mut Vec<Effect>,
    ) -> Executed {
        let configure = |partition: &mut Partition, _: &mut Step<'_>| {
            let now = &partition.settings;
            if partition.revision == revision {
                return Ok(Outcome::Done);
            }
            if partition.revision > revision {
                return Err(fenced());
            }
            if (now.epoch, now.fifo) != (settings.epoch, settings.fifo) {
                return Err(Refusal::not_applied(
                    ErrorCode::InvalidRequest,
                    "epoch, fifo: cannot change",
                ));
            }
            partition.settings = settings;
            partition.revision = revision;
            Ok(Outcome::Done)
        };
        self.on_partition(id, effects, configure)
            .expect("the caller looked")
    }

    fn delete(
        &mut self,
        id: PartitionId,
        revision: Revision,
        effects: &mut Vec<Effect>,
    ) -> Executed {
        match self.partitions.get(&id) {
            Some(partition) if partition.instructed() > revision => return Err(fenced()),
            Some(_) => self.deleted.insert(id, revision),
            None => {
                // Noted even so: its creation may be on its way yet.
                if self.deleted.revision(id) < Some(revision) {
                    self.deleted.insert(id, revision);
                }
                return Ok(Outcome::Done);
            }
        }
        self.on_partition(id, effects, |partition, step| partition.end_all_waits(step));
        let partition = *self.partitions.remove(&id).expect("it is known");
        if let Some(at) = partition.scheduled {
            self.schedule.remove(&(at, id));
        }
        if partition.lineage.is_some() {
            self.sealed.remove(&id);
            self.dead.push(DeadPiece::Lineage(id));
        }
        if partition.description.is_some() {
            self.dead.push(DeadPiece::Description(id));
        }
        if partition.transfers.is_some() {
            self.senders.remove(&id);
            self.dead.push(DeadPiece::Transfers(id));
        }
        self.messages -= partition.contents.messages();
        self.bytes -= partition.contents.bytes();
        self.remains.push_back(Remains::of_deletion(
            id,
            partition.contents,
            partition.keyed_sends,
            partition.attempts,
        ));
        Ok(Outcome::Done)
    }

    /// The partition exists.
    fn purge(&mut self, id: PartitionId, effects: &mut Vec<Effect>) -> Outcome {
        let purged = self.on_partition(id, effects, |partition, _| {
            partition.purged_through = partition.purged_now();
            let mut purged = partition.contents.take_all();
            for index in purged.slots.take_dirty() {
                partition.contents.slots.mark(index);
            }
            purged
        });
        let purged = purged.expect("the caller looked");
        if purged.messages() > 0 {
            self.remains.push_back(Remains::of_purge(id, purged));
        }
        let partition = &self.partitions[&id];
        let heir = partition.forwarding().map(|to| Box::new(to.heir.clone()));
        partition.seal().map_or(Outcome::Done, |seal| {
            let seal = Box::new(seal.clone());
            Outcome::PurgedBut { seal, heir }
        })
    }

    /// The client at the request's origin is gone. If it has come back through another host in the
    /// meantime, this is not about it any more. Leases under an attempt id stay: whoever comes with it
    /// again is told of them, and may have been already.
    fn cancel_waiter(&mut self, waiter: RequestId, request: &Request, effects: &mut Vec<Effect>) {
        let Some(position) = self.remembered.find(waiter, self.executed.ts) else {
            return;
        };
        match self.remembered.answer(position) {
            Answer::Waiting(waiter) if waiter.origin == request.origin => {
                self.remove_waiter(position);
            }
            Answer::Leased(leases) if leases.origin == request.origin && !leases.by_attempt => {
                let leases = leases.clone();
                self.remembered.unremember(position);
                self.on_partition(leases.partition, effects, |partition, step| {
                    let held = partition.still_leased(&leases.leases, step.now);
                    let receipts: Vec<_> = held.iter().map(|d| d.receipt).collect();
                    partition.unreceive(&receipts, step);
                    partition.serve_waiters(step);
                });
            }
            _ => {}
        }
    }
}
