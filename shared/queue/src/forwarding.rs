//! What a sealed partition does that has an heir: its messages go on in pieces, one at a time.
//!
//! A message that is on its way is neither received nor gone: it goes when the heir is known to have it,
//! or is as it was before when there is no heir any more. Leased messages stay until their leases end. Of a
//! FIFO group all messages go, in order, or none; if they are too many for a piece, the rest of the group
//! waits for the next one and is received by nobody meanwhile.

use std::collections::BTreeSet;

use shoal_types::limits::{PIECE_BYTES_MAX, PIECE_DELAYED_SCAN_MAX, PIECE_MESSAGES_MAX};
use shoal_types::planted::{Bug, planted};
use shoal_types::{
    BodyRef, ErrorCode, Forwarded, GroupName, Heir, HeldGroups, Outcome, PartitionId, Passed,
    Piece, Refusal, Rest, Revision, Ts,
};

use crate::chunk::Hold;
use crate::lineage::Forwarding;
use crate::partition::{Partition, Step};

fn refuse<T>(code: ErrorCode, detail: &'static str) -> Result<T, Refusal> {
    Err(Refusal::not_applied(code, detail))
}

/// A piece that is being made.
#[derive(Default)]
struct Making {
    numbers: Vec<u64>,
    bytes: usize,
    /// Messages looked at, those among them whose time was over.
    looked_at: usize,
    /// Groups of which all is in this piece or was in one before.
    whole: BTreeSet<GroupName>,
    /// The group that did not fit.
    unfinished: Option<GroupName>,
}

impl Making {
    fn has_room_for(&self, size: u32) -> bool {
        self.looked_at < PIECE_MESSAGES_MAX
            && (self.numbers.is_empty() || self.bytes + size as usize <= PIECE_BYTES_MAX)
    }
}

impl Partition {
    /// Its messages go on to this heir.
    pub(crate) fn forward_to(
        &mut self,
        heir: &Heir,
        revision: Revision,
    ) -> Result<Outcome, Refusal> {
        if self.sealed().is_none() {
            return refuse(
                ErrorCode::InvalidRequest,
                "partition: only a sealed one is forwarded",
            );
        }
        if revision < self.revision {
            return refuse(
                ErrorCode::Fenced,
                "a later instruction was carried out already",
            );
        }
        if heir.partition == self.id {
            return refuse(ErrorCode::InvalidRequest, "heir: the partition itself");
        }
        let before = self.forwarding_ever();
        if before.is_some_and(|one| one.ended && one.heir.partition == heir.partition) {
            return refuse(
                ErrorCode::QueueNotFound,
                "heir: it is gone, and the forwarding to it was ended",
            );
        }
        let may_begin = before.is_some_and(|one| !one.ended) || self.has_all_of_its_source();
        if !may_begin {
            return refuse(
                ErrorCode::NotReady,
                "partition: it still takes messages over itself, and what it passed on would be overtaken",
            );
        }
        if let Some(before) = before.filter(|one| !one.ended) {
            if !before.is_to(heir) {
                return refuse(ErrorCode::Fenced, "heir: it is forwarded to another one");
            }
            if before.heir != *heir {
                self.forwarding_mut().heir = heir.clone();
            }
        } else {
            let new = Forwarding {
                // What went before, to an heir that is gone, still is not here.
                went: before.map(|one| one.went.clone()).unwrap_or_default(),
                passed: before.map(|one| one.passed).unwrap_or_default(),
                ..Forwarding::to(heir, self.held_at_seal())
            };
            let lineage = self.lineage.as_mut().expect("it is sealed");
            lineage.change().forwarding = Some(new);
        }
        self.revision = revision;
        Ok(Outcome::Done)
    }

    /// The heir has the pieces up to `taken`; makes the next one if none is on its way.
    pub(crate) fn next_piece(
        &mut self,
        heir: PartitionId,
        taken: u64,
        step: &mut Step<'_>,
    ) -> Result<Outcome, Refusal> {
        let known = self.check_heir(heir)?;
        if taken > known.pieces {
            return refuse(ErrorCode::InvalidRequest, "taken: no such piece was made");
        }
        if taken == known.pieces {
            self.forget_piece(step);
        }
        // What a task has on its way is neither here nor gone until that is known.
        if self.forwarding_mut().piece.is_none() && !self.has_moved_parcel() {
            self.make_piece(step);
        }
        Ok(Outcome::Done)
    }

    /// There is no heir any more: what is on its way stays.
    pub(crate) fn end_forwarding(
        &mut self,
        heir: PartitionId,
        step: &mut Step<'_>,
    ) -> Result<Outcome, Refusal> {
        self.check_heir(heir)?;
        let forwarding = self.forwarding_mut();
        forwarding.ended = true;
        let unfinished = forwarding.unfinished.take();
        let numbers = forwarding.piece.take().unwrap_or_default();
        for number in numbers {
            if self.is_going(number) {
                self.contents.stay(number, step.now);
            }
        }
        if let Some(group) = unfinished {
            self.contents.set_went_on(&group, false);
        }
        Ok(Outcome::Done)
    }

    /// The piece that is on its way, with the places of its bodies, and to whom.
    pub(crate) fn piece(&self) -> Option<(&Heir, Piece, Vec<BodyRef>)> {
        let forwarding = self.forwarding()?;
        let numbers = forwarding.piece.as_ref()?;
        let numbers = numbers.iter().filter(|number| self.is_going(**number));
        let (messages, bodies) = numbers.map(|number| self.forwarded(*number)).unzip();
        let piece = Piece {
            number: forwarding.pieces,
            messages,
            rest: forwarding.rest.clone(),
        };
        Some((&forwarding.heir, piece, bodies))
    }

    /// True if [`Partition::next_piece`] would make one, or drop what its time is over for.
    pub(crate) fn may_make_piece(&self) -> bool {
        let Some(forwarding) = self.forwarding().filter(|one| one.piece.is_none()) else {
            return false;
        };
        if self.has_moved_parcel() {
            return false;
        }
        let mut delayed = self.delayed_looked_at();
        self.contents.first_receivable().is_some()
            || forwarding.unfinished.is_some()
            || delayed.any(|number| !self.settings.fifo || self.may_go_although_delayed(number))
            || self.rest_without(0, &BTreeSet::new()) != forwarding.rest
    }

    /// Unless it was ended.
    pub(crate) fn forwarding(&self) -> Option<&Forwarding> {
        self.forwarding_ever().filter(|one| !one.ended)
    }

    /// A receipt for this message would be for one that is elsewhere now.
    pub(crate) fn went_on(&self, number: u64) -> bool {
        self.forwarding_ever()
            .is_some_and(|one| one.went.contains(number))
    }

    /// Finishes a restore, before its messages' indexes are finished.
    pub(crate) fn restore_forwarding(&mut self) {
        let unfinished = self.forwarding().and_then(|one| one.unfinished.clone());
        if let Some(group) = unfinished {
            self.contents.set_went_on(&group, true);
        }
    }

    fn forwarding_ever(&self) -> Option<&Forwarding> {
        self.lineage.as_ref()?.record().forwarding.as_ref()
    }

    /// Only of one that has an heir.
    fn forwarding_mut(&mut self) -> &mut Forwarding {
        let lineage = self.lineage.as_mut().expect("it is sealed");
        let forwarding = lineage.change().forwarding.as_mut();
        forwarding.expect("it has an heir")
    }

    fn check_heir(&self, heir: PartitionId) -> Result<&Forwarding, Refusal> {
        let known = self.forwarding().filter(|one| one.heir.partition == heir);
        known.ok_or_else(|| {
            Refusal::not_applied(ErrorCode::InvalidRequest, "heir: not this partition's")
        })
    }

    fn held_at_seal(&self) -> HeldGroups {
        let seal = self.seal().expect("it is sealed");
        seal.held.clone()
    }

    fn is_going(&self, number: u64) -> bool {
        let found = self.contents.slots.find(number);
        found.is_some_and(|(chunk, offset)| matches!(chunk.side(offset).hold, Hold::Going(_)))
    }

    fn forwarded(&self, number: u64) -> (Forwarded, BodyRef) {
        let (chunk, offset) = self.contents.slots.find(number).expect("it is going");
        let (slot, side) = (
            chunk.slot(offset).expect("it was found"),
            chunk.side(offset),
        );
        let Hold::Going(ready_at) = side.hold else {
            panic!("only messages that are going are forwarded")
        };
        let forgets = planted(Bug::LeasesNotForwarded);
        let message = Forwarded {
            sequence: self.sequence(number),
            sent_at: slot.sent_at,
            size: slot.size,
            crc: slot.crc,
            group: chunk.link(offset).map(|link| link.group.clone()),
            dead_from: chunk.dead_from(offset).map(Box::new),
            ready_at: if planted(Bug::DelaysNotForwarded) {
                Ts::ZERO
            } else {
                ready_at
            },
            expires: side.expires,
            first_received_at: side.first_received_at,
            leases: if forgets { 0 } else { slot.lease },
            receives: if forgets { 0 } else { slot.receives },
        };
        (message, slot.body)
    }

    /// The heir has what was on its way.
    fn forget_piece(&mut self, step: &mut Step<'_>) {
        let numbers = self.forwarding_mut().piece.take().unwrap_or_default();
        for number in numbers {
            // Some may have been purged meanwhile, or their time was over.
            if !self.is_going(number) {
                continue;
            }
            let slot = self.contents.slots.slot(number).expect("it is going");
            let (size, was_leased) = (slot.size, slot.lease > 0);
            self.contents.remove(number, step.bodies);
            let forwarding = self.forwarding_mut();
            forwarding.passed.messages += 1;
            forwarding.passed.bytes += u64::from(size);
            if was_leased && !planted(Bug::WentNotRemembered) {
                forwarding.went.insert(number);
            }
        }
    }

    /// Makes the next piece, if there is anything to say.
    fn make_piece(&mut self, step: &mut Step<'_>) {
        let mut making = Making::default();
        if self.settings.fifo {
            self.take_groups(&mut making, step);
        } else {
            self.take_single(&mut making, step);
        }
        making.numbers.sort_unstable();
        let rest = self.rest_without(making.numbers.len() as u64, &making.whole);
        let Making {
            numbers,
            unfinished,
            ..
        } = making;
        let forwarding = self.forwarding_mut();
        forwarding.unfinished = unfinished;
        if numbers.is_empty() && rest == forwarding.rest {
            return;
        }
        forwarding.pieces += 1;
        forwarding.piece = Some(numbers);
        forwarding.rest = rest;
    }

    /// What is left here besides these.
    fn rest_without(&self, messages: u64, whole: &BTreeSet<GroupName>) -> Rest {
        if self.contents.messages() == messages && self.waits_for_nothing() {
            return Rest::Nothing;
        }
        let groups = match self.held_at_seal() {
            HeldGroups::These(_) => self.groups_left(whole),
            all_or_none => all_or_none,
        };
        Rest::Some { groups }
    }

    /// Takes ready messages by their numbers, then delayed ones by their times.
    fn take_single(&mut self, making: &mut Making, step: &mut Step<'_>) {
        loop {
            let delayed = || self.contents.delays.first().map(|(_, number)| *number);
            let Some(number) = self.contents.slots.first_ready().or_else(delayed) else {
                return;
            };
            if !self.take_one(number, making, step) {
                return;
            }
        }
    }

    /// Takes group by group: the one that did not fit before, those that can be received, by the numbers
    /// of their first messages, and those that only wait for a time.
    fn take_groups(&mut self, making: &mut Making, step: &mut Step<'_>) {
        let unfinished = self.forwarding_mut().unfinished.take();
        if let Some(group) = unfinished
            && self.contents.groups().oldest(&group).is_some()
            && !self.take_group(group, true, making, step)
        {
            return;
        }
        while let Some(number) = self.contents.first_receivable() {
            let group = self
                .contents
                .group_of(number)
                .expect("FIFO messages have one");
            if !self.take_group(group, false, making, step) {
                return;
            }
        }
        let delayed: Vec<u64> = self.delayed_looked_at().collect();
        for number in delayed {
            // It may have gone with an earlier one of its group, or been dropped with it.
            if !self.may_go_although_delayed(number) {
                continue;
            }
            let group = self.contents.group_of(number).expect("it may go");
            if !self.take_group(group, false, making, step) {
                return;
            }
        }
    }

    /// Of the delayed ones those that a piece costs a look at.
    fn delayed_looked_at(&self) -> impl Iterator<Item = u64> {
        let delayed = self.contents.delays.iter().take(PIECE_DELAYED_SCAN_MAX);
        delayed.map(|(_, number)| *number)
    }

    /// Whether a delayed FIFO message may go, with its group: nobody has one of that in hand.
    fn may_go_although_delayed(&self, number: u64) -> bool {
        let group = self.contents.group_of(number);
        group.is_some_and(|group| self.contents.groups().may_go(&group))
            && !self.contents.held().is_all()
            && !self.is_going(number)
    }

    /// Takes what is left of a group, of which a part may have gone before. False if the piece is full.
    fn take_group(
        &mut self,
        group: GroupName,
        mut begun: bool,
        making: &mut Making,
        step: &mut Step<'_>,
    ) -> bool {
        let mut next = self.contents.groups().oldest(&group);
        while let Some(number) = next {
            let link = self.contents.link(number).expect("it is of the group");
            next = Some(link.next).filter(|next| *next != 0);
            let taken = making.numbers.len();
            if !self.take_one(number, making, step) {
                self.contents.set_went_on(&group, begun);
                making.unfinished = begun.then_some(group);
                return false;
            }
            begun |= making.numbers.len() > taken;
        }
        // All that lives of it is on its way, or its time was over.
        self.contents.set_went_on(&group, false);
        if self.contents.is_all_alive(&group) {
            making.whole.insert(group);
        }
        true
    }

    /// Takes a message, or drops it if its time is over. False if the piece is full.
    fn take_one(&mut self, number: u64, making: &mut Making, step: &mut Step<'_>) -> bool {
        let slot = self.contents.slots.slot(number).expect("it exists");
        let size = slot.size;
        if !making.has_room_for(size) {
            return false;
        }
        making.looked_at += 1;
        if self.is_expired(number, step.now) {
            self.contents.remove(number, step.bodies);
        } else {
            self.contents.go(number);
            making.numbers.push(number);
            making.bytes += size as usize;
        }
        true
    }

    /// How much went on, and whether that was all.
    pub(crate) fn passed(&self) -> Option<(&Heir, Passed, bool)> {
        let forwarding = self.forwarding()?;
        let complete = forwarding.piece.is_none() && forwarding.rest == Rest::Nothing;
        Some((&forwarding.heir, forwarding.passed, complete))
    }
}
