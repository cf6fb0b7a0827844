//! Getting what is missing from others, and giving others what they miss.
//!
//! It is pulled: whoever lacks something says how far it is, and gets one answer of bounded size, then
//! says again. Entries that are no longer in memory are read from the log by the driver.

use std::sync::Arc;

use shoal_types::ViewNumber;

use crate::lane::Lane;
use crate::limits::HINT_INTERVAL;
use crate::timer::Timer;
use crate::{Engine, Entry, Message, Output, View};

/// What this host knows to exist and does not have.
#[derive(Debug, Default)]
pub(crate) struct CatchUp {
    /// The next view, decided, but entries that it seals are not here yet.
    decided: Option<View>,
    /// Of each lane of the view: the highest index heard of.
    heard_of: Vec<u64>,
    /// Who has it.
    source: usize,
    /// A fetch is under way, to this member.
    fetching: Option<usize>,
}

impl CatchUp {
    /// A member showed that an entry exists.
    pub(crate) fn wants(&mut self, source: usize, lane: usize, index: u64) {
        if index > self.heard_of[lane] {
            self.heard_of[lane] = index;
            self.source = source;
        }
    }

    /// This member is asked first from now on.
    pub(crate) fn prefer(&mut self, source: usize) {
        self.source = source;
    }

    /// Entries heard of that are not here.
    pub(crate) fn lag(&self, lanes: &[Lane]) -> u64 {
        let lanes = lanes.iter().zip(&self.heard_of);
        lanes
            .map(|(lane, heard_of)| heard_of.saturating_sub(lane.last()))
            .sum()
    }

    /// An answer may have been lost with its connection.
    pub(crate) fn ask_again_now(&mut self) {
        self.fetching = None;
    }

    /// A view was installed.
    pub(crate) fn view_installed(&mut self, lanes: usize) {
        self.decided = None;
        self.heard_of = vec![0; lanes];
        self.fetching = None;
    }
}

impl Engine {
    /// True if somebody can tell a later view than this host's. What a host showed that is gone by now
    /// does not count: the others may have to decide that view again.
    pub(crate) fn is_behind(&self) -> bool {
        self.catch_up.decided.is_some() || self.others().any(|k| self.is_ahead(k))
    }

    fn is_ahead(&self, k: usize) -> bool {
        self.peers[k].view_shown > self.view.number && !self.suspects(k)
    }

    /// The highest view number anyone has shown.
    pub(crate) fn view_seen(&self) -> ViewNumber {
        let shown = self.others().map(|k| self.peers[k].view_shown);
        shown.fold(self.view.number, ViewNumber::max)
    }

    fn saw_view(&mut self, from: usize, view: ViewNumber) {
        let shown = &mut self.peers[from].view_shown;
        *shown = (*shown).max(view);
    }

    /// True if a message is of another view than this host's. Whoever is behind gets help.
    pub(crate) fn is_of_other_view(&mut self, from: usize, view: ViewNumber) -> bool {
        if view > self.view.number {
            self.saw_view(from, view);
        } else if view < self.view.number {
            self.hint(from, view);
        }
        view != self.view.number
    }

    /// Tells a member the view that comes after its own; not too often.
    fn hint(&mut self, to: usize, its_view: ViewNumber) {
        let now = self.now.mono;
        let peer = &mut self.peers[to];
        let lately = peer.hinted_at.is_some_and(|at| now < at + HINT_INTERVAL);
        if let Some(next) = self.views.get(&its_view.next())
            && !lately
        {
            peer.hinted_at = Some(now);
            self.send(to, Message::Install(next.clone()));
        }
    }

    /// Goes on with what waited for entries.
    pub(crate) fn continue_interrupted(&mut self) {
        if let Some(decided) = self.catch_up.decided.take() {
            self.on_install(self.catch_up.source, decided);
        }
        self.continue_accept();
        if self.proposal_waits_for().is_some() {
            self.continue_proposal();
        }
    }

    /// A view was decided.
    pub(crate) fn on_install(&mut self, from: usize, view: View) {
        if let Some(known) = self.views.get(&view.number) {
            assert!(
                *known == view,
                "view {} has two values: {known:?} and {view:?}",
                view.number
            );
        }
        if view.number > self.view.number.next() {
            self.saw_view(from, view.number);
        } else if view.number == self.view.number.next() {
            if self.holds(&view.ends) {
                self.install(view, None);
            } else {
                self.saw_view(from, view.number);
                self.catch_up.prefer(from);
                self.catch_up.decided = Some(view);
            }
        }
    }

    // ---- asking ----

    /// Asks for what is missing, unless an answer is awaited.
    pub(crate) fn fetch_what_is_missing(&mut self) {
        if !self.lacks_something() {
            self.catch_up.fetching = None;
            self.timers.stop(Timer::Fetch);
            return;
        }
        if self.catch_up.fetching.is_some() {
            return;
        }
        let Some(peer) = self.choose_source() else {
            // Nobody else is a member.
            return;
        };
        self.catch_up.fetching = Some(peer);
        let (view, have) = (self.view.number, self.held());
        self.send(peer, Message::Fetch { view, have });
        let again = self.after(self.config.timings.fetch_retry);
        self.timers.set(Timer::Fetch, again);
    }

    /// The answer did not come, or did not help: another member may have it.
    pub(crate) fn fetch_elsewhere(&mut self) {
        if let Some(asked) = self.catch_up.fetching.take() {
            self.catch_up.source = (asked + 1) % self.view.members.len();
        }
    }

    fn lacks_something(&self) -> bool {
        let interrupted = self.acceptor.waits_for().map(|(_, value)| value);
        let seals = [
            self.catch_up.decided.as_ref(),
            interrupted,
            self.proposal_waits_for(),
        ];
        self.is_behind()
            || seals.into_iter().flatten().any(|v| !self.holds(&v.ends))
            || self.catch_up.lag(&self.lanes) > 0
    }

    fn choose_source(&self) -> Option<usize> {
        let members = self.view.members.len();
        let from_source = (0..members).map(|i| (self.catch_up.source + i) % members);
        let mut candidates: Vec<usize> = from_source.filter(|&k| k != self.me).collect();
        // Those first that can be heard, and of these those that know a later view.
        candidates.sort_by_key(|&k| (self.suspects(k), !self.is_ahead(k)));
        candidates.first().copied()
    }

    /// Entries of this host's view, in answer to a fetch or ahead of an Accept.
    pub(crate) fn on_entries(&mut self, from: usize, entries: Vec<Arc<Entry>>) {
        let sealed = self.suspended_for > self.view.number || self.catch_up.decided.is_some();
        let mut progress = false;
        for entry in entries {
            let Some(lane) = self.view.slot(entry.lane) else {
                continue;
            };
            if entry.view != self.view.number || entry.index > self.lanes[lane].last() + 1 {
                continue;
            }
            if entry.index <= self.lanes[lane].last() {
                self.lanes[lane].check_same(&entry);
                continue;
            }
            let decided = self.catch_up.decided.as_ref();
            if decided.is_some_and(|view| entry.index > view.ends[lane]) {
                continue;
            }
            if !sealed && self.too_far_ahead(from, entry.ts) {
                break;
            }
            self.store(lane, entry);
            progress = true;
        }
        if progress && self.catch_up.fetching == Some(from) {
            self.catch_up.fetching = None;
        }
    }

    // ---- giving ----

    pub(crate) fn on_fetch(&mut self, from: usize, view: ViewNumber, have: &[u64]) {
        if have.len() != self.view.members.len() || self.is_answered(from, view, have) {
            return;
        }
        if view > self.view.number {
            self.saw_view(from, view);
        } else if view == self.view.number {
            self.give_of_current_view(from, have);
        } else {
            self.give_of_sealed_view(from, view, have);
        }
    }

    /// True if the member has shown since that it has more on disk than it asked for here: the question
    /// is an old one, and what it asks for may be gone from the log by now.
    fn is_answered(&self, from: usize, view: ViewNumber, have: &[u64]) -> bool {
        match &self.peers[from].durable {
            Some((shown, _)) if *shown > view => true,
            Some((shown, durable)) if *shown == view => have
                .iter()
                .zip(durable)
                .any(|(have, durable)| have < durable),
            _ => false,
        }
    }

    fn give_of_current_view(&mut self, to: usize, have: &[u64]) {
        let view = self.view.number;
        let gone = self.lanes.iter().zip(have).enumerate();
        let mut gone = gone.filter(|(_, (lane, has))| **has < lane.base());
        if let Some((slot, (lane, has))) = gone.next() {
            let (from, to_index) = (has + 1, lane.base());
            return self.send_from_log(to, view, slot, from, to_index);
        }
        let lanes = self.lanes.iter().zip(have);
        let missing = lanes.flat_map(|(lane, has)| lane.after(*has).cloned());
        let message = Message::entries(missing);
        if message != Message::Entries(Vec::new()) {
            self.send(to, message);
        }
    }

    fn give_of_sealed_view(&mut self, to: usize, view: ViewNumber, have: &[u64]) {
        let Some(next) = self.views.get(&view.next()).cloned() else {
            // Such views are forgotten once every member has shown that it is beyond them.
            if let Some(incarnation) = self.peers[to].incarnation {
                self.send(to, Message::Forgotten { incarnation, view });
            }
            return;
        };
        let lanes = next.ends.iter().zip(have).enumerate();
        let lacking = lanes.filter(|(_, (end, has))| has < end);
        let first = lacking
            .map(|(slot, (end, has))| (slot, *has + 1, *end))
            .next();
        self.send(to, Message::Install(next));
        if let Some((slot, from, to_index)) = first {
            self.send_from_log(to, view, slot, from, to_index);
        }
    }

    fn send_from_log(&mut self, to: usize, view: ViewNumber, slot: usize, from: u64, end: u64) {
        self.outputs.push_back(Output::SendFromLog {
            to: self.view.members[to],
            view,
            lane: self.view.members[slot],
            from,
            to_index: end,
        });
    }
}
