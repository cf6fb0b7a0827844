//! Picking moves up where they are, from how far partitions are in following one another: what was sealed
//! is followed to the end, and successors of what was not are deleted again.

use std::collections::{BTreeMap, BTreeSet};

use shoal_types::{PartitionId, QueueId, QueueName, Standing, Ts};

use super::plan::{Place, partition_record};
use crate::records::{
    ForwardRecord, ForwardStage, MoveKind, MoveRecord, MoveStage, PartitionRecord,
};

/// The moves of one queue.
#[derive(Default)]
pub(super) struct Picked {
    pub(super) moves: Vec<MoveRecord>,
    /// Successors that are deleted again: nobody has a route to them.
    pub(super) undone: BTreeSet<PartitionId>,
    /// What those were to follow.
    pub(super) fences: BTreeSet<PartitionId>,
    pub(super) findings: Vec<String>,
}

/// Partitions that are followed by the same ones: one move. The followers of a move may be followed
/// themselves, which is another move.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Layer {
    followed: BTreeSet<PartitionId>,
    followers: BTreeSet<PartitionId>,
}

fn layers(places: &BTreeMap<PartitionId, Place>) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    let mut join = |followed: PartitionId, follower: PartitionId| {
        let mut joined = Layer {
            followed: [followed].into(),
            followers: [follower].into(),
        };
        layers.retain(|layer| {
            let is_same = layer.followed.contains(&followed) || layer.followers.contains(&follower);
            if is_same {
                joined.followed.extend(&layer.followed);
                joined.followers.extend(&layer.followers);
            }
            !is_same
        });
        layers.push(joined);
    };
    for (partition, place) in places {
        match &place.kept.standing {
            Standing::Open => {}
            Standing::Closed { waits_for } => {
                waits_for.iter().for_each(|one| join(*one, *partition));
            }
            Standing::Sealed { successors }
            | Standing::Forwarding { successors, .. }
            | Standing::Heir { successors, .. } => {
                successors.iter().for_each(|one| join(*partition, *one));
            }
        }
    }
    layers
}

/// Picks up the moves among the partitions of a queue.
pub(super) fn pick_up(
    name: &QueueName,
    queue: QueueId,
    places: &BTreeMap<PartitionId, Place>,
    now: Ts,
) -> Picked {
    let mut picked = Picked::default();
    for layer in layers(places) {
        picked.pick(name, queue, &layer, places, now);
    }
    picked
}

impl Picked {
    fn pick(
        &mut self,
        name: &QueueName,
        queue: QueueId,
        layer: &Layer,
        places: &BTreeMap<PartitionId, Place>,
        now: Ts,
    ) {
        let is = |id: &PartitionId, standing: fn(&Standing) -> bool| {
            places
                .get(id)
                .is_some_and(|place| standing(&place.kept.standing))
        };
        let is_sealed = |id: &PartitionId| {
            is(id, |one| {
                !matches!(one, Standing::Open | Standing::Closed { .. })
            })
        };
        let is_closed = |id: &PartitionId| is(id, |one| matches!(one, Standing::Closed { .. }));
        let is_missing = |id: &&PartitionId| !places.contains_key(id);
        let records = |ids: &BTreeSet<PartitionId>| -> Vec<PartitionRecord> {
            let found = ids.iter().filter_map(|id| places.get(id));
            found.map(|place| partition_record(place, now)).collect()
        };
        let missing: Vec<String> = layer
            .followers
            .iter()
            .filter(is_missing)
            .map(ToString::to_string)
            .collect();
        if !missing.is_empty() {
            self.findings.push(format!(
                "{name}: what follows {} was not found: {}",
                said(&layer.followed),
                missing.join(" ")
            ));
        }
        let (seals, followers) = (records(&layer.followed), records(&layer.followers));
        let Heirs {
            seals,
            forwards,
            heirs,
        } = Heirs::among(seals, places);
        let Some(first) = followers.first().or_else(|| seals.first()) else {
            return;
        };
        let kind = match (seals.len(), layer.followers.len()) {
            (0 | 1, 1) => MoveKind::Move,
            (0 | 1, _) => MoveKind::Split,
            _ => MoveKind::Merge,
        };
        let mut moving = MoveRecord {
            id: first.partition,
            name: name.clone(),
            queue,
            kind,
            stage: MoveStage::Undoing,
            seals,
            opens: Vec::new(),
            clears: Vec::new(),
            forwards,
            heirs,
            carries: 0,
            text: String::new(),
            begun_at: now,
            sealed_at: None,
        };
        let from_to = format!("{} to {}", said(&layer.followed), said(&layer.followers));
        if layer.followed.iter().any(is_sealed) {
            moving.opens = followers;
            moving.sealed_at = Some(now);
            moving.stage = if !layer
                .followed
                .iter()
                .all(|id| is_sealed(id) || !places.contains_key(id))
            {
                MoveStage::Sealing
            } else if layer.followers.iter().any(is_closed) {
                MoveStage::Opening
            } else {
                MoveStage::Draining
            };
            moving.text = format!("{name} from {from_to}, picked up as it was found");
        } else {
            self.undone.extend(&layer.followers);
            self.fences
                .extend(layer.followed.iter().filter(|id| places.contains_key(id)));
            moving.clears = followers;
            moving.seals = Vec::new();
            moving.text = format!("{name} from {from_to}: nothing was sealed, so it is undone");
        }
        self.moves.push(moving);
    }
}

/// What is followed, divided: partitions of their own, messages that go over to heirs, and heirs to which
/// all has gone.
struct Heirs {
    seals: Vec<PartitionRecord>,
    forwards: Vec<ForwardRecord>,
    heirs: Vec<PartitionId>,
}

impl Heirs {
    fn among(followed: Vec<PartitionRecord>, places: &BTreeMap<PartitionId, Place>) -> Self {
        let mut divided = Self {
            seals: Vec::new(),
            forwards: Vec::new(),
            heirs: Vec::new(),
        };
        for record in followed {
            let source = match places[&record.partition].kept.standing {
                Standing::Heir { of, .. } => Some(of),
                _ => None,
            };
            match source {
                Some(from) if places.contains_key(&from) => divided.forwards.push(ForwardRecord {
                    from,
                    heir: record,
                    // It is there; should its source not know of it yet, that is told.
                    stage: ForwardStage::Passing,
                    text: format!("{from} to {}, picked up as it was found", record.partition),
                }),
                Some(_) => {
                    divided.heirs.push(record.partition);
                    divided.seals.push(record);
                }
                None => divided.seals.push(record),
            }
        }
        divided
    }
}

fn said(ids: &BTreeSet<PartitionId>) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    ids.join(" and ")
}
