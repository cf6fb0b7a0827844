//! What this host knows of another member.

use std::time::Duration;

use shoal_types::{Incarnation, Mono, ViewNumber};

use crate::backoff::Backoff;
use crate::config::Timings;
use crate::hearing::Unheard;
use crate::windowed_max::WindowedMax;
use crate::{Asked, HostPhase, LinkEvent, Reason, StateReport};

/// Another member, as far as it has shown itself.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// The connection to it.
    pub(crate) link: Link,
    /// Its latest life.
    pub(crate) incarnation: Option<Incarnation>,
    /// The view in which this host was when a new life of the peer showed itself.
    pub(crate) replaced_in: ViewNumber,
    /// When it spoke last.
    pub(crate) heard_at: Mono,
    /// The recent gaps between what it said.
    pub(crate) gaps: WindowedMax,
    /// Until when it is suspected because its clock ran too far ahead.
    pub(crate) skewed_until: Mono,
    /// What it did in which view when its last heartbeat left, and since when.
    pub(crate) phase: Option<(ViewNumber, HostPhase)>,
    pub(crate) phase_since: Mono,
    /// The highest view it has shown to exist.
    pub(crate) view_shown: ViewNumber,
    /// The latest view in which it acted, and in which life.
    pub(crate) acted: Option<(Incarnation, ViewNumber)>,
    /// The life whose first words were found to contradict nothing that is remembered.
    pub(crate) introduced: Option<(Incarnation, u64)>,
    /// The life that was refused: it knows less than an earlier one.
    pub(crate) refused: Option<(Incarnation, u64)>,
    /// What it certainly has on disk, and by whose word.
    pub(crate) kept: Option<Kept>,
    /// What it has on disk for sure: a view in which it acted, and how much of each lane.
    pub(crate) durable: Option<(ViewNumber, Vec<u64>)>,
    /// Percent of its data volume in use.
    pub(crate) disk_used_percent: u8,
    /// What its latest life said of its state, and this host's view at that moment.
    pub(crate) state: Option<(ViewNumber, StateReport)>,
    /// Whom it does not hear, as it said last.
    pub(crate) unheard: Vec<Unheard>,
    /// What it asked for last, and when.
    pub(crate) asked: Option<Request>,
    /// A pre-vote of it that could not be agreed to at once; valid for a short time.
    pub(crate) pre_vote: Option<(ViewNumber, Reason, Mono)>,
    /// When it was last told the view that it lacks.
    pub(crate) hinted_at: Option<Mono>,
    /// In this view of this host's it said that what comes next is in no log of its own.
    pub(crate) gone_in: Option<ViewNumber>,
    /// Its joining and dropping out.
    pub(crate) stay: Stay,
}

/// A request to be let in or out.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) asked: Asked,
    pub(crate) at: Mono,
}

/// What a life of a peer had on disk while it acted or learned; every later life has it too.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// The life that said so.
    pub(crate) by: Incarnation,
    /// It had this view …
    pub(crate) view: ViewNumber,
    /// … and its lanes up to here.
    pub(crate) durable: Vec<u64>,
}

/// The connection to a peer, as the driver told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Nothing is known: sending is tried.
    Unknown,
    Up,
    /// It was up and is gone; back soon, or the peer is suspected.
    Closed {
        since: Mono,
    },
    /// Nobody listens there.
    Refused,
}

/// How long a host stays a writer once it is one. A host that keeps dropping out waits longer and
/// longer before it is let in again, so that it cannot stall the others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stay {
    joined_at: Option<Mono>,
    /// Until it is over, the host is not let in.
    pub(crate) backoff: Backoff,
}

impl Peer {
    pub(crate) fn new(now: Mono) -> Self {
        Self {
            link: Link::Unknown,
            incarnation: None,
            replaced_in: ViewNumber::NOT_FORMED,
            heard_at: now,
            gaps: WindowedMax::default(),
            skewed_until: Mono(0),
            phase: None,
            phase_since: now,
            view_shown: ViewNumber::NOT_FORMED,
            acted: None,
            introduced: None,
            refused: None,
            kept: None,
            durable: None,
            disk_used_percent: 0,
            state: None,
            unheard: Vec::new(),
            asked: None,
            pre_vote: None,
            hinted_at: None,
            gone_in: None,
            stay: Stay::default(),
        }
    }

    /// True if sending to it makes sense.
    pub(crate) fn reachable(&self) -> bool {
        matches!(self.link, Link::Unknown | Link::Up)
    }

    /// It said something.
    pub(crate) fn heard(&mut self, now: Mono) {
        self.gaps.add(now.since(self.heard_at));
        self.heard_at = now;
    }

    /// Takes a link event.
    pub(crate) fn link_changed(&mut self, event: LinkEvent, now: Mono) {
        self.link = match event {
            LinkEvent::Up { .. } => {
                // The silence of a broken connection says nothing about the new one.
                self.heard_at = now;
                Link::Up
            }
            LinkEvent::Closed => Link::Closed { since: now },
            LinkEvent::Refused => Link::Refused,
        };
    }

    /// It showed a life of its. True if that is the latest one known; what an earlier life said before
    /// it died is of no use any more. `view` is this host's.
    pub(crate) fn showed_incarnation(&mut self, shown: Incarnation, view: ViewNumber) -> bool {
        match self.incarnation {
            Some(known) if shown < known => return false,
            Some(known) if shown > known => {
                self.replaced_in = view;
                self.view_shown = ViewNumber::NOT_FORMED;
                self.phase = None;
                self.state = None;
                self.gaps = WindowedMax::default();
                self.unheard.clear();
                self.asked = None;
                self.pre_vote = None;
                self.gone_in = None;
            }
            _ => {}
        }
        self.incarnation = Some(shown);
        true
    }

    /// It told what it does.
    pub(crate) fn showed_phase(&mut self, view: ViewNumber, phase: HostPhase, now: Mono) {
        if self.phase.is_some_and(|(known, _)| known > view) {
            return;
        }
        if self.phase != Some((view, phase)) {
            self.phase_since = now;
        }
        self.phase = Some((view, phase));
        if phase == HostPhase::Acting
            && let Some(incarnation) = self.incarnation
        {
            let shown = (incarnation, view);
            self.acted = Some(self.acted.map_or(shown, |known| known.max(shown)));
        }
    }

    /// A life of it has this on disk for sure. What came before in the order of lives and views is less.
    pub(crate) fn keeps(&mut self, by: Incarnation, view: ViewNumber, durable: &[u64]) {
        match &mut self.kept {
            Some(kept) if (kept.by, kept.view) > (by, view) => {}
            Some(kept) if (kept.by, kept.view) == (by, view) => kept.raise(durable),
            kept => {
                let durable = durable.to_vec();
                *kept = Some(Kept { by, view, durable });
            }
        }
    }

    /// It acknowledged entries. Only one life of a host acts in a view, so they are that life's words.
    pub(crate) fn acknowledged(&mut self, view: ViewNumber, durable: &[u64]) {
        if let Some(kept) = self.kept.as_mut().filter(|kept| kept.view == view) {
            kept.raise(durable);
        }
    }

    /// It told what it has on disk.
    pub(crate) fn showed_durable(&mut self, view: ViewNumber, durable: &[u64]) {
        match &mut self.durable {
            Some((known, _)) if *known > view => {}
            Some((known, vector)) if *known == view => {
                for (known, shown) in vector.iter_mut().zip(durable) {
                    *known = (*known).max(*shown);
                }
            }
            other => *other = Some((view, durable.to_vec())),
        }
    }

    /// True if it does not act in this host's view, and never will or should have begun long ago.
    /// `view_since` is when this host installed the view.
    pub(crate) fn idle_in(
        &self,
        view: ViewNumber,
        view_since: Mono,
        now: Mono,
        timings: &Timings,
    ) -> bool {
        match self.phase {
            Some((shown, HostPhase::Acting)) if shown >= view => false,
            Some((shown, _)) if shown > view => false,
            Some((shown, HostPhase::Barred)) if shown == view => true,
            _ => self.replaced_in == view || now >= self.idle_at(view_since, timings),
        }
    }

    /// When it is taken for idle if it goes on not to act.
    pub(crate) fn idle_at(&self, view_since: Mono, timings: &Timings) -> Mono {
        self.phase_since.max(view_since) + timings.silence_min
    }

    /// When the peer becomes suspect if nothing happens; in the past if it is suspect already.
    pub(crate) fn suspect_at(&self, now: Mono, timings: &Timings) -> Mono {
        if self.link == Link::Refused || now < self.skewed_until {
            return Mono(0);
        }
        let silence = Duration::from_micros(self.gaps.get().saturating_mul(3));
        let silence = silence.clamp(timings.silence_min, timings.silence_max);
        let silent = self.heard_at + silence;
        match self.link {
            Link::Closed { since } => silent.min(since + timings.reconnect),
            _ => silent,
        }
    }
}

impl Kept {
    fn raise(&mut self, durable: &[u64]) {
        for (known, shown) in self.durable.iter_mut().zip(durable) {
            *known = (*known).max(*shown);
        }
    }
}

impl Stay {
    /// It became a writer.
    pub(crate) fn joined(&mut self, now: Mono) {
        self.joined_at = Some(now);
    }

    /// It stopped being one.
    pub(crate) fn dropped_out(&mut self, now: Mono, timings: &Timings) {
        let flapping = self
            .joined_at
            .take()
            .is_some_and(|joined| now < joined + timings.settled);
        if flapping {
            self.backoff.wait_longer(now, timings);
        } else {
            self.backoff.start_anew();
        }
    }

    /// The view was changed to let it in, and it was too slow to take part.
    pub(crate) fn left_out(&mut self, now: Mono, timings: &Timings) {
        self.backoff.wait_longer(now, timings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000;

    fn spoke_every(gap_ms: u64) -> (Peer, Mono) {
        let mut peer = Peer::new(Mono(0));
        for i in 1..=50 {
            peer.heard(Mono(i * gap_ms * MS));
        }
        (peer, Mono(50 * gap_ms * MS))
    }

    #[test]
    fn silence_is_suspicious_after_three_usual_gaps_within_bounds() {
        let timings = Timings::default();
        for (gap_ms, expected_ms) in [(20, 300), (120, 360), (400, 450)] {
            let (peer, last) = spoke_every(gap_ms);
            let at = peer.suspect_at(last, &timings);
            assert_eq!(at, last + Duration::from_millis(expected_ms), "{gap_ms} ms");
        }
    }

    #[test]
    fn a_refused_link_is_suspicious_at_once_and_a_closed_one_after_twenty_ms() {
        let timings = Timings::default();
        let (mut peer, now) = spoke_every(20);
        peer.link_changed(LinkEvent::Closed, now);
        let suspect_at = peer.suspect_at(now, &timings);
        assert_eq!(suspect_at, now + Duration::from_millis(20));
        peer.link_changed(LinkEvent::Refused, now);
        assert_eq!(peer.suspect_at(now, &timings), Mono(0));
        let up = LinkEvent::Up {
            incarnation: Incarnation(1),
            assigned: true,
        };
        peer.link_changed(up, now);
        assert!(peer.suspect_at(now, &timings) > now);
    }

    #[test]
    fn a_host_that_keeps_dropping_out_waits_longer_each_time() {
        let timings = Timings::default();
        let mut stay = Stay::default();
        let mut now = Mono(0);
        let mut waits = Vec::new();
        for _ in 0..10 {
            stay.joined(now);
            now = now + Duration::from_secs(1);
            stay.dropped_out(now, &timings);
            waits.push(stay.backoff.not_before.since(now) / MS);
            now = stay.backoff.not_before;
        }
        let doubling = [
            250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000,
        ];
        assert_eq!(waits, doubling);
        stay.joined(now);
        now = now + Duration::from_secs(60);
        stay.dropped_out(now, &timings);
        assert!(stay.backoff.is_over(now));
    }
}
