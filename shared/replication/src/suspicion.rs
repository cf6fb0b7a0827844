//! Whom this host takes for dead, stuck or out of step.

use shoal_types::{Incarnation, Mono};

use crate::quorum::Quorum;
use crate::timer::Timer;
use crate::{Engine, HostPhase};

impl Engine {
    /// True if a member is silent for too long, its process is gone, or its clock is far off.
    pub(crate) fn suspects(&self, k: usize) -> bool {
        let now = self.now.mono;
        k != self.me && self.peers[k].suspect_at(now, &self.config.timings) <= now
    }

    /// True if a writer does not do its part in this view any more: the order waits for it in vain.
    pub(crate) fn is_missing(&self, k: usize) -> bool {
        let (peer, now, timings) = (&self.peers[k], self.now.mono, &self.config.timings);
        let meant = self.view.incarnation_of(self.view.members[k]);
        let replaced = meant.is_some_and(|meant| peer.incarnation > Some(meant));
        let idle = peer.idle_in(self.view.number, self.view_since, now, timings);
        k != self.me && (self.suspects(k) || replaced || idle)
    }

    /// True if a member was suspended for a view that did not come about: only another one gets it going
    /// again, and commits may depend on it.
    pub(crate) fn is_stuck(&self, k: usize) -> bool {
        let (peer, now, timings) = (&self.peers[k], self.now.mono, &self.config.timings);
        let suspended = (self.view.number, HostPhase::Suspended);
        peer.phase == Some(suspended) && now >= peer.idle_at(self.view_since, timings)
    }

    /// The other writers that do their part.
    pub(crate) fn working_writers(&self) -> Vec<usize> {
        let mut writers = self.other_writers();
        writers.retain(|&k| !self.is_missing(k));
        writers
    }

    /// True if enough members can be heard to commit anything.
    pub(crate) fn hears_a_quorum(&self) -> bool {
        let heard = self.others().filter(|&k| !self.suspects(k)).count();
        Quorum::of(self.view.members.len()).reached_by(heard + 1)
    }

    /// True if enough members acknowledge entries of this view to commit them.
    pub(crate) fn a_quorum_does_its_part(&self) -> bool {
        let others = self.others().filter(|&k| !self.is_missing(k)).count();
        Quorum::of(self.view.members.len()).reached_by(others + 1)
    }

    /// A life of a member showed itself. False if it is an earlier one than is known.
    pub(crate) fn showed_incarnation(&mut self, k: usize, shown: Incarnation) -> bool {
        if self.peers[k].incarnation.is_some_and(|known| shown > known) {
            self.clock.forget_wall_of(k);
        }
        self.peers[k].showed_incarnation(shown, self.view.number)
    }

    /// Sets the timer for the moment at which a member becomes suspect.
    pub(crate) fn watch_for_silence(&mut self) {
        let (now, timings) = (self.now.mono, &self.config.timings);
        let mut next: Option<Mono> = None;
        for k in self.others() {
            let peer = &self.peers[k];
            let suspect_at = peer.suspect_at(now, timings);
            // One that is suspected for its clock still shows it: forgotten, it could not come out that
            // it is this host's own clock that is off.
            if suspect_at <= now && now >= peer.skewed_until {
                self.clock.forget_wall_of(k);
            }
            let idle_at = peer.idle_at(self.view_since, timings);
            let later = [suspect_at, idle_at].into_iter().filter(|at| *at > now);
            next = later.chain(next).min();
        }
        match next {
            Some(at) => self.timers.set(Timer::Suspicion, at),
            None => self.timers.stop(Timer::Suspicion),
        }
    }

    /// If this process itself was held up, the others' words lie unread: their silence is not theirs.
    pub(crate) fn excuse_own_pause(&mut self, now: Mono) {
        let Some(due) = self.timers.get(Timer::Heartbeat) else {
            return;
        };
        let late = now - due;
        if late > self.config.timings.silence_min / 2 {
            for peer in &mut self.peers {
                peer.heard_at = now.min(peer.heard_at + late);
            }
        }
    }
}
