//! What the queues are to do, said a second time in the plainest way: every message in one list,
//! every question answered by looking at all of it.
//!
//! A reference to hold the real state machine against, in `shared/queue`'s tests and in the simulator.
//! Shares nothing with `shoal-queue` but the vocabulary of `shoal-types`, and is allowed to be slow.

mod forwarding;
mod partition;
mod succession;

use std::collections::{BTreeMap, BTreeSet};

use partition::{Leases, Message, Partition, Wanted, leases};
use shoal_types::limits::{
    DEDUPLICATION_WINDOW, DESCRIPTION_BYTES_MAX, DUE_ITEMS_PER_ENTRY, LEASED_MAX, SEALED_WAIT_MAX,
    WAITERS_MAX,
};
use shoal_types::{
    AttemptKey, Command, Delivery, Description, ErrorCode, Origin, Outcome, PartitionCounts,
    PartitionId, PartitionSettings, Peeked, Position, ReceiptResult, Refusal, Request, RequestId,
    Revision, SendResult, Sequence, Ts,
};

/// A waiting receive was given messages; none: its wait is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Whose client waits.
    pub origin: Origin,
    /// The request id of the receive.
    pub waiter: RequestId,
    /// What it gets.
    pub deliveries: Vec<Delivery>,
}

/// All queues of a cluster.
#[derive(Default)]
pub struct Model {
    now: Ts,
    /// To which version the rules were raised last; 0 if never.
    version: u16,
    partitions: BTreeMap<PartitionId, Partition>,
    deleted: BTreeMap<PartitionId, Revision>,
    seen: BTreeMap<RequestId, (Ts, Answer)>,
    /// In the order in which they began to wait.
    waiters: Vec<Waiter>,
}

enum Answer {
    Plain(Outcome),
    Taken(Vec<Delivery>),
    Leased(PartitionId, Origin, Leases),
    /// Under an attempt id.
    Attempted(PartitionId, Leases),
    Waiting,
}

#[derive(Clone)]
struct Waiter {
    id: RequestId,
    partition: PartitionId,
    origin: Origin,
    until: Ts,
    wanted: Wanted,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Lease(u64),
    Delay(u64),
    TimeToLive(u64),
    Retention(u64),
    Wait(RequestIdByAge),
}

/// A waiter's place in the list of waiters, and its id.
type RequestIdByAge = (usize, RequestId);

impl Model {
    /// An entry begins: its time comes, and what is due by then is done.
    pub fn begin_entry(&mut self, at: Position, effects: &mut Vec<Given>) {
        self.now = at.ts;
        let mut touched = BTreeSet::new();
        for _ in 0..DUE_ITEMS_PER_ENTRY {
            let Some((at, partition, due)) = self.due(None) else {
                break;
            };
            if at > self.now {
                break;
            }
            self.do_due(partition, due, effects);
            touched.insert(partition);
        }
        for partition in touched {
            self.serve_waiters(partition, effects);
        }
    }

    /// When something is due next.
    #[must_use]
    pub fn next_due(&self) -> Option<Ts> {
        self.due(None).map(|(at, ..)| at)
    }

    fn due(&self, only: Option<PartitionId>) -> Option<(Ts, PartitionId, Due)> {
        let mut due = Vec::new();
        for (id, p) in &self.partitions {
            if only.is_some_and(|only| only != *id) {
                continue;
            }
            for m in &p.messages {
                due.extend(m.leased_until.map(|at| (at, *id, Due::Lease(m.number))));
                due.extend(m.delayed_until.map(|at| (at, *id, Due::Delay(m.number))));
                due.extend(m.ttl_ends.map(|at| (at, *id, Due::TimeToLive(m.number))));
                let kept = m.sent_at.after(p.settings.retention);
                due.push((kept, *id, Due::Retention(m.number)));
            }
            for (age, waiter) in self.waiters.iter().enumerate() {
                if waiter.partition == *id {
                    due.push((waiter.until, *id, Due::Wait((age, waiter.id))));
                }
            }
        }
        due.into_iter().min()
    }

    fn do_due(&mut self, id: PartitionId, due: Due, effects: &mut Vec<Given>) {
        let partition = self.partitions.get_mut(&id).unwrap();
        match due {
            Due::Lease(number) => partition.message(number).unwrap().leased_until = None,
            Due::Delay(number) => partition.message(number).unwrap().delayed_until = None,
            Due::TimeToLive(number) | Due::Retention(number) => partition.remove(number),
            Due::Wait((_, waiter)) => self.end_wait(waiter, Vec::new(), effects),
        }
    }

    /// Nobody waits at a partition any more.
    fn end_all_waits(&mut self, id: PartitionId, effects: &mut Vec<Given>) {
        let waiters = self.waiters.iter().enumerate();
        let here = waiters.filter(|(_, w)| w.partition == id);
        let mut here: Vec<_> = here.map(|(age, w)| (w.until, age, w.id)).collect();
        here.sort_unstable();
        for (_, _, waiter) in here {
            self.end_wait(waiter, Vec::new(), effects);
        }
    }

    fn end_wait(&mut self, id: RequestId, deliveries: Vec<Delivery>, effects: &mut Vec<Given>) {
        let age = self.waiters.iter().position(|w| w.id == id).unwrap();
        let waiter = self.waiters.remove(age);
        self.note_received(
            id,
            waiter.partition,
            waiter.origin,
            waiter.wanted,
            &deliveries,
        );
        effects.push(Given {
            origin: waiter.origin,
            waiter: id,
            deliveries,
        });
    }

    fn note_received(
        &mut self,
        id: RequestId,
        partition: PartitionId,
        origin: Origin,
        wanted: Wanted,
        deliveries: &[Delivery],
    ) {
        if let Some((_, answer)) = self.seen.get_mut(&id) {
            *answer = if wanted.auto_ack && !deliveries.is_empty() {
                Answer::Taken(deliveries.to_vec())
            } else if wanted.attempt.is_some() {
                Answer::Attempted(partition, leases(deliveries))
            } else {
                Answer::Leased(partition, origin, leases(deliveries))
            };
        }
    }

    fn serve_waiters(&mut self, id: PartitionId, effects: &mut Vec<Given>) {
        loop {
            let Some(partition) = self.partitions.get_mut(&id) else {
                return;
            };
            let may_lease = partition.leased() < LEASED_MAX;
            let can_serve = |w: &&Waiter| w.partition == id && (may_lease || w.wanted.auto_ack);
            let Some(waiter) = self.waiters.iter().find(can_serve).cloned() else {
                return;
            };
            let budget = usize::from(waiter.wanted.max) + 16;
            let deliveries = partition.take(id, waiter.wanted, budget, self.now);
            if deliveries.is_empty() {
                return;
            }
            self.end_wait(waiter.id, deliveries, effects);
        }
    }

    /// A view was installed: receives whose client waits at none of `origins` are forgotten.
    pub fn view_installed(&mut self, origins: &[Origin]) {
        let seen = &mut self.seen;
        self.waiters.retain(|waiter| {
            let stays = origins.contains(&waiter.origin);
            if !stays {
                seen.remove(&waiter.id);
            }
            stays
        });
    }

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

    fn known(&mut self, id: PartitionId) -> Result<&mut Partition, ErrorCode> {
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
        let now = self.now;
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
            Command::Purge { partition } => {
                let p = self.known(*partition)?;
                p.messages.clear();
                p.note_purged();
                Outcome::Done
            }
            Command::CancelWaiter { waiter, .. } => {
                self.cancel_waiter(*waiter, request.origin, effects);
                Outcome::Done
            }
            Command::Send { partition, items } => {
                let p = self.known(*partition)?;
                if p.settings.fifo && items.iter().any(|item| item.group.is_none()) {
                    return Err(ErrorCode::InvalidRequest);
                }
                if let Some(outcome) = p.turn_away(items, now) {
                    return Ok(outcome);
                }
                let mut sent = Vec::new();
                for item in items {
                    let fingerprinted =
                        matches!(item.deduplication, Some(d) if d.fingerprint.is_some());
                    sent.push(if fingerprinted && sent.contains(&SendResult::Conflict) {
                        SendResult::Conflict
                    } else {
                        p.send(item, now)
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
                self.receive(*partition, wanted, *wait_until, request, effects)
            }
            Command::Acknowledge {
                partition,
                receipts: given,
            } => {
                let p = self.known(*partition)?;
                let ack = |receipt| p.acknowledge(*partition, receipt, now);
                receipts(given.iter().map(ack).collect())
            }
            Command::ChangeVisibility { partition, changes } => {
                let p = self.known(*partition)?;
                let change = |change| p.change(*partition, change, now);
                receipts(changes.iter().map(change).collect())
            }
            Command::Release {
                partition,
                receipts: given,
                delay,
            } => {
                let p = self.known(*partition)?;
                let release = |receipt| p.give_back(*partition, receipt, *delay, false, now);
                receipts(given.iter().map(release).collect())
            }
            Command::Unreceive {
                partition,
                receipts: given,
            } => {
                let p = self.known(*partition)?;
                let undo = |receipt| p.give_back(*partition, receipt, 0, true, now);
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
        };
        if let Some(partition) = request.command.partition() {
            self.serve_waiters(partition, effects);
        }
        Ok(outcome)
    }

    fn receive(
        &mut self,
        id: PartitionId,
        wanted: Wanted,
        wait_until: Option<Ts>,
        request: &Request,
        effects: &mut Vec<Given>,
    ) -> Outcome {
        let now = self.now;
        let mut budget = usize::from(wanted.max) + 16;
        while budget > 0
            && let Some((at, _, due)) = self.due(Some(id))
            && at <= now
        {
            self.do_due(id, due, effects);
            budget -= 1;
        }
        self.serve_waiters(id, effects);

        let partition = self.partitions.get_mut(&id).unwrap();
        let same_attempt = |(key, at, _): &&(AttemptKey, Ts, Leases)| {
            !wanted.auto_ack && Some(*key) == wanted.attempt && now < at.after(DEDUPLICATION_WINDOW)
        };
        let mut deliveries = match partition.attempts.iter().rev().find(same_attempt) {
            Some((_, _, leases)) => partition.still_leased(id, leases, now),
            None => Vec::new(),
        };
        if deliveries.is_empty() {
            deliveries = partition.take(id, wanted, budget, now);
        }
        if request.id != RequestId(0) {
            self.seen
                .insert(request.id, (request.deadline, Answer::Waiting));
        }
        let mut until = wait_until.map_or(Ts::ZERO, |until| until.min(request.deadline));
        if self.partitions[&id].sealed.is_some() {
            until = until.min(now.after(SEALED_WAIT_MAX));
        }
        let waiting = self.waiters.iter().filter(|w| w.partition == id).count();
        if deliveries.is_empty()
            && until > now
            && request.id != RequestId(0)
            && waiting < WAITERS_MAX
        {
            self.waiters.push(Waiter {
                id: request.id,
                partition: id,
                origin: request.origin,
                until,
                wanted,
            });
            return Outcome::Waiting;
        }
        self.note_received(request.id, id, request.origin, wanted, &deliveries);
        Outcome::Received(deliveries)
    }

    fn configure(
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

    fn cancel_waiter(&mut self, id: RequestId, origin: Origin, effects: &mut Vec<Given>) {
        let now = self.now;
        match self.seen.get(&id) {
            Some((deadline, _)) if now > *deadline => {}
            Some((_, Answer::Waiting)) => {
                let mine = |w: &Waiter| w.id == id && w.origin == origin;
                if self.waiters.iter().any(mine) {
                    self.waiters.retain(|w| !mine(w));
                    self.seen.remove(&id);
                }
            }
            Some((_, Answer::Leased(partition, told, leases))) if *told == origin => {
                let partition = *partition;
                if let Some(p) = self.partitions.get_mut(&partition) {
                    for delivery in p.still_leased(partition, leases, now) {
                        p.give_back(partition, &delivery.receipt, 0, true, now);
                    }
                }
                self.seen.remove(&id);
                self.serve_waiters(partition, effects);
            }
            _ => {}
        }
    }

    /// The version of the rules that were raised to last; 0 if they never were.
    #[must_use]
    pub fn version(&self) -> u16 {
        self.version
    }

    /// How many messages are where. `None` if there is no such partition.
    #[must_use]
    pub fn counts(&self, id: PartitionId) -> Option<PartitionCounts> {
        let p = self.partitions.get(&id)?;
        let count = |f: fn(&Message) -> bool| p.messages.iter().filter(|m| f(m)).count() as u64;
        Some(PartitionCounts {
            ready: count(|m| m.leased_until.is_none() && m.delayed_until.is_none()),
            in_flight: count(|m| m.leased_until.is_some()),
            delayed: count(|m| m.delayed_until.is_some()),
            bytes: p.messages.iter().map(|m| u64::from(m.size)).sum(),
            oldest_sent_at: p.messages.first().map(|m| m.sent_at),
            last_sequence: if p.last == 0 {
                Sequence(0)
            } else {
                p.sequence(p.last)
            },
        })
    }

    /// The first ready messages. `None` if there is no such partition.
    #[must_use]
    pub fn peek(&self, id: PartitionId, limit: usize) -> Option<Vec<Peeked>> {
        let p = self.partitions.get(&id)?;
        let shown = |m: &&Message| m.ready() && !m.expired(self.now, p.settings.retention);
        let peeked = |m: &Message| Peeked {
            sequence: p.sequence(m.number),
            sent_at: m.sent_at,
            receive_count: m.receives,
            group: m.group.clone(),
            size: m.size,
            crc: m.crc,
        };
        let shown = p.messages.iter().filter(shown).take(limit);
        Some(shown.map(peeked).collect())
    }

    /// What was noted down beside a partition.
    #[must_use]
    pub fn description(&self, id: PartitionId) -> Option<&Description> {
        self.partitions.get(&id)?.description.as_ref()
    }

    /// The highest revision of all instructions that were carried out, also on partitions that are gone.
    #[must_use]
    pub fn instructed(&self) -> Revision {
        let partitions = self.partitions.values().map(Partition::instructed);
        let all = partitions.chain(self.deleted.values().copied());
        all.max().unwrap_or_default()
    }

    /// All partitions, by id.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionId> {
        self.partitions.keys().copied()
    }
}
