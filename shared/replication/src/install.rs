//! Installing a decided view: the one before is cut at its seal and executed to the end, then the new
//! one begins with empty lanes.

use shoal_types::planted::{Bug, planted};
use shoal_types::{Mono, ViewNumber};

use crate::acknowledgement::Acknowledgements;
use crate::lane::Lane;
use crate::peer::Peer;
use crate::timer::Timer;
use crate::{Asked, Engine, Output, Record, RecordNumber, View};

impl Engine {
    /// Installs the view after this host's own; everything that it seals is here. `replayed` is the
    /// number of its record if the log already has it.
    pub(crate) fn install(&mut self, view: View, replayed: Option<RecordNumber>) {
        assert!(
            view.number == self.view.number.next() && view.members == self.view.members,
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
        let before = std::mem::take(&mut self.view);
        let record = match replayed {
            Some(number) => number,
            None => self.persist(Record::View(view.clone())),
        };
        if replayed.is_none() {
            self.note_who_stays(&before, &view);
        }
        let executed = vec![0; view.members.len()];
        self.enter(view.clone(), executed, record);
        self.outputs.push_back(Output::ViewInstalled { view });
    }

    /// Starts a view whose lanes are executed up to these indices (zeros unless restored).
    pub(crate) fn enter(&mut self, view: View, executed: Vec<u64>, record: RecordNumber) {
        let members = view.members.len();
        self.me = view
            .slot(self.config.me)
            .expect("only members install a view");
        if self.peers.is_empty() {
            self.peers = (0..members).map(|_| Peer::new(self.now.mono)).collect();
        }
        let lanes = executed.iter().map(|e| Lane::from_checkpoint(*e));
        self.lanes = lanes.collect();
        self.acks = Acknowledgements::new(self.me, executed);
        self.clock.enter_view(self.me, members, view.start);
        assert!(self.tickets.is_empty(), "a sealed batch was not executed");
        self.act_after = record;
        self.abandon_proposal();
        self.timers.stop(Timer::PreVote);
        self.acceptor.view_installed();
        self.attempts.view_installed();
        self.catch_up.view_installed(members);
        self.asking_since = None;
        for peer in &mut self.peers {
            // A wish to leave outlasts the view: forgotten, it would come up one by one again.
            peer.asked.take_if(|request| request.asked == Asked::Join);
            peer.pre_vote = None;
        }
        self.views.insert(view.number, view.clone());
        self.view = view;
        self.view_since = self.now.mono;
        self.forget_old_views();
    }

    /// Cuts the lanes at the seal. Own batches beyond it will never be executed. (A writer of the next
    /// view has none: it promised, and what it had appended was durable by then.)
    fn cut_at(&mut self, ends: &[u64]) {
        for (lane, end) in self.lanes.iter_mut().zip(ends) {
            lane.cut(*end);
        }
        let own_end = ends[self.me];
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

    /// Remembers who became and who stopped being a writer.
    fn note_who_stays(&mut self, before: &View, after: &View) {
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
        }
    }

    /// Forgets views that no member can ask for any more.
    pub(crate) fn forget_old_views(&mut self) {
        if let Some(needed) = self.needed_from() {
            self.views.retain(|number, _| *number >= needed.view);
        }
    }

    /// Gives every member time to speak, from now on.
    pub(crate) fn listen_from(&mut self, now: Mono) {
        self.view_since = now;
        for peer in &mut self.peers {
            peer.heard_at = now;
            peer.phase_since = now;
        }
        if self.view.number > ViewNumber::NOT_FORMED {
            self.timers.set(Timer::Heartbeat, now);
        }
    }
}
