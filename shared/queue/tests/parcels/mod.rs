//! Random dead letters and tasks for the comparison with the model: what a manager and the hosts between a
//! source and its target would say, in any order, repeated, late, and wrong now and then.

use proptest::prelude::*;
use shoal_model::Model;
use shoal_types::{
    ClusterId, ClusterMember, Command, DeadLetters, GroupRange, HostId, MoveTask, MoveTo, Parcel,
    PartitionId, QueueId, Revision, Seal, Target, TargetPart, Ts,
};

/// What of a transfer happens next. The first number is the source: see `Moves::id`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Transfer {
    /// To the queue of a slot, after so many receives; 0: no more.
    Dies(u8, u8, u8, i8, Wrong),
    /// A task to the queue of a slot, or to where messages came from.
    Start(u8, u8, u8, i8, Wrong),
    Cancel(u8, u8, i8),
    /// The parcels that were made were taken, or so many less.
    Next(u8, u8),
    /// The parcel that is on its way arrives.
    Carry(u8, Wrong),
    /// One that was carried before arrives again.
    CarryAgain(u8),
    Redirect(u8, Wrong),
    Return(u8, Wrong),
    /// So many parcels, by somebody who does it right.
    Whole(u8, u8),
}

/// Which detail is wrong; most numbers stand for none.
type Wrong = u8;

pub(crate) fn a_transfer() -> impl Strategy<Value = Transfer> {
    let wrong = || 0..40u8;
    let p = || prop_oneof![6 => 0..3u8, 2 => 3..6u8, 1 => 6..9u8];
    prop_oneof![
        8 => (p(), 0..6u8, 0..5u8, -1..3i8, wrong())
            .prop_map(|(p, to, max, r, w)| Transfer::Dies(p, to, max, r, w)),
        4 => (p(), 0..8u8, 0..4u8, -1..3i8, wrong())
            .prop_map(|(p, to, rate, r, w)| Transfer::Start(p, to, rate, r, w)),
        1 => (p(), 0..3u8, -1..2i8).prop_map(|(p, less, r)| Transfer::Cancel(p, less, r)),
        6 => (p(), 0..12u8).prop_map(|(p, less)| Transfer::Next(p, less)),
        6 => (p(), wrong()).prop_map(|(p, w)| Transfer::Carry(p, w)),
        3 => (0..8u8).prop_map(Transfer::CarryAgain),
        3 => (p(), wrong()).prop_map(|(p, w)| Transfer::Redirect(p, w)),
        1 => (p(), wrong()).prop_map(|(p, w)| Transfer::Return(p, w)),
        14 => (p(), 1..4u8).prop_map(|(p, parcels)| Transfer::Whole(p, parcels)),
    ]
}

impl Transfer {
    /// What is asked one after the other: the next follows from the answers to the one before.
    pub(crate) fn phases(&self) -> Vec<Self> {
        match *self {
            Self::Whole(p, parcels) => {
                let parcel = [
                    Self::Next(p, u8::MAX),
                    Self::Carry(p, Wrong::MAX),
                    Self::Redirect(p, Wrong::MAX),
                ];
                parcel.repeat(parcels.into())
            }
            one => vec![one],
        }
    }
}

/// What transfers go by.
pub(crate) struct Where<'a> {
    pub(crate) ids: [PartitionId; 3],
    pub(crate) source: PartitionId,
    pub(crate) seals: &'a [Seal],
    pub(crate) revision: Revision,
}

/// Parcels that were carried so far, the latest last.
#[derive(Default)]
pub(crate) struct Parcels {
    carried: Vec<(PartitionId, PartitionId, Parcel)>,
    tasks: u64,
    /// The last parcel that each partition is known to have taken of each.
    heard: std::collections::BTreeMap<PartitionId, u64>,
}

fn queue(slot: u8) -> QueueId {
    QueueId(100 + u64::from(slot % 3))
}

fn target(ids: [PartitionId; 3], slot: u8) -> Target {
    let part = |slot: u8, groups| TargetPart {
        partition: ids[usize::from(slot % 3)],
        cluster: ClusterId(7),
        members: vec![ClusterMember {
            host: HostId(7),
            address: "there:1".to_owned(),
        }],
        groups,
    };
    let parts = match GroupRange::ALL.split(1 + usize::from(slot / 3)).as_slice() {
        [low, high] => vec![part(slot, *low), part(slot + 1, *high)],
        _ => vec![part(slot, GroupRange::ALL)],
    };
    Target {
        queue: queue(slot),
        parts,
    }
}

impl Parcels {
    /// The last parcel that is known to have arrived.
    pub(crate) fn note_taken(&mut self, from: PartitionId, through: u64) {
        let heard = self.heard.entry(from).or_default();
        *heard = through.max(*heard);
    }

    /// The commands that a step comes to.
    pub(crate) fn commands(
        &mut self,
        step: &Transfer,
        at: &Where<'_>,
        model: &Model,
    ) -> Vec<Command> {
        let partition = at.source;
        let under_way = model.parcel(partition);
        let number = under_way.as_ref().map_or(0, |(_, parcel)| parcel.number);
        let command = match *step {
            Transfer::Dies(_, to, max, _, wrong) => Some(Command::SetDeadLetters {
                partition,
                dead_letters: (max > 0).then(|| Box::new(dead_letters(at, to, max, wrong))),
                revision: at.revision,
            }),
            Transfer::Start(_, to, rate, _, wrong) => {
                self.tasks += u64::from(wrong != 0);
                Some(Command::StartMove {
                    partition,
                    task: Box::new(task(at, self.tasks, to, rate, wrong)),
                    revision: at.revision,
                })
            }
            Transfer::Cancel(_, less, _) => Some(Command::CancelMove {
                partition,
                task: self.tasks.saturating_sub(less.into()),
                revision: at.revision,
            }),
            Transfer::Next(_, less) => {
                // Whether it was taken is known to be true, or else nobody may say so.
                let heard = self.heard.get(&partition).copied().unwrap_or_default();
                Some(Command::NextParcel {
                    partition,
                    taken: match less {
                        0 => heard + 1_000,
                        1 | 2 => heard.saturating_sub(less.into()),
                        _ => heard,
                    },
                })
            }
            Transfer::Carry(_, wrong) => under_way.map(|(to, parcel)| {
                if wrong > 8 {
                    self.carried.push((partition, to, parcel.clone()));
                }
                carry(partition, to, parcel, wrong)
            }),
            Transfer::CarryAgain(back) => {
                let carried = self.carried.iter().rev().nth(back.into()).cloned();
                carried.map(|(from, to, parcel)| carry(from, to, parcel, Wrong::MAX))
            }
            Transfer::Redirect(_, wrong) => under_way.and_then(|(to, _)| {
                let seals = at.seals.iter();
                let mut of_target = seals.filter(|seal| seal.partition == to || wrong == 0);
                Some(Command::RedirectParcel {
                    partition,
                    parcel: if wrong == 1 { number + 1 } else { number },
                    seal: Box::new(of_target.next_back()?.clone()),
                })
            }),
            // Whom it was for must not have taken it, so it is asked before it is carried.
            Transfer::Return(_, wrong) => Some(Command::ReturnParcel {
                partition,
                parcel: if wrong == 1 { number + 1 } else { number },
            }),
            Transfer::Whole(..) => unreachable!("it has phases"),
        };
        command.into_iter().collect()
    }
}

fn dead_letters(at: &Where<'_>, to: u8, max: u8, wrong: Wrong) -> DeadLetters {
    let slot = at.ids.iter().position(|id| *id == at.source).unwrap_or(9);
    let mut known = DeadLetters {
        queue: queue(slot as u8),
        max_receives: u16::from(max),
        to: target(at.ids, to),
    };
    match wrong {
        0 => known.max_receives = 0,
        1 => known.to.parts.clear(),
        2 => known.to.parts[0].members.clear(),
        3 => known.to.parts[0].groups.first = 1,
        4 => known.to.parts[0].groups.last -= 1,
        5 => known.to.queue = known.queue,
        6 => known.to.parts[0].partition = at.source,
        _ => {}
    }
    known
}

fn task(at: &Where<'_>, number: u64, to: u8, rate: u8, wrong: Wrong) -> MoveTask {
    let mut task = MoveTask {
        task: number,
        to: match to {
            0..6 => MoveTo::One(target(at.ids, to)),
            _ => MoveTo::Origins(vec![target(at.ids, to), target(at.ids, to + 1)]),
        },
        per_second: [None, None, Some(2), Some(500)][usize::from(rate)],
    };
    match (wrong, &mut task.to) {
        (1, _) => task.per_second = Some(0),
        (2, _) => task.per_second = Some(501),
        (3, MoveTo::Origins(targets)) => targets.clear(),
        (4, MoveTo::Origins(targets)) => targets[1].queue = targets[0].queue,
        (5, MoveTo::One(target)) => target.parts[0].partition = at.source,
        _ => {}
    }
    let is_elsewhere = |target: &Target| {
        let mut parts = target.parts.iter();
        parts.all(|part| part.partition != at.source)
    };
    if let MoveTo::Origins(targets) = &mut task.to
        && wrong > 5
    {
        targets.retain(is_elsewhere);
    }
    task
}

fn carry(mut from: PartitionId, mut to: PartitionId, mut parcel: Parcel, wrong: Wrong) -> Command {
    match wrong {
        0 => parcel.number = 0,
        1 => from = to,
        2 => to.0 += 1,
        _ => {}
    }
    if let Some(message) = parcel.messages.first_mut() {
        match wrong {
            3 => message.group = None,
            4 => message.sent_at = Ts(message.sent_at.0 + 7_200_000_000),
            5 => {
                let message = message.clone();
                parcel.messages.resize(1_001, message);
            }
            _ => {}
        }
    }
    Command::TakeParcel {
        partition: to,
        from,
        parcel,
    }
}
