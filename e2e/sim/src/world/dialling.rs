//! Making connections between hosts: dials that are answered, refused, or get no answer at all.

use shoal_replication::LinkEvent;
use shoal_types::HostId;

use super::host::{Input, LinkState};
use super::{Event, World};
use crate::history::SimTime;
use crate::limits::{DIAL_PAUSE_MAX, DIAL_PAUSE_MIN, DIAL_TIMEOUT, REFUSED_EVERY};
use crate::trace::Note;

impl World {
    /// A process tries to connect to another host.
    pub(super) fn dial(&mut self, from: HostId, life: u64, to: HostId) {
        if self
            .link(from, life, to)
            .is_none_or(|link| !matches!(link.state, LinkState::Down))
        {
            return;
        }
        let there = self.network.latency(from, to);
        let back = self.network.latency(to, from);
        let answered = SimTime(self.now.0 + there + back);
        if self.is_unanswered(from, to) {
            return self.dial_again(from, life, to, DIAL_TIMEOUT);
        }
        let event = if self.hosts[&to].process.is_some() {
            Event::Dialled { from, life, to }
        } else {
            Event::Refused { from, life, to }
        };
        self.schedule.at(answered, event);
    }

    pub(super) fn dial_again(&mut self, from: HostId, life: u64, to: HostId, after: u64) {
        let Some(link) = self.link(from, life, to) else {
            return;
        };
        let pause = link.pause;
        link.pause = (pause * 2).min(DIAL_PAUSE_MAX);
        let pause = pause / 2 + self.network.any(pause / 2 + 1);
        let at = SimTime(self.now.0 + after + pause);
        self.schedule.at(at, Event::Dial { from, life, to });
    }

    /// Nobody listened there.
    pub(super) fn refused(&mut self, from: HostId, life: u64, to: HostId) {
        let now = self.now;
        let Some(link) = self.link(from, life, to) else {
            return;
        };
        let due = |at: SimTime| now.0 >= at.0 + REFUSED_EVERY;
        if link.refused_at.is_none_or(due) {
            link.refused_at = Some(now);
            self.trace.note(
                now,
                &Note::Link {
                    from,
                    to,
                    what: "refused",
                },
            );
            self.give(from, Input::Link(to, LinkEvent::Refused));
        }
        self.dial_again(from, life, to, 0);
    }

    /// The other side took the connection, if it is still there.
    pub(super) fn dialled(&mut self, from: HostId, life: u64, to: HostId) {
        if self.is_unanswered(from, to) || self.hosts[&to].process.is_none() {
            return self.dial_again(from, life, to, DIAL_TIMEOUT / 10);
        }
        let other = self.hosts[&to].process.as_ref().expect("looked at above");
        let (other_life, incarnation) = (other.life, other.core.origin().incarnation);
        let assigned = other.core.cluster().is_some();
        let connection = self.schedule.planned();
        let now = self.now;
        let Some(link) = self.link(from, life, to) else {
            return;
        };
        link.pause = DIAL_PAUSE_MIN;
        link.state = LinkState::Up {
            connection,
            life: other_life,
            arrives: now,
            silent_since: None,
            held: Vec::new(),
        };
        self.trace.note(
            now,
            &Note::Link {
                from,
                to,
                what: "up",
            },
        );
        let up = LinkEvent::Up {
            incarnation,
            assigned,
        };
        self.give(from, Input::Link(to, up));
    }
}
