//! What clients and operators saw so far, and whether it is as promised.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use shoal_replication::{Payload, View};
use shoal_types::{Position, ViewNumber};

use crate::Promise;
use crate::turn::Event;

/// A batch of one client: who took it, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Batch {
    pub(crate) coordinator: u8,
    pub(crate) number: u8,
}

impl Batch {
    pub(crate) fn payload(self) -> Payload {
        Payload::from(Bytes::copy_from_slice(&[self.coordinator, self.number]))
    }

    pub(crate) fn of(payload: &Payload) -> Self {
        let bytes = payload.contiguous();
        Self {
            coordinator: bytes[0],
            number: bytes[1],
        }
    }
}

/// Something that a world is there to show: each is a `sometimes` of the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sight {
    /// A client got its answer.
    Answered,
    /// A client got its answer in a view after the first.
    AnsweredLater,
    /// A view after the first was installed.
    ViewChanged,
    /// A host that crashed acts again.
    ActsAgain,
    /// A batch was cut off by a seal: it will never be executed.
    CutOff,
    /// The client of such a batch was told so.
    Dropped,
}

impl Sight {
    /// Every sight.
    pub const ALL: [Self; 6] = [
        Self::Answered,
        Self::AnsweredLater,
        Self::ViewChanged,
        Self::ActsAgain,
        Self::CutOff,
        Self::Dropped,
    ];

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::AnsweredLater => "answered later",
            Self::ViewChanged => "view changed",
            Self::ActsAgain => "acts again",
            Self::CutOff => "cut off",
            Self::Dropped => "dropped",
        }
    }
}

/// The order as it has come to light, and what was said about it.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// The longest sequence that any life of any host executed.
    order: Vec<(Position, Batch)>,
    /// Views that were installed, each with the number of entries before it.
    views: BTreeMap<ViewNumber, (View, usize)>,
    /// For each batch: in which view it was submitted, and the last position that was answered by then.
    submitted: BTreeMap<Batch, (ViewNumber, Position)>,
    /// The last position that a client was told of.
    answered: Position,
    sights: BTreeSet<Sight>,
    /// What is broken, with its story.
    broken: Option<(Promise, String)>,
}

impl History {
    pub(crate) fn saw(&self, sight: Sight) -> bool {
        self.sights.contains(&sight)
    }

    pub(crate) fn broken(&self) -> Option<&(Promise, String)> {
        self.broken.as_ref()
    }

    /// The highest view that any host installed.
    pub(crate) fn last_view(&self) -> u64 {
        self.views.keys().next_back().map_or(0, |number| number.0)
    }

    /// Takes what a host's turn brought.
    pub(crate) fn take(&mut self, host: usize, event: &Event) {
        match event {
            Event::Submitted { batch, view } => {
                self.submitted.insert(*batch, (*view, self.answered));
                self.note_cut_off();
            }
            Event::Executed {
                place,
                position,
                batch,
                answered,
            } => {
                self.executed(host, *place, *position, *batch);
                if *answered {
                    self.answered = self.answered.max(*position);
                    self.sights.insert(Sight::Answered);
                    if position.view > ViewNumber(1) {
                        self.sights.insert(Sight::AnsweredLater);
                    }
                }
            }
            Event::Installed { place, view } => self.installed(host, *place, view),
            Event::Dropped => {
                self.sights.insert(Sight::Dropped);
            }
            Event::ActsAgain => {
                self.sights.insert(Sight::ActsAgain);
            }
            Event::Shown(_) => {}
            Event::Panicked(message) => {
                self.breaks(Promise::NoPanic, format!("host {host} panicked: {message}"));
            }
        }
    }

    fn executed(&mut self, host: usize, place: usize, position: Position, batch: Batch) {
        if let Some(known) = self.order.get(place) {
            if *known != (position, batch) {
                let story = format!(
                    "host {host} executes {batch:?} at {position} as {place}, another one {known:?}"
                );
                self.breaks(Promise::Agreement, story);
            }
            return;
        }
        if place > self.order.len() {
            let story =
                format!("host {host} executes {place} before anyone executes what precedes");
            return self.breaks(Promise::Agreement, story);
        }
        if self.order.last().is_some_and(|(last, _)| *last >= position) {
            let story = format!("{position} comes after {:?}", self.order.last());
            self.breaks(Promise::Growth, story);
        }
        if self.order.iter().any(|(_, known)| *known == batch) {
            let story = format!("{batch:?} is executed again at {position}");
            self.breaks(Promise::Once, story);
        }
        let later = self.views.iter().find(|(view, _)| **view > position.view);
        if let Some((view, (_, seal))) = later.filter(|(_, (_, seal))| place >= *seal) {
            let story = format!(
                "host {host} executes {position} as {place}, but view {view} begins with {seal}"
            );
            self.breaks(Promise::Durability, story);
        }
        let floor = self.submitted.get(&batch).map(|(_, answered)| *answered);
        if floor.is_none_or(|floor| position <= floor) {
            let story = format!(
                "{batch:?} gets {position}, but {floor:?} was answered before it was submitted"
            );
            self.breaks(Promise::RealTime, story);
        }
        self.order.push((position, batch));
    }

    fn installed(&mut self, host: usize, place: usize, view: &View) {
        if let Some((known, seal)) = self.views.get(&view.number) {
            if known != view {
                let story = format!("host {host} installs {view:?}, another one {known:?}");
                return self.breaks(Promise::OneView, story);
            }
            if *seal != place {
                let story = format!(
                    "view {} begins with {place} at host {host}, with {seal} at another",
                    view.number
                );
                self.breaks(Promise::Durability, story);
            }
            return;
        }
        let before = self.order.iter().filter(|(p, _)| p.view < view.number);
        let before = before.count();
        if before != place {
            let story = format!(
                "view {} begins with {place} at host {host}, but {before} entries were executed",
                view.number
            );
            self.breaks(Promise::Durability, story);
        }
        self.views.insert(view.number, (view.clone(), place));
        if view.number > ViewNumber(1) {
            self.sights.insert(Sight::ViewChanged);
            self.note_cut_off();
        }
    }

    /// Whatever of earlier views was not executed by the time that a view was installed never will be.
    fn note_cut_off(&mut self) {
        let last = ViewNumber(self.last_view());
        let executed = |batch: &Batch| self.order.iter().any(|(_, known)| known == batch);
        let mut submitted = self.submitted.iter();
        if submitted.any(|(batch, (view, _))| *view < last && !executed(batch)) {
            self.sights.insert(Sight::CutOff);
        }
    }

    /// The first thing that breaks is the one to tell of.
    fn breaks(&mut self, promise: Promise, story: String) {
        self.broken.get_or_insert((promise, story));
    }
}
