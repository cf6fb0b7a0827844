//! How dead letters and tasks take messages to other queues, as plainly as the rest: what is dead or on its
//! way is marked, and every question is answered by looking at all messages.

use std::collections::{BTreeMap, BTreeSet};

use shoal_types::limits::{
    MOVE_PARTS_MAX, MOVE_QUEUES_MAX, PARCEL_AHEAD_MAX, PARCEL_MEMORY, PARCEL_SOURCES_MAX,
    PIECE_BYTES_MAX, PIECE_MESSAGES_MAX, RETENTION_S, TARGET_PARTS_MAX, UNSETTLED_TARGETS_MAX,
};
use shoal_types::{
    Command, DeadFrom, DeadLetters, ErrorCode, GroupRange, MessageId, MoveProgress, MoveStatus,
    MoveTask, MoveTo, Outbox, Outcome, Parcel, Parceled, PartitionId, QueueId, Revision, Seal,
    Sequence, Target, TargetPart, Ts, group_hash,
};

use crate::Model;
use crate::partition::{Message, Partition, When};
use crate::succession::{are_members, is_seal};
use crate::turns::takes_turns;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Contains {
    Dead,
    Moved,
    Nothing,
}

struct UnderWay {
    to: TargetPart,
    contains: Contains,
    numbers: Vec<u64>,
}

struct Task {
    task: MoveTask,
    progress: MoveProgress,
    next: u64,
    looked_at: u64,
    last: u64,
    not_before: Ts,
}

struct Arrival {
    parcel: u64,
    at: Ts,
    settled: bool,
}

/// What a partition knows of messages that go to other queues and come from there.
#[derive(Default)]
pub(crate) struct Transfers {
    dead_letters: Option<DeadLetters>,
    queue: QueueId,
    dead_letters_revision: Revision,
    target_gone: bool,
    deaths: u64,
    delivered: u64,
    parcels: u64,
    parcel: Option<UnderWay>,
    unsettled: BTreeMap<PartitionId, TargetPart>,
    went: BTreeSet<u64>,
    task: Option<Task>,
    task_revision: Revision,
    died_last: bool,
    arrivals: BTreeMap<PartitionId, Arrival>,
}

impl Transfers {
    fn targets(&mut self) -> Vec<&mut Target> {
        let dead = self.dead_letters.iter_mut().map(|known| &mut known.to);
        let moved = self
            .task
            .iter_mut()
            .flat_map(|task| match &mut task.task.to {
                MoveTo::One(target) => vec![target],
                MoveTo::Origins(targets) => targets.iter_mut().collect(),
            });
        dead.chain(moved).collect()
    }

    fn end_task(&mut self, status: MoveStatus) {
        let moves = |one: &UnderWay| one.contains == Contains::Moved;
        let is_on_its_way = self.parcel.as_ref().is_some_and(moves);
        if let Some(task) = &mut self.task {
            let now = &mut task.progress.status;
            if *now == MoveStatus::Running {
                *now = if is_on_its_way && status == MoveStatus::Cancelled {
                    MoveStatus::Cancelling
                } else {
                    status
                };
            } else if *now == MoveStatus::Cancelling && !is_on_its_way {
                *now = MoveStatus::Cancelled;
            }
        }
    }

    fn end_if_cancelling(&mut self) {
        let status = self.task.as_ref().map(|task| task.progress.status);
        if status == Some(MoveStatus::Cancelling) {
            self.end_task(MoveStatus::Cancelled);
        }
    }
}

impl Partition {
    /// Where its messages go when they die.
    fn dying(&self) -> Option<&DeadLetters> {
        let known = self.transfers.as_ref().filter(|known| !known.target_gone);
        known?.dead_letters.as_ref()
    }

    pub(crate) fn transfers_instructed(&self) -> Revision {
        let known = self.transfers.as_ref();
        known.map_or(Revision(0), |known| {
            known.dead_letters_revision.max(known.task_revision)
        })
    }

    pub(crate) fn transfers_are_settled(&self) -> bool {
        self.transfers.as_ref().is_none_or(|known| {
            known.parcel.is_none()
                && known.unsettled.is_empty()
                && known.arrivals.values().all(|one| one.settled)
        })
    }

    pub(crate) fn was_taken(&self, number: u64) -> bool {
        let known = self.transfers.as_ref();
        known.is_some_and(|known| known.went.contains(&number))
    }

    pub(crate) fn has_moved_parcel(&self) -> bool {
        let parcel = self
            .transfers
            .as_ref()
            .and_then(|known| known.parcel.as_ref());
        parcel.is_some_and(|one| one.contains == Contains::Moved)
    }

    pub(crate) fn is_doomed(&self, m: &Message) -> bool {
        self.dying()
            .is_some_and(|known| m.receives >= u32::from(known.max_receives) && m.receives > 0)
    }

    fn is_first_of_group(&self, m: &Message) -> bool {
        let mut others = self.messages.iter();
        !self.settings.fifo
            || !others.any(|o| o.group == m.group && o.number < m.number && o.dead.is_none())
    }

    pub(crate) fn die(&mut self, number: u64) {
        let known = self.transfers.as_mut().unwrap();
        known.deaths += 1;
        let place = known.deaths;
        let m = self.message(number).unwrap();
        m.delayed_until = None;
        m.dead = Some(place);
        self.line_up();
    }

    /// A lease of the message has ended, and counts.
    pub(crate) fn judge(&mut self, number: u64) {
        let m = self.message(number).unwrap().clone();
        if self.is_doomed(&m) && self.is_first_of_group(&m) {
            self.die(number);
        }
    }

    /// What is due at once: the message that dies, or that comes to life again.
    pub(crate) fn dies_now(&self) -> Option<u64> {
        let next = self.next(&BTreeSet::new(), &BTreeSet::new())?;
        self.is_doomed(&next).then_some(next.number)
    }

    pub(crate) fn revives_now(&self) -> Option<u64> {
        if self.dying().is_some() {
            return None;
        }
        let last = self.messages.iter().max_by_key(|m| m.dead)?;
        last.dead?;
        let parcel = self.transfers.as_ref().unwrap().parcel.as_ref();
        let on_its_way = parcel.is_some_and(|one| one.numbers.contains(&last.number));
        (!on_its_way).then_some(last.number)
    }

    pub(crate) fn sources_to_forget(&self) -> Vec<(Ts, PartitionId)> {
        let arrivals = self.transfers.iter().flat_map(|known| &known.arrivals);
        arrivals
            .map(|(from, one)| (one.at.after(PARCEL_MEMORY), *from))
            .collect()
    }

    pub(crate) fn forget_source(&mut self, from: PartitionId) {
        self.transfers.as_mut().unwrap().arrivals.remove(&from);
    }

    fn set_dead_letters(
        &mut self,
        dead_letters: Option<&DeadLetters>,
        revision: Revision,
    ) -> Result<Outcome, ErrorCode> {
        let known = self.transfers.get_or_insert_default();
        if revision < known.dead_letters_revision {
            return Err(ErrorCode::Fenced);
        }
        if revision > known.dead_letters_revision {
            known.dead_letters_revision = revision;
            known.dead_letters = dead_letters.cloned();
            known.queue = dead_letters.map_or(known.queue, |said| said.queue);
            known.target_gone = false;
        }
        Ok(Outcome::Done)
    }

    fn start_move(&mut self, task: &MoveTask, revision: Revision) -> Result<Outcome, ErrorCode> {
        let to_move = self.messages.iter();
        let to_move = to_move.filter(|m| m.counts_as_ready()).count() as u64;
        let last = self.last;
        if let Some(known) = &mut self.transfers {
            if revision < known.task_revision {
                return Err(ErrorCode::Fenced);
            }
            if let Some(before) = &known.task {
                if before.task.task == task.task {
                    known.task_revision = revision;
                    return Ok(Outcome::Done);
                }
                let status = before.progress.status;
                if matches!(status, MoveStatus::Running | MoveStatus::Cancelling) {
                    return Err(ErrorCode::InvalidRequest);
                }
            }
        }
        let known = self.transfers.get_or_insert_default();
        known.task_revision = revision;
        known.task = Some(Task {
            task: task.clone(),
            progress: MoveProgress {
                task: task.task,
                status: MoveStatus::Running,
                to_move,
                moved: 0,
                failed: 0,
            },
            next: 1,
            looked_at: 0,
            last,
            not_before: Ts::ZERO,
        });
        Ok(Outcome::Done)
    }

    fn cancel_move(&mut self, task: u64, revision: Revision) -> Result<Outcome, ErrorCode> {
        let known = self.transfers.as_mut().ok_or(ErrorCode::InvalidRequest)?;
        if known.task.as_ref().map(|known| known.task.task) != Some(task) {
            return Err(ErrorCode::InvalidRequest);
        }
        if revision < known.task_revision {
            return Err(ErrorCode::Fenced);
        }
        known.task_revision = revision;
        known.end_task(MoveStatus::Cancelled);
        Ok(Outcome::Done)
    }

    fn made(&self, number: u64) -> Result<u64, ErrorCode> {
        let known = self.transfers.as_ref().ok_or(ErrorCode::InvalidRequest)?;
        if number > known.parcels {
            return Err(ErrorCode::InvalidRequest);
        }
        Ok(known.parcels)
    }

    fn is_marked(&self, contains: Contains, number: u64) -> bool {
        let m = self.messages.iter().find(|m| m.number == number);
        m.is_some_and(|m| match contains {
            Contains::Dead => m.dead.is_some(),
            Contains::Moved => m.moves,
            Contains::Nothing => false,
        })
    }

    fn next_parcel(&mut self, taken: u64, now: Ts) -> Result<Outcome, ErrorCode> {
        if taken == self.made(taken)?
            && let Some(parcel) = self.transfers.as_mut().unwrap().parcel.take()
        {
            let mut gone = 0;
            for number in parcel.numbers {
                if self.is_marked(parcel.contains, number) {
                    if self.message(number).unwrap().leases > 0 {
                        self.transfers.as_mut().unwrap().went.insert(number);
                    }
                    self.remove(number);
                    gone += 1;
                }
            }
            let known = self.transfers.as_mut().unwrap();
            match parcel.contains {
                Contains::Dead => known.delivered += gone,
                Contains::Moved => {
                    known.task.as_mut().unwrap().progress.moved += gone;
                    known.end_if_cancelling();
                }
                Contains::Nothing => {}
            }
            if parcel.contains == Contains::Nothing {
                known.unsettled.remove(&parcel.to.partition);
            } else {
                known.unsettled.insert(parcel.to.partition, parcel.to);
            }
        }
        let has_messages = self.may_send_messages(now);
        let known = self.transfers.as_mut().unwrap();
        let settles = |one: &UnderWay| one.contains == Contains::Nothing;
        if has_messages && known.parcel.as_ref().is_some_and(settles) {
            known.parcel = None;
        }
        if known.parcel.is_none() {
            self.make_parcel(now);
        }
        Ok(Outcome::Done)
    }

    fn may_send_messages(&self, now: Ts) -> bool {
        self.has_messages_to_go(now) && !self.owes_too_many()
    }

    fn owes_too_many(&self) -> bool {
        let known = self.transfers.as_ref();
        known.is_some_and(|known| known.unsettled.len() >= UNSETTLED_TARGETS_MAX)
    }

    fn has_messages_to_go(&self, now: Ts) -> bool {
        let dead = self.dying().is_some() && self.messages.iter().any(|m| m.dead.is_some());
        dead || self.is_moving(now)
    }

    fn is_moving(&self, now: Ts) -> bool {
        let task = self
            .transfers
            .as_ref()
            .and_then(|known| known.task.as_ref());
        self.holds_nothing()
            && task.is_some_and(|task| {
                task.progress.status == MoveStatus::Running && task.not_before <= now
            })
    }

    fn make_parcel(&mut self, now: Ts) {
        let known = self.transfers.as_ref().unwrap();
        let turns: [fn(&mut Self, Ts) -> bool; 2] = if known.died_last {
            [Self::pack_task, Self::pack_dead]
        } else {
            [Self::pack_dead, Self::pack_task]
        };
        let made = !self.owes_too_many() && turns.iter().any(|pack| pack(self, now));
        let known = self.transfers.as_mut().unwrap();
        if !made && !known.unsettled.is_empty() {
            let turn = known.parcels as usize % known.unsettled.len();
            let to = known.unsettled.values().nth(turn).unwrap().clone();
            known.send_off(to, Contains::Nothing, Vec::new());
        }
    }

    fn pack_dead(&mut self, now: Ts) -> bool {
        let Some(target) = self.dying().map(|known| known.to.clone()) else {
            return false;
        };
        let turn = self.transfers.as_ref().unwrap().parcels as usize;
        let mut dead: Vec<_> = self.messages.iter().filter(|m| m.dead.is_some()).collect();
        dead.sort_by_key(|m| m.dead);
        let dead: Vec<Message> = dead.into_iter().take(PIECE_MESSAGES_MAX).cloned().collect();
        let (mut to, mut numbers, mut bytes) = (None, Vec::new(), 0);
        for m in dead {
            if m.expired(now, self.settings.retention) {
                self.remove(m.number);
                continue;
            }
            if !numbers.is_empty() && bytes + m.size as usize > PIECE_BYTES_MAX {
                break;
            }
            if goes_along(&m, &target, &mut to, turn) {
                numbers.push(m.number);
                bytes += m.size as usize;
            }
        }
        let known = self.transfers.as_mut().unwrap();
        if let Some(to) = to {
            known.send_off(to, Contains::Dead, numbers);
            return true;
        }
        false
    }

    fn pack_task(&mut self, now: Ts) -> bool {
        if !self.is_moving(now) {
            return false;
        }
        if self.is_forwarding() {
            self.transfers
                .as_mut()
                .unwrap()
                .end_task(MoveStatus::Failed);
            return false;
        }
        let known = self.transfers.as_mut().unwrap();
        let turn = known.parcels as usize;
        let mut task = known.task.take().unwrap();
        let (mut to, mut numbers, mut bytes) = (None, Vec::new(), 0);
        let (mut looked_at, mut later, mut at_end) = (0, None, true);
        let most = task.task.per_second.map_or(1_000, usize::from).min(1_000);
        let ready = self.messages.iter().filter(|m| m.ready());
        let there = ready.filter(|m| (task.next..=task.last).contains(&m.number));
        for m in there.cloned().collect::<Vec<_>>() {
            if looked_at == PIECE_MESSAGES_MAX || numbers.len() == most {
                at_end = false;
                break;
            }
            looked_at += 1;
            let target = match &task.task.to {
                MoveTo::One(target) => Some(target),
                MoveTo::Origins(targets) => m
                    .dead_from
                    .and_then(|from| targets.iter().find(|target| target.queue == from.queue)),
            };
            if m.expired(now, self.settings.retention) {
                self.remove(m.number);
            } else if self.is_doomed(&m) || !self.follows_what_goes(&m, &numbers) {
            } else if let Some(target) = target {
                if !numbers.is_empty() && bytes + m.size as usize > PIECE_BYTES_MAX {
                    at_end = false;
                    break;
                }
                if goes_along(&m, target, &mut to, turn) {
                    numbers.push(m.number);
                    bytes += m.size as usize;
                    self.message(m.number).unwrap().moves = true;
                    self.line_up();
                } else if later.is_none() {
                    later = Some(m.number);
                }
            } else if m.number > task.looked_at {
                task.progress.failed += 1;
            }
            task.looked_at = task.looked_at.max(m.number);
            task.next = m.number + 1;
        }
        if let Some(later) = later {
            task.next = later;
        } else if at_end && numbers.is_empty() {
            task.progress.status = MoveStatus::Completed;
        }
        let pace = task
            .task
            .per_second
            .map_or(0, |rate| 1_000_000u64.div_ceil(rate.into()));
        task.not_before = now.after(pace * numbers.len() as u64);
        let known = self.transfers.as_mut().unwrap();
        known.task = Some(task);
        if numbers.is_empty() {
            return false;
        }
        known.send_off(to.unwrap(), Contains::Moved, numbers);
        true
    }

    /// Nothing older of a FIFO group stays.
    fn follows_what_goes(&self, m: &Message, going: &[u64]) -> bool {
        let group = || self.messages.iter().filter(|o| o.group == m.group);
        let older = group().filter(|o| o.number < m.number && o.dead.is_none());
        let leased = group().any(|o| o.leased_until.is_some());
        let mut older = older.map(|o| o.number);
        !self.settings.fifo || !leased && older.all(|number| going.contains(&number))
    }

    fn under_way(&self, number: u64) -> Result<Option<PartitionId>, ErrorCode> {
        let made = self.made(number)?;
        let parcel = self.transfers.as_ref().unwrap().parcel.as_ref();
        Ok(parcel
            .filter(|_| number == made)
            .map(|one| one.to.partition))
    }

    fn undo_parcel(&mut self) -> Contains {
        let known = self.transfers.as_mut().unwrap();
        let parcel = known.parcel.take().unwrap();
        if parcel.contains == Contains::Moved {
            let task = known.task.as_mut().unwrap();
            task.next = task.next.min(parcel.numbers[0]);
            known.end_if_cancelling();
            for at in 0..self.messages.len() {
                self.messages[at].moves = false;
                self.line_up();
            }
        }
        parcel.contains
    }

    fn redirect(&mut self, number: u64, seal: &Seal) -> Result<Outcome, ErrorCode> {
        let Some(to) = self.under_way(number)? else {
            return Ok(Outcome::Done);
        };
        if seal.partition != to {
            return Err(ErrorCode::InvalidRequest);
        }
        let known = self.transfers.as_mut().unwrap();
        let mut all = Vec::new();
        for target in known.targets() {
            let mut parts = Vec::new();
            for part in &target.parts {
                if part.partition != to {
                    parts.push(part.clone());
                    continue;
                }
                for successor in &seal.successors {
                    let groups = GroupRange {
                        first: successor.groups.first.max(part.groups.first),
                        last: successor.groups.last.min(part.groups.last),
                    };
                    if groups.first <= groups.last {
                        parts.push(TargetPart {
                            partition: successor.partition,
                            cluster: successor.cluster,
                            members: successor.members.clone(),
                            groups,
                        });
                    }
                }
            }
            all.push(joined(parts));
        }
        if all.iter().any(|parts| !cover_all(parts)) {
            return Err(ErrorCode::InvalidRequest);
        }
        if all.iter().any(|parts| parts.len() > TARGET_PARTS_MAX) {
            return Err(ErrorCode::Busy);
        }
        for (target, parts) in known.targets().into_iter().zip(all) {
            target.parts = parts;
        }
        self.undo_parcel();
        Ok(Outcome::Done)
    }

    fn return_parcel(&mut self, number: u64) -> Result<Outcome, ErrorCode> {
        let Some(gone) = self.under_way(number)? else {
            return Ok(Outcome::Done);
        };
        let contained = self.undo_parcel();
        let goes_there =
            |known: &DeadLetters| known.to.parts.iter().any(|part| part.partition == gone);
        let still = self.dying().is_some_and(goes_there);
        let known = self.transfers.as_mut().unwrap();
        match contained {
            Contains::Dead if still => known.target_gone = true,
            Contains::Moved => known.end_task(MoveStatus::Failed),
            Contains::Dead | Contains::Nothing => {}
        }
        known.unsettled.remove(&gone);
        Ok(Outcome::Done)
    }

    fn take_parcel(
        &mut self,
        from: PartitionId,
        parcel: &Parcel,
        when: When,
    ) -> Result<Outcome, ErrorCode> {
        let now = when.now;
        let known = self.transfers.as_ref().and_then(|k| k.arrivals.get(&from));
        let through = known.map(|known| known.parcel);
        if let Some(through) = through.filter(|through| parcel.number <= *through) {
            return Ok(Outcome::Taken { through });
        }
        let settled = parcel.messages.is_empty();
        if !settled {
            if let Some(outcome) = self.turn_away(&[], now) {
                return Ok(outcome);
            }
            if self.settings.fifo && parcel.messages.iter().any(|m| m.group.is_none()) {
                return Err(ErrorCode::InvalidRequest);
            }
            let ahead = |m: &Parceled| m.sent_at > now.after(PARCEL_AHEAD_MAX);
            if parcel.messages.iter().any(ahead) {
                return Err(ErrorCode::NotReady);
            }
            let bytes: u64 = self.messages.iter().map(|m| u64::from(m.size)).sum();
            if self.messages.len() as u64 >= self.settings.max_messages
                || bytes >= self.settings.max_bytes
            {
                return Err(ErrorCode::QueueFull);
            }
            let sources = self.transfers.as_ref().map_or(0, |k| k.arrivals.len());
            if through.is_none() && sources >= PARCEL_SOURCES_MAX {
                return Err(ErrorCode::Busy);
            }
        }
        let longest = u64::from(*RETENTION_S.end()) * 1_000_000;
        for m in &parcel.messages {
            if m.sent_at.after(longest) <= now {
                continue;
            }
            let keeps_age = m.dead_from.is_some() && !self.settings.fifo;
            self.last += 1;
            self.messages.push(Message {
                sent_at: if keeps_age { m.sent_at.min(now) } else { now },
                ttl_ends: m.expires,
                dead_from: m.dead_from.as_deref().copied(),
                takes_turns: takes_turns(when.version, self.settings.fifo, m.group.as_ref()),
                ..Message::new(self.last, m.size, m.crc, m.group.clone())
            });
            self.line_up();
        }
        if !settled || through.is_some() {
            let known = self.transfers.get_or_insert_default();
            let arrival = Arrival {
                parcel: parcel.number,
                at: now,
                settled,
            };
            known.arrivals.insert(from, arrival);
        }
        Ok(Outcome::Taken {
            through: parcel.number,
        })
    }

    fn parceled(&self, id: PartitionId, m: &Message) -> Parceled {
        let known = self.transfers.as_ref().unwrap();
        let first = MessageId {
            partition: id,
            sequence: Sequence::new(self.settings.epoch, m.number),
        };
        let before = m.dead_from.map_or(0, |from| from.receives);
        let dead_from = DeadFrom {
            queue: known.queue,
            message: m.dead_from.map_or(first, |from| from.message),
            receives: before.saturating_add(u16::try_from(m.receives).unwrap()),
        };
        Parceled {
            sent_at: m.sent_at,
            size: m.size,
            crc: m.crc,
            group: m.group.clone(),
            expires: m.ttl_ends,
            dead_from: m.dead.map(|_| Box::new(dead_from)),
        }
    }
}

impl Transfers {
    fn send_off(&mut self, to: TargetPart, contains: Contains, numbers: Vec<u64>) {
        self.parcels += 1;
        self.died_last = contains == Contains::Dead;
        self.parcel = Some(UnderWay {
            to,
            contains,
            numbers,
        });
    }
}

/// Whether a message goes along with what is for `to`, which the first one decides.
fn goes_along(m: &Message, target: &Target, to: &mut Option<TargetPart>, turn: usize) -> bool {
    let of_group = |part: &&TargetPart| {
        let group = m.group.as_ref();
        group.is_none_or(|group| part.groups.contains(group_hash(group)))
    };
    let mut may: Vec<&TargetPart> = target.parts.iter().filter(of_group).collect();
    if let Some(to) = to {
        return may.iter().any(|part| part.partition == to.partition);
    }
    if m.group.is_none() {
        may = vec![&target.parts[turn % target.parts.len()]];
    }
    *to = may.first().map(|part| (*part).clone());
    to.is_some()
}

fn joined(mut parts: Vec<TargetPart>) -> Vec<TargetPart> {
    parts.sort_by_key(|part| part.groups.first);
    let mut all: Vec<TargetPart> = Vec::new();
    for part in parts {
        match all.last_mut() {
            Some(last)
                if last.partition == part.partition
                    && last.groups.last.checked_add(1) == Some(part.groups.first) =>
            {
                last.groups.last = part.groups.last;
            }
            _ => all.push(part),
        }
    }
    all
}

fn cover_all(parts: &[TargetPart]) -> bool {
    let mut parts: Vec<_> = parts.iter().map(|part| part.groups).collect();
    parts.sort_by_key(|range| range.first);
    let mut next = Some(0);
    for range in parts {
        if Some(range.first) != next || range.last < range.first {
            return false;
        }
        next = range.last.checked_add(1);
    }
    next.is_none()
}

fn is_target(of: PartitionId, target: &Target) -> bool {
    let is_part = |part: &TargetPart| part.partition != of && are_members(&part.members);
    (1..=TARGET_PARTS_MAX).contains(&target.parts.len())
        && target.parts.iter().all(is_part)
        && cover_all(&target.parts)
}

fn is_well_formed(command: &Command) -> bool {
    match command {
        Command::SetDeadLetters {
            partition,
            dead_letters: Some(known),
            ..
        } => {
            known.max_receives > 0
                && known.queue != known.to.queue
                && is_target(*partition, &known.to)
        }
        Command::StartMove {
            partition, task, ..
        } => {
            let targets: Vec<_> = task.targets().collect();
            let queues: BTreeSet<_> = targets.iter().map(|target| target.queue).collect();
            let parts: usize = targets.iter().map(|target| target.parts.len()).sum();
            task.per_second.is_none_or(|rate| (1..=500).contains(&rate))
                && (1..=MOVE_QUEUES_MAX).contains(&targets.len())
                && queues.len() == targets.len()
                && parts <= MOVE_PARTS_MAX
                && targets.iter().all(|target| is_target(*partition, target))
        }
        Command::TakeParcel {
            partition,
            from,
            parcel,
        } => from != partition && parcel.number > 0 && parcel.messages.len() <= PIECE_MESSAGES_MAX,
        Command::RedirectParcel {
            partition, seal, ..
        } => {
            is_seal(seal)
                && seal
                    .successors
                    .iter()
                    .all(|one| one.partition != *partition)
        }
        _ => true,
    }
}

impl Model {
    pub(crate) fn transfer_command(&mut self, command: &Command) -> Result<Outcome, ErrorCode> {
        let when = self.when();
        let now = when.now;
        if self.version < 3 {
            return Err(ErrorCode::NotReady);
        }
        if !is_well_formed(command) {
            return Err(ErrorCode::InvalidRequest);
        }
        let p = self.known(command.partition().unwrap())?;
        match command {
            Command::SetDeadLetters {
                dead_letters,
                revision,
                ..
            } => p.set_dead_letters(dead_letters.as_deref(), *revision),
            Command::StartMove { task, revision, .. } => p.start_move(task, *revision),
            Command::CancelMove { task, revision, .. } => p.cancel_move(*task, *revision),
            Command::NextParcel { taken, .. } => p.next_parcel(*taken, now),
            Command::TakeParcel { from, parcel, .. } => p.take_parcel(*from, parcel, when),
            Command::RedirectParcel { parcel, seal, .. } => p.redirect(*parcel, seal),
            Command::ReturnParcel { parcel, .. } => p.return_parcel(*parcel),
            _ => unreachable!("the caller has looked"),
        }
    }

    /// The parcel of a partition that is on its way, and to which partition. `None` if none is.
    #[must_use]
    pub fn parcel(&self, id: PartitionId) -> Option<(PartitionId, Parcel)> {
        let p = self.partitions.get(&id)?;
        let known = p.transfers.as_ref()?;
        let under_way = known.parcel.as_ref()?;
        let numbers = under_way.numbers.iter();
        let here = numbers.filter(|number| p.is_marked(under_way.contains, **number));
        let message = |number: &u64| p.messages.iter().find(|m| m.number == *number).unwrap();
        let parcel = Parcel {
            number: known.parcels,
            messages: here.map(|number| p.parceled(id, message(number))).collect(),
        };
        Some((under_way.to.partition, parcel))
    }

    /// True if there may be something for a partition's next parcel now.
    #[must_use]
    pub fn may_make_parcel(&self, id: PartitionId, now: Ts) -> bool {
        let Some(p) = self.partitions.get(&id) else {
            return false;
        };
        let Some(known) = &p.transfers else {
            return false;
        };
        match &known.parcel {
            Some(parcel) => parcel.contains == Contains::Nothing && p.may_send_messages(now),
            None => !known.unsettled.is_empty() || p.has_messages_to_go(now),
        }
    }

    /// What a partition sends to other queues. `None` if there is no such partition.
    #[must_use]
    pub fn outbox(&self, id: PartitionId) -> Option<Outbox> {
        let p = self.partitions.get(&id)?;
        let Some(known) = &p.transfers else {
            return Some(Outbox::default());
        };
        let parcel = known.parcel.as_ref();
        Some(Outbox {
            dead_letters: known.dead_letters.clone(),
            target_gone: known.target_gone,
            dead: p.messages.iter().filter(|m| m.dead.is_some()).count() as u64,
            delivered: known.delivered,
            parcel: parcel.map(|one| (known.parcels, one.to.partition, one.numbers.len() as u32)),
            task: known.task.as_ref().map(|task| task.progress),
        })
    }
}
