//! Asking to be let in and out, and whom to let in.

use crate::limits::{JOIN_LAG_ENTRIES, UNSYNCED_BYTES_MAX};
use crate::peer::Request;
use crate::timer::Timer;
use crate::{Asked, Engine, HostPhase, Message};

impl Engine {
    /// Asks the working writers if this host wants in or out; once now, then at intervals.
    pub(crate) fn ask_if_needed(&mut self) {
        if !self.wants_in() && !self.wants_out() {
            self.asking_since = None;
            self.timers.stop(Timer::Ask);
        } else if self.asking_since.is_none() {
            self.asking_since = Some(self.now.mono);
            self.ask();
        }
    }

    /// Asks every working writer: they agree among themselves, by rank, who does it. If none seems to
    /// work, it may be that only this host does not hear them.
    pub(crate) fn ask(&mut self) {
        let asked = if self.wants_out() {
            Asked::Leave
        } else if self.wants_in() {
            Asked::Join
        } else {
            return;
        };
        let view = self.view.number;
        let mut writers = self.working_writers();
        if writers.is_empty() {
            writers = self.other_writers();
        }
        for k in writers {
            self.send(k, Message::Ask { view, asked });
        }
        let again = self.after(self.config.timings.silence_min);
        self.timers.set(Timer::Ask, again);
    }

    pub(crate) fn on_ask(&mut self, from: usize, asked: Asked) {
        let at = self.now.mono;
        self.peers[from].asked = Some(Request { asked, at });
    }

    /// What a member asked for, if it was not too long ago.
    pub(crate) fn asked_lately(&self, k: usize) -> Option<Asked> {
        let request = self.peers.get(k)?.asked.as_ref()?;
        let valid_until = request.at + self.config.timings.silence_min * 2;
        (k != self.me && self.now.mono < valid_until).then_some(request.asked)
    }

    /// True if this host would do its part as a writer, and does not.
    pub(crate) fn wants_in(&self) -> bool {
        let outside = match self.phase() {
            HostPhase::Acting => !self.i_write(),
            HostPhase::Barred => true,
            HostPhase::Entering | HostPhase::Suspended => false,
            HostPhase::Learning | HostPhase::Stranded => false,
        };
        outside
            && !self.state_lost
            && !self.is_set_aside()
            && !self.leaving
            && !self.disk_is_stalled()
            && !self.is_behind()
            && (self.catch_up.lag(&self.lanes) <= JOIN_LAG_ENTRIES || self.is_full())
    }

    /// True if another host alone is to write, and does.
    #[must_use]
    pub fn is_set_aside(&self) -> bool {
        let only = self.spec.as_ref().and_then(|spec| spec.only);
        only.is_some_and(|only| only != self.config.me && self.view.active == [only])
    }

    /// True if the others should not wait for this host any longer, and there are others.
    pub(crate) fn wants_out(&self) -> bool {
        let others_work = || !self.working_writers().is_empty();
        self.acting() && self.i_write() && (self.leaving || self.disk_is_stalled()) && others_work()
    }

    /// Other writers that do their part and did not ask to leave.
    fn staying_writers(&self) -> usize {
        let mut writers = self.working_writers();
        writers.retain(|&k| self.asked_lately(k) != Some(Asked::Leave));
        writers.len()
    }

    /// True if a view without those that want to leave would have a writer. If all leave together,
    /// changing the view for it would only put one of them back, again and again.
    pub(crate) fn someone_stays(&self) -> bool {
        !self.leaving || self.staying_writers() > 0
    }

    /// True if this host wants to leave and nobody waits for it any more: its lane gates no order, or
    /// whoever could wait is leaving too.
    pub(crate) fn may_stop(&self) -> bool {
        let all_leave = || !self.working_writers().is_empty() && self.staying_writers() == 0;
        self.leaving && (!self.i_write() || all_leave())
    }

    /// True if a writer that was asked did nothing within the time of a suspicion.
    pub(crate) fn asked_in_vain(&self) -> bool {
        let patience = self.config.timings.silence_min;
        self.wants_in()
            && self
                .asking_since
                .is_some_and(|since| self.now.mono >= since + patience)
    }

    /// True if a member can become a writer: it and all working writers hear each other, and it did not
    /// drop out again and again.
    pub(crate) fn may_let_in(&self, k: usize) -> bool {
        let mut writers = self.working_writers();
        writers.retain(|&w| w != k);
        !self.suspects(k)
            && !self.stays_as_is(k)
            && self.may_come_back(k)
            && !self.misses(k, self.me)
            && !writers
                .iter()
                .any(|&w| self.misses(k, w) || self.misses(w, k))
    }

    /// True if a member writes in this view and does its part.
    pub(crate) fn stays_as_is(&self, k: usize) -> bool {
        self.view.is_writer(self.view.members[k]) && (k == self.me || !self.is_missing(k))
    }

    /// True unless a member must wait because it kept dropping out. Where nothing can be committed as it
    /// is, changing the view disturbs nobody, and that member may be the one whose disk is needed.
    pub(crate) fn may_come_back(&self, k: usize) -> bool {
        self.peers[k].stay.backoff.is_over(self.now.mono) || !self.a_quorum_does_its_part()
    }

    /// True if this host's disk does not keep up while those of a quorum of the others do.
    pub(crate) fn disk_is_stalled(&self) -> bool {
        let since = self.acks.oldest_unsynced();
        let stale =
            since.is_some_and(|since| self.now.mono >= since + self.config.timings.silence_min);
        (stale || self.acks.unsynced_bytes() > UNSYNCED_BYTES_MAX)
            && self.acks.others_have_oldest_unsynced()
    }
}
