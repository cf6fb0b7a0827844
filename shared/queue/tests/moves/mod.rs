//! Random moves, splits and merges for the comparison with the model: what a manager and the hosts of
//! sealed partitions would say, in any order, repeated, and wrong now and then.

use std::collections::BTreeMap;

use proptest::prelude::*;
use shoal_model::Model;
use shoal_types::{
    ClusterId, ClusterMember, Command, Epoch, Forwarded, GroupName, GroupRange, HeldGroups, HostId,
    Inherited, KeyedSend, Outcome, PartitionId, PartitionSettings, Rest, Revision, Seal,
    SendResult, Sequence, SuccessionStage, Successor, group_hash,
};

use crate::at_ease;
use crate::heirs::{Forwarding, Heirs};
use crate::parcels::{Parcels, Transfer, Where};

/// What of a move happens next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Move {
    /// Of the partitions of these slots (a mask), to one or two successors.
    Create(u8, bool, Wrong),
    /// The nth partition from the end of those that are planned to move; 0: the first that is open yet.
    Seal(u8, i8, Wrong),
    /// The nth seal from the end, to the nth of its successors.
    Tell(u8, u8, News, Wrong),
    /// All that there is to tell, to all successors of the nth seal from the end; 0: of the first that
    /// somebody waits for.
    TellAll(u8),
    /// Of the nth seal from the end.
    ToldDrained(u8, Wrong),
    /// All of a move at once: of the partitions of these slots, to one or two successors.
    Whole(u8, bool),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum News {
    Seal,
    /// From a place on, so many.
    KeyedSends(u8, u8),
    /// Those that are, and one that perhaps is not.
    GroupsGone(Option<u8>),
    Drained,
}

/// Which detail is wrong; most numbers stand for none.
type Wrong = u8;

pub(crate) fn a_move() -> impl Strategy<Value = Move> {
    let wrong = 0..24u8;
    let news = prop_oneof![
        2 => Just(News::Seal),
        6 => (0..4u8, 0..5u8).prop_map(|(first, count)| News::KeyedSends(first, count)),
        3 => prop::option::weighted(0.2, 0..6u8).prop_map(News::GroupsGone),
        1 => Just(News::Drained),
    ];
    prop_oneof![
        3 => (1..8u8, any::<bool>(), wrong.clone()).prop_map(|(m, two, w)| Move::Create(m, two, w)),
        6 => (0..3u8, -1..3i8, wrong.clone()).prop_map(|(back, r, w)| Move::Seal(back, r, w)),
        6 => (0..4u8, 0..2u8, news, wrong.clone())
            .prop_map(|(back, to, news, w)| Move::Tell(back, to, news, w)),
        6 => (0..4u8).prop_map(Move::TellAll),
        2 => (0..4u8, wrong).prop_map(|(back, w)| Move::ToldDrained(back, w)),
        5 => (1..8u8, any::<bool>()).prop_map(|(slots, two)| Move::Whole(slots, two)),
    ]
}

impl Move {
    /// What is asked one after the other: the next follows from the answers to the one before.
    pub(crate) fn phases(&self) -> Vec<Self> {
        match self {
            Self::Whole(slots, two) => {
                let create = Self::Create(*slots, *two, Wrong::MAX);
                let then = [Self::Seal(0, 1, Wrong::MAX), Self::TellAll(0)];
                std::iter::once(create).chain(then.repeat(3)).collect()
            }
            one => vec![*one],
        }
    }
}

/// What is known of the moves so far.
pub(crate) struct Moves {
    /// The partition of each of the three slots, and the one before it.
    pub(crate) ids: [PartitionId; 3],
    pub(crate) before: [PartitionId; 3],
    epochs: BTreeMap<PartitionId, Epoch>,
    next: u64,
    planned: Vec<(PartitionId, Vec<Successor>)>,
    seals: Vec<Seal>,
    heirs: Heirs,
    parcels: Parcels,
    /// The group of the last message that went from each source.
    last_group: BTreeMap<PartitionId, Option<GroupName>>,
    /// How often what happened, to see that it did.
    pub(crate) reached: BTreeMap<Reached, u64>,
}

/// What random moves are to come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reached {
    Sealed,
    SentToClosed,
    SentToSealed,
    /// To a sealed partition, all of it for the second time.
    SentToSealedBefore,
    /// A partition opened with the last keyed send that it was told of.
    OpenedByKeyedSends,
    InheritedDuplicate,
    NotedAsDrained,
    /// Groups were held by a seal of a partition that follows another itself.
    HandedOn,
    /// A waiting receive got a message that was held until then.
    LetGo,
    /// An heir took messages.
    TakenOver,
    /// The last piece of all was taken.
    TakenOverAll,
    /// A source had messages back when its heir was gone.
    StayedBehind,
    /// To the heir of an heir.
    InheritedTwice,
    /// The messages of a group did not fit into one piece.
    GroupInPieces,
    /// A target took a parcel.
    ParcelTaken,
    /// A target passed over a parcel that it had.
    ParcelPassedOver,
    /// The target of a parcel was sealed, and the next one was for those that follow.
    ParcelRedirected,
    /// A parcel came back, since its target was gone.
    ParcelReturned,
    /// Somebody was told that what they took was heard of.
    Settled,
    /// A task began.
    TaskStarted,
}

impl Reached {
    pub(crate) const EVERYWHERE: &[Self] = &[
        Self::Sealed,
        Self::SentToClosed,
        Self::SentToSealed,
        Self::SentToSealedBefore,
        Self::OpenedByKeyedSends,
        Self::InheritedDuplicate,
        Self::NotedAsDrained,
        Self::TakenOver,
        Self::TakenOverAll,
        Self::StayedBehind,
        Self::InheritedTwice,
        Self::ParcelTaken,
        Self::ParcelPassedOver,
        Self::ParcelRedirected,
        Self::ParcelReturned,
        Self::Settled,
        Self::TaskStarted,
    ];
    pub(crate) const IN_FIFO_QUEUES: &[Self] = &[Self::HandedOn, Self::LetGo, Self::GroupInPieces];
}

impl Moves {
    pub(crate) fn new() -> Self {
        let ids = [0, 1, 2].map(PartitionId);
        Self {
            ids,
            before: ids,
            epochs: ids.map(|id| (id, Epoch(id.0 as u32))).into(),
            next: 3,
            planned: Vec::new(),
            seals: Vec::new(),
            heirs: Heirs::default(),
            parcels: Parcels::default(),
            last_group: BTreeMap::new(),
            reached: BTreeMap::new(),
        }
    }

    /// Learns what a request came to; `gave`: to receives that waited.
    pub(crate) fn note(&mut self, command: &Command, outcome: &Outcome, gave: bool) {
        let reached = match (command, outcome) {
            (Command::Seal { .. }, Outcome::Sealed(seal)) => {
                let is_chain = seal.epoch.0 > 2 && seal.held != HeldGroups::None;
                self.seals.retain(|known| known != &**seal);
                self.seals.push((**seal).clone());
                if is_chain {
                    Reached::HandedOn
                } else {
                    Reached::Sealed
                }
            }
            (Command::Send { .. }, Outcome::Closed { .. }) => Reached::SentToClosed,
            (Command::Send { .. }, Outcome::Sealed(_)) => Reached::SentToSealed,
            (Command::Send { partition, .. }, Outcome::Sent(results)) => {
                let epoch = self.epochs.get(partition);
                let is_inherited = |result: &SendResult| matches!(result, SendResult::Duplicate(n) if Some(&n.epoch()) != epoch);
                if results.iter().any(is_inherited) {
                    Reached::InheritedDuplicate
                } else if self.seals.iter().any(|seal| seal.partition == *partition) {
                    Reached::SentToSealedBefore
                } else {
                    return;
                }
            }
            (Command::Succeed { news, .. }, Outcome::Done) => match news {
                Inherited::KeyedSends { sends, .. } if !sends.is_empty() => {
                    Reached::OpenedByKeyedSends
                }
                Inherited::GroupsGone(_) | Inherited::Drained if gave => Reached::LetGo,
                _ => return,
            },
            (Command::ToldDrained { .. }, Outcome::Done) => Reached::NotedAsDrained,
            (
                Command::Forward {
                    partition, heir, ..
                },
                Outcome::Done,
            ) => return self.heirs.forwards(*partition, heir.partition),
            (Command::EndForwarding { .. }, Outcome::Done) => Reached::StayedBehind,
            (Command::TakeParcel { from, parcel, .. }, Outcome::Taken { through }) => {
                self.parcels.note_taken(*from, *through);
                match parcel.messages.is_empty() {
                    true => Reached::Settled,
                    false if *through > parcel.number => Reached::ParcelPassedOver,
                    false => Reached::ParcelTaken,
                }
            }
            (Command::RedirectParcel { .. }, Outcome::Done) => Reached::ParcelRedirected,
            (Command::ReturnParcel { .. }, Outcome::Done) => Reached::ParcelReturned,
            (Command::StartMove { .. }, Outcome::Done) => Reached::TaskStarted,
            (Command::TakePiece { from, piece, .. }, Outcome::Taken { through })
                if *through == piece.number =>
            {
                let last = |messages: &[Forwarded]| messages.last().and_then(|m| m.group.clone());
                let before = self.last_group.insert(*from, last(&piece.messages));
                let first = piece.messages.first().and_then(|m| m.group.clone());
                if self.heirs.is_heir(*from) {
                    Reached::InheritedTwice
                } else if first.is_some() && before == Some(first) {
                    Reached::GroupInPieces
                } else if piece.rest == Rest::Nothing {
                    Reached::TakenOverAll
                } else {
                    Reached::TakenOver
                }
            }
            _ => return,
        };
        *self.reached.entry(reached).or_default() += 1;
    }

    /// The partition that a small number stands for: one of the three, one before them, or the latest heir
    /// of that.
    pub(crate) fn id(&self, p: u8) -> PartitionId {
        let slot = usize::from(p % 3);
        match p / 3 {
            1 => self.before[slot],
            2 => *self
                .heirs
                .tellers(self.before[slot])
                .last()
                .expect("there is one"),
            _ => self.ids[slot],
        }
    }

    pub(crate) fn epoch(&self, id: PartitionId) -> Epoch {
        self.epochs[&id]
    }

    /// A slot goes on with a partition that was not there before.
    pub(crate) fn replace(&mut self, slot: usize) {
        let epoch = self.epochs[&self.ids[slot]];
        let id = self.fresh(epoch);
        self.ids[slot] = id;
    }

    fn fresh(&mut self, epoch: Epoch) -> PartitionId {
        let id = PartitionId(self.next);
        self.next += 1;
        self.epochs.insert(id, epoch);
        id
    }

    /// The commands that a move comes to, at this revision.
    pub(crate) fn commands(
        &mut self,
        step: &Move,
        revision: Revision,
        settings: impl Fn(usize) -> PartitionSettings,
        model: &Model,
    ) -> Vec<Command> {
        match step {
            Move::Create(slots, two, wrong) => {
                self.create(*slots, *two, *wrong, revision, settings, model)
            }
            Move::Seal(back, _, wrong) => self.seal(*back, *wrong, revision, model),
            Move::Tell(back, to, news, wrong) => {
                let Some(seal) = nth_from_end(&self.seals, *back) else {
                    return Vec::new();
                };
                let news = news_of(seal, news, model);
                vec![tell(seal, *to, news, *wrong)]
            }
            Move::TellAll(back) => self.tell_all(*back, model),
            Move::Whole(..) => unreachable!("it has phases"),
            Move::ToldDrained(back, wrong) => {
                let Some(seal) = nth_from_end(&self.seals, *back) else {
                    return Vec::new();
                };
                let mut told: Vec<_> = seal.successors.iter().map(|s| s.partition).collect();
                match wrong {
                    0 => told.push(told[0]),
                    1 => told[0].0 += 1,
                    2 => told.clear(),
                    3 => told.truncate(1),
                    _ => {}
                }
                vec![Command::ToldDrained {
                    partition: seal.partition,
                    successors: told,
                }]
            }
        }
    }

    /// The commands that a forwarding comes to, at this revision.
    pub(crate) fn forwarding(
        &mut self,
        step: &Forwarding,
        revision: Revision,
        fifo: [bool; 3],
        model: &Model,
    ) -> Vec<Command> {
        let Forwarding::Begin(back, wrong) = step else {
            return self.heirs.commands(step, model);
        };
        let Some(seal) = nth_from_end(&self.seals, *back).cloned() else {
            return Vec::new();
        };
        let heir = self.fresh(seal.epoch);
        let is_fifo = match seal.held {
            HeldGroups::None => fifo[2],
            HeldGroups::These(_) | HeldGroups::All => true,
        };
        let settings = PartitionSettings {
            fifo: is_fifo,
            ..at_ease()
        };
        self.heirs.begin(&seal, settings, heir, *wrong, revision)
    }

    /// The commands that a transfer comes to, at this revision.
    pub(crate) fn transfer(
        &mut self,
        step: &Transfer,
        revision: Revision,
        model: &Model,
    ) -> Vec<Command> {
        let source = match *step {
            Transfer::Dies(p, ..)
            | Transfer::Start(p, ..)
            | Transfer::Cancel(p, ..)
            | Transfer::Next(p, _)
            | Transfer::Carry(p, _)
            | Transfer::Redirect(p, _)
            | Transfer::Return(p, _)
            | Transfer::Whole(p, _) => self.id(p),
            Transfer::CarryAgain(_) => self.ids[0],
        };
        let at = Where {
            ids: self.ids,
            source,
            seals: &self.seals,
            revision,
        };
        self.parcels.commands(step, &at, model)
    }

    fn create(
        &mut self,
        slots: u8,
        two: bool,
        wrong: Wrong,
        revision: Revision,
        settings: impl Fn(usize) -> PartitionSettings,
        model: &Model,
    ) -> Vec<Command> {
        let slots: Vec<usize> = (0..3).filter(|slot| slots & (1 << slot) != 0).collect();
        let followed: Vec<_> = slots.iter().map(|slot| self.ids[*slot]).collect();
        if wrong != 5 && !followed.iter().all(|id| is_open(model, *id)) {
            return Vec::new();
        }
        let epoch = Epoch(self.next as u32 + u32::from(wrong != 0) * 3);
        let parts = GroupRange::ALL.split(1 + usize::from(two));
        let successor = |(n, groups): (u64, &GroupRange)| Successor {
            partition: self.fresh(epoch),
            epoch,
            cluster: ClusterId(n),
            members: vec![member(1)],
            groups: *groups,
        };
        let successors: Vec<_> = (1..).zip(&parts).map(successor).collect();
        for (id, slot) in followed.iter().zip(&slots) {
            self.planned.push((*id, successors.clone()));
            self.before[*slot] = *id;
            self.ids[*slot] = successors[*slot % successors.len()].partition;
        }
        let command = |successor: &Successor| {
            let mut succeeds = followed.clone();
            match wrong {
                1 => succeeds.clear(),
                2 => succeeds.push(succeeds[0]),
                3 => succeeds.push(successor.partition),
                4 => succeeds.push(PartitionId(99_999)),
                _ => succeeds.reverse(),
            }
            Command::CreateSuccessor {
                partition: successor.partition,
                settings: PartitionSettings {
                    epoch,
                    ..settings(slots[0])
                },
                revision,
                succeeds,
            }
        };
        successors.iter().map(command).collect()
    }

    fn seal(&self, back: u8, wrong: Wrong, revision: Revision, model: &Model) -> Vec<Command> {
        let mut open = self.planned.iter().filter(|(id, _)| is_open(model, *id));
        let first_open = open.next().filter(|_| back == 0);
        let Some((partition, successors)) =
            first_open.or_else(|| nth_from_end(&self.planned, back))
        else {
            return Vec::new();
        };
        let mut successors = successors.clone();
        match wrong {
            0 => successors[0].members.push(member(2)),
            1 => successors[0].members.clear(),
            2 => successors[0].epoch = Epoch(0),
            3 => successors[0].cluster.0 += 1,
            4 => successors[0].partition = *partition,
            5 => drop(successors.pop()),
            6 => successors[0].groups = GroupRange { first: 2, last: 1 },
            7 => successors[0].members[0].address = "there:0".to_owned(),
            8 => successors[0].members.push(member(1)),
            _ => {}
        }
        vec![Command::Seal {
            partition: *partition,
            successors,
            revision,
        }]
    }

    /// As a host of the sealed partition does it.
    fn tell_all(&self, back: u8, model: &Model) -> Vec<Command> {
        let mut waited_for = self.seals.iter().filter(|seal| {
            let mut successors = seal.successors.iter();
            successors.any(|one| waits_for(model, one.partition, seal.partition))
        });
        let first = waited_for.next().filter(|_| back == 0);
        let Some(seal) = first.or_else(|| nth_from_end(&self.seals, back)) else {
            return Vec::new();
        };
        let tellers = self.heirs.tellers(seal.partition);
        let gone = tellers.iter().filter_map(|id| model.groups_gone(*id));
        let mut news = vec![Inherited::Seal];
        news.extend(gone.map(Inherited::GroupsGone));
        let sends = model.keyed_sends_at_seal(seal.partition);
        let blocks = sends.as_deref().unwrap_or_default().chunks(3);
        for (n, block) in (0..).zip(blocks) {
            news.push(Inherited::KeyedSends {
                first: 3 * n,
                sends: block.to_vec(),
            });
        }
        if tellers.iter().any(|id| model.is_drained(*id)) {
            news.push(Inherited::Drained);
        }
        let to = 0..seal.successors.len() as u8;
        let told = to.flat_map(|to| {
            let news = news.iter().cloned();
            news.map(move |news| tell(seal, to, news, Wrong::MAX))
        });
        told.collect()
    }
}

fn is_open(model: &Model, id: PartitionId) -> bool {
    let stage = model.succession(id).map(|succession| succession.stage);
    stage == Some(SuccessionStage::Open)
}

fn waits_for(model: &Model, id: PartitionId, for_whom: PartitionId) -> bool {
    let stage = model.succession(id).map(|succession| succession.stage);
    matches!(stage, Some(SuccessionStage::Closed { waits_for }) if waits_for.contains(&for_whom))
}

fn nth_from_end<T>(all: &[T], back: u8) -> Option<&T> {
    all.iter().rev().nth(usize::from(back))
}

fn member(host: u64) -> ClusterMember {
    ClusterMember {
        host: HostId(host),
        address: format!("host-{host}:1"),
    }
}

fn news_of(seal: &Seal, news: &News, model: &Model) -> Inherited {
    match news {
        News::Seal => Inherited::Seal,
        News::Drained => Inherited::Drained,
        News::KeyedSends(first, count) => {
            let sends = model.keyed_sends_at_seal(seal.partition);
            let sends: Vec<KeyedSend> = sends.into_iter().flatten().collect();
            let from = sends.into_iter().skip(usize::from(*first));
            Inherited::KeyedSends {
                first: (*first).into(),
                sends: from.take(usize::from(*count)).collect(),
            }
        }
        News::GroupsGone(another) => {
            let mut gone = model.groups_gone(seal.partition).unwrap_or_default();
            let names = ["a", "b", "c", "d", "e", "f"];
            gone.extend(another.map(|n| group_hash(names[usize::from(n)])));
            Inherited::GroupsGone(gone)
        }
    }
}

fn tell(seal: &Seal, to: u8, mut news: Inherited, wrong: Wrong) -> Command {
    let mut seal = Box::new(seal.clone());
    let to = usize::from(to) % seal.successors.len();
    let mut partition = seal.successors[to].partition;
    match wrong {
        0 => partition.0 += 1,
        1 => seal.partition.0 += 1,
        2 => seal.successors[to].epoch.0 += 1,
        3 => seal.epoch.0 += 100,
        4 => seal.keyed_sends += 1,
        5 => seal.sealed_at.0 += 1,
        6 => {
            if let Inherited::KeyedSends { first, .. } = &mut news {
                *first += 1;
            }
        }
        7 => {
            if let Inherited::KeyedSends { sends, .. } = &mut news {
                for send in sends {
                    send.sequence = Sequence::new(Epoch(1_000), 1);
                }
            }
        }
        8 => {
            if let Inherited::KeyedSends { sends, .. } = &mut news {
                // By a clock that is ahead, or behind.
                for (n, send) in (0..).zip(sends) {
                    send.sent_at.0 = (send.sent_at.0 + 40_000_000).saturating_sub(n * 80_000_000);
                }
            }
        }
        9 => seal.revision.0 += 1,
        _ => {}
    }
    Command::Succeed {
        partition,
        seal,
        news,
    }
}
