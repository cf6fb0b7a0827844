//! How partitions follow one another, as plainly as the rest: a successor keeps what it was shown and
//! told, and every question is answered by going through it.

use std::collections::{BTreeMap, BTreeSet};

use shoal_types::limits::{
    DEDUPLICATION_IDS_MAX, DEDUPLICATION_WINDOW, HELD_GROUPS_MAX, KEYED_SENDS_TOLD_MAX,
    SUCCESSORS_MAX,
};
use shoal_types::{
    ClusterMember, Command, ErrorCode, GroupHash, HeldGroups, Inherited, KeyedSend, Outcome,
    PartitionId, PartitionSettings, Revision, Seal, SendItem, SendResult, Sequence, Succession,
    SuccessionStage, Successor, Ts, group_hash,
};

use crate::forwarding::Inherits;
use crate::partition::{Message, Partition};
use crate::{Given, Model};

/// What a successor knows of a partition that it follows.
#[derive(Default)]
pub(crate) struct Followed {
    seal: Option<Seal>,
    keyed_sends_told: usize,
    groups_gone: BTreeSet<GroupHash>,
    drained: bool,
}

/// What a sealed partition shows and tells.
pub(crate) struct Sealed {
    pub(crate) seal: Seal,
    keyed_sends: Vec<KeyedSend>,
    told_drained: BTreeSet<PartitionId>,
}

impl Sealed {
    /// As an heir of its partition has it.
    pub(crate) fn inherited(seal: &Seal) -> Self {
        Self {
            seal: seal.clone(),
            keyed_sends: Vec::new(),
            told_drained: BTreeSet::new(),
        }
    }
}

impl Followed {
    /// The groups it holds one by one; `None` if all.
    fn held(&self) -> Option<BTreeSet<GroupHash>> {
        match &self.seal {
            Some(seal) if !self.drained => match &seal.held {
                HeldGroups::None => Some(BTreeSet::new()),
                HeldGroups::All => None,
                HeldGroups::These(named) => {
                    let named: BTreeSet<_> = named.iter().copied().collect();
                    Some(named.difference(&self.groups_gone).copied().collect())
                }
            },
            _ => Some(BTreeSet::new()),
        }
    }

    fn is_complete(&self) -> bool {
        let told = self.keyed_sends_told;
        self.seal
            .as_ref()
            .is_some_and(|seal| told == seal.keyed_sends as usize)
    }
}

impl Partition {
    pub(crate) fn holds(&self, message: &Message) -> bool {
        let hash = group_hash(message.group.as_ref().unwrap());
        let mut follows = self.follows.values();
        follows.any(|followed| followed.held().is_none_or(|held| held.contains(&hash)))
    }

    fn waits_for(&self) -> Vec<PartitionId> {
        let waits = self.follows.iter().filter(|(_, f)| !f.is_complete());
        waits.map(|(id, _)| *id).collect()
    }

    pub(crate) fn turn_away(&self, items: &[SendItem], now: Ts) -> Option<Outcome> {
        let Some(sealed) = &self.sealed else {
            let waits_for = self.waits_for();
            return (!waits_for.is_empty()).then_some(Outcome::Closed {
                waits_for,
                keyed_sends: 0,
            });
        };
        let mut results = Vec::new();
        for item in items {
            let fingerprinted = matches!(item.deduplication, Some(d) if d.fingerprint.is_some());
            results.push(
                if fingerprinted && results.contains(&Some(SendResult::Conflict)) {
                    Some(SendResult::Conflict)
                } else {
                    self.sent_before(item, now)
                },
            );
        }
        let all: Option<Vec<_>> = results.into_iter().collect();
        Some(match all {
            Some(results) if !results.is_empty() => Outcome::Sent(results),
            _ => Outcome::Sealed(Box::new(sealed.seal.clone())),
        })
    }

    /// Groups that may have messages here, but for those that go, or in what it follows.
    pub(crate) fn groups_left(&self, but_for: &BTreeSet<u64>) -> HeldGroups {
        if !self.settings.fifo {
            return HeldGroups::None;
        }
        let stays = |m: &&Message| !but_for.contains(&m.number);
        let messages = self.messages.iter().filter(stays);
        let groups = messages.filter_map(|m| m.group.as_ref());
        let names: BTreeSet<_> = groups.collect();
        let mut left: BTreeSet<_> = names.iter().map(|name| group_hash(name)).collect();
        let to_come = self.inherits.iter().map(Inherits::to_come);
        for held in self.follows.values().map(Followed::held).chain(to_come) {
            match held {
                None => return HeldGroups::All,
                Some(held) => left.extend(held),
            }
        }
        if names.len() > HELD_GROUPS_MAX || left.len() > HELD_GROUPS_MAX {
            HeldGroups::All
        } else if left.is_empty() {
            HeldGroups::None
        } else {
            HeldGroups::These(left.into_iter().collect())
        }
    }

    fn is_drained(&self) -> bool {
        self.sealed.is_some()
            && !self.is_forwarding()
            && self.messages.is_empty()
            && self.waits_for_nothing()
    }

    /// Neither in what it follows nor where it inherits anything is left.
    pub(crate) fn waits_for_nothing(&self) -> bool {
        self.holds_nothing()
            && self.inherits.as_ref().is_none_or(Inherits::has_all)
            && self.transfers_are_settled()
    }

    pub(crate) fn holds_nothing(&self) -> bool {
        let mut follows = self.follows.values().filter(|_| self.settings.fifo);
        follows.all(|f| f.held().is_some_and(|held| held.is_empty()))
    }

    fn seal(
        &mut self,
        id: PartitionId,
        successors: &[Successor],
        revision: Revision,
        now: Ts,
    ) -> Result<Outcome, ErrorCode> {
        if let Some(Sealed { seal, .. }) = &mut self.sealed {
            let who = |s: &[Successor]| -> Vec<_> {
                let who = |s: &Successor| (s.partition, s.epoch, s.cluster, s.groups);
                s.iter().map(who).collect()
            };
            if revision < seal.revision || who(successors) != who(&seal.successors) {
                return Err(ErrorCode::Fenced);
            }
            if revision > seal.revision {
                seal.successors = successors.to_vec();
                seal.revision = revision;
                self.revision = self.revision.max(revision);
            }
            return Ok(Outcome::Sealed(Box::new(seal.clone())));
        }
        if revision < self.revision {
            return Err(ErrorCode::Fenced);
        }
        if !self.waits_for().is_empty() {
            return Err(ErrorCode::NotReady);
        }
        if successors.iter().any(|s| s.epoch <= self.settings.epoch) {
            return Err(ErrorCode::InvalidRequest);
        }
        let told = |(key, fingerprint, sequence, sent_at): &_| KeyedSend {
            key: *key,
            fingerprint: *fingerprint,
            sequence: *sequence,
            sent_at: *sent_at,
        };
        let sends = self.keyed_sends.iter().map(told);
        let keyed_sends: Vec<_> = sends.skip_while(|send| is_over(send, now)).collect();
        let seal = Seal {
            partition: id,
            epoch: self.settings.epoch,
            successors: successors.to_vec(),
            keyed_sends: keyed_sends.len() as u32,
            held: self.groups_left(&BTreeSet::new()),
            revision,
            sealed_at: now,
        };
        self.revision = revision;
        self.sealed = Some(Sealed {
            seal: seal.clone(),
            keyed_sends,
            told_drained: BTreeSet::new(),
        });
        Ok(Outcome::Sealed(Box::new(seal)))
    }

    fn succeed(
        &mut self,
        id: PartitionId,
        seal: &Seal,
        news: &Inherited,
        now: Ts,
    ) -> Result<Outcome, ErrorCode> {
        let epoch = self.settings.epoch;
        let followed = self.follows.get_mut(&seal.partition);
        let followed = followed.ok_or(ErrorCode::InvalidRequest)?;
        let names_me = |s: &Successor| s.partition == id && s.epoch == epoch;
        let unlike_before = |before: &Seal| {
            before.epoch != seal.epoch
                || before.sealed_at != seal.sealed_at
                || before.keyed_sends != seal.keyed_sends
        };
        if !seal.successors.iter().any(names_me)
            || seal.epoch >= epoch
            || followed.seal.as_ref().is_some_and(unlike_before)
        {
            return Err(ErrorCode::InvalidRequest);
        }
        let mut sends_to_learn = Vec::new();
        if let Inherited::KeyedSends { first, sends } = news {
            let first = *first as usize;
            if first > followed.keyed_sends_told
                || first + sends.len() > seal.keyed_sends as usize
                || sends.iter().any(|send| send.sequence.epoch() > seal.epoch)
            {
                return Err(ErrorCode::InvalidRequest);
            }
            for (place, send) in (first..).zip(sends) {
                if place == followed.keyed_sends_told {
                    followed.keyed_sends_told += 1;
                    sends_to_learn.push(*send);
                }
            }
        }
        let told = followed.keyed_sends_told as u32;
        followed.seal.get_or_insert_with(|| seal.clone());
        match news {
            Inherited::Seal | Inherited::KeyedSends { .. } => {}
            Inherited::GroupsGone(groups) => followed.groups_gone.extend(groups),
            Inherited::Drained => followed.drained = true,
        }
        for send in sends_to_learn {
            self.learn(send, now);
        }
        let waits_for = self.waits_for();
        Ok(if waits_for.is_empty() {
            Outcome::Done
        } else {
            Outcome::Closed {
                waits_for,
                keyed_sends: told,
            }
        })
    }

    fn learn(&mut self, mut send: KeyedSend, now: Ts) {
        send.sent_at = send.sent_at.min(now);
        let is_newer = |(key, _, _, at): &(_, _, _, Ts)| {
            *key == send.key && now < at.after(DEDUPLICATION_WINDOW) && *at >= send.sent_at
        };
        if !is_over(&send, now) && !self.keyed_sends.iter().any(is_newer) {
            let KeyedSend {
                key,
                fingerprint,
                sequence,
                sent_at,
            } = send;
            self.keyed_sends.push((key, fingerprint, sequence, sent_at));
        }
    }
}

fn is_over(send: &KeyedSend, now: Ts) -> bool {
    now >= send.sent_at.after(DEDUPLICATION_WINDOW)
}

fn each_once(ids: &[PartitionId]) -> bool {
    let distinct: BTreeSet<_> = ids.iter().collect();
    distinct.len() == ids.len() && (1..=SUCCESSORS_MAX).contains(&ids.len())
}

fn are_successors(of: PartitionId, successors: &[Successor]) -> bool {
    let ids: Vec<_> = successors.iter().map(|s| s.partition).collect();
    let is_one = |s: &Successor| {
        are_members(&s.members) && s.groups.first <= s.groups.last && s.partition != of
    };
    each_once(&ids) && successors.iter().all(is_one)
}

/// Hosts that can be dialled.
pub(crate) fn are_members(members: &[ClusterMember]) -> bool {
    let hosts: BTreeSet<_> = members.iter().map(|member| member.host).collect();
    let can_be_dialled = |member: &ClusterMember| match member.address.rsplit_once(':') {
        Some(("", _)) | None => false,
        Some((_, port)) => {
            member.address.len() <= 260 && port.parse::<u16>().is_ok_and(|port| port > 0)
        }
    };
    (1..=5).contains(&members.len())
        && hosts.len() == members.len()
        && members.iter().all(can_be_dialled)
}

pub(crate) fn is_seal(seal: &Seal) -> bool {
    let held = match &seal.held {
        HeldGroups::These(groups) => {
            groups.len() <= HELD_GROUPS_MAX && groups.windows(2).all(|w| w[0] < w[1])
        }
        HeldGroups::None | HeldGroups::All => true,
    };
    let few_keys = seal.keyed_sends as usize <= DEDUPLICATION_IDS_MAX;
    are_successors(seal.partition, &seal.successors) && few_keys && held
}

fn is_well_formed(command: &Command) -> bool {
    match command {
        Command::CreateSuccessor {
            partition,
            succeeds,
            ..
        } => each_once(succeeds) && !succeeds.contains(partition),
        Command::Seal {
            partition,
            successors,
            ..
        } => are_successors(*partition, successors),
        Command::Succeed { seal, news, .. } => {
            let news = match news {
                Inherited::KeyedSends { sends, .. } => sends.len() <= KEYED_SENDS_TOLD_MAX,
                Inherited::GroupsGone(groups) => groups.len() <= HELD_GROUPS_MAX,
                Inherited::Seal | Inherited::Drained => true,
            };
            is_seal(seal) && news
        }
        Command::ToldDrained { successors, .. } => each_once(successors),
        _ => true,
    }
}

impl Model {
    pub(crate) fn succession_command(
        &mut self,
        command: &Command,
        effects: &mut Vec<Given>,
    ) -> Result<Outcome, ErrorCode> {
        let now = self.now;
        if self.version < 2 {
            return Err(ErrorCode::NotReady);
        }
        if !is_well_formed(command) {
            return Err(ErrorCode::InvalidRequest);
        }
        match command {
            Command::CreateSuccessor {
                partition,
                settings,
                revision,
                succeeds,
            } => self.create_successor(*partition, *settings, *revision, succeeds),
            Command::Seal {
                partition,
                successors,
                revision,
            } => {
                let p = self.known(*partition)?;
                let sealed = p.seal(*partition, successors, *revision, now)?;
                self.end_all_waits(*partition, effects);
                Ok(sealed)
            }
            Command::Succeed {
                partition,
                seal,
                news,
            } => {
                let p = self.known(*partition)?;
                p.succeed(*partition, seal, news, now)
            }
            Command::ToldDrained {
                partition,
                successors,
            } => {
                let p = self.known(*partition)?;
                let drained = p.is_drained();
                let sealed = p.sealed.as_mut().ok_or(ErrorCode::InvalidRequest)?;
                let follows = |id: &PartitionId| {
                    let mut successors = sealed.seal.successors.iter();
                    successors.any(|s| s.partition == *id)
                };
                if !drained || !successors.iter().all(follows) {
                    return Err(ErrorCode::InvalidRequest);
                }
                sealed.told_drained.extend(successors);
                Ok(Outcome::Done)
            }
            _ => unreachable!("the caller has looked"),
        }
    }

    fn create_successor(
        &mut self,
        id: PartitionId,
        settings: PartitionSettings,
        revision: Revision,
        succeeds: &[PartitionId],
    ) -> Result<Outcome, ErrorCode> {
        if let Some(p) = self.partitions.get(&id) {
            if p.revision >= revision {
                return Ok(Outcome::Done);
            }
            let wanted: BTreeSet<_> = succeeds.iter().collect();
            if !p.follows.keys().eq(wanted) {
                return Err(ErrorCode::InvalidRequest);
            }
            return self.configure(id, settings, revision);
        }
        if self.deleted.contains_key(&id) {
            return Err(ErrorCode::Fenced);
        }
        let follows = succeeds.iter().map(|id| (*id, Followed::default()));
        let new = Partition {
            follows: follows.collect::<BTreeMap<_, _>>(),
            ..Partition::new(settings, revision)
        };
        self.partitions.insert(id, new);
        Ok(Outcome::Done)
    }

    /// How far a partition is in following others and being followed. `None` if there is no such
    /// partition.
    #[must_use]
    pub fn succession(&self, id: PartitionId) -> Option<Succession> {
        let p = self.partitions.get(&id)?;
        let waits_for = p.waits_for();
        let stage = match &p.sealed {
            Some(sealed) if p.is_forwarding() => p.forwarding_stage(&sealed.seal),
            Some(sealed) => SuccessionStage::Sealed {
                seal: Box::new(sealed.seal.clone()),
                told_drained: sealed.told_drained.iter().copied().collect(),
            },
            None if waits_for.is_empty() => SuccessionStage::Open,
            None => SuccessionStage::Closed { waits_for },
        };
        Some(Succession {
            stage,
            messages: p.messages.len() as u64,
        })
    }

    /// Whether a sealed partition and all that it follows are empty.
    #[must_use]
    pub fn is_drained(&self, id: PartitionId) -> bool {
        self.partitions.get(&id).is_some_and(Partition::is_drained)
    }

    /// The sends that the seal counts, each in its place; those that count no more are blank. `None` if
    /// the partition is not sealed.
    #[must_use]
    pub fn keyed_sends_at_seal(&self, id: PartitionId) -> Option<Vec<KeyedSend>> {
        let p = self.partitions.get(&id)?;
        let sealed = p.sealed.as_ref().filter(|_| p.inherits.is_none())?;
        let shown = |send: &KeyedSend| {
            if is_over(send, self.now) {
                KeyedSend {
                    key: [0; 16],
                    fingerprint: None,
                    sequence: Sequence(0),
                    sent_at: Ts::ZERO,
                }
            } else {
                *send
            }
        };
        Some(sealed.keyed_sends.iter().map(shown).collect())
    }

    /// Of the groups that the seal names those that have no message any more, ascending. `None` if the
    /// partition is not sealed.
    #[must_use]
    pub fn groups_gone(&self, id: PartitionId) -> Option<Vec<GroupHash>> {
        let p = self.partitions.get(&id)?;
        let HeldGroups::These(named) = &p.sealed.as_ref()?.seal.held else {
            return Some(Vec::new());
        };
        let left = match p.groups_left(&BTreeSet::new()) {
            _ if p.is_forwarding() => return Some(Vec::new()),
            HeldGroups::All => return Some(Vec::new()),
            HeldGroups::These(left) => left,
            HeldGroups::None => Vec::new(),
        };
        let gone = named.iter().filter(|hash| !left.contains(hash));
        Some(gone.copied().collect())
    }
}
