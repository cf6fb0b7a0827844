//! Picking moves up where they are, from how far partitions are in following one another: what was sealed
//! is followed to the end, and successors that no seal names are deleted again. An heir to which nothing goes
//! is deleted too.

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

fn layers(links: &[Link]) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    for (followed, follower) in links {
        let mut joined = Layer {
            followed: [*followed].into(),
            followers: [*follower].into(),
        };
        layers.retain(|layer| {
            let is_same = layer.followed.contains(followed) || layer.followers.contains(follower);
            if is_same {
                joined.followed.extend(&layer.followed);
                joined.followers.extend(&layer.followers);
            }
            !is_same
        });
        layers.push(joined);
    }
    layers
}

/// What is followed, and what follows it.
type Link = (PartitionId, PartitionId);

/// Which partitions follow which.
#[derive(Default)]
struct Links {
    /// Of moves that go on: a seal names what follows.
    sealed: Vec<Link>,
    /// Of successors that no seal names: of their moves nothing was sealed, or they are left over from one that
    /// was undone.
    undone: Vec<Link>,
    /// Heirs to which nothing goes, with the partitions whose messages they were to take over.
    idle_heirs: BTreeMap<PartitionId, PartitionId>,
}

impl Links {
    fn among(places: &BTreeMap<PartitionId, Place>) -> Self {
        let standings = || places.iter().map(|(id, place)| (*id, &place.kept.standing));
        let mut links = Self {
            idle_heirs: idle_heirs(places),
            ..Self::default()
        };
        for (partition, standing) in standings() {
            if !links.idle_heirs.contains_key(&partition) {
                let successors = named_by(standing).iter();
                links.sealed.extend(successors.map(|one| (partition, *one)));
            }
        }
        let named: BTreeSet<PartitionId> = links.sealed.iter().map(|link| link.1).collect();
        for (partition, standing) in standings() {
            let Standing::Closed { waits_for } = standing else {
                continue;
            };
            let mine = waits_for.iter().map(|one| (*one, partition));
            match named.contains(&partition) {
                true => links.sealed.extend(mine),
                false => links.undone.extend(mine),
            }
        }
        links
    }
}

/// The successors that a partition's seal names, if it is sealed.
fn named_by(standing: &Standing) -> &[PartitionId] {
    match standing {
        Standing::Open | Standing::Closed { .. } => &[],
        Standing::Sealed { successors }
        | Standing::Forwarding { successors, .. }
        | Standing::Heir { successors, .. } => successors,
    }
}

/// Heirs of partitions whose messages go on to another one, or that have a later heir and pass nothing on yet.
/// What an heir has taken over already is never among them: for a source that passes to one, others are none.
fn idle_heirs(places: &BTreeMap<PartitionId, Place>) -> BTreeMap<PartitionId, PartitionId> {
    let heirs = places
        .iter()
        .filter_map(|(id, place)| match place.kept.standing {
            Standing::Heir { of, .. } if places.contains_key(&of) => Some((*id, of)),
            _ => None,
        });
    let heirs: BTreeMap<PartitionId, PartitionId> = heirs.collect();
    let live = |source: PartitionId| match places[&source].kept.standing {
        Standing::Forwarding { heir, .. } => Some(heir),
        // Ids grow: the last one was decided last.
        _ => {
            let mut of_source = heirs.iter().rev().filter(|(_, of)| **of == source);
            of_source.next().map(|(heir, _)| *heir)
        }
    };
    let idle = heirs.iter().filter(|(heir, of)| live(**of) != Some(**heir));
    idle.map(|(heir, of)| (*heir, *of)).collect()
}

/// Picks up the moves among the partitions of a queue.
pub(super) fn pick_up(
    name: &QueueName,
    queue: QueueId,
    places: &BTreeMap<PartitionId, Place>,
    now: Ts,
) -> Picked {
    let links = Links::among(places);
    let mut picking = Picking {
        name,
        queue,
        places,
        now,
        picked: Picked::default(),
    };
    for layer in layers(&links.sealed) {
        picking.go_on(&layer, &links.idle_heirs);
    }
    for layer in layers(&links.undone) {
        picking.undo(&layer);
    }
    picking.picked
}

struct Picking<'a> {
    name: &'a QueueName,
    queue: QueueId,
    places: &'a BTreeMap<PartitionId, Place>,
    now: Ts,
    picked: Picked,
}

impl Picking<'_> {
    /// A move of which something is sealed goes on.
    fn go_on(&mut self, layer: &Layer, idle_heirs: &BTreeMap<PartitionId, PartitionId>) {
        self.look_for_missing(layer);
        let followers = self.records(&layer.followers);
        let Heirs {
            seals,
            forwards,
            heirs,
        } = Heirs::among(self.records(&layer.followed), self.places);
        let idle = idle_heirs
            .iter()
            .filter(|(_, of)| layer.followed.contains(of));
        let idle: BTreeSet<PartitionId> = idle.map(|(heir, _)| *heir).collect();
        self.picked.undone.extend(&idle);
        let first = followers.first().or_else(|| seals.first());
        let Some(id) = first.map(|first| first.partition) else {
            return;
        };
        let is_sealed = |id: &PartitionId| self.is_sealed(*id) || !self.places.contains_key(id);
        let stage = if !layer.followed.iter().all(is_sealed) {
            MoveStage::Sealing
        } else if layer.followers.iter().any(|id| self.is_closed(*id)) {
            MoveStage::Opening
        } else {
            MoveStage::Draining
        };
        let moving = MoveRecord {
            stage,
            seals,
            opens: followers,
            clears: self.records(&idle),
            forwards,
            heirs,
            text: format!(
                "{}, picked up as it was found",
                self.whence_and_where(layer)
            ),
            sealed_at: Some(self.now),
            ..self.record(id, layer)
        };
        self.picked.moves.push(moving);
    }

    /// Successors that nobody has a route to are deleted again, and no seal that is on its way yet comes to
    /// pass at what they were to follow.
    fn undo(&mut self, layer: &Layer) {
        let clears = self.records(&layer.followers);
        let Some(first) = clears.first() else {
            return;
        };
        let unsealed = layer.followed.iter().copied();
        let unsealed = unsealed.filter(|id| self.places.contains_key(id) && !self.is_sealed(*id));
        let fences: BTreeSet<PartitionId> = unsealed.collect();
        let moving = MoveRecord {
            stage: MoveStage::Undoing,
            text: format!(
                "{}: no seal names it, so it is undone",
                self.whence_and_where(layer)
            ),
            ..self.record(first.partition, layer)
        };
        self.picked.moves.push(MoveRecord { clears, ..moving });
        self.picked.undone.extend(&layer.followers);
        self.picked.fences.extend(fences);
    }

    /// A seal names a partition, or is of one, that no cluster has.
    fn look_for_missing(&mut self, layer: &Layer) {
        let is_missing = |id: &&PartitionId| !self.places.contains_key(id);
        let missing: BTreeSet<PartitionId> =
            layer.followers.iter().filter(is_missing).copied().collect();
        if !missing.is_empty() {
            let (name, followed) = (self.name, said(&layer.followed));
            let missing = said(&missing);
            self.picked.findings.push(format!(
                "{name}: what follows {followed} was not found: {missing}"
            ));
        }
        for source in &layer.followed {
            let standing = self.places.get(source).map(|place| &place.kept.standing);
            if let Some(Standing::Forwarding { heir, .. }) = standing
                && !self.places.contains_key(heir)
            {
                self.picked.findings.push(format!(
                    "{}: {source} passes its messages on to {heir}, which was not found: what it has stays there",
                    self.name
                ));
            }
        }
    }

    fn record(&self, id: PartitionId, layer: &Layer) -> MoveRecord {
        let is_found = |one: &&PartitionId| self.places.contains_key(one);
        let is_heir = |one: &&PartitionId| {
            let standing = self.places.get(one).map(|place| &place.kept.standing);
            matches!(standing, Some(Standing::Heir { of, .. }) if self.places.contains_key(of))
        };
        let followed = layer.followed.iter().filter(is_found);
        let followed = followed.filter(|one| !is_heir(one)).count();
        MoveRecord {
            id,
            name: self.name.clone(),
            queue: self.queue,
            kind: match (followed, layer.followers.len()) {
                (0 | 1, 1) => MoveKind::Move,
                (0 | 1, _) => MoveKind::Split,
                _ => MoveKind::Merge,
            },
            stage: MoveStage::Undoing,
            seals: Vec::new(),
            opens: Vec::new(),
            clears: Vec::new(),
            forwards: Vec::new(),
            heirs: Vec::new(),
            given_up: Vec::new(),
            carries: 0,
            text: String::new(),
            begun_at: self.now,
            sealed_at: None,
        }
    }

    fn records(&self, ids: &BTreeSet<PartitionId>) -> Vec<PartitionRecord> {
        let found = ids.iter().filter_map(|id| self.places.get(id));
        found
            .map(|place| partition_record(place, self.now))
            .collect()
    }

    fn is_sealed(&self, id: PartitionId) -> bool {
        let place = self.places.get(&id);
        place.is_some_and(|place| {
            !matches!(
                place.kept.standing,
                Standing::Open | Standing::Closed { .. }
            )
        })
    }

    fn is_closed(&self, id: PartitionId) -> bool {
        let place = self.places.get(&id);
        place.is_some_and(|place| matches!(place.kept.standing, Standing::Closed { .. }))
    }

    fn whence_and_where(&self, layer: &Layer) -> String {
        let (followed, followers) = (said(&layer.followed), said(&layer.followers));
        format!("{} from {followed} to {followers}", self.name)
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

/// The first few of them.
pub(super) fn said(ids: &BTreeSet<PartitionId>) -> String {
    /// More would only be counted by whoever reads it.
    const NAMED: usize = 40;
    let named: Vec<String> = ids.iter().take(NAMED).map(ToString::to_string).collect();
    let more = ids.len().saturating_sub(NAMED);
    match more {
        0 => named.join(" and "),
        _ => format!("{} and {more} others", named.join(", ")),
    }
}
