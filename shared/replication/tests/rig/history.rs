//! What an observer outside sees: one order, the same on every host.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use shoal_replication::{Payload, View};
use shoal_types::{HostId, Position, Revision};

use super::Us;

/// A client's command; sent again, it is the same command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Command(pub u64);

impl Command {
    pub fn to_bytes(self) -> Bytes {
        Bytes::copy_from_slice(&self.0.to_le_bytes())
    }

    /// The command of a payload: its first bytes.
    fn of(payload: &Payload) -> Self {
        let bytes = payload.contiguous();
        Self(u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")))
    }
}

#[derive(Default)]
pub struct History {
    order: Vec<(Position, Payload)>,
    /// Where a command was executed first.
    first_place: BTreeMap<Command, usize>,
    /// Everything before this place was answered to somebody when the command was sent first: it must
    /// come later.
    floor: BTreeMap<Command, usize>,
    answered: BTreeMap<Command, Us>,
    /// Everything before this place was answered or precedes something that was.
    answered_to: usize,
    /// By view: at which place of the order it begins.
    views: BTreeMap<u64, (usize, View)>,
    commands: u64,
    /// Of the list of members decided last.
    revision: Revision,
    changes: usize,
    pub forgotten: BTreeSet<Command>,
}

impl History {
    pub fn new_command(&mut self) -> Command {
        self.commands += 1;
        let command = Command(self.commands);
        self.floor.insert(command, self.answered_to);
        command
    }

    /// A host executed an entry as its `place`-th.
    pub fn executed(&mut self, host: usize, place: usize, position: Position, payload: &Payload) {
        if let Some((known, content)) = self.order.get(place) {
            assert!(
                *known == position && content == payload,
                "host {host} executes {position} as {place}, others {known}"
            );
            return;
        }
        assert_eq!(place, self.order.len());
        if let Some((last, _)) = self.order.last() {
            assert!(position > *last && position.ts >= last.ts);
        }
        self.order.push((position, payload.clone()));
        let command = Command::of(payload);
        self.first_place.entry(command).or_insert(place);
        let floor = self.floor[&command];
        assert!(
            self.first_place[&command] >= floor,
            "{command:?} is at {place}, but began after {floor} was answered"
        );
    }

    /// A host installed a view after so many executed entries. True if it is the first to do so.
    pub fn installed(&mut self, host: usize, place: usize, view: &View) -> bool {
        let is_first = !self.views.contains_key(&view.number.0);
        if is_first {
            self.check_members(view);
        }
        let (known, value) = self
            .views
            .entry(view.number.0)
            .or_insert_with(|| (place, view.clone()));
        assert_eq!(value, view, "host {host} installs another view");
        assert_eq!(*known, place, "host {host} installs {view:?} elsewhere");
        is_first
    }

    /// Members change one at a time, by lists whose revisions grow; vectors are aligned with them.
    fn check_members(&mut self, view: &View) {
        assert!(view.active.iter().all(|h| view.members.contains(h)));
        let Some(before) = self.members_before(view) else {
            return;
        };
        assert_eq!(view.ends.len(), before.len(), "{view:?} after {before:?}");
        let only = |a: &[HostId], b: &[HostId]| a.iter().filter(|h| !b.contains(h)).count();
        let differing = only(&before, &view.members) + only(&view.members, &before);
        assert!(differing <= 1, "{view:?} after {before:?}");
        match &view.spec {
            None => assert_eq!(differing, 0, "{view:?} after {before:?}"),
            Some(spec) => {
                let listed: Vec<HostId> = spec.members.iter().map(|m| m.host).collect();
                assert_eq!(listed, view.members);
                assert!(
                    spec.revision > self.revision,
                    "{view:?} is decided after revision {}",
                    self.revision
                );
                self.revision = spec.revision;
                self.changes += differing;
            }
        }
    }

    /// The members of the view before.
    pub fn members_before(&self, view: &View) -> Option<Vec<HostId>> {
        let before = self.views.get(&(view.number.0 - 1));
        before.map(|(_, before)| before.members.clone())
    }

    /// How often a member was added or removed.
    pub fn changes(&self) -> usize {
        self.changes
    }

    pub fn answered(&mut self, command: Command, now: Us) {
        let place = self.first_place[&command];
        self.answered.entry(command).or_insert(now);
        self.answered_to = self.answered_to.max(place + 1);
    }

    /// Its host died before it answered.
    pub fn forgotten(&mut self, command: Command) {
        self.forgotten.insert(command);
    }

    pub fn answered_at(&self, command: Command) -> Option<Us> {
        self.answered.get(&command).copied()
    }

    pub fn commands_begun(&self) -> u64 {
        self.commands
    }

    pub fn answered_count(&self) -> usize {
        self.answered.len()
    }

    pub fn was_executed(&self, command: Command) -> bool {
        self.first_place.contains_key(&command)
    }

    /// Entries in the order.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    pub fn views(&self) -> usize {
        self.views.len()
    }

    pub fn lanes(&self) -> Vec<u64> {
        self.order.iter().map(|(p, _)| p.lane.0 - 1).collect()
    }

    pub fn commands(&self) -> Vec<Command> {
        self.order.iter().map(|(_, p)| Command::of(p)).collect()
    }

    /// Whatever was answered is in the order.
    pub fn check(&self) {
        for command in self.answered.keys() {
            assert!(
                self.first_place.contains_key(command),
                "{command:?} is lost"
            );
        }
    }
}
