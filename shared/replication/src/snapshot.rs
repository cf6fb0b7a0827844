//! What it takes of an engine that a host gets the executed state from a peer instead of executing: whom
//! to ask, for whom the log is not kept any longer, and what becomes of the engine's part of a
//! checkpoint that another host wrote.

use std::collections::BTreeMap;

use shoal_types::planted::{Bug, planted};
use shoal_types::{ClusterId, HostId, Position, ViewNumber};

use crate::{Engine, EngineCheckpoint, NeededFrom};

/// Why a peer's checkpoint must not take the place of this host's own state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotInstallable {
    /// It is a state of another cluster, or of none.
    #[error("it is of cluster {0:?}")]
    OtherCluster(Option<ClusterId>),
    /// The view it belongs to is older than this host's.
    #[error("it is of view {theirs}, and this host is in view {mine}")]
    OlderView {
        /// This host's view.
        mine: ViewNumber,
        /// The checkpoint's.
        theirs: ViewNumber,
    },
    /// This host has executed as much already.
    #[error("it stands at {theirs}, and this host has executed up to {mine}")]
    NotNewer {
        /// The entry that this host executed last.
        mine: Position,
        /// The one that the checkpoint contains last.
        theirs: Position,
    },
    /// This host was a member and is none there: it learns that it was removed instead.
    #[error("this host is no member there any more")]
    NotMember,
    /// It contradicts itself, or what this host knows for sure.
    #[error("it contradicts what this host knows: {0}")]
    Contradiction(&'static str),
}

impl Engine {
    /// The hosts that may have the state that this one lacks, if what it lacks is in no log of those it
    /// can ask; else none.
    #[must_use]
    pub fn snapshot_sources(&self) -> Vec<HostId> {
        if self.is_removed() || self.stopped || !self.needs_snapshot() {
            return Vec::new();
        }
        let sources = if self.state_lost {
            let known = self.everyone_known();
            let heard = known.filter(|&k| self.may_give(k) && !self.suspects(k));
            heard.collect()
        } else {
            self.those_further()
        };
        sources.into_iter().map(|k| self.host_at(k)).collect()
    }

    /// What executing gave this host, up to the checkpoint from which the engine was made, cannot be read
    /// any more; what the engine itself remembers is whole. Until a peer's state is installed this host
    /// votes and keeps entries as ever, neither acts nor joins, and what it puts out to be executed is to
    /// be passed over. To be said before anything is replayed.
    pub fn lose_state(&mut self) {
        self.state_lost = true;
    }

    /// True while this host has no executed state of its own.
    #[must_use]
    pub fn lacks_state(&self) -> bool {
        self.state_lost
    }

    /// True if a host may be given the state: it is a member, or about to become one, and this host is
    /// one itself and has it.
    #[must_use]
    pub fn may_be_given_snapshot(&self, host: HostId) -> bool {
        let slot = self.slot_of(host);
        !self.state_lost
            && !self.is_outside()
            && !self.is_removed()
            && slot.is_some_and(|k| self.serves(k))
    }

    /// What each other member, and each newcomer, may still ask for as far as it has shown.
    #[must_use]
    pub fn needed_by_others(&self) -> Vec<(HostId, NeededFrom)> {
        let others = self.kept_for_others();
        others
            .map(|(k, from)| (self.host_at(k), self.needed_after(from)))
            .collect()
    }

    /// Nothing is kept for these hosts from now on: what they lack would take up too much. They need a
    /// snapshot when they are back.
    pub fn let_behind(&mut self, hosts: Vec<HostId>) {
        if self.let_behind != hosts {
            self.let_behind = hosts;
            self.forget_old_views();
        }
    }

    /// Everything from here on is kept, whoever has shown to have it: a host is being given the state as
    /// of this place.
    pub fn keep_from(&mut self, held: Option<NeededFrom>) {
        if self.kept_from != held {
            self.kept_from = held;
            self.forget_old_views();
        }
    }

    /// The engine's part of the checkpoint with which this host replaces its own state by that of a peer.
    /// The peer's votes and lives stay the peer's; this host's own stay, since nothing that it promised
    /// may be forgotten.
    ///
    /// Poll all outputs before, and let nothing happen to this engine any more until it is rebuilt from
    /// this checkpoint and its own log.
    ///
    /// # Errors
    /// If the peer's state must not be installed here.
    pub fn checkpoint_from_peer(
        &self,
        theirs: &EngineCheckpoint,
    ) -> Result<EngineCheckpoint, NotInstallable> {
        self.may_install(theirs)?;
        let me = self.config.me;
        let mine = self.checkpoint();
        let theirs = theirs.clone();
        let spec = theirs.spec.as_ref();
        let listed = |learning: &shoal_types::ClusterSpec| {
            spec.is_some_and(|spec| {
                spec.revision >= learning.revision && spec.members.iter().any(|m| m.host == me)
            })
        };
        let mut shown: BTreeMap<HostId, ViewNumber> = mine.shown.into_iter().collect();
        for (host, view) in theirs.shown.into_iter().filter(|(host, _)| *host != me) {
            let known = shown.entry(host).or_default();
            *known = view.max(*known);
        }
        let votes = if planted(Bug::PromiseForgottenAtInstall) {
            (None, None)
        } else {
            (mine.promised, mine.accepted)
        };
        Ok(EngineCheckpoint {
            incarnation: mine.incarnation,
            learning: mine.learning.filter(|learning| !listed(learning)),
            removed_in: mine.removed_in,
            parted: theirs.parted.into_iter().filter(|m| m.host != me).collect(),
            clock: theirs.clock.max(mine.clock),
            promised: votes.0,
            accepted: votes.1,
            shown: shown.into_iter().collect(),
            after: mine.after,
            replay_from: mine.replay_from,
            spec: theirs.spec,
            views: theirs.views,
            past_views: theirs.past_views,
            executed: theirs.executed,
            executed_in_lanes: theirs.executed_in_lanes,
        })
    }

    /// Whether a peer's state may take the place of this host's own.
    ///
    /// # Errors
    /// Why not.
    pub fn may_install(&self, theirs: &EngineCheckpoint) -> Result<(), NotInstallable> {
        let known = self.spec.as_ref().or(self.membership.learning.as_ref());
        let cluster = theirs.spec.as_ref().map(|spec| spec.cluster);
        if cluster.is_none() || known.map(|spec| spec.cluster) != cluster {
            return Err(NotInstallable::OtherCluster(cluster));
        }
        let Some(view) = theirs.views.last() else {
            let why = "it has no view";
            return Err(NotInstallable::Contradiction(why));
        };
        if view.number < self.view.number {
            let (mine, theirs) = (self.view.number, view.number);
            return Err(NotInstallable::OlderView { mine, theirs });
        }
        let same_place =
            theirs.executed == self.executed && view.number == self.view.number && !self.state_lost;
        if theirs.executed < self.executed || same_place {
            let (mine, theirs) = (self.executed, theirs.executed);
            return Err(NotInstallable::NotNewer { mine, theirs });
        }
        let was_member = self.view.slot(self.config.me).is_some();
        if self.is_removed() || was_member && view.slot(self.config.me).is_none() {
            return Err(NotInstallable::NotMember);
        }
        let same_view = view.number != self.view.number || *view == self.view;
        let lanes = theirs.executed_in_lanes.len() == view.members.len();
        if !same_view || !lanes || theirs.executed.view > view.number {
            let why = "its views and lanes";
            return Err(NotInstallable::Contradiction(why));
        }
        Ok(())
    }
}
