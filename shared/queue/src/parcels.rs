//! What a partition does that sends messages to other queues: they go in parcels, one at a time.
//!
//! What a parcel contains stays here, given to nobody, until the target is known to have it or never to take
//! it. When nothing else is to go, everyone who took something is told that this was heard of, by a parcel
//! without messages.

use shoal_types::limits::{
    PIECE_BYTES_MAX, PIECE_MESSAGES_MAX, TARGET_PARTS_MAX, UNSETTLED_TARGETS_MAX,
};
use shoal_types::planted::{Bug, planted};
use shoal_types::{
    BodyRef, DeadFrom, ErrorCode, GroupHash, GroupRange, MessageId, MoveStatus, Outbox, Outcome,
    Parcel, Parceled, PartitionId, Refusal, Seal, Sequence, Target, TargetPart, Ts, group_hash,
};

use crate::chunk::Hold;
use crate::partition::{Partition, Step};
use crate::transfer_form::cover_all_groups;
use crate::transfers::{Contained, Transfers, UnderWay};

fn refuse<T>(code: ErrorCode, detail: &'static str) -> Result<T, Refusal> {
    Err(Refusal::not_applied(code, detail))
}

/// A parcel that is being made.
#[derive(Default)]
pub(crate) struct Packing {
    /// Whom it is for, as soon as it contains something.
    pub(crate) to: Option<TargetPart>,
    pub(crate) numbers: Vec<u64>,
    bytes: usize,
}

impl Packing {
    pub(crate) fn has_room_for(&self, size: u32) -> bool {
        self.numbers.is_empty() || self.bytes + size as usize <= PIECE_BYTES_MAX
    }

    /// Whether a message for this queue may go along. `turn`: which partition has those without a group.
    pub(crate) fn goes_along(
        &mut self,
        target: &Target,
        group: Option<GroupHash>,
        turn: u64,
    ) -> bool {
        let Some(to) = &self.to else {
            let any = || &target.parts[(turn % target.parts.len() as u64) as usize];
            let part = group.map_or_else(|| Some(any()), |hash| target.part_of(hash));
            self.to = part.cloned();
            return self.to.is_some();
        };
        let is_same = |part: &TargetPart| part.partition == to.partition;
        match group {
            Some(hash) => target.part_of(hash).is_some_and(is_same),
            None => target.parts.iter().any(is_same),
        }
    }

    pub(crate) fn add(&mut self, number: u64, size: u32) {
        self.numbers.push(number);
        self.bytes += size as usize;
    }
}

impl Partition {
    /// The parcels up to `taken` were taken; makes the next one if none is on its way.
    pub(crate) fn next_parcel(
        &mut self,
        taken: u64,
        step: &mut Step<'_>,
    ) -> Result<Outcome, Refusal> {
        let made = self.check_parcel(taken)?;
        if taken == made {
            self.forget_parcel(step);
        }
        let parcel = self.sends().and_then(|known| known.parcel.as_ref());
        let settles = parcel.is_some_and(|one| one.contents == Contained::Nothing);
        if settles && self.may_send_messages(step.now) {
            // It can be made again, and need not hold up what waits.
            self.outbox().parcel = None;
        }
        if self.sends().is_some_and(|known| known.parcel.is_none()) {
            self.make_parcel(step);
        }
        Ok(Outcome::Done)
    }

    /// Whom the parcel was for is sealed and has not taken it.
    pub(crate) fn redirect_parcel(
        &mut self,
        number: u64,
        seal: &Seal,
        step: &mut Step<'_>,
    ) -> Result<Outcome, Refusal> {
        let Some(to) = self.check_under_way(number)? else {
            return Ok(Outcome::Done);
        };
        if seal.partition != to {
            return refuse(
                ErrorCode::InvalidRequest,
                "seal.partition: not whom the parcel is for",
            );
        }
        let record = self.outbox();
        let dead_letters = record.dead_letters.iter_mut().map(|one| &mut one.to);
        let moving = record.moving.iter_mut();
        let moving = moving.flat_map(|one| one.task.targets_mut());
        let targets: Vec<&mut Target> = dead_letters.chain(moving).collect();
        let followed: Vec<Vec<TargetPart>> =
            targets.iter().map(|one| followed(one, seal)).collect();
        if !followed.iter().all(|parts| cover_all_groups(parts)) {
            return refuse(
                ErrorCode::InvalidRequest,
                "seal.successors: not responsible for all that the sealed one was",
            );
        }
        if followed.iter().any(|parts| parts.len() > TARGET_PARTS_MAX) {
            return refuse(
                ErrorCode::Busy,
                "seal.successors: messages would go to more than 132 partitions",
            );
        }
        for (target, parts) in targets.into_iter().zip(followed) {
            target.parts = parts;
        }
        self.undo_parcel(step.now);
        Ok(Outcome::Done)
    }

    /// Whom the parcel was for will never take it.
    pub(crate) fn return_parcel(
        &mut self,
        number: u64,
        step: &mut Step<'_>,
    ) -> Result<Outcome, Refusal> {
        let Some(gone) = self.check_under_way(number)? else {
            return Ok(Outcome::Done);
        };
        let is_target = |target: &Target| target.parts.iter().any(|one| one.partition == gone);
        match self.undo_parcel(step.now) {
            Contained::Dead(_) => {
                // Where they go may have been said anew since the parcel was made.
                let still = self
                    .dead_letters()
                    .is_some_and(|known| is_target(&known.to));
                self.outbox().target_gone |= still;
            }
            Contained::Moved(_) => self.end_moving(MoveStatus::Failed),
            Contained::Nothing => {}
        }
        self.outbox().unsettled.remove(&gone);
        Ok(Outcome::Done)
    }

    /// The parcel that is on its way, with the places of its bodies, and to whom.
    pub(crate) fn parcel(&self) -> Option<(&TargetPart, Parcel, Vec<BodyRef>)> {
        let record = self.sends()?;
        let to = &record.parcel.as_ref()?.to;
        let contents = self.numbers_on_their_way();
        let (messages, bodies) = contents.map(|number| self.parceled(number)).unzip();
        let parcel = Parcel {
            number: record.parcels,
            messages,
        };
        Some((to, parcel, bodies))
    }

    /// The numbers that its messages have here.
    pub(crate) fn parcel_numbers(&self) -> Vec<Sequence> {
        let numbers = self.numbers_on_their_way();
        numbers.map(|number| self.sequence(number)).collect()
    }

    /// Of what the parcel was made of, what is still here.
    fn numbers_on_their_way(&self) -> impl Iterator<Item = u64> {
        let parcel = self.sends().and_then(|known| known.parcel.as_ref());
        parcel.into_iter().flat_map(|under_way| {
            let contents = &under_way.contents;
            let numbers = contents.numbers().iter().copied();
            numbers.filter(|number| self.is_in(contents, *number))
        })
    }

    /// True if [`Partition::next_parcel`] would or might make one at this time.
    pub(crate) fn may_make_parcel(&self, now: Ts) -> bool {
        let Some(record) = self.sends() else {
            return false;
        };
        match &record.parcel {
            None => !record.unsettled.is_empty() || self.has_messages_to_go(now),
            Some(one) => one.contents == Contained::Nothing && self.may_send_messages(now),
        }
    }

    /// True if there is a parcel to be carried, or there may be one sooner or later without anything else
    /// happening.
    pub(crate) fn has_parcels(&self) -> bool {
        let has = |known: &Transfers| {
            let record = known.record();
            record.parcel.is_some() || !record.unsettled.is_empty()
        };
        self.transfers.as_deref().is_some_and(has) || self.has_messages_to_go(Ts::MAX)
    }

    pub(crate) fn outbox_state(&self) -> Outbox {
        let Some(record) = self.sends() else {
            return Outbox::default();
        };
        let parcel = |one: &UnderWay| {
            let count = one.contents.numbers().len();
            let count = u32::try_from(count).expect("a parcel has at most 1,000 messages");
            (record.parcels, one.to.partition, count)
        };
        Outbox {
            dead_letters: record.dead_letters.clone(),
            target_gone: record.target_gone,
            dead: self.contents.dead().len() as u64,
            delivered: record.delivered,
            parcel: record.parcel.as_ref().map(parcel),
            task: record.moving.as_ref().map(|moving| moving.progress()),
        }
    }

    /// Which of its messages are elsewhere by now, as far as somebody may have a receipt for them.
    pub(crate) fn was_taken(&self, number: u64) -> bool {
        self.sends()
            .is_some_and(|known| known.went.contains(number))
    }

    /// Messages that a task moves are on their way.
    pub(crate) fn has_moved_parcel(&self) -> bool {
        let parcel = self.sends().and_then(|known| known.parcel.as_ref());
        parcel.is_some_and(|one| matches!(one.contents, Contained::Moved(_)))
    }

    /// Only of one that sends something.
    pub(crate) fn outbox(&mut self) -> &mut crate::transfers::TransfersRecord {
        let transfers = self.transfers.as_mut();
        transfers.expect("it sends something").change()
    }

    /// The number of the last parcel made.
    fn check_parcel(&self, number: u64) -> Result<u64, Refusal> {
        match self.sends() {
            Some(known) if number <= known.parcels => Ok(known.parcels),
            _ => refuse(
                ErrorCode::InvalidRequest,
                "taken, parcel: no such parcel was made",
            ),
        }
    }

    /// Whom the parcel is for, if it is the one that is on its way.
    fn check_under_way(&self, number: u64) -> Result<Option<PartitionId>, Refusal> {
        let made = self.check_parcel(number)?;
        let under_way = self.sends().and_then(|known| known.parcel.as_ref());
        Ok(under_way
            .filter(|_| number == made)
            .map(|one| one.to.partition))
    }

    /// Whether a message is still in the state in which the parcel has it: it may have been purged since, or
    /// its time was over.
    fn is_in(&self, contents: &Contained, number: u64) -> bool {
        let Some((chunk, offset)) = self.contents.slots.find(number) else {
            return false;
        };
        match contents {
            Contained::Dead(_) => matches!(chunk.side(offset).hold, Hold::Dead(_)),
            Contained::Moved(_) => matches!(chunk.side(offset).hold, Hold::Going(_)),
            Contained::Nothing => false,
        }
    }

    fn parceled(&self, number: u64) -> (Parceled, BodyRef) {
        let (chunk, offset) = self.contents.slots.find(number).expect("it is on its way");
        let slot = chunk.slot(offset).expect("it is on its way");
        let side = chunk.side(offset);
        let dead_from = matches!(side.hold, Hold::Dead(_)).then(|| self.dead_here(number));
        let parceled = Parceled {
            sent_at: slot.sent_at,
            size: slot.size,
            crc: slot.crc,
            group: chunk.link(offset).map(|link| link.group.clone()),
            expires: side.expires,
            dead_from: dead_from.map(Box::new),
        };
        (parceled, slot.body)
    }

    /// What the dead-letter queue learns of a dead message. Its name is the one that it was sent under, however
    /// many queues it died in; the queue is the one in which it died last.
    fn dead_here(&self, number: u64) -> DeadFrom {
        let before = self.contents.dead_from(number);
        let name = before.filter(|_| !planted(Bug::NamedAnew));
        let slot = self.contents.slots.slot(number).expect("it is dead");
        let earlier = before.map_or(0, |before| before.receives);
        let record = self.sends().expect("it has dead letters");
        DeadFrom {
            queue: record.queue,
            message: name.map_or_else(
                || MessageId {
                    partition: self.id,
                    sequence: self.sequence(number),
                },
                |before| before.message,
            ),
            receives: slot.receives.saturating_add(earlier),
        }
    }

    /// The target has what was on its way.
    fn forget_parcel(&mut self, step: &mut Step<'_>) {
        let Some(under_way) = self.outbox().parcel.take() else {
            return;
        };
        let UnderWay { to, contents } = under_way;
        let moves = matches!(contents, Contained::Moved(_));
        let mut gone = 0;
        for number in contents.numbers() {
            if !self.is_in(&contents, *number) {
                continue;
            }
            let slot = self.contents.slots.slot(*number).expect("it is here");
            let was_leased = slot.lease > 0 && !planted(Bug::LeftNotRemembered);
            if planted(Bug::CancelledOnItsWay) && moves && self.is_cancelling() {
                self.contents.stay(*number, step.now);
                continue;
            }
            self.contents.remove(*number, step.bodies);
            gone += 1;
            if was_leased {
                self.outbox().went.insert(*number);
            }
        }
        let record = self.outbox();
        match contents {
            Contained::Dead(_) => record.delivered += gone,
            Contained::Moved(_) => self.note_moved(gone),
            Contained::Nothing => {
                record.unsettled.remove(&to.partition);
                return;
            }
        }
        self.outbox().unsettled.insert(to.partition, to);
    }

    /// The parcel that is on its way was never taken and never will be.
    fn undo_parcel(&mut self, now: Ts) -> Contained {
        let under_way = self.outbox().parcel.take().expect("it was looked at");
        if let Contained::Moved(numbers) = &under_way.contents {
            for number in numbers {
                if self.is_in(&under_way.contents, *number) {
                    self.contents.stay(*number, now);
                }
            }
            self.look_again_from(numbers.first().copied());
        }
        under_way.contents
    }

    fn has_messages_to_go(&self, now: Ts) -> bool {
        let dead = self.dead_letters().is_some() && !self.contents.dead().is_empty();
        dead || self.is_moving_at(now)
    }

    /// True if messages may go now: with too many targets to settle with, that comes first.
    fn may_send_messages(&self, now: Ts) -> bool {
        self.has_messages_to_go(now) && !self.owes_too_many()
    }

    fn owes_too_many(&self) -> bool {
        let owed = self.sends().map_or(0, |record| record.unsettled.len());
        owed >= UNSETTLED_TARGETS_MAX
    }

    /// Makes the next parcel, if there is anything to go.
    fn make_parcel(&mut self, step: &mut Step<'_>) {
        let died_last = self.outbox().died_last;
        let made = !self.owes_too_many()
            && (died_last && self.pack_task(step)
                || self.pack_dead(step)
                || !died_last && self.pack_task(step));
        if made {
            return;
        }
        let record = self.outbox();
        // One after the other: who cannot be reached holds up nobody else for long.
        let turn = record.parcels % record.unsettled.len().max(1) as u64;
        let to = record.unsettled.values().nth(turn as usize).cloned();
        if let Some(to) = to {
            self.send_off(to, Contained::Nothing);
        }
    }

    pub(crate) fn send_off(&mut self, to: TargetPart, contents: Contained) {
        let record = self.outbox();
        record.parcels += 1;
        record.died_last = matches!(contents, Contained::Dead(_));
        record.parcel = Some(UnderWay { to, contents });
    }

    /// Those that died first and go to one partition. False if none is to go.
    fn pack_dead(&mut self, step: &mut Step<'_>) -> bool {
        let Some(target) = self.dead_letters().map(|known| known.to.clone()) else {
            return false;
        };
        let turn = self.outbox().parcels;
        let mut packing = Packing::default();
        let first = self.contents.dead().iter().take(PIECE_MESSAGES_MAX);
        let mut first: Vec<u64> = first.map(|(_, number)| *number).collect();
        if planted(Bug::DeadOutOfOrder) {
            first.reverse();
        }
        for number in first {
            if self.is_expired(number, step.now) {
                self.contents.remove(number, step.bodies);
                continue;
            }
            let size = self.contents.slots.slot(number).expect("it is dead").size;
            if !packing.has_room_for(size) {
                break;
            }
            if packing.goes_along(&target, self.group_hash(number), turn) {
                packing.add(number, size);
            }
        }
        let Some(to) = packing.to else {
            return false;
        };
        self.send_off(to, Contained::Dead(packing.numbers));
        true
    }

    pub(crate) fn group_hash(&self, number: u64) -> Option<GroupHash> {
        let link = self.contents.link(number);
        link.map(|link| group_hash(&link.group))
    }
}

/// Where a queue's messages go once a partition of it is followed by others.
fn followed(target: &Target, seal: &Seal) -> Vec<TargetPart> {
    let mut parts: Vec<TargetPart> = Vec::with_capacity(target.parts.len());
    for part in &target.parts {
        if part.partition != seal.partition {
            parts.push(part.clone());
            continue;
        }
        for successor in &seal.successors {
            let first = part.groups.first.max(successor.groups.first);
            let last = part.groups.last.min(successor.groups.last);
            if first > last {
                continue;
            }
            parts.push(TargetPart {
                partition: successor.partition,
                cluster: successor.cluster,
                members: successor.members.clone(),
                groups: GroupRange { first, last },
            });
        }
    }
    parts.sort_by_key(|part| part.groups.first);
    parts.dedup_by(|next, part| {
        let joined = part.groups.joined(next.groups);
        let same = part.partition == next.partition;
        if let Some(joined) = joined.filter(|_| same) {
            part.groups = joined;
            return true;
        }
        false
    });
    parts
}

#[cfg(test)]
mod tests {
    use shoal_types::{ClusterId, Epoch, HeldGroups, QueueId, Revision, Successor};

    use super::*;

    fn part(partition: u64, first: u32, last: u32) -> TargetPart {
        TargetPart {
            partition: PartitionId(partition),
            cluster: ClusterId(1),
            members: Vec::new(),
            groups: GroupRange { first, last },
        }
    }

    fn seal(partition: u64, successors: &[(u64, u32, u32)]) -> Seal {
        let successor = |(partition, first, last): &(u64, u32, u32)| Successor {
            partition: PartitionId(*partition),
            epoch: Epoch(1),
            cluster: ClusterId(1),
            members: Vec::new(),
            groups: GroupRange {
                first: *first,
                last: *last,
            },
        };
        Seal {
            partition: PartitionId(partition),
            epoch: Epoch(0),
            successors: successors.iter().map(successor).collect(),
            keyed_sends: 0,
            held: HeldGroups::None,
            revision: Revision(1),
            sealed_at: Ts(1),
        }
    }

    #[test]
    fn a_split_and_the_merge_of_it_lead_each_group_to_one_partition() {
        let mut target = Target {
            queue: QueueId(1),
            parts: vec![part(1, 0, u32::MAX)],
        };
        let seals = [
            (seal(1, &[(2, 0, 9), (3, 10, u32::MAX)]), 2),
            (seal(9, &[(8, 0, u32::MAX)]), 2),
            (seal(2, &[(4, 0, u32::MAX)]), 2),
            (seal(3, &[(4, 0, u32::MAX)]), 1),
        ];
        for (seal, count) in seals {
            target.parts = followed(&target, &seal);
            assert_eq!(target.parts.len(), count, "{target:?}");
            for hash in [0, 9, 10, u32::MAX] {
                assert!(target.part_of(hash).is_some());
            }
        }
        assert_eq!(target.parts, [part(4, 0, u32::MAX)]);
    }
}
