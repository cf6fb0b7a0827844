//! A newcomer's side: it follows the members as a learner before they make it one of them.
//!
//! A learner fetches views and entries, keeps them, and executes what is stable and committed by what
//! the *members* say. It promises nothing and acknowledges nothing; the one vote it may give is to
//! accept a value that makes it a member, and that vote counts among the members to come only.

use shoal_types::{ClusterId, ClusterSpec, HostId, Now, Revision, ViewNumber};

use crate::formation::is_list_of_members;
use crate::limits::HINT_INTERVAL;
use crate::{Engine, Forgotten, Heartbeat, HostPhase, Message, Output, Record};

/// Why a host does not become a learner.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LearnError {
    /// The host is a member already.
    #[error("the host is a member of cluster {0} already")]
    Member(ClusterId),
    /// The host is to become a member of another cluster.
    #[error("the host is to become a member of cluster {0}")]
    OtherCluster(ClusterId),
    /// A later list, or another one with the same revision, is known.
    #[error("the host follows the list of revision {0}")]
    Stale(Revision),
    /// The list does not name this host.
    #[error("the list of members does not name this host")]
    NotListed,
    /// The list is empty, too long, not sorted, or names a host twice.
    #[error("a cluster has 1 to 5 members, sorted by id, each once")]
    BadList,
    /// The host was a member and was removed.
    #[error("the host was removed from its cluster: it comes back with an empty data folder only")]
    Removed,
    /// Members of its cluster remember more of it than it knows.
    #[error("{0}")]
    Forgotten(Forgotten),
}

impl Engine {
    /// Makes a host of no cluster a learner of one that exists: it is to become a member, and the list
    /// names it already. The same list again does nothing, a later one replaces it.
    ///
    /// # Errors
    /// If the host belongs elsewhere, or the list is none.
    ///
    /// # Panics
    /// If the engine is not started.
    pub fn learn(&mut self, spec: &ClusterSpec, now: Now) -> Result<(), LearnError> {
        assert!(self.incarnation.0 > 0, "the engine is started before");
        self.begin_turn(now);
        if let Some(forgotten) = self.forgotten {
            return Err(LearnError::Forgotten(forgotten));
        }
        if self.is_removed() {
            return Err(LearnError::Removed);
        }
        if !is_list_of_members(spec) {
            return Err(LearnError::BadList);
        }
        if !spec.members.iter().any(|m| m.host == self.config.me) {
            return Err(LearnError::NotListed);
        }
        if let Some(formed) = &self.spec
            && !self.is_outside()
        {
            let known = formed.cluster == spec.cluster && spec.revision <= formed.revision;
            return if known {
                Ok(())
            } else {
                Err(LearnError::Member(formed.cluster))
            };
        }
        match &self.membership.learning {
            Some(known) if known == spec => return Ok(()),
            Some(known) if known.cluster != spec.cluster => {
                return Err(LearnError::OtherCluster(known.cluster));
            }
            Some(known) if known.revision >= spec.revision => {
                return Err(LearnError::Stale(known.revision));
            }
            _ => {}
        }
        let record = self.persist(Record::Learning { spec: spec.clone() });
        self.act_after = record;
        self.membership.learning = Some(spec.clone());
        self.renew_slots();
        self.listen_from(now.mono);
        self.settle();
        Ok(())
    }

    pub(crate) fn replay_learning(&mut self, spec: ClusterSpec) {
        let overtaken = |known: &Option<ClusterSpec>| {
            known
                .as_ref()
                .is_some_and(|known| known.revision >= spec.revision)
        };
        // A list that made this host a member is done with.
        let done = overtaken(&self.spec) && self.membership.learning.is_none();
        if !done && !overtaken(&self.membership.learning) {
            self.membership.learning = Some(spec);
            self.renew_slots();
        }
    }

    /// What a host outside shows: that it follows, once what it shows of itself is durable.
    pub(crate) fn phase_outside(&self) -> HostPhase {
        if self.records.durable() < self.act_after {
            HostPhase::Entering
        } else if self.needs_snapshot() {
            HostPhase::Stranded
        } else {
            HostPhase::Learning
        }
    }

    /// What any input may have made possible for a learner.
    pub(crate) fn follow(&mut self) {
        self.execute();
        self.release_memory();
        self.continue_interrupted();
        self.fetch_what_is_missing();
    }

    /// True if this host executes although it does not act: what the members acknowledged and promised
    /// holds for whoever hears of it.
    pub(crate) fn may_follow(&self) -> bool {
        self.is_outside() && !self.is_removed() && self.view.number > ViewNumber::NOT_FORMED
    }

    /// A host outside, or one of a later view, tells how it is.
    pub(crate) fn on_heartbeat_from_outside(&mut self, from: usize, heartbeat: &Heartbeat) {
        if !self.introduces_itself(from, heartbeat) {
            return;
        }
        let now = self.now.mono;
        let peer = &mut self.peers[from];
        peer.view_shown = heartbeat.view;
        peer.showed_phase(heartbeat.view, heartbeat.phase, now);
        if heartbeat.phase == HostPhase::Learning {
            self.keep_position(from, heartbeat.view, &heartbeat.durable);
        }
    }

    /// What a host has on disk, if the vector fits the view it is about.
    pub(crate) fn keep_position(&mut self, from: usize, view: ViewNumber, durable: &[u64]) {
        let lanes = match view {
            ViewNumber::NOT_FORMED => 0,
            view => match self.members_of(view) {
                Some(members) => members.len(),
                None => return,
            },
        };
        if durable.len() == lanes {
            self.peers[from].showed_durable(view, durable);
        }
    }

    /// Messages of hosts that this one does not know.
    pub(crate) fn receive_from_stranger(&mut self, from: HostId, message: Message) {
        match message {
            Message::Members { view, spec } => self.on_members(view, spec),
            Message::Forgotten {
                incarnation,
                life,
                lacks,
            } => self.on_forgotten(from, incarnation, life, lacks),
            // It takes itself for a member.
            Message::Heartbeat(theirs) if theirs.view < self.view.number => {
                self.tell_members_now_and_then(from);
            }
            // It knows that it is none, and wants to be sure that the others do.
            Message::Install(view) if view.number <= self.view.number => {
                self.tell_members_now_and_then(from);
            }
            _ => {}
        }
    }

    fn tell_members_now_and_then(&mut self, to: HostId) {
        let now = self.now.mono;
        let lately = self.membership.told_at;
        if lately.is_none_or(|at| now >= at + HINT_INTERVAL) {
            self.membership.told_at = Some(now);
            self.tell_members(to);
        }
    }

    /// A host tells the members as of a view. Whoever is none any more learns it here, if it was away;
    /// whoever is behind learns whom to ask.
    pub(crate) fn on_members(&mut self, view: ViewNumber, spec: ClusterSpec) {
        let known = self.spec.as_ref().or(self.membership.learning.as_ref());
        if view <= self.view.number || known.is_none_or(|known| known.cluster != spec.cluster) {
            return;
        }
        let listed = spec.members.iter().any(|m| m.host == self.config.me);
        let learning = self.membership.learning.as_ref();
        let to_come = learning.is_some_and(|l| self.is_outside() || l.revision > spec.revision);
        if !listed && !to_come {
            return self.learn_of_removal(view);
        }
        let heard_of = self.membership.heard_of.as_ref();
        if heard_of.is_none_or(|(known, _)| *known < view) {
            self.membership.heard_of = Some((view, spec));
            self.renew_slots();
        }
    }

    /// A host has not what this one needs next.
    pub(crate) fn on_gone(&mut self, from: usize, view: ViewNumber) {
        if view == self.view.number {
            self.peers[from].gone_in = Some(view);
        }
    }

    /// The log does not hold what [`Output::SendFromLog`] asked for: a newcomer is too far behind. Only
    /// for entries that are certainly not there; what cannot be read is an error of the disk.
    pub fn handle_not_in_log(&mut self, to: HostId, view: ViewNumber, now: Now) {
        self.begin_turn(now);
        if !self.stopped && !self.is_silent() && self.slot_of(to).is_some() {
            let message = Message::Gone { view };
            self.outputs.push_back(Output::Send { to, message });
        }
    }

    /// True if this host lacks something that none of those has that are further, or all of the state.
    pub(crate) fn needs_snapshot(&self) -> bool {
        if self.state_lost {
            return true;
        }
        let sources = self.those_further();
        !sources.is_empty() && sources.iter().all(|&k| self.has_not(k))
    }
}
