//! What each command does, and that a request that comes again gets its first answer.

use shoal_types::limits::DESCRIPTION_BYTES_MAX;
use shoal_types::{
    Command, ErrorCode, Outcome, PartitionId, PartitionSettings, ReceiptResult, Refusal, Request,
    RequestId, Revision, SendResult,
};

use crate::partition::{Partition, Wanted};
use crate::{Answer, Given, Model};

impl Model {
    /// Executes a request of the entry begun last. The words of a refusal are left out: the code is
    /// what is promised.
    pub fn apply(&mut self, request: &Request, effects: &mut Vec<Given>) -> Outcome {
        let refuse = |code| Outcome::Refused(Refusal::not_applied(code, ""));
        if self.now > request.deadline {
            return refuse(ErrorCode::DeadlineExceeded);
        }
        if let Some(outcome) = self.answer_again(request) {
            return outcome;
        }
        let outcome = match self.execute(request, effects) {
            Ok(outcome) => outcome,
            Err(code) => return refuse(code),
        };
        let is_remembered = matches!(
            outcome,
            Outcome::Done | Outcome::Sent(_) | Outcome::Receipts(_)
        );
        if request.id != RequestId(0) && is_remembered {
            let answer = Answer::Plain(outcome.clone());
            self.seen.insert(request.id, (request.deadline, answer));
        }
        outcome
    }

    fn answer_again(&mut self, request: &Request) -> Option<Outcome> {
        let now = self.now;
        let (_, answer) = self
            .seen
            .get_mut(&request.id)
            .filter(|(deadline, _)| now <= *deadline)?;
        Some(match answer {
            Answer::Plain(outcome) => outcome.clone(),
            Answer::Taken(deliveries) => Outcome::Received(deliveries.clone()),
            Answer::Leased(id, origin, leases) => {
                *origin = request.origin;
                let partition = self.partitions.get(id);
                Outcome::Received(
                    partition.map_or_else(Vec::new, |p| p.still_leased(*id, leases, now)),
                )
            }
            Answer::Attempted(id, leases) => {
                let partition = self.partitions.get(id);
                Outcome::Received(
                    partition.map_or_else(Vec::new, |p| p.still_leased(*id, leases, now)),
                )
            }
            Answer::Waiting => {
                let waiter = self.waiters.iter_mut().find(|w| w.id == request.id);
                waiter.unwrap().origin = request.origin;
                Outcome::Waiting
            }
        })
    }

    pub(crate) fn known(&mut self, id: PartitionId) -> Result<&mut Partition, ErrorCode> {
        let code = if self.deleted.contains_key(&id) {
            ErrorCode::QueueNotFound
        } else {
            ErrorCode::StaleRoute
        };
        self.partitions.get_mut(&id).ok_or(code)
    }

    fn execute(
        &mut self,
        request: &Request,
        effects: &mut Vec<Given>,
    ) -> Result<Outcome, ErrorCode> {
        let when = self.when();
        let receipts = |results: Vec<ReceiptResult>| Outcome::Receipts(results);
        let outcome = match &request.command {
            Command::Tick => Outcome::Done,
            Command::RaiseVersion { to } => {
                self.version = self.version.max(to.0);
                Outcome::Done
            }
            Command::CreatePartition {
                partition,
                settings,
                revision,
            } => match self.partitions.get(partition) {
                Some(p) if p.revision >= *revision => Outcome::Done,
                Some(_) => self.configure(*partition, *settings, *revision)?,
                None if self.deleted.contains_key(partition) => return Err(ErrorCode::Fenced),
                None => {
                    let new = Partition::new(*settings, *revision);
                    self.partitions.insert(*partition, new);
                    Outcome::Done
                }
            },
            Command::ConfigurePartition {
                partition,
                settings,
                revision,
            } => {
                self.known(*partition)?;
                self.configure(*partition, *settings, *revision)?
            }
            Command::DeletePartition {
                partition,
                revision,
            } => self.delete(*partition, *revision, effects)?,
            Command::Purge { partition } => self.known(*partition)?.purge(),
            Command::CancelWaiter { waiter, .. } => {
                self.cancel_waiter(*waiter, request.origin, effects);
                Outcome::Done
            }
            Command::Send { partition, items } => {
                let p = self.known(*partition)?;
                if p.settings.fifo && items.iter().any(|item| item.group.is_none()) {
                    return Err(ErrorCode::InvalidRequest);
                }
                if let Some(outcome) = p.turn_away(items, when.now) {
                    return Ok(outcome);
                }
                let mut sent = Vec::new();
                for item in items {
                    let fingerprinted =
                        matches!(item.deduplication, Some(d) if d.fingerprint.is_some());
                    sent.push(if fingerprinted && sent.contains(&SendResult::Conflict) {
                        SendResult::Conflict
                    } else {
                        p.send(item, when)
                    });
                }
                Outcome::Sent(sent)
            }
            Command::Receive {
                partition,
                max,
                visibility,
                wait_until,
                attempt,
                auto_ack,
            } => {
                self.known(*partition)?;
                if *max == 0 || *max > 1_000 {
                    return Err(ErrorCode::InvalidRequest);
                }
                let wanted = Wanted {
                    max: *max,
                    visibility: *visibility,
                    attempt: *attempt,
                    auto_ack: *auto_ack,
                };
                self.receive(*partition, wanted, *wait_until, request, effects)?
            }
            Command::Acknowledge {
                partition,
                receipts: given,
            } => {
                let p = self.known(*partition)?;
                let ack = |receipt| p.acknowledge(*partition, receipt, when);
                receipts(given.iter().map(ack).collect())
            }
            Command::ChangeVisibility { partition, changes } => {
                let p = self.known(*partition)?;
                let change = |change| p.change(*partition, change, when);
                receipts(changes.iter().map(change).collect())
            }
            Command::Release {
                partition,
                receipts: given,
                delay,
            } => {
                let p = self.known(*partition)?;
                let release = |receipt| p.give_back(*partition, receipt, *delay, false, when);
                receipts(given.iter().map(release).collect())
            }
            Command::Unreceive {
                partition,
                receipts: given,
            } => {
                let p = self.known(*partition)?;
                let undo = |receipt| p.give_back(*partition, receipt, 0, true, when);
                receipts(given.iter().map(undo).collect())
            }
            Command::CreateSuccessor { .. }
            | Command::Seal { .. }
            | Command::Succeed { .. }
            | Command::ToldDrained { .. } => self.succession_command(&request.command, effects)?,
            Command::Describe {
                partition,
                description,
            } => {
                let p = self.known(*partition)?;
                if description.bytes.len() > DESCRIPTION_BYTES_MAX {
                    return Err(ErrorCode::TooLarge);
                }
                match &p.description {
                    Some(kept) if kept.revision > description.revision => {
                        return Err(ErrorCode::Fenced);
                    }
                    Some(kept) if kept.revision == description.revision => {}
                    _ => p.description = Some(description.clone()),
                }
                Outcome::Done
            }
            Command::CreateHeir { .. }
            | Command::Forward { .. }
            | Command::NextPiece { .. }
            | Command::TakePiece { .. }
            | Command::EndForwarding { .. } => self.forwarding_command(&request.command)?,
            Command::SetDeadLetters { .. }
            | Command::StartMove { .. }
            | Command::CancelMove { .. }
            | Command::NextParcel { .. }
            | Command::TakeParcel { .. }
            | Command::RedirectParcel { .. }
            | Command::ReturnParcel { .. } => self.transfer_command(&request.command)?,
        };
        if let Some(partition) = request.command.partition() {
            self.serve_waiters(partition, effects);
        }
        Ok(outcome)
    }

    pub(crate) fn configure(
        &mut self,
        id: PartitionId,
        settings: PartitionSettings,
        revision: Revision,
    ) -> Result<Outcome, ErrorCode> {
        let p = self.known(id)?;
        if revision < p.revision {
            return Err(ErrorCode::Fenced);
        }
        if revision > p.revision {
            if settings.epoch != p.settings.epoch || settings.fifo != p.settings.fifo {
                return Err(ErrorCode::InvalidRequest);
            }
            p.settings = settings;
            p.revision = revision;
        }
        Ok(Outcome::Done)
    }

    fn delete(
        &mut self,
        id: PartitionId,
        revision: Revision,
        effects: &mut Vec<Given>,
    ) -> Result<Outcome, ErrorCode> {
        if let Some(p) = self.partitions.get(&id) {
            if p.instructed() > revision {
                return Err(ErrorCode::Fenced);
            }
            self.end_all_waits(id, effects);
            self.partitions.remove(&id);
        }
        let deleted = self.deleted.entry(id).or_insert(revision);
        *deleted = revision.max(*deleted);
        Ok(Outcome::Done)
    }
}
