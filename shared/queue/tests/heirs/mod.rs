//! Random forwarding for the comparison with the model: what a manager and the hosts between a sealed
//! partition and its heir would say, in any order, repeated, and wrong now and then.

use std::collections::BTreeSet;

use proptest::prelude::*;
use shoal_model::Model;
use shoal_types::{
    ClusterId, ClusterMember, Command, Epoch, Heir, HostId, PartitionId, PartitionSettings, Piece,
    Revision, Seal, Sequence, Ts,
};

/// What of a forwarding happens next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Forwarding {
    /// Of the partition with the nth seal from the end.
    Begin(u8, Wrong),
    /// The heir has all pieces that were made, or so many less.
    Next(u8, u8),
    /// The piece that is on its way arrives.
    Carry(u8, Wrong),
    End(u8, Wrong),
    /// From the beginning on, so many pieces.
    Whole(u8, u8),
}

/// Which detail is wrong; most numbers stand for none.
type Wrong = u8;

pub(crate) fn a_forwarding() -> impl Strategy<Value = Forwarding> {
    let wrong = 0..24u8;
    prop_oneof![
        3 => (0..3u8, wrong.clone()).prop_map(|(back, w)| Forwarding::Begin(back, w)),
        6 => (0..3u8, 0..12u8).prop_map(|(back, less)| Forwarding::Next(back, less)),
        6 => (0..3u8, wrong.clone()).prop_map(|(back, w)| Forwarding::Carry(back, w)),
        1 => (0..3u8, wrong).prop_map(|(back, w)| Forwarding::End(back, w)),
        8 => (0..3u8, 0..6u8).prop_map(|(back, pieces)| Forwarding::Whole(back, pieces)),
    ]
}

impl Forwarding {
    /// What is asked one after the other: the next follows from the answers to the one before.
    pub(crate) fn phases(&self) -> Vec<Self> {
        match *self {
            Self::Whole(back, pieces) => {
                let piece = [Self::Next(0, u8::MAX), Self::Carry(0, Wrong::MAX)];
                let begin = std::iter::once(Self::Begin(back, Wrong::MAX));
                begin.chain(piece.repeat(pieces.into())).collect()
            }
            one => vec![one],
        }
    }
}

/// Sources and heirs so far, the latest last.
#[derive(Default)]
pub(crate) struct Heirs {
    of: Vec<(PartitionId, PartitionId)>,
    /// Those that were made without anything wrong.
    made: BTreeSet<PartitionId>,
}

impl Heirs {
    /// The latest heir of a partition.
    pub(crate) fn of(&self, source: PartitionId) -> Option<PartitionId> {
        let mut heirs = self.of.iter().rev();
        let (_, heir) = heirs.find(|(of, _)| *of == source)?;
        Some(*heir)
    }

    pub(crate) fn is_heir(&self, partition: PartitionId) -> bool {
        self.of.iter().any(|(_, heir)| *heir == partition)
    }

    /// Those that may tell the successors what is left under a partition's seal.
    pub(crate) fn tellers(&self, sealed: PartitionId) -> Vec<PartitionId> {
        let mut tellers = vec![sealed];
        while let Some(heir) = self.of(*tellers.last().expect("there is one")) {
            tellers.push(heir);
        }
        tellers
    }

    /// A partition goes on to this one: it may not if it still takes messages over itself.
    pub(crate) fn forwards(&mut self, source: PartitionId, heir: PartitionId) {
        if self.made.contains(&heir) {
            self.of.push((source, heir));
        }
    }

    /// Makes an heir of the partition that shows this seal, or of its heir.
    pub(crate) fn begin(
        &mut self,
        seal: &Seal,
        settings: PartitionSettings,
        heir: PartitionId,
        wrong: Wrong,
        revision: Revision,
    ) -> Vec<Command> {
        let source = *self.tellers(seal.partition).last().expect("there is one");
        let mut shown = seal.clone();
        let mut create = PartitionSettings {
            epoch: seal.epoch,
            ..settings
        };
        let mut to = Heir {
            partition: heir,
            cluster: ClusterId(7),
            members: vec![ClusterMember {
                host: HostId(7),
                address: "there:1".to_owned(),
            }],
        };
        let (mut of, mut takes_from) = (source, source);
        match wrong {
            0 => create.epoch = Epoch(seal.epoch.0 + 1),
            1 => shown.partition = heir,
            2 => to.members.clear(),
            3 => to.partition = source,
            4 => of = seal.successors[0].partition,
            6 => takes_from = heir,
            7 => takes_from = seal.successors[0].partition,
            5 => shown.successors[0].partition = heir,
            8 => to.members[0].address = ":1".to_owned(),
            _ => {}
        }
        if wrong > 8 {
            self.made.insert(heir);
        }
        let create = Command::CreateHeir {
            partition: heir,
            settings: create,
            revision,
            source: takes_from,
            seal: Box::new(shown),
        };
        let forward = Command::Forward {
            partition: of,
            heir: to,
            revision,
        };
        vec![create, forward]
    }

    /// The commands that another step comes to.
    pub(crate) fn commands(&self, step: &Forwarding, model: &Model) -> Vec<Command> {
        let (Forwarding::Next(back, _) | Forwarding::Carry(back, _) | Forwarding::End(back, _)) =
            step
        else {
            unreachable!("it has phases, or makes an heir")
        };
        let Some((source, heir)) = self.of.iter().rev().nth(usize::from(*back)) else {
            return Vec::new();
        };
        let command = match *step {
            Forwarding::Next(_, less) => {
                let made = model.heir(*source).map_or(0, |(_, made)| made);
                Some(Command::NextPiece {
                    partition: *source,
                    heir: *heir,
                    taken: match less {
                        0 => made + 1,
                        1 | 2 => made.saturating_sub(less.into()),
                        _ => made,
                    },
                })
            }
            Forwarding::Carry(_, wrong) => model
                .piece(*source)
                .map(|(to, piece)| carry(*source, to, piece, wrong)),
            Forwarding::End(_, wrong) => Some(Command::EndForwarding {
                partition: *source,
                heir: if wrong < 4 { *source } else { *heir },
            }),
            _ => None,
        };
        command.into_iter().collect()
    }
}

fn carry(mut from: PartitionId, to: PartitionId, mut piece: Piece, wrong: Wrong) -> Command {
    match wrong {
        0 => piece.number += 1,
        1 => piece.number -= 1,
        2 => from.0 += 1,
        3 => piece.messages.reverse(),
        _ => {}
    }
    if let Some(message) = piece.messages.first_mut() {
        match wrong {
            4 => message.sequence = Sequence::new(Epoch(message.sequence.epoch().0 + 1), 1),
            5 => message.sequence = Sequence::new(message.sequence.epoch(), 0),
            6 => message.receives = message.leases + 1,
            7 => message.group = None,
            8 => message.ready_at = Ts(message.sent_at.0 + 5_000_000),
            _ => {}
        }
    }
    Command::TakePiece {
        partition: to,
        from,
        piece,
    }
}
