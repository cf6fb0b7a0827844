//! Cheap looks at an engine, for a driver that asks in every turn; [`Engine::status`] tells all.

use shoal_types::{ClusterSpec, HostId, Ts, ViewNumber};

use crate::{Ballot, Engine, NotReady, View};

impl Engine {
    /// The cluster as of the view of this host, or, for a newcomer, as it is to become; `None` if it
    /// belongs to none.
    #[must_use]
    pub fn spec(&self) -> Option<&ClusterSpec> {
        self.spec.as_ref().or(self.membership.learning.as_ref())
    }

    /// The view installed last.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Its clock.
    #[must_use]
    pub fn clock(&self) -> Ts {
        self.clock.value()
    }

    /// Physical now as the members agree on it, if this host's wall clock shows `wall`: a host whose own
    /// clock is far ahead of theirs must not go by that. `None` if it has heard too few of them.
    #[must_use]
    pub fn physical(&self, wall: Ts) -> Option<Ts> {
        self.clock.physical(wall)
    }

    /// True if a quorum's clocks are seen and this host does not go by its own, which shows `wall`: it is
    /// off, or nobody can tell whose is right.
    #[must_use]
    pub fn is_clock_in_doubt(&self, wall: Ts) -> bool {
        self.clock.is_in_doubt(wall)
    }

    /// The highest ballot that this host has promised for this view, if it is to be decided yet.
    #[must_use]
    pub fn promised(&self, view: ViewNumber) -> Option<Ballot> {
        self.acceptor.promised_for(view)
    }

    /// Under which ballot this host accepted a value for this view, if it did and it is to be decided yet.
    #[must_use]
    pub fn accepted(&self, view: ViewNumber) -> Option<Ballot> {
        let (ballot, value) = self.acceptor.accepted()?;
        (value.number == view).then_some(*ballot)
    }

    /// Up to which index this host has each lane of its view on disk, by the view's members.
    #[must_use]
    pub fn durable(&self) -> &[u64] {
        self.acks.own()
    }

    /// True if `submit` is taken unless the host is busy.
    #[must_use]
    pub fn takes_commands(&self) -> bool {
        self.not_ready().is_none()
    }

    /// Why `submit` is refused, if it is for another reason than that the host is busy.
    #[must_use]
    pub fn not_ready(&self) -> Option<NotReady> {
        self.may_submit().err().filter(|why| *why != NotReady::Busy)
    }

    /// True if it takes commands and knows of nothing that it lacks.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.takes_commands() && !self.is_behind() && self.catch_up.lag(&self.lanes) == 0
    }

    /// True if it acts, writer or not, and knows of nothing that it lacks.
    #[must_use]
    pub fn is_following(&self) -> bool {
        self.acting() && !self.is_behind() && self.catch_up.lag(&self.lanes) == 0
    }

    /// True if `leave` was called and nobody waits for this host any more: it can stop.
    #[must_use]
    pub fn is_sealed_out(&self) -> bool {
        self.may_stop()
    }

    /// True if this entry needs no executing here any more: it was executed, or a seal cut it off.
    #[must_use]
    pub fn is_past(&self, view: ViewNumber, lane: HostId, index: u64) -> bool {
        view < self.view.number
            || view == self.view.number
                && self
                    .view
                    .slot(lane)
                    .is_some_and(|k| index <= self.lanes[k].executed())
    }
}
