//! Getting what is missing from others, and giving others what they miss.
//!
//! It is pulled: whoever lacks something says how far it is, and gets one answer of bounded size, then
//! says again. Entries that are no longer in memory are read from the log by the driver.

use std::sync::Arc;

use shoal_types::{HostId, ViewNumber};

use crate::lane::Lane;
use crate::limits::{HINT_INTERVAL, LANE_UNEXECUTED_BYTES_MAX, UNSYNCED_BYTES_REFUSED};
use crate::timer::Timer;
use crate::{Engine, Entry, Lacks, Message, Output, View};

/// What this host knows to exist and does not have.
#[derive(Clone, Debug, Default)]
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

    /// Slots beyond the members' stand for other hosts now.
    pub(crate) fn slots_moved(&mut self, members: usize) {
        self.fetching.take_if(|k| *k >= members);
        if self.source >= members {
            self.source = 0;
        }
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
        self.catch_up.decided.is_some() || self.everyone_known().any(|k| self.is_ahead(k))
    }

    pub(crate) fn is_ahead(&self, k: usize) -> bool {
        self.peers[k].view_shown > self.view.number && !self.suspects(k)
    }

    /// The highest view number anyone has shown.
    pub(crate) fn view_seen(&self) -> ViewNumber {
        let shown = self.everyone_known().map(|k| self.peers[k].view_shown);
        shown.fold(self.view.number, ViewNumber::max)
    }

    pub(crate) fn saw_view(&mut self, from: usize, view: ViewNumber) {
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
            self.execute_as_sealed(&decided.ends);
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
        let first = self.lane_needed_most();
        self.send(peer, Message::Fetch { view, have, first });
        let again = self.after(self.config.timings.fetch_retry);
        self.timers.set(Timer::Fetch, again);
    }

    /// The answer did not come, or did not help: another member may have it.
    pub(crate) fn fetch_elsewhere(&mut self) {
        if let Some(asked) = self.catch_up.fetching.take() {
            self.catch_up.source = (asked + 1) % self.peers.len().max(1);
        }
    }

    fn lacks_something(&self) -> bool {
        self.catch_up.decided.is_none() && self.is_behind()
            || (0..self.lanes.len()).any(|lane| self.lacks_entries_of(lane))
    }

    /// True if an entry of a lane is known to exist that is not here, and there is room for it.
    fn lacks_entries_of(&self, lane: usize) -> bool {
        let interrupted = self.acceptor.waits_for().map(|(_, value)| value);
        let seals = [
            self.catch_up.decided.as_ref(),
            interrupted,
            self.proposal_waits_for(),
        ];
        let ends = seals.into_iter().flatten().map(|view| view.ends[lane]);
        let known = ends.chain([self.catch_up.heard_of[lane]]).max();
        known > Some(self.lanes[lane].last()) && self.has_room(lane)
    }

    /// The lane that ends earliest of those that lack something: the next entry to be executed may be
    /// missing there.
    fn lane_needed_most(&self) -> HostId {
        let lanes = 0..self.lanes.len();
        let needed = lanes.min_by_key(|&k| (!self.lacks_entries_of(k), self.lanes[k].last_ts()));
        // A newcomer begins without lanes.
        needed.map_or_else(HostId::default, |k| self.view.members[k])
    }

    /// True if more entries of a lane can be taken.
    pub(crate) fn has_room(&self, lane: usize) -> bool {
        let (_, waiting) = self.lanes[lane].unexecuted();
        waiting < LANE_UNEXECUTED_BYTES_MAX && self.acks.unsynced_bytes() < UNSYNCED_BYTES_REFUSED
    }

    /// True if a lane has no room for what is known to be missing: this host executes nothing more
    /// before the view is sealed.
    pub(crate) fn is_full(&self) -> bool {
        (0..self.lanes.len()).any(|lane| !self.has_room(lane))
    }

    fn choose_source(&self) -> Option<usize> {
        let all = self.peers.len();
        let from_source = (0..all).map(|i| (self.catch_up.source + i) % all);
        let mut candidates: Vec<usize> = from_source.filter(|&k| self.may_give(k)).collect();
        // Those first that can be heard, and of these those that have it and know a later view.
        candidates.sort_by_key(|&k| (self.suspects(k), self.has_not(k), !self.is_ahead(k)));
        candidates.first().copied()
    }

    /// Those who can be heard and may have what this host lacks. Two that are equally far behind have
    /// nothing for each other, however often they ask.
    pub(crate) fn those_further(&self) -> Vec<usize> {
        let heard = self.everyone_known();
        let heard = heard.filter(|&k| self.may_give(k) && !self.suspects(k));
        let (ahead, level): (Vec<usize>, Vec<usize>) = heard.partition(|&k| self.is_ahead(k));
        if !ahead.is_empty() {
            return ahead;
        }
        level
            .into_iter()
            .filter(|&k| self.may_have_more(k))
            .collect()
    }

    /// True unless a member of this host's view showed that it has nothing on disk that is not here.
    fn may_have_more(&self, k: usize) -> bool {
        match &self.peers[k].durable {
            Some((view, durable)) if *view == self.view.number => durable
                .iter()
                .zip(&self.lanes)
                .any(|(durable, lane)| *durable > lane.last()),
            _ => true,
        }
    }

    /// True if a host can be asked for what is missing: a member, or one that is in a later view.
    pub(crate) fn may_give(&self, k: usize) -> bool {
        k != self.me && (k < self.view.members.len() || self.is_ahead(k))
    }

    /// True if a host said that it has not what this one needs next.
    pub(crate) fn has_not(&self, k: usize) -> bool {
        self.peers[k].gone_in == Some(self.view.number)
    }

    /// Entries of this host's view, in answer to a fetch or ahead of an Accept.
    pub(crate) fn on_entries(&mut self, from: usize, entries: Vec<Arc<Entry>>) {
        let sealed = self.suspended_for > self.view.number || self.catch_up.decided.is_some();
        let mut progress = false;
        for entry in entries {
            let Some(lane) = self.view.slot(entry.lane) else {
                continue;
            };
            let next = self.lanes[lane].last() + 1;
            if entry.view != self.view.number || entry.index > next || !self.has_room(lane) {
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
        if progress {
            // What is needed next is something else now.
            for peer in &mut self.peers {
                peer.gone_in = None;
            }
            if self.catch_up.fetching == Some(from) {
                self.catch_up.fetching = None;
            }
        }
    }

    // ---- giving ----

    pub(crate) fn on_fetch(&mut self, from: usize, view: ViewNumber, have: &[u64], first: HostId) {
        if view > self.view.number {
            return self.saw_view(from, view);
        }
        if !self.serves(from) {
            return;
        }
        let lanes = match view {
            ViewNumber::NOT_FORMED => Some(Vec::new()),
            view => self.members_of(view),
        };
        let Some(lanes) = lanes else {
            return self.cannot_give(from, view);
        };
        if have.len() != lanes.len() {
            return;
        }
        let first = lanes.iter().position(|host| *host == first).unwrap_or(0);
        if self.is_answered(from, view, have) {
            // Nobody waits for this answer any more.
        } else if view == self.view.number {
            self.give_of_current_view(from, have, first);
        } else {
            self.give_of_sealed_view(from, view, have, first, &lanes);
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

    fn give_of_current_view(&mut self, to: usize, have: &[u64], first: usize) {
        let lanes = self.lanes.iter().zip(have);
        let in_memory = lanes.filter(|(lane, has)| **has >= lane.base());
        let missing = in_memory.flat_map(|(lane, has)| lane.after(*has).cloned());
        let mut missing: Vec<_> = missing.collect();
        let gone = |k: &usize| have[*k] < self.lanes[*k].base();
        let lanes = [first].into_iter().chain(0..self.lanes.len());
        match lanes
            .filter(gone)
            .find(|&k| k == first || missing.is_empty())
        {
            Some(k) => {
                let (from, end) = (have[k] + 1, self.lanes[k].base());
                let lane = self.view.members[k];
                self.send_from_log(to, self.view.number, lane, from, end);
            }
            None if missing.is_empty() => {}
            None => {
                // As they are executed, so that the receiver can follow at once.
                missing.sort_by_key(|entry| (entry.ts, entry.lane));
                self.send(to, Message::entries(missing));
            }
        }
    }

    fn give_of_sealed_view(
        &mut self,
        to: usize,
        view: ViewNumber,
        have: &[u64],
        first: usize,
        hosts: &[HostId],
    ) {
        let Some(next) = self.view_for(to, view.next()).cloned() else {
            return self.cannot_give(to, view);
        };
        let ends = next.ends.clone();
        self.send(to, Message::Install(next));
        let mut lanes = [first].into_iter().chain(0..ends.len());
        if let Some(k) = lanes.find(|&k| have.get(k) < ends.get(k)) {
            self.send_from_log(to, view, hosts[k], have[k] + 1, ends[k]);
        }
    }

    /// A view that a host may be told: newcomers get to know those as well that all members are beyond.
    fn view_for(&self, to: usize, number: ViewNumber) -> Option<&View> {
        let past = self.past_views.get(&number);
        let past = past.filter(|_| to >= self.view.members.len());
        self.views.get(&number).or(past)
    }

    /// The members of a view, if it is known.
    pub(crate) fn members_of(&self, number: ViewNumber) -> Option<Vec<HostId>> {
        let view = self.views.get(&number);
        let view = view.or_else(|| self.past_views.get(&number));
        view.map(|view| view.members.clone())
    }

    /// What comes after a view is not known here any more.
    fn cannot_give(&mut self, to: usize, view: ViewNumber) {
        let member = to < self.view.members.len();
        if member && self.acted_after(to, view) {
            if let Some(incarnation) = self.peers[to].incarnation {
                let lacks = Lacks::View { seen: view.next() };
                let message = Message::Forgotten {
                    incarnation,
                    life: None,
                    lacks,
                };
                self.send(to, message);
            }
        } else {
            self.send(to, Message::Gone { view });
        }
    }

    fn send_from_log(&mut self, to: usize, view: ViewNumber, lane: HostId, from: u64, end: u64) {
        self.outputs.push_back(Output::SendFromLog {
            to: self.host_at(to),
            view,
            lane,
            from,
            to_index: end,
        });
    }
}
