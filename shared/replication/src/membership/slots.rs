//! Slots: small numbers for the hosts that this one talks with. The members come first, in their order,
//! so that vectors over lanes are aligned with slots; hosts outside come after them.

use shoal_types::HostId;
use shoal_types::planted::{Bug, planted};

use crate::Engine;
use crate::peer::Peer;

impl Engine {
    /// A host's slot, if this host talks with it.
    pub(crate) fn slot_of(&self, host: HostId) -> Option<usize> {
        let outside = || self.membership.outside.iter().position(|h| *h == host);
        let members = self.view.members.len();
        let slot = self.view.slot(host);
        slot.or_else(|| outside().map(|i| members + i))
    }

    /// Whose slot it is.
    pub(crate) fn host_at(&self, slot: usize) -> HostId {
        match slot.checked_sub(self.view.members.len()) {
            None => self.view.members[slot],
            Some(outside) => self.membership.outside[outside],
        }
    }

    /// All slots but this host's own.
    pub(crate) fn everyone_known(&self) -> impl Iterator<Item = usize> + use<> {
        let me = self.me;
        (0..self.peers.len()).filter(move |&k| k != me)
    }

    /// Whose slots there are, in order.
    pub(crate) fn hosts_by_slot(&self) -> Vec<HostId> {
        (0..self.peers.len()).map(|k| self.host_at(k)).collect()
    }

    /// Gives every host that matters now a slot. What is known of those that had one before moves along.
    pub(crate) fn lay_out_slots(&mut self, before: &[HostId]) {
        self.membership.outside = self.hosts_outside();
        self.me = self.slot_of(self.config.me).unwrap_or(0);
        let mut known: Vec<Option<Peer>> = std::mem::take(&mut self.peers)
            .into_iter()
            .map(Some)
            .collect();
        let members = self.view.members.iter();
        let hosts = members.chain(&self.membership.outside);
        let was_at = |(slot, host): (usize, &HostId)| match planted(Bug::SlotsNotMoved) {
            true => Some(slot),
            false => before.iter().position(|h| h == host),
        };
        let slots_before: Vec<Option<usize>> = hosts.enumerate().map(was_at).collect();
        let take = |slot: &Option<usize>| known.get_mut((*slot)?)?.take();
        let peers: Vec<Option<Peer>> = slots_before.iter().map(take).collect();
        let now = self.now.mono;
        let fill = |peer: Option<Peer>| peer.unwrap_or_else(|| Peer::new(now));
        self.peers = peers.into_iter().map(fill).collect();
        self.clock.lay_out(&slots_before[..self.view.members.len()]);
        self.catch_up.slots_moved(self.view.members.len());
        self.membership.version += 1;
    }

    /// Somebody outside may matter now, or matter no more. The members' slots stay.
    pub(crate) fn renew_slots(&mut self) {
        if self.membership.outside != self.hosts_outside() {
            let before = self.hosts_by_slot();
            self.lay_out_slots(&before);
        }
        self.membership.version += 1;
    }

    /// The hosts outside that matter now: this one if it is no member, who is to become one, and, for a
    /// host that is behind, the members of later views. Bounded by the few lists that they are in.
    fn hosts_outside(&self) -> Vec<HostId> {
        let me = self.belongs_somewhere().then_some(self.config.me);
        let listed = self.specs_known().flat_map(|spec| &spec.members);
        let mut outside = Vec::new();
        for host in me.into_iter().chain(listed.map(|m| m.host)) {
            if self.view.slot(host).is_none() && !outside.contains(&host) {
                outside.push(host);
            }
        }
        outside
    }
}
