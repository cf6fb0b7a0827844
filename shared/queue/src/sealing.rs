//! What a partition does that is followed: it takes no sends any more, and tells what it leaves.

use std::collections::BTreeSet;

use shoal_types::limits::{HELD_GROUPS_MAX, KEYED_SENDS_TOLD_MAX};
use shoal_types::planted::{Bug, planted};
use shoal_types::{
    ErrorCode, GroupHash, GroupName, HeldGroups, KeyedSend, Outcome, PartitionId, Refusal, Rest,
    Revision, Seal, SendItem, SendResult, Sequence, Successor, Ts, group_hash,
};

use crate::deduplication::Seen;
use crate::lineage::{Lineage, Sealed};
use crate::partition::Partition;

impl Partition {
    /// What it shows to those who come to send, if it takes no sends any more.
    pub(crate) fn seal(&self) -> Option<&Seal> {
        self.sealed().map(|sealed| &sealed.seal)
    }

    pub(crate) fn sealed(&self) -> Option<&Sealed> {
        self.lineage.as_ref()?.record().sealed.as_ref()
    }

    /// Takes no sends from here on. Sealed already, it takes the members' addresses of a later
    /// instruction that names the same successors.
    pub(crate) fn seal_for(
        &mut self,
        successors: &[Successor],
        revision: Revision,
        now: Ts,
    ) -> Result<Outcome, Refusal> {
        if let Some(seal) = self.seal() {
            if revision < seal.revision || !are_the_same(&seal.successors, successors) {
                return Err(Refusal::not_applied(
                    ErrorCode::Fenced,
                    "successors, revision: it is sealed for others, or by a later instruction",
                ));
            }
            if revision == seal.revision {
                return Ok(Outcome::Sealed(Box::new(seal.clone())));
            }
        } else {
            self.check_may_be_sealed(successors, revision)?;
        }
        let seal = Seal {
            successors: successors.to_vec(),
            revision,
            ..self.seal().cloned().unwrap_or_else(|| self.new_seal(now))
        };
        self.revision = self.revision.max(revision);
        let lineage = self
            .lineage
            .get_or_insert_with(|| Box::new(Lineage::first()));
        match &mut lineage.change().sealed {
            Some(sealed) => sealed.seal.clone_from(&seal),
            not_yet => {
                *not_yet = Some(Sealed {
                    seal: seal.clone(),
                    told_drained: Vec::new(),
                });
            }
        }
        Ok(Outcome::Sealed(Box::new(seal)))
    }

    fn check_may_be_sealed(
        &self,
        successors: &[Successor],
        revision: Revision,
    ) -> Result<(), Refusal> {
        let refuse = |code, detail| Err(Refusal::not_applied(code, detail));
        if revision < self.revision {
            return refuse(
                ErrorCode::Fenced,
                "a later instruction was carried out already",
            );
        }
        // What it follows may have keyed sends and groups that nobody has told it of yet, so it could
        // not hand them on.
        if self.is_closed() {
            return refuse(
                ErrorCode::NotReady,
                "partition: it is not open yet, and only an open one is sealed",
            );
        }
        let is_later = |one: &Successor| one.epoch > self.settings.epoch;
        if !successors.iter().all(is_later) {
            return refuse(
                ErrorCode::InvalidRequest,
                "successors.epoch: not above that of the sealed partition",
            );
        }
        Ok(())
    }

    /// With neither successors nor a revision yet.
    fn new_seal(&self, now: Ts) -> Seal {
        let keyed_sends = self.keyed_sends.counting_from_first(now);
        Seal {
            partition: self.id,
            epoch: self.settings.epoch,
            successors: Vec::new(),
            keyed_sends: u32::try_from(keyed_sends).expect("there are at most a million"),
            held: self.groups_left(&BTreeSet::new()),
            revision: Revision::default(),
            sealed_at: now,
        }
    }

    /// The groups of which messages may be left: here, but for these; in what this one follows; and where
    /// it takes messages over. Costs no more than [`HELD_GROUPS_MAX`] groups do.
    pub(crate) fn groups_left(&self, but_for: &BTreeSet<GroupName>) -> HeldGroups {
        let (live, held) = (self.contents.groups(), self.contents.held());
        if !self.settings.fifo {
            return HeldGroups::None;
        }
        let to_come = match self.inheritance().map(|known| &known.rest) {
            Some(Rest::Some {
                groups: HeldGroups::All,
            }) => return HeldGroups::All,
            Some(Rest::Some {
                groups: HeldGroups::These(groups),
            }) => groups.as_slice(),
            _ => &[],
        };
        if held.is_all() || live.len() - but_for.len() > HELD_GROUPS_MAX {
            return HeldGroups::All;
        }
        let mut left = BTreeSet::new();
        let live = live.names().filter(|name| !but_for.contains(*name));
        let live = live.map(|name| group_hash(name));
        for hash in live.chain(held.hashes()).chain(to_come.iter().copied()) {
            left.insert(hash);
            if left.len() > HELD_GROUPS_MAX {
                return HeldGroups::All;
            }
        }
        if left.is_empty() {
            HeldGroups::None
        } else {
            HeldGroups::These(left.into_iter().collect())
        }
    }

    /// Of the groups that its seal names, those of which nothing is left; ascending. None if the seal
    /// names none, or it has an heir, which tells of them. `None` if it is not sealed.
    pub(crate) fn groups_gone(&self) -> Option<Vec<GroupHash>> {
        let HeldGroups::These(named) = &self.seal()?.held else {
            return Some(Vec::new());
        };
        if self.forwarding().is_some() {
            return Some(Vec::new());
        }
        let left = match self.groups_left(&BTreeSet::new()) {
            HeldGroups::None => Vec::new(),
            HeldGroups::These(left) => left,
            HeldGroups::All => return Some(Vec::new()),
        };
        let is_gone = |hash: &&GroupHash| {
            left.binary_search(hash).is_err() || planted(Bug::GroupsToldTooEarly)
        };
        Some(named.iter().filter(is_gone).copied().collect())
    }

    /// Nothing is left here, nor in what it follows, nor with an heir: its successors need not look back
    /// any more. Once it is so it stays so.
    pub(crate) fn is_drained(&self) -> bool {
        self.seal().is_some()
            && self.forwarding().is_none()
            && self.contents.messages() == 0
            && self.waits_for_nothing()
    }

    /// The sends with deduplication keys that its seal counts, from a place in their order on. One that
    /// counts no more leaves its place to one that counts for nobody, so places do not move. `None` if
    /// it is not sealed, or an heir: the successors were told before it was made.
    pub(crate) fn keyed_sends_at_seal(
        &self,
        first: u32,
        max: usize,
        now: Ts,
    ) -> Option<Vec<KeyedSend>> {
        if self.inheritance().is_some() {
            return None;
        }
        const OVER: KeyedSend = KeyedSend {
            key: [0; 16],
            fingerprint: None,
            sequence: Sequence(0),
            sent_at: Ts::ZERO,
        };
        let count = self.seal()?.keyed_sends as usize;
        let remaining = self.keyed_sends.window().len();
        // Nothing is added after the seal and forgetting begins at the front, so places are counted
        // from the end.
        let at_place = |place: usize| {
            let send = self
                .keyed_sends
                .nth((remaining + place).checked_sub(count)?)?;
            send.counts(now).then(|| send.told())
        };
        let places = (first as usize..count).take(max.min(KEYED_SENDS_TOLD_MAX));
        let skipped = usize::from(planted(Bug::KeysToldOffByOne));
        let sends = places.map(|place| at_place(place + skipped).unwrap_or(OVER));
        Some(sends.collect())
    }

    /// Notes that these successors know that it is drained.
    pub(crate) fn note_told_drained(
        &mut self,
        successors: &[PartitionId],
    ) -> Result<Outcome, Refusal> {
        let refuse = |detail| Err(Refusal::not_applied(ErrorCode::InvalidRequest, detail));
        let Some(sealed) = self.sealed() else {
            return refuse("partition: it is not sealed");
        };
        let follows = |id: &PartitionId| sealed.seal.successors.iter().any(|s| s.partition == *id);
        if !successors.iter().all(follows) {
            return refuse("successors: not all of them follow this partition");
        }
        if !self.is_drained() {
            return refuse("partition: it is not drained");
        }
        let mut told: BTreeSet<_> = sealed.told_drained.iter().copied().collect();
        let before = told.len();
        told.extend(successors);
        if told.len() > before {
            let lineage = self.lineage.as_mut().expect("it is sealed");
            let sealed = lineage.change().sealed.as_mut();
            sealed.expect("it is sealed").told_drained = told.into_iter().collect();
        }
        Ok(Outcome::Done)
    }

    pub(crate) fn takes_sends(&self) -> bool {
        self.seal().is_none() && !self.is_closed()
    }

    /// What a send gets from a partition that takes none: the successors, what is waited for, or the
    /// first answers again if all of it was sent before. `None`: it takes sends.
    pub(crate) fn turn_away(&self, items: &[SendItem], now: Ts) -> Option<Outcome> {
        if let Some(seal) = self.seal() {
            return Some(match self.sent_before(items, now) {
                Some(results) => Outcome::Sent(results),
                None => Outcome::Sealed(Box::new(seal.clone())),
            });
        }
        self.is_closed().then(|| Outcome::Closed {
            waits_for: self.waits_for(),
            keyed_sends: 0,
        })
    }

    /// What these items would get if none of them needs to be kept. An empty send is none that was sent
    /// before.
    fn sent_before(&self, items: &[SendItem], now: Ts) -> Option<Vec<SendResult>> {
        let mut conflict = false;
        let mut before = |item: &SendItem| {
            let send = item.deduplication.as_ref()?;
            let result = match self.keyed_sends.seen(send, now) {
                _ if conflict && send.fingerprint.is_some() => SendResult::Conflict,
                Seen::Never => return None,
                Seen::As(sequence) => SendResult::Duplicate(sequence),
                Seen::Conflict => SendResult::Conflict,
            };
            conflict |= result == SendResult::Conflict;
            Some(result)
        };
        let results: Option<Vec<_>> = items.iter().map(&mut before).collect();
        results.filter(|results| !results.is_empty())
    }
}

/// Whether these are the same successors, wherever their hosts are reached.
fn are_the_same(one: &[Successor], other: &[Successor]) -> bool {
    let without_members = |s: &Successor| (s.partition, s.epoch, s.cluster, s.groups);
    one.iter()
        .map(without_members)
        .eq(other.iter().map(without_members))
}
