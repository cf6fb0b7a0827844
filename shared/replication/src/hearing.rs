//! Who does not hear whom.
//!
//! A host that does not hear a writer cannot execute, whether the writer is gone or a link carries
//! nothing in that one direction. It cannot tell which; the others can, once it says whom it misses: a
//! host that they hear meanwhile is not gone. Then the one that misses it is *deaf*, and it is the one
//! that leaves the view, so that a host with a bad ear pushes nobody out but itself.

use shoal_types::{HostId, Mono};

use crate::Engine;

/// A member that another one said it does not hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unheard {
    host: HostId,
    /// When that was said first.
    since: Mono,
    /// True if this host heard it after that, and it was missed even then. One that merely stood still
    /// is heard by all again at about the same time.
    heard_here: bool,
}

impl Engine {
    /// The members that this host does not hear.
    pub(crate) fn unheard(&self) -> impl Iterator<Item = HostId> {
        let unheard = self.others().filter(|&k| self.suspects(k));
        unheard.map(|k| self.view.members[k])
    }

    /// Tells everybody at once whom this host does not hear any more, or hears again.
    pub(crate) fn tell_whom_it_misses(&mut self) {
        if !self.unheard().eq(self.told_unheard.iter().copied()) {
            self.heartbeat_everyone();
        }
    }

    /// A member told whom it does not hear.
    pub(crate) fn note_unheard(&mut self, from: usize, unheard: &[HostId]) {
        let known = std::mem::take(&mut self.peers[from].unheard);
        let heard_since = |before: &Unheard| match self.view.slot(before.host) {
            Some(k) => k == self.me || self.peers[k].heard_at > before.since,
            None => false,
        };
        let members = self.view.members.iter();
        let noted = members.filter(|host| unheard.contains(host)).map(|&host| {
            match known.iter().find(|before| before.host == host) {
                Some(before) => Unheard {
                    heard_here: before.heard_here || heard_since(before),
                    ..*before
                },
                None => Unheard {
                    host,
                    since: self.now.mono,
                    heard_here: false,
                },
            }
        });
        self.peers[from].unheard = noted.collect();
    }

    /// The members that this host hears, itself included.
    pub(crate) fn heard_members(&self) -> Vec<HostId> {
        let members = self.view.members.iter().enumerate();
        members
            .filter(|(k, _)| !self.suspects(*k))
            .map(|(_, host)| *host)
            .collect()
    }

    /// True if a member said last that it does not hear another one.
    pub(crate) fn misses(&self, k: usize, other: usize) -> bool {
        let host = self.view.members[other];
        self.peers[k].unheard.iter().any(|u| u.host == host)
    }

    /// True if a writer does not hear another one that does its part: it waits for that one's clock in
    /// vain, and everybody's order sooner or later for what it acknowledges.
    pub(crate) fn is_deaf(&self, k: usize) -> bool {
        let writes = self.view.is_writer(self.view.members[k]);
        let works = |host: HostId| {
            let slot = self.view.slot(host);
            slot.is_some_and(|w| self.view.is_writer(host) && self.stays_as_is(w))
        };
        let mut unheard = self.peers[k].unheard.iter();
        k != self.me && writes && unheard.any(|u| u.heard_here && works(u.host))
    }

    /// True if some writer is deaf to this one.
    pub(crate) fn is_unheard(&self, k: usize) -> bool {
        self.others().any(|w| self.is_deaf(w) && self.misses(w, k))
    }

    pub(crate) fn hears_all_writers(&self) -> bool {
        !self.other_writers().into_iter().any(|k| self.suspects(k))
    }

    /// True if this host is no writer and will not become one for now: it does not hear one.
    #[must_use]
    pub fn is_kept_out(&self) -> bool {
        self.acting() && !self.i_write() && !self.hears_all_writers()
    }
}
