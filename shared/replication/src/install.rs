//! Installing a decided view: the one before is cut at its seal and executed to the end, then the new
//! one begins with empty lanes.

use shoal_types::planted::{Bug, planted};
use shoal_types::{HostId, Mono};

use crate::acknowledgement::Acknowledgements;
use crate::lane::Lane;
use crate::limits::PAST_VIEWS_MAX;
use crate::timer::Timer;
use crate::{Asked, Engine, Output, Record, RecordNumber, View};

impl Engine {
    /// Installs the view after this host's own; everything that it seals is here. `replayed` is the
    /// number of its record if the log already has it.
    pub(crate) fn install(&mut self, view: View, replayed: Option<RecordNumber>) {
        assert!(
            view.number == self.view.number.next() && self.members_may_become(&view),
            "view {view:?} does not follow {:?}",
            self.view
        );
        assert!(
            !view.active.is_empty() && self.holds(&view.ends),
            "view {view:?} is installed without what it seals: {:?}",
            self.held()
        );
        if replayed.is_none() || !planted(Bug::ReplayBeyondSeal) {
            self.cut_at(&view.ends);
        }
        self.execute_sealed();
        let slots_before = self.hosts_by_slot();
        let wanted_in = self.expected_to_join();
        let change_due = self.change_due();
        let was_removed = self.is_removed();
        let before = std::mem::take(&mut self.view);
        let record = match replayed {
            Some(number) => number,
            None => self.persist(Record::View(view.clone())),
        };
        let executed = vec![0; view.members.len()];
        self.note_members(&before, &view);
        self.enter(view.clone(), executed, record, &slots_before);
        if replayed.is_none() {
            self.note_who_stays(&before, &view, &wanted_in);
            if let Some(due) = change_due {
                self.change_came_to_nothing(due);
            }
        }
        self.outputs.push_back(Output::ViewInstalled { view });
        if !was_removed && self.is_removed() {
            self.retire();
        }
    }

    /// Starts a view whose lanes are executed up to these indices (zeros unless restored).
    /// `slots_before` is whose slots the peers were in until now.
    pub(crate) fn enter(
        &mut self,
        view: View,
        executed: Vec<u64>,
        record: RecordNumber,
        slots_before: &[HostId],
    ) {
        let members = view.members.len();
        self.views.insert(view.number, view.clone());
        self.view = view;
        self.view_since = self.now.mono;
        self.lay_out_slots(slots_before);
        let lanes = executed.iter().map(|e| Lane::from_checkpoint(*e));
        self.lanes = lanes.collect();
        self.acks = Acknowledgements::new(self.me, executed);
        self.clock.enter_view(self.me, members, self.view.start);
        assert!(self.tickets.is_empty(), "a sealed batch was not executed");
        self.act_after = record;
        self.abandon_proposal();
        self.timers.stop(Timer::PreVote);
        self.acceptor.view_installed();
        self.attempts.view_installed();
        self.catch_up.view_installed(members);
        self.asking_since = None;
        // It names slots of the view before; whoever waits hears a heartbeat.
        self.owed.clock_to.clear();
        for peer in &mut self.peers {
            // A wish to leave outlasts the view: forgotten, it would come up one by one again.
            peer.asked.take_if(|request| request.asked == Asked::Join);
            peer.pre_vote = None;
        }
        self.forget_old_views();
        self.view_changes_members();
    }

    /// Cuts the lanes at the seal. Own batches beyond it will never be executed. (A writer of the next
    /// view has none: it promised, and what it had appended was durable by then.)
    fn cut_at(&mut self, ends: &[u64]) {
        for (lane, end) in self.lanes.iter_mut().zip(ends) {
            lane.cut(*end);
        }
        let own_end = ends.get(self.me).copied().unwrap_or(0);
        while let Some((index, ticket)) = self.tickets.back().copied()
            && index > own_end
        {
            self.tickets.pop_back();
            self.outputs.push_back(Output::Dropped { ticket });
        }
    }

    /// The first moment at which this host acts in its view.
    pub(crate) fn begin_acting(&mut self) {
        if self.acts_in == self.view.number || !self.acting() {
            return;
        }
        self.acts_in = self.view.number;
        self.heartbeat_everyone();
    }

    /// Hosts for which this host would have changed the view.
    fn expected_to_join(&self) -> Vec<HostId> {
        let joins =
            |k: &usize| self.asked_lately(*k) == Some(Asked::Join) && self.may_come_back(*k);
        self.others()
            .filter(joins)
            .map(|k| self.host_at(k))
            .collect()
    }

    /// Remembers who became and who stopped being a writer, and who should have become one and did not
    /// vote in time: for those the view must not change again and again.
    fn note_who_stays(&mut self, before: &View, after: &View, wanted_in: &[HostId]) {
        let (now, timings) = (self.now.mono, &self.config.timings);
        for (peer, host) in self.peers.iter_mut().zip(&after.members) {
            let lives = (before.incarnation_of(*host), after.incarnation_of(*host));
            let replaced = matches!(lives, (Some(b), Some(a)) if b != a);
            let (wrote, writes) = (before.is_writer(*host), after.is_writer(*host));
            if wrote && (!writes || replaced) {
                peer.stay.dropped_out(now, timings);
            }
            if writes && (!wrote || replaced) {
                peer.stay.joined(now);
            }
            if !wrote && !writes && wanted_in.contains(host) {
                peer.stay.left_out(now, timings);
            }
        }
    }

    /// Sets views aside that no member can ask for any more. Newcomers may, for a while.
    pub(crate) fn forget_old_views(&mut self) {
        if let Some(needed) = self.needed_from() {
            let left = self.views.split_off(&needed.view);
            self.past_views.append(&mut self.views);
            self.views = left;
            while self.past_views.len() > PAST_VIEWS_MAX {
                self.past_views.pop_first();
            }
        }
    }

    /// Gives every member time to speak, from now on.
    pub(crate) fn listen_from(&mut self, now: Mono) {
        self.view_since = now;
        for peer in &mut self.peers {
            peer.heard_at = now;
            peer.phase_since = now;
        }
        if self.is_removed() {
            self.timers.set(Timer::Change, now);
        } else if self.belongs_somewhere() {
            self.timers.set(Timer::Heartbeat, now);
        }
    }
}
